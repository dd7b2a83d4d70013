"""How status looks to people."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from clawmates.selfhost.qr import qr_code
from clawmates.wire.codes import REMEDY
from clawmates.wire.status import BotState

if TYPE_CHECKING:
    from collections.abc import Sequence

    from clawmates.selfhost.overview import BotView, Overview
    from clawmates.selfhost.pairing import Issued
    from clawmates.wire.status import BotStatus, Finding

MARGIN = " " * 13
_COLOURS = {
    BotState.LIVE: "green",
    BotState.STARTING: "cyan",
    BotState.PAUSED: "white",
    BotState.DEGRADED: "yellow",
    BotState.BACKING_OFF: "yellow",
    BotState.REFUSED: "red",
}


def bot_line(bot: BotStatus | BotView) -> str:
    """One bot on one line, and the remedy on a second when something is wrong."""
    state = click.style(bot.state.value, fg=_COLOURS[bot.state])
    name = f" @{bot.username}" if bot.username else ""
    what = f"{bot.channel} · {bot.provider} {bot.model}" if bot.channel else "is being removed"
    line = f"  {bot.bot:<10} {state}{name}  {what}"
    if bot.code and bot.state is not BotState.LIVE:
        line += f"  [{bot.code}]"
        if bot.code in REMEDY:
            line += f"\n{MARGIN}{REMEDY[bot.code]}"
    return line


def greeting(bot: BotStatus, issued: Issued | None = None) -> str:
    """What to do with a bot that is live for the first time; a code to scan where it lives in a messenger.

    ``issued`` lets its owner in; without it the bot needs no code.
    """
    if bot.channel == "terminal":
        return f"\n  {bot.bot} is live. Talk to it in another terminal:  clawmates chat {bot.bot}\n"
    if not bot.username:
        return f"\n  {bot.bot} is live: write to it.\n"
    if issued is not None and (owners := issued.link.reveal()):
        alone = f"or write {issued.grouped} to @{bot.username}"
        return (
            f"\n  {bot.bot} is live and answers nobody yet. Scan this, open {owners}, {alone}:\n"
            f"  you are its owner then. The code is good once, until {issued.ends}.\n\n{qr_code(owners)}\n"
        )
    link = f"https://t.me/{bot.username}"
    return f"\n  {bot.bot} is live. Scan this, or open {link}, and write to it.\n\n{qr_code(link)}\n"


def isolation_table(isolation: Sequence[Finding]) -> str:
    """What was read back from the kernel, a property a line."""
    width = max((len(finding.name) for finding in isolation), default=0)
    return "\n".join(
        f"  {'✓' if finding.ok else '✗'} {finding.name:<{width}}  {finding.found}" for finding in isolation
    )


def status_text(now: Overview, *, isolation: bool = False) -> str:
    """The whole host."""
    users = now.separation if now.separation != "nominal" else "nominal separation: processes share a user"
    lines = [f"node {now.node} in {now.region}, {now.engine}, revision {now.revision}, {users}"]
    lines += _releases(now)
    missing = [name for name in ("vault", "gateway", "node") if name not in now.processes]
    if missing:
        lines.append(click.style(f"not running: {', '.join(missing)}", fg="red"))
    if now.trouble:
        lines.append(click.style(f"trouble: {now.trouble}", fg="red"))
        lines.append(f"         {now.remedy}".rstrip())
    if not now.gateway:
        lines.append(click.style("the gateway does not answer", fg="red"))
    lines += _retention(now)
    lines += [click.style(f"UNSAFE: {switch}", fg="red", bold=True) for switch in now.unsafe]
    for bot in now.bots:
        lines.append(bot_line(bot))
        lines.append(f"{MARGIN}{_detail(bot)}")
        if bot.last:
            lines.append(f"{MARGIN}last, at {bot.last_at}: {bot.last}. {REMEDY.get(bot.last, '')}".rstrip())
        if isolation:
            lines.append(isolation_table(bot.isolation))
    if not now.bots:
        lines.append("  no bots yet: `clawmates bot add`")
    return "\n".join(lines)


def _retention(now: Overview) -> list[str]:
    """Nothing where nothing is to be said: a self-hosted platform keeps little that ends by itself."""
    found = now.retention
    if found.late:
        where = "clawmates admin retention" if found.ended_at or found.trouble else "clawmates doctor"
        return [click.style(f"retention is LATE: {', '.join(found.late)}; see `{where}`", fg="red")]
    if found.trouble:
        return [click.style(f"retention: {found.trouble}", fg="red")]
    when = found.ended_at[:19].replace("T", " ")
    return [f"retention: in time, last at {when}"] if when else []


def _releases(now: Overview) -> list[str]:
    lines = [f"release {now.release_number}, image {now.release}" if now.release else "no release"]
    if now.stopped_by:
        why = f" [{now.stopped_code}]" if now.stopped_code else ""
        stays = "who lives with it keeps it, all others run the last good one"
        lines.append(click.style(f"release {now.trying} was stopped by {now.stopped_by}{why}: {stays}", fg="red"))
    elif now.trying:
        by = f" by {now.tried_by} first" if now.tried_by else ""
        lines.append(click.style(f"release {now.trying} is being tried{by}", fg="cyan"))
    if now.refused:
        lines.append(click.style(f"release {now.refused} did not come to life and is not tried again", fg="yellow"))
    return lines


def _detail(bot: BotView) -> str:
    parts = [f"{bot.words} since {bot.since[:19].replace('T', ' ')}"]
    if bot.memory_bytes:
        parts.append(f"{bot.memory_bytes / 2**20:.1f} MiB")
        parts.append(f"{bot.properties} isolation properties read back, {bot.failed} failed")
    if bot.restarts:
        parts.append(f"restarted {bot.restarts} time{'s' if bot.restarts > 1 else ''}")
    return " · ".join(parts)
