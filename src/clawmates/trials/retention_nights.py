"""The nights of a simulated life: what the retention jobs take away, how long it takes them, and what is left.

Each night they run as control runs them, by a clock that is handed in, and then every rule of the inventory is asked
how many rows are there that should not be.
"""

from __future__ import annotations

import os
import time
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING

from sqlalchemy import func, select

from clawmates.base.secret import Secret
from clawmates.base.settings import Mode, Platform, Settings
from clawmates.control.bots.tables import BotDay
from clawmates.control.context import Context
from clawmates.control.erasure.tombstones import FILE, Tombstones
from clawmates.control.hub import Hub
from clawmates.control.jobs import takers
from clawmates.control.retention.keeper import Keeper
from clawmates.control.retention.rules import JOBS
from clawmates.control.retention.taking import overdue
from clawmates.control.vault import VaultLine
from clawmates.proofs.lapse.days import Hand
from clawmates.trials.retention_days import Days, noon
from clawmates.trials.retention_errands import REGION, handlers, vault, work
from clawmates.trials.retention_life import Calendar, Ledger

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from clawmates.control.store.database import Database
    from clawmates.trials.retention_life import Life

AFTER_MIDNIGHT = timedelta(hours=12, seconds=5)
"""After noon: so long a replica may need to look again."""


@dataclass(slots=True)
class Nights:
    """What the nights showed."""

    seconds: list[float] = field(default_factory=list)
    """Of each night's run."""
    taken: int = 0
    overdue: int = 0
    """Rows, over all nights, that were there after the run and should not have been."""
    counts_off: int = 0
    """Messages, over all nights that were checked, by which the sum differed from what it must be."""
    looked: int = 0
    here: frozenset[int] = frozenset()
    """Who has an account in the end, and who has none any more."""
    gone: frozenset[int] = frozenset()


async def live(
    database: Database,
    life: Life,
    folder: Path,
    *,
    check_every: int,
    asleep: int = 0,
    tell: Callable[[Nights], None] = lambda _found: None,
) -> Nights:
    """The whole of it, on a database that is empty. ``check_every``: nights until all counts are summed up again.

    For the first ``asleep`` nights control is down: no job runs, nothing is looked at, and the first night after them
    has all of it to take. ``folder`` takes the list of who was deleted; ``tell`` is called after each night.
    """
    clock, calendar, found = Hand(noon(0)), Calendar(life), Nights()
    context = _context(database, clock, folder)
    days, ledger = Days(context, life, calendar), Ledger(life, calendar)
    keeper = Keeper(database=database, clock=clock, holder="0" * 32, takers=takers(context))
    known = handlers(context)
    for day in range(life.days):
        clock.moment = noon(day)
        async with database.writing() as session:
            await days.live(session, day)
        await work(context, known)
        if day < asleep:
            ledger.night(day)
            continue
        clock.moment = noon(day) + AFTER_MIDNIGHT
        begun = time.monotonic()
        found.taken += sum((await keeper.round()).values())
        found.seconds.append(time.monotonic() - begun)
        await work(context, known)
        async with database.reading() as session:
            for job in JOBS:
                found.overdue += await overdue(session, job, clock.moment)
            wanted = ledger.night(day)
            if (day + 1) % check_every == 0:
                kept = await session.scalar(select(func.coalesce(func.sum(BotDay.messages), 0)))
                found.counts_off += abs(int(kept or 0) - wanted)
                found.looked += 1
        tell(found)
    found.here = frozenset(days.ids)
    found.gone = frozenset(n for those in calendar.delete.values() for n in those)
    return found


def _context(database: Database, clock: Hand, folder: Path) -> Context:
    pepper = Secret(bytes(32))
    signer = vault()
    return Context(
        settings=Settings(platform=Platform(mode=Mode.HOSTED, region=REGION)),
        database=database,
        clock=clock,
        random=os.urandom,
        pepper=pepper,
        tombstones=Tombstones(folder / FILE, pepper),
        release=lambda: None,
        hub=Hub(database),
        vault=VaultLine(lambda: signer, clock),
    )
