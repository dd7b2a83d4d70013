"""A simulated life on one database, in a process of its own: both at once take half as long.

.venv/bin/python -m clawmates.trials.retention_alone sqlite 1000 100
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import tempfile
import time
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import delete

from clawmates.base.paths import State
from clawmates.base.settings import Control
from clawmates.base.shape import decode_json, encode_json
from clawmates.control.bots.tables import BotDay
from clawmates.control.store.database import open_database
from clawmates.control.store.migrate import migrate
from clawmates.inventory.spans import COUNTS
from clawmates.trials.measure import NoFigureError
from clawmates.trials.postgresql import postgresql
from clawmates.trials.retention_days import FIRST
from clawmates.trials.retention_life import Life
from clawmates.trials.retention_nights import Nights, live
from clawmates.trials.retention_traces import traces
from clawmates.trials.running import run

if TYPE_CHECKING:
    from collections.abc import Callable

    from clawmates.control.store.database import Database

NAMES = {"sqlite": "SQLite", "postgresql": "PostgreSQL"}
CHECK_EVERY, TELL_EVERY = 10, 73
"""Nights."""
EMPTIED = "wal_recycle = off\nfull_page_writes = on\n"
"""What an operator sets so that PostgreSQL's log can be emptied; and images of whole pages are in it, as everywhere."""
MOST_BYTES = 4096


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """What came of it. ``left`` and ``here`` are bytes of names, of who was deleted and of everybody else."""

    longest: float
    floor: float
    taken: int
    overdue: int
    counts_off: int
    deleted: int
    left: int
    here: int


async def apart(kind: str, life: Life) -> Measured:
    """In another process, which ends when we do. Raises :class:`NoFigureError`."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-I", "-m", __name__, kind, str(life.people), str(life.days)), stdout=asyncio.subprocess.PIPE
    )
    try:
        said, _ = await process.communicate()
    finally:
        if process.returncode is None:
            process.terminate()
            await process.wait()
    if process.returncode != 0:
        raise NoFigureError(f"the simulated life on {NAMES[kind]} has come to no end")
    return decode_json(Measured, said, MOST_BYTES)


async def alone(kind: str, life: Life) -> Measured:
    """In this one. Raises :class:`NoFigureError`."""
    with tempfile.TemporaryDirectory(prefix="cm-bench-retention-") as name:
        folder = Path(name)
        if kind == "sqlite":
            return await _measured(kind, Control(), folder, life, lambda: folder)
        with postgresql(EMPTIED) as cluster:
            cluster.tell("CREATE DATABASE bench")

            def written() -> Path:
                cluster.tell("CHECKPOINT")
                return cluster.folder

            return await _measured(kind, cluster.settings("bench"), folder, life, written)


async def _measured(kind: str, settings: Control, folder: Path, life: Life, written: Callable[[], Path]) -> Measured:
    """``written`` says where all files of the database are, once nothing is in its server's memory alone."""
    database = open_database(settings, State(folder))
    try:
        await migrate(database)
        nights = await live(database, life, folder, check_every=CHECK_EVERY, tell=partial(_tell, kind, life))
        left, here = _bytes(nights, written())
        return Measured(
            longest=max(nights.seconds),
            floor=await _floor(database, life),
            taken=nights.taken,
            overdue=nights.overdue,
            counts_off=nights.counts_off,
            deleted=len(nights.gone),
            left=left,
            here=here,
        )
    finally:
        await database.close()


def _tell(kind: str, life: Life, found: Nights) -> None:
    night = len(found.seconds)
    if night % TELL_EVERY == 0 or night == life.days:
        longest = f"{max(found.seconds):.2f} s"
        sys.stderr.write(f"  {NAMES[kind]}: night {night} of {life.days}, the longest run so far {longest}\n")
        sys.stderr.flush()


def _bytes(nights: Nights, folder: Path) -> tuple[int, int]:
    """Bytes of names in all files: of who was deleted, and of everybody else. Raises :class:`NoFigureError`."""
    found = traces(path for path in folder.rglob("*") if path.is_file())
    if missed := nights.here - found.keys():
        raise NoFigureError(f"{len(missed)} people who are there are not seen in the database's files")
    left = sum(found[n] for n in nights.gone)
    return left, sum(found[n] for n in nights.here)


async def _floor(database: Database, life: Life) -> float:
    """Seconds in which the next day's counts go by one statement: no lock, no batches, no sum."""
    oldest = FIRST + timedelta(days=life.days + 1) - COUNTS
    begun = time.monotonic()
    async with database.writing() as session:
        await session.execute(delete(BotDay).where(BotDay.day < oldest))
    return time.monotonic() - begun


async def _said(kind: str, life: Life) -> int:
    sys.stdout.write(encode_json(await alone(kind, life)).decode() + "\n")
    return 0


def main() -> int:
    """Prints :class:`Measured` as JSON."""
    parser = argparse.ArgumentParser(prog="clawmates.trials.retention_alone", description=__doc__)
    parser.add_argument("database", choices=NAMES)
    parser.add_argument("people", type=int)
    parser.add_argument("days", type=int)
    wanted = parser.parse_args()
    return run(_said(wanted.database, Life(people=wanted.people, days=wanted.days)))


if __name__ == "__main__":
    sys.exit(main())
