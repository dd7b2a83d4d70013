"""Finding a person's own bots, and what is known of them. Whoever is not the owner finds nothing."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING

from sqlalchemy import bindparam, func, literal, select
from sqlalchemy.orm.exc import StaleDataError

from clawmates.control.accounts.tables import Account
from clawmates.control.bots.standing import Said, Standing, standing
from clawmates.control.bots.tables import Bot, BotDay, BotItem, BotReceipt, BotState
from clawmates.control.errors import Changed, NotFound
from clawmates.control.nodes.revisions import touch
from clawmates.control.nodes.tables import Node
from clawmates.control.outbox.tables import Errand
from clawmates.control.store.look import Question, first, rows
from clawmates.inventory import spans as kept

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sqlalchemy import ColumnElement
    from sqlalchemy.ext.asyncio import AsyncSession

    from clawmates.control.accounts.person import Person
    from clawmates.control.store.look import Look

DAYS = kept.COUNTS.days
_WORDS = (BotState.node, BotState.state, BotState.code, BotState.username)


@dataclass(frozen=True, slots=True)
class Known:
    """One bot and all that its page shows."""

    bot: Bot
    items: tuple[BotItem, ...]
    said: Said | None
    standing: Standing
    under_way: bool = False
    """Something of it is still on its way to the vault."""

    @property
    def username(self) -> str:
        """Its own name at the messenger, once its container has found it out."""
        return self.said.username if self.said is not None else ""


@dataclass(frozen=True, slots=True)
class _About:
    """Questions about bots: their rows, their items, what their nodes said, and their errands."""

    bots: Question[Bot]
    items: Question[BotItem]
    said: Question[tuple[str, Said]]
    errands: Question[tuple[str, str]]
    """(bot, the code that it has met)."""
    stopped: Question[str]
    """Those whose account was cancelled."""

    @classmethod
    def those(cls, mine: ColumnElement[bool]) -> _About:
        """About all bots for which ``mine`` holds."""
        said = (
            # A node says how a bot is when that has changed. That it is there at all it says every few seconds.
            select(Bot.id, *(func.coalesce(one, "") for one in _WORDS))
            .add_columns(func.coalesce(Node.seen_at, BotState.reported_at, type_=BotState.reported_at.type))
            .select_from(Bot)
            .outerjoin(BotState, BotState.bot_id == Bot.id)
            .outerjoin(Node, Node.name == Bot.node)
            .where(mine)
        )
        errands = (
            select(Bot.id, Errand.trouble).join(Errand, Errand.lane == literal("bot/").concat(Bot.id)).where(mine)
        ).order_by(Errand.number)
        stopped = (
            select(Bot.id).join(Account, Account.id == Bot.account_id).where(mine, Account.cancelled_at.is_not(None))
        )
        return cls(
            rows(Bot, lambda wanted: wanted.where(mine).order_by(Bot.created_at, Bot.id)),
            rows(BotItem, lambda wanted: wanted.join(Bot, Bot.id == BotItem.bot_id).where(mine).order_by(BotItem.name)),
            Question(said, lambda bot, *rest: (bot, Said(*rest))),
            Question(errands, lambda bot, code: (bot, code)),
            Question(stopped, str),
        )


_MINE = Bot.account_id == bindparam("account")
_ALL = _About.those(_MINE)
_ONE = _About.those(_MINE & (Bot.id == bindparam("bot")))
_RECEIPT = rows(
    BotReceipt,
    lambda wanted: wanted.where(BotReceipt.account_id == bindparam("account"), BotReceipt.bot_id == bindparam("bot")),
)
_COUNTS = Question(
    select(BotDay.day, BotDay.messages).where(
        BotDay.bot_id == bindparam("bot"), BotDay.day >= bindparam("first", type_=BotDay.day.type)
    ),
    lambda day, messages: (day, messages),
)
_REGIONS = Question(select(Node.region).distinct().order_by(Node.region), str)


async def find(look: Look, person: Person, bot: str) -> Bot | None:
    """A bot of this person's, to look at."""
    return await first(look, _ONE.bots, account=person.account_id, bot=bot)


async def seen(look: Look, person: Person, bot: str) -> Bot:
    """The same; raises :class:`NotFound`."""
    found = await find(look, person, bot)
    if found is None:
        raise NotFound
    return found


async def own(session: AsyncSession, person: Person, bot: str) -> Bot:
    """A bot of this person's; raises :class:`NotFound`."""
    found = await session.get(Bot, bot)
    if found is None or found.account_id != person.account_id:
        raise NotFound
    return found


async def own_locked(session: AsyncSession, person: Person, bot: str) -> Bot:
    """The same, and nobody else changes it until this transaction is over; raises :class:`NotFound`.

    Not as strong a lock as a deletion's: what a node reports of the bot meanwhile need not wait (PostgreSQL, "Row-Level
    Locks"), and must not, because it holds its node's row, which whoever changes a bot wants next.
    """
    found = await session.get(Bot, bot, with_for_update={"key_share": True})
    if found is None or found.account_id != person.account_id:
        raise NotFound
    return found


async def known(look: Look, bot: Bot, now: datetime) -> Known:
    """What is known of it."""
    (found,) = await _known(look, _ONE, [bot], {"account": bot.account_id, "bot": bot.id}, now)
    return found


async def all_of(look: Look, person: Person, now: datetime) -> list[Known]:
    """A person's bots, the oldest first: four questions, however many there are."""
    whose = {"account": person.account_id}
    return await _known(look, _ALL, await look.all(_ALL.bots, **whose), whose, now)


async def _known(look: Look, about: _About, bots: list[Bot], which: dict[str, str], now: datetime) -> list[Known]:
    items: dict[str, list[BotItem]] = defaultdict(list)
    for item in await look.all(about.items, **which):
        items[item.bot_id].append(item)
    said = dict(await look.all(about.said, **which))
    left: dict[str, list[str]] = defaultdict(list)
    for bot, code in await look.all(about.errands, **which):
        left[bot].append(code)
    stopped, found = set(await look.all(about.stopped, **which)), []
    for one in bots:
        kept, word, codes = tuple(items[one.id]), said.get(one.id), left[one.id]
        waiting = len(codes), codes[0] if codes else ""
        stands = standing(one, kept, word, waiting, now, stopped=one.id in stopped)
        found.append(Known(one, kept, word, stands, bool(codes)))
    return found


async def count_of(session: AsyncSession, person: Person) -> int:
    """How many bots a person has."""
    return await session.scalar(select(func.count()).where(Bot.account_id == person.account_id)) or 0


async def username_of(session: AsyncSession, bot: str) -> str:
    """The bot's own name at the messenger, or empty."""
    return await session.scalar(select(BotState.username).where(BotState.bot_id == bot)) or ""


async def receipt(look: Look, person: Person, bot: str) -> BotReceipt:
    """What the vault signed when this person's bot was destroyed; raises :class:`NotFound`."""
    found = await first(look, _RECEIPT, account=person.account_id, bot=bot)
    if found is None:
        raise NotFound
    return found


async def counts(look: Look, bot: str, today: date) -> list[int]:
    """Messages of each of the last 90 days, today's last."""
    first_day = today - timedelta(days=DAYS - 1)
    found = dict(await look.all(_COUNTS, bot=bot, first=first_day))
    return [found.get(first_day + timedelta(days=number), 0) for number in range(DAYS)]


async def regions(look: Look, here: str) -> tuple[str, ...]:
    """Where bots can run: the regions of the nodes there are, or the platform's own while there is none."""
    return tuple(await look.all(_REGIONS)) or (here,)


def is_current(bot: Bot, form: Mapping[str, str]) -> bool:
    """Whether the form was made from the bot as it is now."""
    return form.get("version") == str(bot.version)


def check_version(bot: Bot, form: Mapping[str, str]) -> None:
    """Raises :class:`Changed` unless the form was made from the bot as it is now."""
    if not is_current(bot, form):
        raise Changed


async def save(session: AsyncSession, bot: Bot, now: datetime) -> None:
    """Writes a change of the bot down and tells its node; raises :class:`Changed` where somebody was quicker."""
    bot.changed_at = now
    try:
        await session.flush()
    except StaleDataError:
        raise Changed from None
    await touch(session, bot.node)
