from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from clawmates.base.eventlog import EventLog
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
        "number": 0,
        "process": "gateway",
        "username": "some_bot",
    }


def test_files_older_than_30_days_go_and_nothing_else(tmp_path: Path) -> None:
    names = {
        "gateway-2026-10-22.jsonl": False,
        "gateway-2026-10-23.jsonl": True,
        "node-2020-01-01.jsonl": True,
        "gateway-notes.jsonl": True,
    }
    for name in names:
        (tmp_path / name).touch()
    EventLog(tmp_path, "gateway", HandClock()).write(Event(code=Code.LIVE))
    assert {name: (tmp_path / name).exists() for name in names} == names


def test_a_disk_that_takes_nothing_drops_the_line_and_says_how_many(tmp_path: Path) -> None:
    log = EventLog(tmp_path / "missing", "gateway", HandClock())
    log.write(Event(code=Code.LIVE))
    log.write(Event(code=Code.LIVE))
    assert log.dropped == 2
    (tmp_path / "missing").mkdir()
    log.write(Event(code=Code.LIVE))
    assert log.dropped == 2
    assert len(list((tmp_path / "missing").iterdir())) == 1
