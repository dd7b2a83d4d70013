"""Control and the vault countersign each other's chain, every minute, whichever replica's turn it is.

A meeting is an errand of the outbox, in a lane of its own: so it is one replica's at a time, a vault that is away is
asked again, and a contradiction stays there as the errand's trouble until it is none any more.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sqlalchemy import select
from sqlalchemy.exc import SQLAlchemyError

from clawmates.base.clock import Clock
from clawmates.base.hardening import place_of
from clawmates.base.shape import encode_json
from clawmates.control.audit import chain, words
from clawmates.control.audit.chain import note
from clawmates.control.outbox.outbox import Done, Later, Outcome, Refused, Task, add
from clawmates.control.outbox.tables import Errand
from clawmates.control.store.database import Database
from clawmates.control.vault import VaultLine
from clawmates.wire import vault_calls
from clawmates.wire.audit import COUNTERSIGN_SECONDS, Head
from clawmates.wire.deeds import Deed
from clawmates.wire.names import Role
from clawmates.wire.notary import Notary
from clawmates.wire.signatures import SignatureError
from clawmates.wire.vault import VaultRefusal
from clawmates.wire.vault_client import VaultCallError, VaultClient, VaultError
from clawmates.wire.vault_deeds import Resumed, Tag

if TYPE_CHECKING:
    from datetime import datetime

    from sqlalchemy.ext.asyncio import AsyncSession

    from clawmates.control.context import Context
    from clawmates.wire.audit import SignedHead, Witness

KIND = "countersign"
LANE = "audit"
DIVERGED = "audit-diverged"
VAULT_DOWN = "vault-down"
NO_IDENTITY = "no-identity"


class DivergedError(Exception):
    """One of the chains is not the one that the other side has signed."""


@dataclass(frozen=True, slots=True)
class Countersign:
    """The errand's handler."""

    database: Database
    vault: VaultLine
    notary: Notary
    clock: Clock
    order: Callable[[], Resumed | None] = lambda: None
    """Root's order to begin anew."""
    perishes: bool = False

    async def do(self, task: Task) -> Outcome:  # noqa: ARG002 - it says nothing
        """One meeting; each of its steps may be repeated."""
        try:
            client = self.vault.client()
            await self._resume(client)
            await self._sign_theirs(client)
            await self._have_ours_signed(client)
        except DivergedError:
            return Later(DIVERGED)
        except VaultError as error:
            return Later(DIVERGED if error.refusal is VaultRefusal.DIVERGED else error.refusal.value)
        except VaultCallError:
            return Later(VAULT_DOWN)
        except (OSError, SignatureError):
            return Later(NO_IDENTITY)
        return Done()

    async def settle(self, session: AsyncSession, task: Task, outcome: Done | Refused) -> None:
        """All was written down on the way."""

    async def _resume(self, vault: VaultClient) -> None:
        """Root's order, once: where it fits our chain as it is, and when the vault has followed it."""
        order = self.order()
        if order is None or order.control is None:
            return
        async with self.database.reading() as session:
            fits = await chain.head_at(session, order.control.number) == order.control
            if not fits or await chain.holds(session, Deed.AUDIT_RESUMED, order, order.control.number):
                return
        await vault_calls.audit_head(vault, order.vault.number)  # asked for its head, the vault follows first
        theirs = (await vault_calls.audit_entries(vault, order.vault.number)).entries
        text = encode_json(order).decode()
        if any(entry.tag == Tag.AUDIT_RESUMED.value and entry.detail == text for entry in theirs):
            async with self.database.writing() as session:
                note(session, self.clock.now(), Deed.AUDIT_RESUMED, order)

    async def _sign_theirs(self, vault: VaultClient) -> None:
        async with self.database.reading() as session:
            last = await words.last_line(session)
        before = last.said.head if last is not None else words.end_of(None)
        said = await vault_calls.audit_head(vault, before.number)
        grown = self._check(said, before)
        if last is not None:
            # Every line is told, in order: one whose answer was lost, or that a crash cut off, comes first.
            await self._tell(vault, last.said.head, words.end_of(last))
        if grown:
            fresh = words.following(last, said)
            await words.add_line(self.database, fresh)
            await self._tell(vault, said.head, words.end_of(fresh))

    def _check(self, said: SignedHead, before: Head) -> bool:
        """Whether the vault's chain has grown; raises :class:`DivergedError` for another chain, or another's word."""
        if self.notary.said_by(said, self.clock.now(), Role.VAULT) is None:
            raise DivergedError
        if said.before != before or said.head.number < before.number:
            raise DivergedError
        if said.head.number == before.number and said.head != before:
            raise DivergedError
        return said.head.number > before.number

    async def _tell(self, vault: VaultClient, head: Head, line: Head) -> None:
        await vault_calls.witness(vault, self.notary.countersign(head, line, self.clock.now()))

    async def _have_ours_signed(self, vault: VaultClient) -> None:
        known = await vault_calls.audit_control(vault)
        now = self.clock.now()
        async with self.database.reading() as session:
            ours, there = await chain.head(session), await chain.head_at(session, known.head.number)
            last = await words.last_word(session)
        kept = last.line if last is not None else words.end_of(None)
        if not self._theirs(known, now) or there != known.head or known.line.number < kept.number:
            raise DivergedError
        if known.line.number == kept.number and known.line != kept:
            raise DivergedError
        if known.line.number > kept.number:
            await words.add_word(self.database, known)  # its answer was lost
        if ours.number > known.head.number:
            word = await vault_calls.countersign(vault, self.notary.sign(ours, known.head, now))
            follows = word.head == ours and word.line.number == known.line.number + 1
            if not follows or not self._theirs(word, now):
                raise DivergedError
            await words.add_word(self.database, word)

    def _theirs(self, word: Witness, now: datetime) -> bool:
        return self.notary.witnessed_by(word, now, Role.VAULT) is not None


async def wish(session: AsyncSession, context: Context) -> None:
    """Wants a meeting, where none waits already."""
    if await session.scalar(select(Errand.number).where(Errand.lane == LANE).limit(1)) is None:
        await add(session, LANE, KIND, "", now=context.clock.now())


async def trouble(session: AsyncSession) -> str:
    """Why the last meeting failed, or empty."""
    return (
        await session.scalar(select(Errand.trouble).where(Errand.lane == LANE).order_by(Errand.number).limit(1)) or ""
    )


async def keep_meeting(context: Context) -> None:
    """Every minute, for ever; a database that is away is tried again."""
    while True:
        try:
            async with context.database.writing() as session:
                await wish(session, context)
        except (SQLAlchemyError, OSError) as error:
            sys.stderr.write(f"no meeting with the vault: {place_of(error)}\n")
        await asyncio.sleep(COUNTERSIGN_SECONDS)
