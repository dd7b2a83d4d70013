"""Who waits for news: told at once of what this replica does, and within half a second of what another one did.

A topic is ``node/NAME`` or ``account/ID``. News are in the database alone; here is only who waits, and one look at the
database for all of them together, where its pulse says that anybody has written (:mod:`clawmates.control.store.pulse`).
SQLite has nobody who calls, and one way for both databases is one way to test.
"""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from sqlalchemy import func, select
from sqlalchemy.exc import SQLAlchemyError

from clawmates.control.bots.tables import Bot, BotDay, BotItem, BotState
from clawmates.control.errors import TooOften
from clawmates.control.nodes.tables import Node
from clawmates.control.outbox.tables import Errand
from clawmates.control.store.database import AWAY, Database

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable, Sequence

    from sqlalchemy.ext.asyncio import AsyncSession


BEAT_SECONDS = 0.15
LOOK_SECONDS = 0.25
"""Between two looks, where somebody writes all the time: with the look itself, and other work, it is half a second."""
AT_ONCE = 500
"""Topics in one query."""
RETRY_AFTER = 30
MOST_WAITING = 12
"""At one topic: so many windows has nobody open, and every one holds a connection."""
Print = tuple[object, ...]
"""What changes whenever there are news of a topic."""


class HubClosedError(Exception):
    """This replica is about to end: whoever waits should hang up, and asks another one."""


def node_topic(name: str) -> str:
    """News for a node: its desired state has changed."""
    return f"node/{name}"


def account_topic(account: str) -> str:
    """News for an account's pages: a bot was changed, or a node has said something of one."""
    return f"account/{account}"


@dataclass(slots=True, eq=False)
class Watch:
    """One who waits, from the moment the block was entered: what happened since is not missed."""

    topic: str
    closed: bool = False
    _event: asyncio.Event = field(default_factory=asyncio.Event)

    async def changed(self, seconds: float) -> bool:
        """Whether there may be news since the last call, or since the beginning; waits at most so long for them.

        Raises :class:`HubClosedError` when the process is about to end.
        """
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._event.wait()
        if self.closed:
            raise HubClosedError
        found = self._event.is_set()
        self._event.clear()
        return found

    def wake(self) -> None:
        """There are news."""
        self._event.set()


@dataclass(slots=True)
class Hub:
    """``keep`` runs beside everything else for as long as the process serves."""

    database: Database
    _watches: dict[str, set[Watch]] = field(default_factory=dict)
    _prints: dict[str, Print] = field(default_factory=dict)
    _someone: asyncio.Event = field(default_factory=asyncio.Event)
    _closed: bool = False

    @property
    def waiting(self) -> int:
        """How many wait."""
        return sum(map(len, self._watches.values()))

    def announce(self, topic: str) -> None:
        """Wakes who waits here; call it after the commit, and never rely on it: others find out by looking."""
        for watch in self._watches.get(topic, ()):
            watch.wake()

    @asynccontextmanager
    async def watch(self, topic: str) -> AsyncIterator[Watch]:
        """Enter, read, then wait: ``async with hub.watch(topic) as news: …; await news.changed(25)``.

        Raises :class:`TooOften` when more wait there than may.
        """
        if len(self._watches.get(topic, ())) >= MOST_WAITING:
            raise TooOften(retry_after=RETRY_AFTER)
        watch = Watch(topic, closed=self._closed)
        self._watches.setdefault(topic, set()).add(watch)
        try:
            if topic not in self._prints:
                for name, fresh in (await self._look((topic,))).items():
                    # Another watch of the same topic may have looked meanwhile: the older look counts.
                    self._prints.setdefault(name, fresh)
            self._someone.set()
            yield watch
        finally:
            watches = self._watches[topic]
            watches.discard(watch)
            if not watches:
                del self._watches[topic]
                self._prints.pop(topic, None)

    def close(self) -> None:
        """Sends everybody away, and whoever comes from now on: the process is about to end."""
        self._closed = True
        for watch in [watch for watches in self._watches.values() for watch in watches]:
            watch.closed = True
            watch.wake()

    async def changed(self, topic: str, seconds: float) -> bool:
        """Whether news came from now on, within so many seconds."""
        async with self.watch(topic) as watch:
            return await watch.changed(seconds)

    async def keep(self) -> None:
        """While anybody waits, looks whenever somebody has written, for ever; a database that is away has no news."""
        seen: object = None
        async with self.database.pulse() as pulse:
            while True:
                await self._someone.wait()
                if not self._watches:
                    self._someone.clear()
                    continue
                pause = BEAT_SECONDS
                with suppress(*AWAY, SQLAlchemyError, OSError):
                    beat = await pulse.beat()
                    if beat != seen:
                        pause = LOOK_SECONDS
                        await self.look()
                        seen = beat  # what was written during the look is in the next beat
                await asyncio.sleep(pause)

    async def look(self) -> None:
        """One look for all: wakes those whose topic has changed since the last one."""
        found = await self._look(tuple(self._watches))
        for topic, fresh in found.items():
            if topic not in self._watches:
                continue
            before = self._prints.get(topic)
            self._prints[topic] = fresh
            if before is not None and before != fresh:
                self.announce(topic)

    async def _look(self, topics: Sequence[str]) -> dict[str, Print]:
        prints: dict[str, Print] = dict.fromkeys(topics, ())
        nodes, accounts = _named(topics, "node/"), _named(topics, "account/")
        async with self.database.reading() as session:
            for start in range(0, len(nodes), AT_ONCE):
                prints |= await _nodes(session, nodes[start : start + AT_ONCE])
            for start in range(0, len(accounts), AT_ONCE):
                prints |= await _accounts(session, accounts[start : start + AT_ONCE])
        return prints


def _named(topics: Iterable[str], kind: str) -> list[str]:
    return [topic.removeprefix(kind) for topic in topics if topic.startswith(kind)]


async def _nodes(session: AsyncSession, names: Sequence[str]) -> dict[str, Print]:
    rows = await session.execute(select(Node.name, Node.revision).where(Node.name.in_(names)))
    return {node_topic(name): (revision,) for name, revision in rows}


async def _accounts(session: AsyncSession, ids: Sequence[str]) -> dict[str, Print]:
    said = (
        select(Bot.account_id, func.count(), func.sum(Bot.version), func.max(BotState.reported_at))
        .outerjoin(BotState, BotState.bot_id == Bot.id)
        .where(Bot.account_id.in_(ids))
        .group_by(Bot.account_id)
    )
    counted = (
        select(Bot.account_id, func.sum(BotDay.messages), func.sum(BotDay.tokens))
        .join(BotDay, BotDay.bot_id == Bot.id)
        .where(Bot.account_id.in_(ids))
        .group_by(Bot.account_id)
    )
    kept = (
        select(Bot.account_id, func.sum(BotItem.version), func.sum(BotItem.kept), func.max(BotItem.changed_at))
        .join(BotItem, BotItem.bot_id == Bot.id)
        .where(Bot.account_id.in_(ids))
        .group_by(Bot.account_id)
    )
    # What still has to be said at the vault, and what it has met: a page shows it as "waiting", and why.
    waiting = (
        select(Bot.account_id, func.max(Errand.number), func.count(), func.max(Errand.trouble))
        .join(Errand, Errand.lane == "bot/" + Bot.id)
        .where(Bot.account_id.in_(ids))
        .group_by(Bot.account_id)
    )
    more: dict[str, list[Print]] = {account: [] for account in ids}
    for query in (counted, kept, waiting):
        for account, *rest in await session.execute(query):
            more[account].append((query is counted, query is kept, *rest))
    rows = await session.execute(said)
    return {account_topic(account): (*rest, *more[account]) for account, *rest in rows}
