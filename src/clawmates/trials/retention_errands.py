"""The errands of a simulated life, by control's own handlers: the vault is a stand-in that signs what it is asked for.

They are done many at a time, in one transaction; the worker of control takes three for each. Several deletions that
come to the same step have the files written anew once, after the rows of all of them are gone.
"""

from __future__ import annotations

import ssl
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeVar, cast

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from sqlalchemy import select

from clawmates.control.bots import errands
from clawmates.control.erasure import steps
from clawmates.control.mail import notices
from clawmates.control.mail.post import Terminal
from clawmates.control.outbox.outbox import Done, Handler, Later, Outcome, Refused, Task
from clawmates.control.outbox.tables import Errand
from clawmates.trials.measure import NoFigureError
from clawmates.wire.erasure import key_name, public_of
from clawmates.wire.receipt import KeysCopy, Receipt, ReceiptKey, Subject, sign
from clawmates.wire.vault_client import VaultClient

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sqlalchemy.ext.asyncio import AsyncSession

    from clawmates.control.context import Context

T = TypeVar("T")
REGION = "bench"
ROUNDS = 20
"""A deletion has four steps; a step that has to wait comes again."""


@dataclass(frozen=True, slots=True)
class Vault(VaultClient):
    """Answers at once and keeps nothing: what it takes to destroy a key is another figure."""

    key: Ed25519PrivateKey = field(default_factory=Ed25519PrivateKey.generate)

    async def ask(self, cls: type[T], method: str, target: str, body: bytes = b"") -> T:  # noqa: ARG002
        """The key, or a receipt for the end of a bot or a tenant."""
        public = public_of(self.key)
        if method == "GET":
            return cast(T, ReceiptKey(key_id=key_name(public), region=REGION, public=public))
        kind, name = target.rsplit("/", 2)[1:]
        subject = Subject.TENANT if kind == "tenants" else Subject.BOT
        said = Receipt(
            id="0" * 32,
            region=REGION,
            subject=subject,
            name=name,
            tenant=name if subject is Subject.TENANT else "",
            bots=(),
            items=(),
            tenant_keys=1,
            asked="",
            destroyed="",
            keys_copy=KeysCopy.NONE,
            software="bench",
            key_id=key_name(public),
        )
        return cast(T, sign(self.key, said))


def vault() -> Vault:
    """One that is asked over no wire."""
    return Vault("nowhere", 0, ssl.create_default_context())


@dataclass(frozen=True, slots=True)
class Placed:
    """A bot that runs again: no node is part of this life."""

    perishes: bool = False

    async def do(self, task: Task) -> Outcome:  # noqa: ARG002
        """At once."""
        return Done()

    async def settle(self, session: AsyncSession, task: Task, outcome: Done | Refused) -> None:
        """Nothing to note."""


def handlers(context: Context) -> Mapping[str, Handler]:
    """By kind."""
    post = Terminal(-1)
    return {
        **errands.handlers(context),
        errands.ASSIGN: Placed(),
        notices.KIND: notices.NoticeHandler(context, post),
        **steps.handlers(context, post),
    }


async def work(context: Context, known: Mapping[str, Handler]) -> None:
    """Until nothing is left to do. Raises :class:`NoFigureError` where that does not come."""
    for _ in range(ROUNDS):
        if not await _round(context, known):
            return
    raise NoFigureError("errands of a simulated life do not come to their end")


async def _round(context: Context, known: Mapping[str, Handler]) -> bool:
    now = context.clock.now()
    async with context.database.reading() as session:
        found = (await session.scalars(select(Errand).where(Errand.due_at <= now).order_by(Errand.number))).all()
    first = {one.lane: one for one in reversed(found)}
    tasks = [Task(one.number, one.lane, one.kind, one.body, one.tries, one.made_at) for one in first.values()]
    if not tasks:
        return False
    outcomes, rewritten = [], None
    for task in sorted(tasks, key=lambda one: one.number):
        if task.kind == steps.BYTES:
            rewritten = rewritten or await known[task.kind].do(task)
            outcomes.append((task, rewritten))
        else:
            outcomes.append((task, await known[task.kind].do(task)))
    async with context.database.writing() as session:
        for task, outcome in outcomes:
            if not isinstance(outcome, Later):
                await known[task.kind].settle(session, task, outcome)
                await session.delete(await session.get_one(Errand, task.number))
    return True
