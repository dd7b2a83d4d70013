"""How status looks to people."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from clawmates.selfhost.qr import qr_code
from clawmates.wire.codes import REMEDY
from clawmates.wire.status import BotState

if TYPE_CHECKING:
    from clawmates.wire.status import BotStatus, NodeStatus

_COLOURS = {
    BotState.LIVE: "green",
    BotState.STARTING: "cyan",
    BotState.PAUSED: "white",
    BotState.DEGRADED: "yellow",
    BotState.BACKING_OFF: "yellow",
    BotState.REFUSED: "red",
}


def bot_line(bot: BotStatus) -> str:
    """One bot on one line, and the remedy on a second when something is wrong."""
    state = click.style(bot.state.value, fg=_COLOURS[bot.state])
    name = f" @{bot.username}" if bot.username else ""
    line = f"  {bot.bot:<10} {state}{name}  {bot.channel} · {bot.provider} {bot.model}"
    if bot.code and bot.state is not BotState.LIVE:
        line += f"  [{bot.code}]"
        if bot.code in REMEDY:
            line += f"\n             {REMEDY[bot.code]}"
    return line


def greeting(bot: BotStatus) -> str:
    """What to do with a bot that is live for the first time; a code to scan where it lives in a messenger."""
    if bot.channel == "terminal":
        return f"\n  {bot.bot} is live. Talk to it in another terminal:  clawmates chat {bot.bot}\n"
    if not bot.username:
        return f"\n  {bot.bot} is live: write to it.\n"
    link = f"https://t.me/{bot.username}"
    return f"\n  {bot.bot} is live. Scan this, or open {link}, and write to it.\n\n{qr_code(link)}\n"


def isolation_table(bot: BotStatus) -> str:
    """What was read back from the kernel, a property a line."""
    width = max((len(finding.name) for finding in bot.isolation), default=0)
    return "\n".join(
        f"  {'✓' if finding.ok else '✗'} {finding.name:<{width}}  {finding.found}" for finding in bot.isolation
    )


def status_text(status: NodeStatus) -> str:
    """The whole host."""
    lines = [f"node {status.node} in {status.region}, {status.engine}, revision {status.revision}"]
    lines.append(f"release {status.number}, image {status.release}" if status.release else "no release")
    if status.trying:
        by = f" by {status.tried_by} first" if status.tried_by else ""
        lines.append(click.style(f"release {status.trying} is being tried{by}", fg="cyan"))
    if status.refused:
        lines.append(click.style(f"release {status.refused} did not come to life and is not tried again", fg="yellow"))
    if status.trouble:
        lines.append(click.style(f"trouble: {status.trouble}", fg="red"))
        lines.append(f"         {REMEDY.get(status.trouble, '')}")
    if not status.gateway:
        lines.append(click.style("the gateway does not answer", fg="red"))
    lines += [click.style(f"UNSAFE: {switch}", fg="red", bold=True) for switch in status.unsafe]
    for bot in status.bots:
        lines.append(bot_line(bot))
        if bot.memory_bytes:
            failed = sum(not finding.ok for finding in bot.isolation)
            sealed = f"{len(bot.isolation)} isolation properties read back, {failed} failed"
            lines.append(f"             {bot.memory_bytes / 2**20:.1f} MiB, {sealed}")
    if not status.bots:
        lines.append("  no bots yet: `clawmates bot add`")
    return "\n".join(lines)
