"""``clawmates up``: the platform in the foreground."""

from __future__ import annotations

import asyncio
import signal
from typing import TYPE_CHECKING

import click

from clawmates.cli.answers import CommandError, Exit
from clawmates.cli.init import need_root
from clawmates.cli.options import answered, settings_of, state_option
from clawmates.selfhost.accounts import separation
from clawmates.selfhost.platform import Platform
from clawmates.selfhost.shown import bot_line
from clawmates.selfhost.supervisor import Phase
from clawmates.wire.node_client import NodeClient, NodeUnreachableError

if TYPE_CHECKING:
    from clawmates.base.paths import State

LOOK_SECONDS = 0.5


@click.command()
@state_option
@click.option("--leave-bots", is_flag=True, help="At the end, leave the containers running for the next start.")
@answered
async def up(state: State, leave_bots: bool) -> None:  # noqa: FBT001 - click's way
    """Run vault, gateway, node and every bot until Ctrl-C, and show what changes."""
    need_root()
    settings = settings_of(state)
    for switch in settings.unsafe:
        click.echo(click.style(f"UNSAFE: {switch} is on; fit for tests only", fg="red", bold=True))
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    shown = Shown()
    platform = Platform(state, changed=lambda: shown.processes(platform))
    try:
        await platform.start()
        if platform.failed:
            names = ", ".join(one.service.name for one in platform.failed)
            raise CommandError(
                f"{names} cannot start; its own sentence stands above.",
                code="configuration",
                exit_code=Exit.CONFIGURATION,
            )
        click.echo(f"up: {separation()}; Ctrl-C stops everything")
        await _watch(platform, stop, shown)
        click.echo("stopping …")
    finally:
        await platform.close(stop_bots=not leave_bots)


class Shown:
    """Prints a line whenever something is different from what was last shown."""

    def __init__(self) -> None:
        self._last: dict[str, tuple[str, str]] = {}

    def line(self, key: str, text: str, mark: str = "") -> None:
        """Shows ``text`` unless it is what stands there; a new ``mark`` shows it again."""
        if self._last.get(key) != (text, mark):
            self._last[key] = (text, mark)
            click.echo(text)

    def processes(self, platform: Platform) -> None:
        """One line a process."""
        for name, one in platform.supervisor.running.items():
            if one.phase in {Phase.READY, Phase.WAITING, Phase.FAILED}:
                self.line(name, f"  {name:<10} {one.phase.value}")


async def _watch(platform: Platform, stop: asyncio.Event, shown: Shown) -> None:
    client = NodeClient(platform.settings.run.node)
    while not stop.is_set():
        try:
            status = await client.status()
        except NodeUnreachableError:
            status = None
        for bot in status.bots if status is not None else ():
            shown.line(f"bot {bot.bot}", bot_line(bot), bot.container)
        try:
            async with asyncio.timeout(LOOK_SECONDS):
                await stop.wait()
        except TimeoutError:
            continue
