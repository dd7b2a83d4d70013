"""What a newcomer is shown when the first bot is live."""

from __future__ import annotations

from dataclasses import replace

import pytest

from clawmates.base.secret import Secret
from clawmates.cli.running import Shown
from clawmates.selfhost.pairing import Issued
from clawmates.selfhost.qr import qr_code
from clawmates.selfhost.shown import bot_line, greeting
from clawmates.wire.status import BotState, BotStatus

BOT = BotStatus(
    bot="home",
    state=BotState.LIVE,
    since="2026-11-28T10:00:00.000Z",
    channel="telegram",
    provider="openai",
    model="m1",
    username="home_bot",
)
LINK = "https://t.me/home_bot?start=ABCD2345"
ISSUED = Issued(code=Secret("ABCD2345"), link=Secret(LINK), ends="2026-11-28T11:00:00+00:00")


def test_a_bot_that_answers_nobody_yet_shows_its_owner_the_way_in() -> None:
    shown = greeting(BOT, ISSUED)
    assert LINK in shown
    assert "ABCD-2345" in shown
    assert qr_code(LINK) in shown
    assert "answers nobody yet" in shown


def test_what_stands_there_is_not_said_twice(capsys: pytest.CaptureFixture[str]) -> None:
    shown = Shown()
    for bot in (replace(BOT, state=BotState.STARTING), replace(BOT, state=BotState.STARTING, container="c1")):
        shown.bot(bot)
    for container in ("c1", "c1", "c2"):
        shown.bot(replace(BOT, container=container))
    assert [line.split()[1] for line in capsys.readouterr().out.splitlines()] == ["starting", "live", "live"]


def test_a_bot_that_is_taken_away_says_so() -> None:
    assert "is being removed" in bot_line(replace(BOT, channel="", provider="", model=""))


def test_a_bot_for_everybody_needs_no_code() -> None:
    shown = greeting(BOT)
    assert qr_code("https://t.me/home_bot") in shown
    assert "start=" not in shown


def test_a_bot_at_the_terminal_is_talked_to_there() -> None:
    assert "clawmates chat home" in greeting(replace(BOT, channel="terminal"), None)
