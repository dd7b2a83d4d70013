"""What was replaced or taken away is destroyed at the vault too, once nobody can be on the way to it any more."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

from sqlalchemy import select

from clawmates.base.shape import decode_json, encode_json
from clawmates.control.bots.tables import Bot
from clawmates.control.context import Context
from clawmates.control.nodes.tables import Node
from clawmates.control.outbox.outbox import Done, Later, Outcome, Refused, Task, add
from clawmates.wire.names import ItemName
from clawmates.wire.upkeep_calls import destroy_item
from clawmates.wire.vault import TICKET_SECONDS, VaultRefusal
from clawmates.wire.vault_client import VaultError, VaultUnreachableError

if TYPE_CHECKING:
    from datetime import datetime

    from sqlalchemy.ext.asyncio import AsyncSession

FORGET = "forget"
WAIT = timedelta(seconds=TICKET_SECONDS)
"""So long a ticket is good that was given before: a container that is just starting comes to its end with it."""
NODE_BEHIND = "node-behind"
_NOTHING_LEFT = frozenset({VaultRefusal.UNKNOWN_BOT, VaultRefusal.BEING_DESTROYED})


@dataclass(frozen=True, slots=True, kw_only=True)
class Forgotten:
    """The body: versions up to this one. ``node`` is to have heard of ``revision`` before."""

    bot: str
    name: ItemName
    version: int
    node: str
    revision: int


async def forget(session: AsyncSession, bot: str, items: dict[ItemName, int], now: datetime) -> None:
    """Has these items' versions destroyed, later. After the node was told in this transaction that they go.

    In a lane of its own: what is said to the vault of the bot meanwhile does not wait for it.
    """
    wanted = select(Node.name, Node.revision).join(Bot, Bot.node == Node.name).where(Bot.id == bot)
    found = (await session.execute(wanted)).one_or_none()
    node, revision = (found.name, found.revision) if found is not None else ("", 0)
    for name, version in items.items():
        if version > 0 and not name.is_born_inside:
            body = Forgotten(bot=bot, name=name, version=version, node=node, revision=revision)
            await add(session, f"old/{bot}", FORGET, encode_json(body).decode(), now=now, wait=WAIT)


@dataclass(frozen=True, slots=True)
class Forget:
    """For the outbox's worker."""

    context: Context
    perishes: bool = False

    async def do(self, task: Task) -> Outcome:
        """Not while the bot's node may still start it with what goes; the same again finds nothing."""
        body = decode_json(Forgotten, task.body.encode())
        async with self.context.database.reading() as session:
            behind = (
                select(Bot.id)
                .join(Node, Node.name == Bot.node)
                .where(Bot.id == body.bot, Node.name == body.node, Node.seen_revision < body.revision)
            )
            if await session.scalar(behind) is not None:
                return Later(NODE_BEHIND)
        try:
            await destroy_item(self.context.vault.client(), body.bot, body.name, body.version)
        except VaultUnreachableError:
            return Later("vault-down")
        except VaultError as error:
            return Done() if error.refusal in _NOTHING_LEFT else Later(error.refusal.value)
        return Done()

    async def settle(self, session: AsyncSession, task: Task, outcome: Done | Refused) -> None:
        """Nothing is left to be noted."""
