"""Codes that let a person in: made here, sent to the bot by the person, kept by nobody."""

from __future__ import annotations

import secrets
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import TYPE_CHECKING

from clawmates.base.secret import Secret
from clawmates.selfhost import bots, people
from clawmates.selfhost.install import vault_of
from clawmates.wire import pairing
from clawmates.wire.desired import MOST_PAIRINGS, Access, Pairing
from clawmates.wire.names import ChannelKind, ItemName
from clawmates.wire.node_client import NodeClient, NodeUnreachableError

if TYPE_CHECKING:
    from collections.abc import Collection
    from datetime import datetime

    from clawmates.base.paths import State
    from clawmates.base.settings import Settings
    from clawmates.wire.desired import BotSpec


class PairingError(Exception):
    """No code can be made; the text says why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Issued:
    """A code that was made just now. Show it and forget it."""

    code: Secret[str]
    link: Secret[str]
    """Opens the bot in Telegram with the code; empty while nobody knows the bot's username."""
    ends: str

    @property
    def grouped(self) -> str:
        """The code as people read it; either form is understood."""
        code = self.code.reveal()
        return f"{code[:4]}-{code[4:]}"


async def pair(state: State, settings: Settings, bot: str, now: datetime, *, void_others: bool = False) -> Issued:
    """Makes a code for a bot: its hash goes into ``desired.json``, and a running mate knows it within a second.

    ``void_others`` voids the codes that are pending. Raises :class:`PairingError` and the vault client's errors.
    """
    spec = bots.find(bots.read(state), bot)
    _check(spec)
    spent: Collection[str] = ()
    if ItemName.PEOPLE not in spec.items or len(spec.pairings) >= MOST_PAIRINGS:
        async with vault_of(state, settings) as vault:
            version = spec.items.get(ItemName.PEOPLE) or await people.ensure(spec.id, spec.tenant, vault)
            spec = replace(spec, items={**spec.items, ItemName.PEOPLE: version})
            spent = (await people.show(spec, vault)).spent
    username = ""
    with suppress(NodeUnreachableError):
        status = await NodeClient(settings.run.node).status(brief=True)
        username = next((one.username for one in status.bots if one.bot == bot), "")
    spec, issued = issue(spec, now, username=username, spent=spent, void_others=void_others)
    bots.put(state, spec)
    return issued


def issue(
    spec: BotSpec, now: datetime, *, username: str = "", spent: Collection[str] = (), void_others: bool = False
) -> tuple[BotSpec, Issued]:
    """The bot with one more pairing, and its code. Raises :class:`PairingError`."""
    _check(spec)
    moment = bots.whole_seconds(now)
    pending = tuple(one for one in spec.pairings if one.pends(moment) and one.salt not in spent)
    if void_others:
        pending = ()
    if len(pending) >= MOST_PAIRINGS:
        soonest = min(one.ends for one in pending)
        raise PairingError(
            f"{len(pending)} codes of {spec.id!r} are pending already: use one of them, wait until {soonest}, or void "
            "them all with --replace."
        )
    code, salt = "".join(secrets.choice(pairing.ALPHABET) for _ in range(pairing.LENGTH)), secrets.token_hex(32)
    ends = bots.whole_seconds(now + timedelta(seconds=pairing.SECONDS))
    fresh = Pairing(salt=salt, digest=pairing.digest(spec.id, salt, code), ends=ends)
    link = f"https://t.me/{username}?start={code}" if username else ""
    return replace(spec, pairings=(*pending, fresh)), Issued(code=Secret(code), link=Secret(link), ends=ends)


def _check(spec: BotSpec) -> None:
    if spec.channel is not ChannelKind.TELEGRAM:
        raise PairingError(f"{spec.id!r} is reached at the terminal: whoever may run `clawmates chat` may talk to it.")
    if spec.access is Access.LIST:
        raise PairingError(
            f"{spec.id!r} takes no codes: its people are those you name with `clawmates bot people {spec.id} --admit`."
        )
