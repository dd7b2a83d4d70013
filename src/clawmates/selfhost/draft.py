"""A bot to be: what was said of it, and whether that could work."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from clawmates.base.secret import Secret
from clawmates.wire.desired import Access, Fallback, Limits
from clawmates.wire.door import OLLAMA_HOST
from clawmates.wire.names import ChannelKind, ItemName, check_bot_id
from clawmates.wire.vault import MAX_ITEM_BYTES

if TYPE_CHECKING:
    from clawmates.wire.release import Model, Provider, Release

TELEGRAM_TOKEN = re.compile(r"\d{6,16}:[A-Za-z0-9_-]{30,64}")
KEYS_BEGIN = {"sk-ant-": "anthropic", "sk-proj-": "openai", "sk-svcacct-": "openai", "AIza": "google"}
"""How keys of some providers of the catalogue begin, and those of no other."""
HOTTEST = 2.0


class BotError(Exception):
    """A bot cannot be made or changed as asked; the text says why and what to do."""


class NoSuchBotError(BotError):
    """There is no bot of that name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tuning:
    """How a bot answers, beyond its model; ``None`` is the model's own way, or no fallback."""

    temperature: float | None = None
    max_output_tokens: int | None = None
    fallback: Fallback | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """A bot to be: its public part, and its secrets by name."""

    name: str
    channel: ChannelKind
    provider: str
    model: str
    secrets: Mapping[ItemName, Secret[str]]
    dropped: frozenset[ItemName] = frozenset()
    """What the bot should no longer have (an empty prompt, say)."""
    held: frozenset[ItemName] = frozenset()
    """What the vault keeps for it already and need not be given again."""
    limits: Limits | None = None
    """``None`` leaves those that the bot has."""
    tuning: Tuning | None = None
    """``None`` leaves what the bot has."""
    access: Access | None = None
    """Who may talk to it; ``None`` leaves it as it is, and a new bot as strict as can be."""
    paused: bool = False
    """It is not to run yet; a bot that is there already stays as it is."""

    def keeps(self, name: ItemName) -> bool:
        """Whether an item that the bot has had stays with it."""
        of_messengers = name in {ItemName.CHANNEL_TOKEN, ItemName.PEOPLE}
        return name not in self.dropped and not (of_messengers and self.channel is ChannelKind.TERMINAL)

    def hosts(self, release: Release) -> Mapping[ItemName, tuple[str, ...]]:
        """The only hosts that each secret may be sent to, from the release's catalogue."""
        channel, provider = release.channel(self.channel), release.provider(self.provider)
        fallback = self.tuning.fallback if self.tuning is not None else None
        spare = release.provider(fallback.provider) if fallback is not None else None
        return {
            ItemName.CHANNEL_TOKEN: channel.hosts if channel else (),
            ItemName.PROVIDER_KEY: provider.hosts if provider else (),
            ItemName.FALLBACK_KEY: spare.hosts if spare else (),
        }


def check(draft: Draft, release: Release) -> None:
    """Raises :class:`BotError` for anything that could not work."""
    check_name(draft.name)
    if release.channel(draft.channel) is None:
        raise BotError(f"this release has no channel {draft.channel.value!r}.")
    provider = provider_of(release, draft.provider)
    model = model_of(provider, draft.model)
    for name, secret in draft.secrets.items():
        check_text(name, secret)
    if draft.channel is ChannelKind.TELEGRAM and ItemName.CHANNEL_TOKEN not in draft.held:
        check_token(draft.secrets.get(ItemName.CHANNEL_TOKEN))
    _check_key(draft, ItemName.PROVIDER_KEY, provider.id, needed=needs_key(provider))
    tuning = draft.tuning or Tuning()
    _check_tuning(tuning, provider, model)
    _check_fallback(draft, tuning.fallback, release)


def check_name(name: str) -> str:
    """``name`` itself; raises :class:`BotError`."""
    try:
        return check_bot_id(name)
    except ValueError as error:
        raise BotError(f"{name!r} is no name for a bot: {error}.") from None


def provider_of(release: Release, name: str) -> Provider:
    """The provider of that name; raises :class:`BotError` that lists those there are."""
    provider = release.provider(name)
    if provider is None:
        known = ", ".join(one.id for one in release.providers)
        raise BotError(f"this release has no provider {name!r}; it has: {known}.")
    return provider


def model_of(provider: Provider, name: str) -> Model:
    """The model of that name; raises :class:`BotError` that lists those there are."""
    model = provider.model(name)
    if model is None:
        known = ", ".join(model.id for model in provider.models)
        raise BotError(f"{provider.name} has no model {name!r} in this release; it has: {known}.")
    return model


def needs_key(provider: Provider) -> bool:
    """Whether one has to show a key there; a model on this host asks for none."""
    return provider.hosts != (OLLAMA_HOST,)


def check_token(token: Secret[str] | None) -> None:
    """Raises :class:`BotError` unless it has the form of a Telegram bot token."""
    if token is None or not TELEGRAM_TOKEN.fullmatch(token.reveal()):
        raise BotError("that is no Telegram bot token: copy the whole line '123456789:AA…' that @BotFather gave you.")


def check_key(key: Secret[str], provider: str) -> None:
    """Raises :class:`BotError` unless it could be an API key of that provider.

    A key that is unmistakably somebody else's must not be sent to this one, only to be refused there.
    """
    text = key.reveal()
    if TELEGRAM_TOKEN.fullmatch(text):
        raise BotError("that is a Telegram bot token and no API key: copy the key from the provider's page.")
    if not text.isascii() or len(text) < 8 or " " in text:
        raise BotError("that is no API key: copy it whole from the provider's page, without spaces.")
    whose = next((name for start, name in KEYS_BEGIN.items() if text.startswith(start)), provider)
    if whose != provider and provider in KEYS_BEGIN.values():
        raise BotError(f"that looks like a key of {whose!r}, not of {provider!r}: copy the right one.")


def check_text(name: ItemName, secret: Secret[str]) -> None:
    """Raises :class:`BotError` unless the vault could keep it."""
    if any("\ud800" <= character <= "\udfff" for character in secret.reveal()):
        raise BotError(f"the {name.value} holds half a character (a lone surrogate): type it anew.")
    if len(secret.reveal().encode()) > MAX_ITEM_BYTES:
        raise BotError(f"the {name.value} is larger than {MAX_ITEM_BYTES // 1024} KiB: make it shorter.")


def _check_key(draft: Draft, name: ItemName, provider: str, *, needed: bool) -> None:
    key = draft.secrets.get(name)
    if key is not None:
        check_key(key, provider)
    elif needed and name not in draft.held:
        raise BotError(f"there is no API key for {provider!r} yet: give it as provider-key.")


def _check_tuning(tuning: Tuning, provider: Provider, model: Model) -> None:
    if tuning.temperature is not None:
        if not model.temperature:
            raise BotError(f"{provider.name} {model.id} takes no temperature: say `--temperature none`.")
        if not 0 <= tuning.temperature <= HOTTEST:
            raise BotError(f"a temperature lies between 0 and {HOTTEST:.0f}.")
    most = tuning.max_output_tokens
    if most is not None and not 1 <= most <= model.output_tokens:
        raise BotError(f"{provider.name} {model.id} writes 1 to {model.output_tokens} tokens in one answer.")


def _check_fallback(draft: Draft, fallback: Fallback | None, release: Release) -> None:
    if fallback is None:
        if ItemName.FALLBACK_KEY in draft.secrets:
            raise BotError("a fallback-key was given, but no fallback: say `--fallback PROVIDER/MODEL` too.")
        return
    provider = provider_of(release, fallback.provider)
    model_of(provider, fallback.model)
    if (fallback.provider, fallback.model) == (draft.provider, draft.model):
        raise BotError("the fallback is the bot's own model: choose another.")
    elsewhere = fallback.provider != draft.provider
    if elsewhere and needs_key(provider) and ItemName.FALLBACK_KEY not in draft.held | draft.secrets.keys():
        raise BotError(
            f"the fallback is another provider and needs a key of its own: give a fallback-key for {provider.name}."
        )
    _check_key(draft, ItemName.FALLBACK_KEY, fallback.provider, needed=False)
