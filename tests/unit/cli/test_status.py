from __future__ import annotations

import re
from dataclasses import replace

import click
import pytest

from clawmates.cli.status import HOME, TO_LINE_END, frame
from clawmates.selfhost.overview import AWAY, WORDS, BotView, Overview, RetentionView
from clawmates.selfhost.shown import status_text
from clawmates.wire.codes import REMEDY, Code, Trouble
from clawmates.wire.status import BotState, Finding

BOT = BotView(
    bot="home",
    state=BotState.LIVE,
    words=WORDS[BotState.LIVE],
    code="",
    remedy="",
    since="2026-11-28T10:00:00.000Z",
    last="",
    last_at="",
    channel="telegram",
    provider="openai",
    model="m1",
    username="home_bot",
    container="mate-home-1",
    pid=7,
    generation=1,
    restarts=2,
    memory_bytes=12 << 20,
    properties=1,
    failed=0,
    isolation=(Finding(name="pid", wanted="own", found="own", ok=True),),
)
NOW = Overview(
    node="node-1",
    region="local",
    revision=3,
    engine="podman 4.3.1, runc",
    release="sha256:00",
    release_number=4,
    trying=0,
    tried_by="",
    stopped_by="",
    stopped_code="",
    refused=0,
    separation="separate users",
    processes={"vault": 1, "gateway": 2, "node": 3},
    gateway=True,
    trouble="",
    remedy="",
    unsafe=(),
    retention=RetentionView(),
    bots=(BOT,),
)


def text(now: Overview) -> str:
    return click.unstyle(status_text(now))


def test_a_good_host_in_a_few_lines() -> None:
    shown = text(NOW)
    assert "release 4" in shown
    assert "separate users" in shown
    assert "answers since 2026-11-28 10:00:00 · 12.0 MiB · 1 isolation properties read back, 0 failed" in shown
    assert "restarted 2 times" in shown
    assert len(shown.splitlines()) == 4


def test_what_is_wrong_stands_with_what_to_do() -> None:
    bad = replace(BOT, state=BotState.DEGRADED, code=Code.BAD_KEY.value, words=WORDS[BotState.DEGRADED])
    shown = text(
        replace(
            NOW,
            bots=(bad,),
            gateway=False,
            unsafe=("gateway.unsafe_resolve",),
            processes={"node": 3},
            separation="nominal",
        )
    )
    for words in (
        REMEDY[Code.BAD_KEY],
        "the gateway does not answer",
        "UNSAFE: gateway.unsafe_resolve",
        "not running: vault, gateway",
        "nominal",
        "its last word was an error",
    ):
        assert words in shown


def test_a_release_that_a_bot_has_stopped_is_shown_with_who_why_and_what_to_do() -> None:
    trouble = Trouble.RELEASE_STOPPED
    stopped = replace(NOW, trying=5, tried_by="anna", stopped_by="ben", stopped_code=Code.INTERNAL.value)
    shown = text(replace(stopped, trouble=trouble, remedy=REMEDY[trouble]))
    assert "release 5 was stopped by ben [internal]" in shown
    assert "is being tried" not in shown
    assert REMEDY[trouble] in shown


def test_what_is_late_is_shown_with_where_to_look() -> None:
    last = "2026-11-30T14:00:00.000Z"
    assert "retention" not in text(NOW)
    assert "retention: in time, last at 2026-11-30 14:00:00" in text(
        replace(NOW, retention=RetentionView(ended_at=last))
    )
    assert AWAY in text(replace(NOW, retention=RetentionView(trouble=AWAY)))
    late = RetentionView(ended_at=last, late=("message-count", "event-log"))
    assert "LATE: message-count, event-log; see `clawmates admin retention`" in text(replace(NOW, retention=late))


def test_every_state_has_words() -> None:
    assert set(WORDS) == set(BotState)


@pytest.mark.parametrize(("columns", "rows"), [(80, 24), (20, 4), (40, 3)])
def test_a_frame_fits_its_terminal(columns: int, rows: int) -> None:
    many = replace(NOW, bots=tuple(replace(BOT, bot=f"bot-{number}") for number in range(30)))
    shown = frame(status_text(many), columns, rows)
    assert shown.startswith(HOME)
    lines = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", shown).splitlines()
    assert len([line for line in lines if line]) <= rows - 1
    assert max(map(len, lines)) <= columns
    assert shown.count(TO_LINE_END) <= rows
