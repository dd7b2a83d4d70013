"""Which bot `clawmates chat` talks to, and what it says when there is none."""

from __future__ import annotations

import os
import pty
import signal
import subprocess
import sys
from contextlib import suppress
from dataclasses import replace

import click
import pytest

from clawmates.cli.answers import CommandError
from clawmates.cli.chat import choose
from clawmates.wire.codes import REMEDY, Trouble
from clawmates.wire.status import BotState, BotStatus, NodeStatus

BOT = BotStatus(
    bot="home",
    state=BotState.LIVE,
    since="2026-11-28T10:00:00.000Z",
    channel="terminal",
    provider="openai",
    model="m1",
    container="c1",
)
STATUS = NodeStatus(revision=1, node="n", region="local", engine="podman", release="", gateway=True, unsafe=(), bots=())


def among(*bots: BotStatus) -> NodeStatus:
    return replace(STATUS, bots=bots)


def test_the_only_one_at_the_terminal_is_meant() -> None:
    assert choose(among(replace(BOT, bot="phone", channel="telegram"), BOT), None) == BOT
    other = replace(BOT, bot="other")
    assert choose(among(BOT, other), "other") == other
    with pytest.raises(click.UsageError, match="home, other"):
        choose(among(BOT, other), None)


def test_one_that_is_being_started_is_meant_too() -> None:
    starting = replace(BOT, state=BotState.STARTING, container="")
    assert choose(among(starting), None) == starting


def test_ctrl_c_ends_a_line_that_waits() -> None:
    program = (
        "import asyncio\n"
        "from clawmates.cli.chat import read_line\n"
        "async def main(): print(read_line())\n"
        "asyncio.run(main())"
    )
    ours, theirs = pty.openpty()
    # Without readline the question goes to standard error.
    process = subprocess.Popen([sys.executable, "-I", "-c", program], stdin=theirs, stdout=theirs, stderr=theirs)
    os.close(theirs)
    try:
        seen = b""
        while b"you" not in seen:
            seen += os.read(ours, 100)
        for _ in range(20):
            # Once more where the first came between the question and the read, as a person would.
            process.send_signal(signal.SIGINT)
            with suppress(subprocess.TimeoutExpired):
                process.wait(timeout=1)
                break
        assert process.poll() == 0
        while b"None" not in seen:
            seen += os.read(ours, 100)
    finally:
        process.kill()
        process.wait()
        os.close(ours)


@pytest.mark.parametrize(
    ("bots", "said", "remedy"),
    [
        ((), "no bot with the terminal channel runs", "bot add --channel terminal"),
        ((replace(BOT, state=BotState.PAUSED, container=""),), "home does not run: it is paused", "--resume"),
        (
            (replace(BOT, state=BotState.BACKING_OFF, container="", code=Trouble.VAULT_DOWN.value),),
            "it is backing-off",
            REMEDY[Trouble.VAULT_DOWN],
        ),
    ],
)
def test_where_there_is_none_it_says_why_and_what_to_do(bots: tuple[BotStatus, ...], said: str, remedy: str) -> None:
    with pytest.raises(CommandError) as error:
        choose(among(*bots), None)
    assert said in str(error.value)
    assert remedy in error.value.remedy
