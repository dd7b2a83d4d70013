"""The simulated life by which the retention jobs are measured: its sum, and how names are found in files."""

from __future__ import annotations

from pathlib import Path

from clawmates.trials.retention_life import Calendar, Ledger, Life
from clawmates.trials.retention_traces import address, traces


def test_the_sum_that_is_kept_from_day_to_day_is_that_of_everybody_counted_one_by_one() -> None:
    life = Life(people=60, days=200)
    calendar = Calendar(life)
    assert calendar.end, "there are bots that are destroyed"
    assert calendar.delete, "and people who are deleted"
    ledger = Ledger(life, calendar)
    assert [ledger.night(day) for day in range(life.days)] == [life.left(day) for day in range(life.days)]


def test_names_are_found_wherever_they_lie_and_whosever_they_are(tmp_path: Path) -> None:
    (tmp_path / "empty").touch()
    (tmp_path / "pages").write_bytes(b"\0" * 5000 + address(12).encode() + b"\xff" + address(112).encode())
    (tmp_path / "log").write_bytes(b"person-12@day-3\0")
    found = traces([*sorted(tmp_path.iterdir()), tmp_path / "gone"])
    assert found == {12: len(address(12)) + len("person-12@day-3"), 112: len(address(112))}
