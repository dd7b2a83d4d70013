"""``clawmates chat``: a conversation in this terminal, with a bot whose channel it is."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import click

from clawmates.cli.answers import CommandError, Exit
from clawmates.cli.options import answered, need_root, settings_of, state_option
from clawmates.selfhost.talk import console_of
from clawmates.wire.node_client import NodeClient

if TYPE_CHECKING:
    from clawmates.base.paths import State
    from clawmates.selfhost.console import Console
    from clawmates.wire.status import BotStatus, NodeStatus


@click.command()
@click.argument("bot", required=False)
@state_option
@answered
async def chat(state: State, bot: str | None) -> None:
    """Talk to a bot whose channel is the terminal. Ctrl-D ends it.

    The text goes through pipes into the bot's own container and is seen by no other process.
    """
    need_root()
    settings = settings_of(state)
    status = await NodeClient(settings.run.node).status()
    async with console_of(state, settings, _choose(status, bot)) as console:
        while (line := _read_line()) is not None:
            if line.strip():
                await _answer(console, line)


def _choose(status: NodeStatus, name: str | None) -> BotStatus:
    able = [bot for bot in status.bots if bot.channel == "terminal" and bot.container]
    chosen = [bot for bot in able if name in {None, bot.bot}]
    if len(chosen) == 1:
        return chosen[0]
    if chosen:
        raise click.UsageError("name one of: " + ", ".join(bot.bot for bot in chosen))
    raise CommandError(
        f"no bot {name!r} with the terminal channel runs." if name else "no bot with the terminal channel runs.",
        code="no-terminal-bot",
        remedy="Add one with `clawmates bot add --channel terminal`, or see `clawmates status`.",
        exit_code=Exit.UNREACHABLE,
    )


def _read_line() -> str | None:
    try:
        return input(click.style("you  ", fg="cyan") if sys.stdin.isatty() else "")
    except EOFError:
        return None


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
