"""A change of who answers, or of what a bot does without: in the order in which it was wanted, and with its key.

A change that needs a key travels with the key and is made in the transaction that notes that the vault keeps it: until
then the bot goes on with who answered before, and a key that is refused changes nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from sqlalchemy import select, update

from clawmates.base.shape import decode_json, encode_json
from clawmates.control.bots.forgetting import forget
from clawmates.control.bots.minds import Choice, Minds, chosen, minds_of, needed
from clawmates.control.bots.tables import Bot, BotItem
from clawmates.control.context import Context
from clawmates.control.hub import account_topic, node_topic
from clawmates.control.nodes.revisions import touch
from clawmates.control.outbox.outbox import Done, Outcome, Refused, Task, add
from clawmates.control.outbox.tables import Errand
from clawmates.control.store.database import after_commit
from clawmates.wire.names import ItemName

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    from sqlalchemy.ext.asyncio import AsyncSession

    from clawmates.wire.release import Release

CHANGE = "change"


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """The body: who is to answer, and what the bot is to do without."""

    bot: str
    choice: Choice | None = None
    drops: tuple[ItemName, ...] = ()


def lane(bot: str) -> str:
    """In which order things are said: one after the other for a bot."""
    return f"bot/{bot}"


async def ask(session: AsyncSession, context: Context, bot: Bot, change: Change) -> None:
    """Makes a change at once, or after what is on its way to the vault already. The caller saves the bot before."""
    now = context.clock.now()
    if await session.scalar(select(Errand.number).where(Errand.lane == lane(bot.id)).limit(1)) is not None:
        await add(session, lane(bot.id), CHANGE, encode_json(change).decode(), now=now)
        return
    gone = await make(session, context, change)
    await touched(context, session, bot.id)
    await forget(session, bot.id, gone, now)


async def make(session: AsyncSession, context: Context, change: Change) -> dict[ItemName, int]:
    """Writes a change down; returns which versions nobody needs any more, for :func:`forget` once the node is told."""
    bot = await session.get(Bot, change.bot, with_for_update={"key_share": True})
    if bot is None:
        return {}
    minds = minds_of(bot)
    if change.choice is not None:
        minds = chosen(minds, change.choice)
        values = written(bot, minds, context.release())
        # Not through the row itself: its version is for people who edit, and they were told when the change was wanted.
        statement = update(Bot).where(Bot.id == bot.id).values(**values)
        await session.execute(statement, execution_options={"synchronize_session": False})
    drops = set(change.drops) | ({ItemName.FALLBACK_KEY} - needed(minds))
    return await _drop(session, bot.id, drops, context.clock.now())


def written(bot: Bot, minds: Minds, release: Release | None) -> dict[str, object]:
    """The columns that say who answers; what its model does not take is left to the model."""
    spare, temperature, longest = minds.fallback, bot.temperature, bot.max_output_tokens
    provider = release.provider(minds.provider) if release is not None else None
    model = provider.model(minds.model) if provider is not None else None
    if model is not None:
        temperature = temperature if model.temperature else None
        longest = longest if longest is not None and longest <= model.output_tokens else None
    return {
        "provider": minds.provider,
        "model": minds.model,
        "fallback_provider": spare.provider if spare is not None else None,
        "fallback_model": spare.model if spare is not None else None,
        "temperature": temperature,
        "max_output_tokens": longest,
    }


async def _drop(session: AsyncSession, bot: str, names: Iterable[ItemName], now: datetime) -> dict[ItemName, int]:
    wanted = select(BotItem).where(BotItem.bot_id == bot, BotItem.name.in_([name.value for name in names]))
    gone = {}
    for item in await session.scalars(wanted):
        if item.kept:
            gone[ItemName(item.name)] = item.kept
        # The number stays: the next one that is sealed is a higher one.
        item.kept, item.trouble, item.changed_at = 0, "", now
    await session.flush()
    return gone


async def touched(context: Context, session: AsyncSession, bot: str) -> None:
    """Node and pages look again, once this is committed: who looked a moment earlier would find nothing new."""
    found = (await session.execute(select(Bot.account_id, Bot.node).where(Bot.id == bot))).one_or_none()
    if found is not None:
        await touch(session, found.node)
        after_commit(session, partial(context.hub.announce, account_topic(found.account_id)))
        if found.node is not None:
            after_commit(session, partial(context.hub.announce, node_topic(found.node)))


@dataclass(frozen=True, slots=True)
class MakeChange:
    """For the outbox's worker: its turn has come."""

    context: Context
    perishes: bool = False

    async def do(self, task: Task) -> Outcome:  # noqa: ARG002
        """Nothing is said to anybody else."""
        return Done()

    async def settle(self, session: AsyncSession, task: Task, outcome: Done | Refused) -> None:  # noqa: ARG002
        """In the transaction that removes the errand."""
        change = decode_json(Change, task.body.encode())
        gone = await make(session, self.context, change)
        await touched(self.context, session, change.bot)
        await forget(session, change.bot, gone, self.context.clock.now())
