"""Finding a person's own bots, and what is known of them. Whoever is not the owner finds nothing."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING

from sqlalchemy import select
from sqlalchemy.orm.exc import StaleDataError

from clawmates.control.bots.standing import Standing, standing
from clawmates.control.bots.tables import Bot, BotDay, BotItem, BotState
from clawmates.control.errors import Changed, NotFound
from clawmates.control.nodes.revisions import touch
from clawmates.control.nodes.tables import Node
from clawmates.control.outbox.worker import waiting

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from sqlalchemy.ext.asyncio import AsyncSession

    from clawmates.control.accounts.person import Person

DAYS = 90


@dataclass(frozen=True, slots=True)
class Known:
    """One bot and all that its page shows."""

    bot: Bot
    items: tuple[BotItem, ...]
    said: BotState | None
    standing: Standing

    @property
    def username(self) -> str:
        """Its own name at the messenger, once its container has found it out."""
        return self.said.username if self.said is not None else ""


async def own(session: AsyncSession, person: Person, bot: str) -> Bot:
    """A bot of this person's; raises :class:`NotFound`."""
    found = await session.get(Bot, bot)
    if found is None or found.account_id != person.account_id:
        raise NotFound
    return found


async def known(session: AsyncSession, bot: Bot, now: datetime) -> Known:
    """What is known of it."""
    (found,) = await known_of(session, [bot], now)
    return found


async def known_of(session: AsyncSession, bots: Sequence[Bot], now: datetime) -> list[Known]:
    """What is known of each: three statements, however many there are."""
    ids = [bot.id for bot in bots]
    items: dict[str, list[BotItem]] = defaultdict(list)
    for item in await session.scalars(select(BotItem).where(BotItem.bot_id.in_(ids)).order_by(BotItem.name)):
        items[item.bot_id].append(item)
    said = {one.bot_id: one for one in await session.scalars(select(BotState).where(BotState.bot_id.in_(ids)))}
    left = await waiting(session, [f"bot/{bot}" for bot in ids])
    return [
        _known(bot, tuple(items[bot.id]), said.get(bot.id), left.get(f"bot/{bot.id}", (0, "")), now) for bot in bots
    ]


def _known(bot: Bot, items: tuple[BotItem, ...], said: BotState | None, left: tuple[int, str], now: datetime) -> Known:
    return Known(bot, items, said, standing(bot, items, said, left, now))


async def all_of(session: AsyncSession, person: Person, now: datetime) -> list[Known]:
    """A person's bots, the oldest first."""
    mine = select(Bot).filter_by(account_id=person.account_id).order_by(Bot.created_at, Bot.id)
    return await known_of(session, (await session.scalars(mine)).all(), now)


async def counts(session: AsyncSession, bot: str, today: date) -> list[int]:
    """Messages of each of the last 90 days, today's last."""
    first = today - timedelta(days=DAYS - 1)
    rows = await session.execute(select(BotDay.day, BotDay.messages).where(BotDay.bot_id == bot, BotDay.day >= first))
    found = {row.day: row.messages for row in rows}
    return [found.get(first + timedelta(days=number), 0) for number in range(DAYS)]


async def regions(session: AsyncSession, here: str) -> tuple[str, ...]:
    """Where bots can run: the regions of the nodes there are, or the platform's own while there is none."""
    found = await session.scalars(select(Node.region).distinct().order_by(Node.region))
    return tuple(found) or (here,)


def check_version(bot: Bot, form: Mapping[str, str]) -> None:
    """Raises :class:`Changed` unless the form was made from the bot as it is now."""
    if form.get("version") != str(bot.version):
        raise Changed


async def save(session: AsyncSession, bot: Bot, now: datetime) -> None:
    """Writes a change of the bot down and tells its node; raises :class:`Changed` where somebody was quicker."""
    bot.changed_at = now
    try:
        await session.flush()
    except StaleDataError:
        raise Changed from None
    await touch(session, bot.node)
