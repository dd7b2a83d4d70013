"""Tokens and keys that lie in a configuration in the clear. They are found to be left out, or sealed at once."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from clawmates.base.secret import Secret
from clawmates.selfhost.openclaw.words import KEYS
from clawmates.wire.desired import Fallback
from clawmates.wire.names import ItemName

if TYPE_CHECKING:
    from clawmates.selfhost.openclaw.routes import Account, Route
    from clawmates.selfhost.openclaw.section import Section
    from clawmates.selfhost.wish import Wish

_VARIABLE = re.compile(r"\$\{?([A-Z_][A-Z0-9_]*)\}?")
"""A value that stands for a variable of the environment (its documentation, *Environment variables*)."""


class Credentials:
    """Of one configuration. What it only refers to, an environment or a file, is not looked for."""

    def __init__(self, config: Section) -> None:
        self._variables = config.inner("env").inner("vars")
        self._providers = config.inner("models").inner("providers")
        self._accounts: list[Account] = []

    def of(self, route: Route, bot: Wish) -> dict[ItemName, Secret[str]]:
        """What a bot could be given of it."""
        found: dict[ItemName, Secret[str] | None] = {}
        if route.account is not None:
            self._accounts.append(route.account)
            found[ItemName.CHANNEL_TOKEN] = self._in_clear(route.account.token_at.text("botToken"))
        found[ItemName.PROVIDER_KEY] = self._key(bot.provider)
        if isinstance(bot.fallback, Fallback) and bot.fallback.provider != bot.provider:
            found[ItemName.FALLBACK_KEY] = self._key(bot.fallback.provider)
        return {name: secret for name, secret in found.items() if secret}

    def pass_over(self) -> None:
        """A credential is told of once, as such, and not also as a thing that was not understood."""
        for account in self._accounts:
            for section in (account.own, account.channel):
                section.pass_over("botToken", "tokenFile")
        for name in KEYS:
            self._variables.pass_over(*KEYS[name])
            if name in self._providers:
                self._providers.inner(name).pass_over("apiKey")

    def _key(self, provider: str | None) -> Secret[str] | None:
        if provider is None or provider not in KEYS:
            return None
        entry = self._providers.inner(provider)
        # A key for another address must not be sent to the provider's own.
        if "baseUrl" in entry or "baseURL" in entry:
            return None
        given = self._in_clear(entry.text("apiKey"))
        variables = (self._in_clear(self._variables.text(name)) for name in KEYS[provider])
        return given or next((one for one in variables if one), None)

    def _in_clear(self, text: str | None) -> Secret[str] | None:
        if not text:
            return None
        named = _VARIABLE.fullmatch(text)
        value = self._variables.text(named[1]) if named else text
        return Secret(value.strip()) if value else None
