from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from clawmates.base import eventlog
from clawmates.base.eventlog import EventLog, overdue
from clawmates.wire.codes import Code, Event


@dataclass
class HandClock:
    moment: datetime = datetime(2026, 11, 22, 23, 59, 59, tzinfo=UTC)

    def now(self) -> datetime:
        return self.moment

    def monotonic(self) -> float:
        return 0.0


def test_a_line_an_event_and_a_file_a_day(tmp_path: Path) -> None:
    clock = HandClock()
    log = EventLog(tmp_path, "gateway", clock)
    log.write(Event(code=Code.LIVE, username="some_bot"), bot="home")
    clock.moment += timedelta(seconds=1)
    log.write(Event(code=Code.BAD_KEY, number=401), bot="home")
    first, second = sorted(tmp_path.iterdir())
    assert (first.name, second.name) == ("gateway-2026-11-22.jsonl", "gateway-2026-11-23.jsonl")
    assert json.loads(first.read_text()) == {
        "at": "2026-11-22T23:59:59.000Z",
        "bot": "home",
        "code": "live",
        "life": 0,
        "number": 0,
        "process": "gateway",
        "username": "some_bot",
    }


def test_no_line_is_30_days_old_and_nothing_else_goes(tmp_path: Path) -> None:
    names = {
        "gateway-2026-10-24.jsonl": False,
        "gateway-2026-10-25.jsonl": True,
        "one-that-is-gone-2026-10-24.jsonl": False,
        "vault-2026-10-25.jsonl": True,
        "gateway-notes.jsonl": True,
        "gateway-2020-01-01.txt": True,
    }
    for name in names:
        (tmp_path / name).touch()
    EventLog(tmp_path, "gateway", HandClock()).write(Event(code=Code.LIVE))
    assert {name: (tmp_path / name).exists() for name in names} == names
    today = HandClock().now().date()
    assert [overdue(tmp_path, today + timedelta(days=days)) for days in (1, 2, 3)] == [0, 0, 2]


async def test_one_who_has_nothing_to_write_forgets_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = HandClock()
    log = EventLog(tmp_path, "gateway", clock)
    log.write(Event(code=Code.LIVE))
    old = tmp_path / "gateway-2026-11-22.jsonl"
    monkeypatch.setattr(eventlog, "LOOK_SECONDS", 0)
    forgetting = asyncio.create_task(log.keep_short())
    try:
        clock.moment += timedelta(days=29)
        for _ in range(10):
            await asyncio.sleep(0)
        assert old.exists()
        clock.moment += timedelta(days=1)
        async with asyncio.timeout(5):
            while old.exists():  # noqa: ASYNC110 - a file has no event; the loop turns once each time
                await asyncio.sleep(0)
    finally:
        forgetting.cancel()
        await asyncio.wait([forgetting])


async def test_a_folder_that_cannot_be_read_ends_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(_self: Path, _pattern: str) -> None:
        raise PermissionError

    monkeypatch.setattr(type(tmp_path), "glob", broken)
    forgetting = asyncio.create_task(EventLog(tmp_path, "gateway", HandClock()).keep_short())
    await asyncio.sleep(0)
    assert not forgetting.done()
    forgetting.cancel()
    await asyncio.wait([forgetting])


def test_a_disk_that_takes_nothing_drops_the_line_and_says_how_many(tmp_path: Path) -> None:
    log = EventLog(tmp_path / "missing", "gateway", HandClock())
    log.write(Event(code=Code.LIVE))
    log.write(Event(code=Code.LIVE))
    assert log.dropped == 2
    (tmp_path / "missing").mkdir()
    log.write(Event(code=Code.LIVE))
    assert log.dropped == 2
    assert len(list((tmp_path / "missing").iterdir())) == 1
