"""A deletion's steps, each an errand: keys, rows, bytes, receipt. Each may be repeated; what it did is in the row.

The next step's errand is added in the transaction that ends the one before, so a replica that is killed anywhere leaves
exactly one step to be done, and another one does it. None gives up.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from importlib.metadata import version
from typing import TYPE_CHECKING

from sqlalchemy import delete, select

from clawmates.base.clock import stamp
from clawmates.base.shape import decode_json, encode_json
from clawmates.control.audit.chain import note
from clawmates.control.context import Context
from clawmates.control.erasure import rows
from clawmates.control.erasure.begin import KEYS, TELL, OfErasure, lane, mail_lane
from clawmates.control.erasure.restored import AGAIN, Again
from clawmates.control.erasure.signing import receipt_key
from clawmates.control.erasure.tables import Erasure
from clawmates.control.erasure.telling import PATIENCE, TellHandler
from clawmates.control.nodes import ending
from clawmates.control.outbox.outbox import Done, Later, Outcome, Refused, Task, add
from clawmates.control.outbox.tables import Errand
from clawmates.control.store.scrub import BusyError, scrub
from clawmates.inventory.spans import RECEIPT
from clawmates.wire import erasure as wire
from clawmates.wire.deeds import Deed, Erased
from clawmates.wire.receipt import MAX_RECEIPT, ReceiptError, SignedReceipt, Subject, check
from clawmates.wire.upkeep_calls import destroy_tenant
from clawmates.wire.upkeep_calls import receipt_key as vaults_key
from clawmates.wire.vault_client import VaultCallError, VaultError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sqlalchemy.ext.asyncio import AsyncSession

    from clawmates.control.mail.post import Post
    from clawmates.control.outbox.outbox import Handler
ROWS, BYTES, SEAL = "erase-rows", "erase-bytes", "erase-seal"
SOFTWARE = f"clawmates {version('clawmates')}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Vaults:
    """What the vault has said, and the key by which it is checked."""

    receipt: SignedReceipt
    key: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Data:
    """Counts, as they stay in the row."""

    gone: tuple[wire.Gone, ...]


def handlers(context: Context, post: Post) -> Mapping[str, Handler]:
    """For the worker."""
    return {
        TELL: TellHandler(context, post),
        KEYS: Keys(context),
        ROWS: Rows(context),
        BYTES: Bytes(context),
        SEAL: Seal(context),
        AGAIN: Again(context),
    }


@dataclass(frozen=True, slots=True)
class Keys:
    """The account stays deleted from here on, whatever is put back; the vault destroys the keys of all it has."""

    context: Context
    perishes: bool = False

    async def do(self, task: Task) -> Outcome:
        """The vault gives the same receipt to who asks again."""
        found = await _look(self.context, task)
        if found is None or found.account_id is None:
            return Done()
        self.context.tombstones.add(found.account_id)
        try:
            client = self.context.vault.client()
            key = await vaults_key(client)
            signed = await destroy_tenant(client, found.account_id)
            said = check(key.public, signed)
        except VaultError as error:
            return Later(error.refusal.value)
        except VaultCallError:
            return Later("vault-down")
        except ReceiptError:
            return Later("receipt-wrong")
        if (said.subject, said.name) != (Subject.TENANT, found.account_id):
            return Later("receipt-wrong")
        return Done(encode_json(Vaults(receipt=signed, key=key.public)).decode())

    async def settle(self, session: AsyncSession, task: Task, outcome: Done | Refused) -> None:
        """From now on the vault renews no lease of these bots, which :class:`Seal` counts on."""
        found = await _row(session, task)
        if found is None or not isinstance(outcome, Done):
            return
        found.vault = outcome.note
        await _next(session, self.context, found, ROWS)


@dataclass(frozen=True, slots=True)
class Rows:
    """Everything that is the person's, in one transaction; before it the mail has left that needs the address."""

    context: Context
    perishes: bool = False

    async def do(self, task: Task) -> Outcome:
        """Waits for the mail, but not for ever."""
        found = await _look(self.context, task)
        if found is None or found.told or self.context.clock.now() - found.asked_at >= PATIENCE:
            return Done()
        return Later("mail")

    async def settle(self, session: AsyncSession, task: Task, outcome: Done | Refused) -> None:  # noqa: ARG002
        """With the key by which the audit chain knew the person; the chain says that somebody was deleted, not who."""
        found = await _row(session, task)
        if found is None or found.account_id is None:
            return
        now = self.context.clock.now()
        await session.execute(delete(Errand).where(Errand.lane == mail_lane(found.id)))
        gone = await rows.take_away(session, self.context, found.account_id)
        found.data = encode_json(Data(gone=rows.counted(gone))).decode()
        found.erased_at = now
        note(session, now, Deed.ACCOUNT_ERASED, Erased(receipt=found.id))
        await _next(session, self.context, found, BYTES)


@dataclass(frozen=True, slots=True)
class Bytes:
    """The files that have held it are written anew."""

    context: Context
    perishes: bool = False

    async def do(self, task: Task) -> Outcome:  # noqa: ARG002 - it concerns all of the database
        """See :mod:`clawmates.control.store.scrub`."""
        try:
            emptied = await scrub(self.context.database)
        except BusyError:
            return Later("database-busy")
        return Done((wire.Log.EMPTIED if emptied else wire.Log.LEFT).value)

    async def settle(self, session: AsyncSession, task: Task, outcome: Done | Refused) -> None:
        """Notes when."""
        found = await _row(session, task)
        if found is None or not isinstance(outcome, Done):
            return
        found.log, found.rewritten_at = outcome.note, self.context.clock.now()
        await _next(session, self.context, found, SEAL)


@dataclass(frozen=True, slots=True)
class Seal:
    """The receipt: not before it is true of the bots, too."""

    context: Context
    watch: ending.Watch = field(default_factory=ending.Watch)
    perishes: bool = False

    async def do(self, task: Task) -> Outcome:
        """Waits until no container of the account can run."""
        context, now = self.context, self.context.clock.now()
        found = await _look(context, task)
        if found is None or found.account_id is None or found.erased_at is None or found.rewritten_at is None:
            return Done()
        async with context.database.reading() as session:
            if await ending.unheard_of(session, found.id) and not self._lease_is_over(found.id):
                return Later("still-running")
            bots = await ending.ended(session, found.id)
        vaults = decode_json(Vaults, found.vault.encode(), MAX_RECEIPT)
        said = wire.Erasure(
            id=found.id,
            region=context.settings.platform.region,
            account=found.account_id,
            asked=stamp(found.asked_at),
            erased=stamp(found.erased_at),
            rewritten=stamp(found.rewritten_at),
            issued=stamp(now),
            data=decode_json(Data, found.data.encode()).gone,
            bots=bots,
            log=wire.Log(found.log),
            software=SOFTWARE,
        )
        signed = wire.sign(receipt_key(context.pepper), said, vaults.receipt, vaults.key)
        return Done(encode_json(signed).decode())

    def _lease_is_over(self, erasure: str) -> bool:
        lease = timedelta(seconds=self.context.settings.control.lease_seconds)
        return self.watch.lease_is_over(erasure, lease, self.context.clock.monotonic())

    async def settle(self, session: AsyncSession, task: Task, outcome: Done | Refused) -> None:
        """Nothing but the receipt is left, for so long."""
        found = await _row(session, task)
        if found is None or not isinstance(outcome, Done) or not outcome.note:
            return
        found.receipt, found.ends_at = outcome.note, self.context.clock.now() + RECEIPT
        found.account_id, found.vault, found.data = None, "", ""
        await ending.forget(session, found.id)
        self.watch.forget(found.id)


def _id(task: Task) -> str:
    return decode_json(OfErasure, task.body.encode()).erasure


async def _look(context: Context, task: Task) -> Erasure | None:
    async with context.database.reading() as session:
        return (await session.scalars(select(Erasure).where(Erasure.id == _id(task)))).one_or_none()


async def _row(session: AsyncSession, task: Task) -> Erasure | None:
    return await session.get(Erasure, _id(task), with_for_update=True)


async def _next(session: AsyncSession, context: Context, erasure: Erasure, kind: str) -> None:
    body = encode_json(OfErasure(erasure=erasure.id)).decode()
    await add(session, lane(erasure.id), kind, body, now=context.clock.now())
