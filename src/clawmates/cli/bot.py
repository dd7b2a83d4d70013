"""``clawmates bot``: which bots there should be, and who may talk to them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from clawmates.cli.answers import succeed
from clawmates.cli.lazy import LazyGroup
from clawmates.cli.options import answered, json_option, need_root, settings_of, state_option
from clawmates.selfhost import bots
from clawmates.selfhost.listing import Row, row_text
from clawmates.wire.node_client import NodeClient, NodeUnreachableError

if TYPE_CHECKING:
    from clawmates.base.paths import State


PLACES = {
    "add": "init:add",
    "pair": "people:pair",
    "people": "people:people",
    "prompt": "prompt:prompt",
    "rm": "operate:remove",
}


@click.group(cls=LazyGroup, places=PLACES)
def bot() -> None:
    """Add, list, pause and remove bots."""


@bot.command("list")
@state_option
@json_option
@answered
async def list_bots(state: State, as_json: bool) -> None:  # noqa: FBT001
    """List the bots that should run, with their quotas, and where the platform runs, how they are."""
    settings, desired = settings_of(state), bots.read(state)
    try:
        running = {one.bot: one for one in (await NodeClient(settings.run.node).status(brief=True)).bots}
    except (NodeUnreachableError, PermissionError):
        running = {}
    rows = [Row.of(spec, running.get(spec.id)) for spec in desired.bots]
    text = "\n".join(row_text(row) for row in rows)
    succeed({"bots": rows}, as_json=as_json, text=text or "no bots yet: `clawmates bot add`")


@bot.command("pause")
@click.argument("name")
@click.option("--resume", is_flag=True, help="Let it go on.")
@state_option
@json_option
@answered
async def pause(state: State, name: str, resume: bool, as_json: bool) -> None:  # noqa: FBT001
    """Stop a bot without forgetting it; --resume lets it go on."""
    need_root()
    settings_of(state)
    bots.pause(state, name, paused=not resume)
    succeed({"bot": name, "paused": not resume}, as_json=as_json, text=f"{name}: {'resumed' if resume else 'paused'}")
