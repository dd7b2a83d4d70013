"""``logs``, ``restart`` and ``remove``: what an operator does while the platform runs."""

from __future__ import annotations

import asyncio
import json
import sys
from contextlib import suppress
from typing import TYPE_CHECKING

import click

from clawmates.cli.answers import CommandError, succeed
from clawmates.cli.options import answered, json_option, need_root, settings_of, state_option
from clawmates.selfhost import bots, layout
from clawmates.selfhost.containers import stop_all
from clawmates.selfhost.install import vault_of
from clawmates.wire.codes import REMEDY
from clawmates.wire.node_client import NodeClient, NodeUnreachableError
from clawmates.wire.vault import VaultRefusal
from clawmates.wire.vault_client import VaultError

if TYPE_CHECKING:
    from pathlib import Path

    from clawmates.base.paths import State


@click.command()
@state_option
@click.option("--lines", type=click.IntRange(1, 100_000), default=50, show_default=True, help="How many.")
@json_option
@answered
async def logs(state: State, lines: int, as_json: bool) -> None:  # noqa: FBT001
    """Show the newest events: codes and numbers, never text that anybody wrote."""
    settings_of(state)
    newest = _events(state.log, lines)
    text = "\n".join(
        f"{event.get('at')} {event.get('process')} {event.get('bot') or '-'} {event.get('code', '')}"
        + (f" ({event['number']})" if event.get("number") else "")
        + (f": {REMEDY[event['code']]}" if event.get("code") in REMEDY else "")
        for event in newest
    )
    succeed({"events": newest}, as_json=as_json, text=text or "no events yet")


def _events(folder: Path, lines: int) -> list[dict[str, str]]:
    found = []
    for path in sorted(folder.glob("*.jsonl")):
        for line in path.read_bytes().splitlines()[-lines:]:
            with suppress(ValueError):
                found.append(json.loads(line))
    return sorted(found, key=lambda event: str(event.get("at")))[-lines:]


@click.command()
@click.argument("bot", required=False)
@state_option
@json_option
@answered
async def restart(state: State, bot: str | None, as_json: bool) -> None:  # noqa: FBT001
    """Replace the container of one bot, or of all. In a messenger the conversation goes on as if nothing happened."""
    need_root()
    run = settings_of(state).run
    names = [bot] if bot else [one.id for one in bots.read(state).bots]
    for name in names:
        bots.restart(state, name)
    what = ", ".join(names) or "nothing"
    text = f"restarting: {what}" if layout.in_use(run) else f"{what}: will start anew with `clawmates up`"
    succeed({"restarting": names}, as_json=as_json, text=text)


@click.command()
@click.argument("bot", required=False)
@click.option("--all", "everything", is_flag=True, help="The whole platform: bots, keys, configuration, state folder.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@state_option
@json_option
@answered
async def remove(state: State, bot: str | None, everything: bool, yes: bool, as_json: bool) -> None:  # noqa: FBT001
    """Remove a bot and destroy its credentials; with --all, the whole platform."""
    need_root()
    settings = settings_of(state)
    if bool(bot) == everything:
        raise click.UsageError("name a bot, or give --all")
    what = f"bot {bot!r} and its credentials" if bot else f"everything in {state.root}"
    names = [bots.find(bots.read(state), bot).id] if bot else [one.id for one in bots.read(state).bots]
    if not yes and not sys.stdin.isatty():
        raise click.UsageError(f"nobody is there to agree: give --yes to destroy {what}")
    if not yes and not click.confirm(f"Destroy {what}? This cannot be undone", err=True):
        raise click.Abort
    async with vault_of(state, settings) as vault:
        for name in names:
            try:
                await vault.destroy(name)
            except VaultError as error:
                if error.refusal is not VaultRefusal.UNKNOWN_BOT:
                    raise
            bots.take_out(state, name)
    if everything:
        await _remove_all(state)
    succeed({"removed": names}, as_json=as_json, text=f"removed: {what}")


async def _remove_all(state: State) -> None:
    run = settings_of(state).run
    try:
        await NodeClient(run.node).status(brief=True)
    except NodeUnreachableError:
        # Containers outlive node by design: one that is left would go on with its keys in memory.
        await stop_all(state, settings_of(state))
        layout.remove_run(run)
        await _remove_state(state)
        return
    raise CommandError(
        "the bots are destroyed, but the platform still runs.",
        code="still-running",
        remedy="Stop `clawmates up` (Ctrl-C), then run this again.",
    )


async def _remove_state(state: State) -> None:
    try:
        await asyncio.to_thread(layout.remove_state, state.root)
    except OSError as error:
        raise CommandError(
            f"the bots and their keys are destroyed, but {state.root} cannot be removed: {error.strerror}.",
            code="state-left",
            remedy="See what still writes there (`fuser -m`), end it, then remove the folder.",
        ) from None
