"""``clawmates chat``: a conversation in this terminal, with a bot whose channel it is."""

from __future__ import annotations

import asyncio
import signal
import sys
from typing import TYPE_CHECKING

import click

from clawmates.cli.answers import CommandError, Exit
from clawmates.cli.options import answered, need_root, settings_of, state_option
from clawmates.selfhost.talk import console_of
from clawmates.wire.codes import REMEDY
from clawmates.wire.node_client import NodeClient
from clawmates.wire.status import BotState

if TYPE_CHECKING:
    from clawmates.base.paths import State
    from clawmates.selfhost.console import Console
    from clawmates.wire.status import BotStatus, NodeStatus

LOOK_SECONDS, LOOKS = 0.5, 60
"""Half a minute: longer than a start takes on a busy machine."""


@click.command()
@click.argument("bot", required=False)
@state_option
@answered
async def chat(state: State, bot: str | None) -> None:
    """Talk to a bot whose channel is the terminal. Ctrl-D or Ctrl-C ends it.

    The text goes through pipes into the bot's own container and is seen by no other process.
    """
    need_root()
    settings = settings_of(state)
    chosen = await _wait_for(NodeClient(settings.run.node), bot)
    async with console_of(state, settings, chosen) as console:
        while (line := read_line()) is not None:
            if line.strip():
                await _answer(console, line)


async def _wait_for(node: NodeClient, name: str | None) -> BotStatus:
    """The bot that is meant; one that is just being started is waited for."""
    for left in range(LOOKS, -1, -1):
        bot = choose(await node.status(brief=True), name)
        if bot.container or not left:
            break
        if left == LOOKS:
            click.echo(f"{bot.bot} is being started …", err=True)
        await asyncio.sleep(LOOK_SECONDS)
    if bot.container:
        return bot
    raise CommandError(
        f"{bot.bot} is still being started.",
        code="not-yet",
        remedy="See `clawmates status`.",
        exit_code=Exit.UNREACHABLE,
    )


def choose(status: NodeStatus, name: str | None) -> BotStatus:
    """The bot at the terminal that is meant: one that runs, or is being started. Raises :class:`CommandError`."""
    meant = [bot for bot in status.bots if bot.channel == "terminal" and name in {None, bot.bot}]
    chosen = [bot for bot in meant if bot.container or bot.state is BotState.STARTING]
    if len(chosen) == 1:
        return chosen[0]
    if chosen:
        raise click.UsageError("name one of: " + ", ".join(bot.bot for bot in chosen))
    if meant:
        bot = meant[0]
        paused = f"Let it go on with `clawmates bot pause {bot.bot} --resume`."
        raise CommandError(
            f"{bot.bot} does not run: it is {bot.state.value}.",
            code="not-running",
            remedy=paused if bot.state is BotState.PAUSED else REMEDY.get(bot.code, "See `clawmates status`."),
            exit_code=Exit.UNREACHABLE,
        )
    raise CommandError(
        f"no bot {name!r} with the terminal channel runs." if name else "no bot with the terminal channel runs.",
        code="no-terminal-bot",
        remedy="Add one with `clawmates bot add --channel terminal`, or see `clawmates status`.",
        exit_code=Exit.UNREACHABLE,
    )


def read_line() -> str | None:
    """What is typed; ``None`` at Ctrl-D and Ctrl-C. The event loop would keep the latter from a line that waits."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        return input(click.style("you  ", fg="cyan") if sys.stdin.isatty() else "")
    except (EOFError, KeyboardInterrupt):
        click.echo()
        return None
    finally:
        signal.signal(signal.SIGINT, before)


async def _answer(console: Console, line: str) -> None:
    if sys.stdout.isatty():
        click.echo(click.style("bot  ", fg="green"), nl=False)
    shown = ""
    async for heard in console.say(line):
        if heard.notice:
            click.echo(click.style(heard.notice, dim=True))
        elif heard.reply is None:
            click.echo(heard.delta, nl=False)
            shown += heard.delta
        else:
            anew = not heard.reply.startswith(shown)
            click.echo(f"\n{heard.reply}" if anew else heard.reply[len(shown) :])
