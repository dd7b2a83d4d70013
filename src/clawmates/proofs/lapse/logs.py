"""The event log under a clock moved by hand: no line is there after thirty days, whoever writes or is silent."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from typing import TYPE_CHECKING

from clawmates.base.eventlog import EventLog
from clawmates.proofs.kept.seven import ERROR_DAYS
from clawmates.proofs.lapse.days import LOOKS, NIGHT, Hand

if TYPE_CHECKING:
    from pathlib import Path


@dataclass(frozen=True, slots=True, kw_only=True)
class _Event:
    code: str = "proved"


async def logs(folder: Path) -> tuple[int, tuple[str, ...]]:
    """(files that were removed in time, objections); ``folder`` is there and empty."""
    start = datetime.combine(datetime.now(UTC).date(), time(), UTC) + NIGHT
    clock = Hand(start)
    writer, silent = EventLog(folder, "writer", clock), EventLog(folder, "silent", clock)
    written: dict[str, set[int]] = {"writer": set(), "silent": set()}
    removed, found = 0, []
    for day in (0, *LOOKS):
        clock.moment = start + timedelta(days=day)
        writer.write(_Event())
        written["writer"].add(day)
        if day <= 1:
            silent.write(_Event())
            written["silent"].add(day)
        await _an_hour(silent)
        for process, days in written.items():
            wanted = {_name(process, start, one) for one in days if day - one < ERROR_DAYS}
            there = _there(folder, process)
            removed += len(days) - len(wanted)
            found += [f"day {day}: {name} is still there" for name in sorted(there - wanted)]
            found += [f"day {day}: {name} is gone too early" for name in sorted(wanted - there)]
            written[process] = {one for one in days if day - one < ERROR_DAYS}
    return removed, tuple(found)


def _there(folder: Path, process: str) -> set[str]:
    return {path.name for path in folder.glob(f"{process}-*")}


def _name(process: str, start: datetime, day: int) -> str:
    return f"{process}-{(start + timedelta(days=day)).date().isoformat()}.jsonl"


async def _an_hour(log: EventLog) -> None:
    """What a process does once an hour, beside its work."""
    keeping = asyncio.create_task(log.keep_short())
    await asyncio.sleep(0)
    keeping.cancel()
    with suppress(asyncio.CancelledError):
        await keeping
