from __future__ import annotations

from pathlib import Path

from clawmates.node.reporting import capacity
from clawmates.node.telling import Seen, Teller
from clawmates.wire.control import BotReport, BotTrouble, Count, Report
from clawmates.wire.gatewayctl import DoorStatus
from clawmates.wire.status import BotState

DAY = "2026-11-30"
LIVE = Seen("b1", BotState.LIVE, "", "ada_bot", "", "")


def opened(path: Path, mark: bytes = b"\x01") -> Teller:
    return Teller.open(path, lambda size: mark * size)


def door(turns: int, tokens: int, bot: str = "b1") -> DoorStatus:
    return DoorStatus(
        bot=bot, tunnels=0, bytes_out=0, bytes_in=0, turns=turns, input_tokens=tokens, output_tokens=0, refused=0
    )


def said(teller: Teller) -> Report:
    return teller.report(revision=1, capacity=2, release="")


def test_a_state_is_told_once_and_again_when_it_changes(tmp_path: Path) -> None:
    teller = opened(tmp_path / "told")
    assert teller.bots([LIVE])
    assert said(teller).bots == (BotReport(bot="b1", state=BotState.LIVE, username="ada_bot"),)
    assert teller.bots([LIVE]), "not before it was heard"
    teller.heard()
    assert not teller.bots([LIVE])
    bad = LIVE._replace(state=BotState.DEGRADED, code="bad-key")
    assert teller.bots([bad])
    again = teller.bots([bad])
    report = said(teller)
    assert again
    assert report.troubles == (BotTrouble(bot="b1", code="bad-key"),)
    teller.heard()
    assert teller.bots([bad._replace(last="filtered", last_at="12:00")])
    assert said(teller).troubles == (BotTrouble(bot="b1", code="filtered"),)


def test_counts_are_what_came_since_and_keep_their_number_until_they_are_heard(tmp_path: Path) -> None:
    teller = opened(tmp_path / "told")
    assert teller.doors("one", [door(3, 30)], DAY)
    first = said(teller)
    assert first.counts == (Count(bot="b1", day=DAY, messages=3, tokens=30),)
    teller.doors("one", [door(5, 50)], DAY)
    assert said(teller) == first, "the same number says the same counts"
    teller.heard()
    teller.doors("one", [door(5, 50)], DAY)
    second = said(teller)
    assert (second.number, second.counts[0].messages, second.counts[0].tokens) == (first.number + 1, 2, 20)
    teller.heard()
    teller.doors("two", [door(1, 10)], DAY)
    assert said(teller).counts == (Count(bot="b1", day=DAY, messages=1, tokens=10),), "a gateway that began anew"
    teller.heard()
    assert not teller.doors("two", [door(1, 10)], DAY)


def test_a_restarted_node_says_its_last_counts_under_their_old_number_and_none_twice(tmp_path: Path) -> None:
    before = opened(tmp_path / "told")
    before.doors("one", [door(3, 30)], DAY)
    lost = said(before)
    after = opened(tmp_path / "told", b"\x02")
    after.bots([LIVE])
    after.doors("one", [door(4, 40)], DAY)
    again = said(after)
    assert (again.run, again.number, again.counts) == (lost.run, lost.number, lost.counts)
    after.heard()
    after.doors("one", [door(4, 40)], DAY)
    fresh = said(after)
    assert (fresh.run, fresh.number) == ("02" * 16, 1)
    assert fresh.counts == (Count(bot="b1", day=DAY, messages=1, tokens=10),)
    assert fresh.bots == (LIVE.report(),)


def test_without_the_file_a_restart_would_count_twice(tmp_path: Path) -> None:
    """The seeded defect that the test above is there for."""
    said(before := opened(tmp_path / "told"))
    before.heard()
    before.doors("one", [door(3, 30)], DAY)
    said(before)
    before.heard()
    (tmp_path / "told").unlink()
    after = opened(tmp_path / "told", b"\x02")
    after.doors("one", [door(3, 30)], DAY)
    assert said(after).counts[0].messages == 3


def test_what_a_host_takes_is_what_its_memory_holds_unless_it_is_said() -> None:
    assert capacity(0, "MemTotal:       33554432 kB\nMemFree: 1 kB\n") == 1024
    assert capacity(7, "MemTotal: 1 kB\n") == 7
    assert capacity(0, "nonsense") == 1
