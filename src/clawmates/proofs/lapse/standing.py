"""A platform's own database and log at this moment: nothing in them is older than the mission page says."""

from __future__ import annotations

import re
from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING

from sqlalchemy import func, select
from sqlalchemy.exc import SQLAlchemyError

from clawmates.control.accounts.tables import Account
from clawmates.control.bots.tables import Bot, BotDay, BotError
from clawmates.control.store.database import DatabaseError, open_database
from clawmates.proofs.errors import ProofError
from clawmates.proofs.kept.seven import CANCELLED_DAYS, COUNT_DAYS, ERROR_DAYS
from clawmates.proofs.part import Part
from clawmates.proofs.result import Table

if TYPE_CHECKING:
    from pathlib import Path

    from clawmates.proofs.platform import Platform
    from clawmates.proofs.trial import Bench

GRACE = timedelta(minutes=10)
"""A job has so long before it is late."""
HEAD = ("of this platform", "there", "older than declared")
_DATED = re.compile(r".+-(\d{4}-\d{2}-\d{2})\.jsonl")


async def standing(platform: Platform, bench: Bench) -> Part:
    """Counts what is over and there all the same. Raises :class:`ProofError`."""
    offset = timedelta(seconds=platform.settings.platform.unsafe_clock_offset)
    now = bench.clock.now() + offset - GRACE
    day = (now - timedelta(days=COUNT_DAYS)).date()
    late = now - timedelta(days=CANCELLED_DAYS)
    questions = (
        ("days of message counts", select(func.count()).select_from(BotDay), BotDay.day < day),
        ("error codes", select(func.count()).select_from(BotError), BotError.at < now - timedelta(days=ERROR_DAYS)),
        ("bots of cancelled subscriptions", select(func.count()).select_from(Bot).join(Account), None),
    )
    rows = []
    try:
        database = open_database(platform.settings.control, platform.state)
        try:
            async with database.reading() as session:
                for what, wanted, over in questions:
                    asked = wanted if over is not None else wanted.where(Account.cancelled_at.is_not(None))
                    over = over if over is not None else Account.cancelled_at < late  # noqa: PLW2901 - its own question
                    rows.append((what, await session.scalar(asked) or 0, await session.scalar(wanted.where(over)) or 0))
        finally:
            await database.close()
    except (DatabaseError, SQLAlchemyError, OSError):
        raise ProofError("control's database does not answer: see `clawmates doctor`") from None
    rows.append(("files of the event log", *_files(platform.state.log, now)))
    return Part(
        table=Table(title="at this moment", rows=(HEAD, *((what, str(all_), str(old)) for what, all_, old in rows))),
        figures={"here_overdue": sum(old for *_, old in rows)},
        found=tuple(f"of this platform: {old} {what} are older than declared" for what, _, old in rows if old),
    )


def _files(log: Path, now: datetime) -> tuple[int, int]:
    dates = [date.fromisoformat(found[1]) for path in log.iterdir() if (found := _DATED.fullmatch(path.name))]
    return len(dates), sum(one < now.date() - timedelta(days=ERROR_DAYS) for one in dates)
