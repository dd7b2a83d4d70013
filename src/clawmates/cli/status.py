"""``clawmates status``: once, as JSON, or live."""

from __future__ import annotations

import asyncio
import shutil
import signal
import sys
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import click

from clawmates.cli.answers import succeed
from clawmates.cli.options import answered, json_option, need_root, settings_of, state_option
from clawmates.selfhost.overview import overview, retained
from clawmates.selfhost.shown import status_text
from clawmates.wire.node_client import NodeClient, NodeUnreachableError
from clawmates.wire.operator_client import OperatorClient

if TYPE_CHECKING:
    from clawmates.base.paths import State
    from clawmates.base.settings import Settings
    from clawmates.selfhost.overview import RetentionView

LOOK_SECONDS = 1.0
RETENTION_SECONDS = 60.0
"""What is taken away changes by the minute at most."""
# Of xterm(1): the other screen and back, the cursor away and back, home, the rest of the line or screen erased.
ENTER, LEAVE = "\033[?1049h\033[?25l", "\033[?25h\033[?1049l"
HOME, TO_LINE_END, TO_SCREEN_END = "\033[H", "\033[K", "\033[J"


@click.command()
@state_option
@click.option("--isolation", is_flag=True, help="Show every property that was read back.")
@click.option("--watch", is_flag=True, help="Stay, and follow what changes; Ctrl-C ends it.")
@json_option
@answered
async def status(state: State, isolation: bool, watch: bool, as_json: bool) -> None:  # noqa: FBT001 - click's way
    """Show what runs, and what is wrong with what does not.

    For each bot: its state in a word and in a sentence, what to do when something is wrong, since when, its memory, and
    how many isolation properties were read back from the kernel. Above them: the release, whether every process has a
    user of its own, whether what is over is taken away in time, and every unsafe switch that is on. Exits 69
    when the platform does not run.
    """
    need_root()
    settings = settings_of(state)
    if watch and (as_json or not sys.stdout.isatty()):
        raise click.UsageError("--watch is for a terminal, without --json")
    if watch:
        await _follow(state, settings, isolation=isolation)
        return
    said = await NodeClient(settings.run.node).status(brief=not (isolation or as_json))
    now = overview(said, state, await _retained(state, settings))
    succeed(now, as_json=as_json, text=status_text(now, isolation=isolation))


async def _follow(state: State, settings: Settings, *, isolation: bool) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    client = NodeClient(settings.run.node)
    click.echo(ENTER, nl=False)
    retention, asked = await _retained(state, settings), loop.time()
    try:
        while not stop.is_set():
            if loop.time() - asked > RETENTION_SECONDS:
                retention, asked = await _retained(state, settings), loop.time()
            try:
                text = status_text(
                    overview(await client.status(brief=not isolation), state, retention), isolation=isolation
                )
            except NodeUnreachableError:
                text = "the platform does not run; waiting for `clawmates up` …"
            click.echo(frame(text, *shutil.get_terminal_size()), nl=False)
            try:
                async with asyncio.timeout(LOOK_SECONDS):
                    await stop.wait()
            except TimeoutError:
                continue
    finally:
        click.echo(LEAVE, nl=False)


async def _retained(state: State, settings: Settings) -> RetentionView:
    control = OperatorClient(settings.run.control) if settings.hosted else None
    return await retained(state, control, datetime.now(UTC).date())


def frame(text: str, columns: int, rows: int) -> str:
    """One picture over the one before, without a flicker: lines are overwritten, what is longer is cut."""
    lines = text.splitlines()
    if len(lines) > rows - 1:
        left = len(lines) - rows + 2
        lines = [*lines[: rows - 2], f"  … {left} more lines: make the window higher, or leave --watch out"]
    shown = "\n".join(_cut(line, columns) + TO_LINE_END for line in lines)
    return f"{HOME}{shown}\n{TO_SCREEN_END}"


def _cut(line: str, columns: int) -> str:
    """At most so many visible characters; colours are kept whole."""
    plain = click.unstyle(line)
    return line if len(plain) <= columns else plain[: columns - 1] + "…"
