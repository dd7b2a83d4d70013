"""Runs the platform in this terminal and shows what changes."""

from __future__ import annotations

import asyncio
import fcntl
import os
import signal
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import click

from clawmates.cli.answers import CommandError, Exit
from clawmates.cli.options import settings_of
from clawmates.selfhost import daily
from clawmates.selfhost.accounts import separation
from clawmates.selfhost.draft import BotError
from clawmates.selfhost.pairing import PairingError, pair
from clawmates.selfhost.platform import Platform
from clawmates.selfhost.processes import running
from clawmates.selfhost.shown import bot_line, greeting
from clawmates.selfhost.supervisor import Phase
from clawmates.wire.node_client import NodeClient, NodeUnreachableError
from clawmates.wire.status import BotState
from clawmates.wire.vault_client import VaultCallError

if TYPE_CHECKING:
    from clawmates.base.paths import State
    from clawmates.selfhost.pairing import Issued
    from clawmates.wire.status import BotStatus

LOOK_SECONDS = 0.5
FIRST_FREE = 100
"""Descriptors below it are handed to processes under other numbers."""


async def run_platform(state: State, *, leave_bots: bool, newcomer: str = "") -> None:
    """Until Ctrl-C or SIGTERM. A bot named as newcomer is introduced when it is live for the first time."""
    settings = settings_of(state)
    for switch in settings.unsafe:
        click.echo(click.style(f"UNSAFE: {switch} is on; fit for tests only", fg="red", bold=True))
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    shown = Shown(newcomer)
    terminal = terminal_here() if settings.hosted and not settings.control.smtp.host else -1
    platform = Platform(state, changed=lambda: shown.processes(platform), terminal=terminal)
    try:
        await platform.start()
        if platform.failed:
            names = ", ".join(one.service.name for one in platform.failed)
            raise CommandError(
                f"{names} cannot start; its own sentence stands above.",
                code="configuration",
                exit_code=Exit.CONFIGURATION,
            )
        click.echo(f"up: {separation(running(state))}; Ctrl-C stops everything")
        if settings.hosted:
            click.echo(f"  {settings.control.origin}")
        backing = asyncio.create_task(daily.keep(state, settings, click.echo))
        try:
            await _watch(platform, stop, shown)
        finally:
            backing.cancel()
        click.echo("stopping …")
    finally:
        await platform.close(stop_bots=not leave_bots)
        if terminal >= 0:
            os.close(terminal)


def terminal_here() -> int:
    """A descriptor of this process's own terminal, for sign-in links where no mail is sent; -1 where there is none."""
    try:
        opened = os.open("/dev/tty", os.O_WRONLY | os.O_NOCTTY | os.O_CLOEXEC)
    except OSError:
        return -1
    try:
        return fcntl.fcntl(opened, fcntl.F_DUPFD_CLOEXEC, FIRST_FREE)
    finally:
        os.close(opened)


@dataclass(slots=True)
class Shown:
    """Prints a line whenever something is different from what was last shown."""

    newcomer: str = ""
    _last: dict[str, tuple[str, str]] = field(default_factory=dict)

    def line(self, key: str, text: str, mark: str = "") -> None:
        """Shows ``text`` unless it is what stands there; another ``mark`` in the place of one shows it again."""
        before, marked = self._last.get(key, ("", ""))
        self._last[key] = (text, mark)
        if text != before or (mark and marked and mark != marked):
            click.echo(text)

    def processes(self, platform: Platform) -> None:
        """One line a process."""
        for name, one in platform.supervisor.running.items():
            if one.phase in {Phase.READY, Phase.WAITING, Phase.FAILED}:
                self.line(name, f"  {name:<10} {one.phase.value}")

    def bot(self, bot: BotStatus) -> bool:
        """One line a bot; true when it is the newcomer and live for the first time."""
        self.line(f"bot {bot.bot}", bot_line(bot), bot.container)
        if bot.bot != self.newcomer or bot.state is not BotState.LIVE:
            return False
        self.newcomer = ""
        return True


async def _owners_code(platform: Platform, bot: BotStatus) -> Issued | None:
    """A code for the newcomer's owner, where the bot answers only whom a code lets in."""
    try:
        return await pair(platform.state, platform.settings, bot.bot, datetime.now(UTC))
    except (PairingError, BotError, VaultCallError):
        return None


async def _watch(platform: Platform, stop: asyncio.Event, shown: Shown) -> None:
    client = NodeClient(platform.settings.run.node)
    while not stop.is_set():
        try:
            status = await client.status(brief=True)
        except NodeUnreachableError:
            status = None
        for bot in status.bots if status is not None else ():
            if shown.bot(bot):
                click.echo(greeting(bot, await _owners_code(platform, bot)))
        try:
            async with asyncio.timeout(LOOK_SECONDS):
                await stop.wait()
        except TimeoutError:
            continue
