"""``clawmates selfhost prepare|stop``: what service units run before and after the platform's own processes."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

import click

from clawmates.cli.answers import succeed
from clawmates.cli.options import answered, json_option, need_root, settings_of, state_option
from clawmates.selfhost.containers import stop_all
from clawmates.selfhost.prepare import prepare as make_ready
from clawmates.wire.node_client import NodeClient, NodeUnreachableError

if TYPE_CHECKING:
    from clawmates.base.paths import State


@click.command()
@state_option
@json_option
@answered
async def prepare(state: State, as_json: bool) -> None:  # noqa: FBT001 - click's way
    """Make folders, the runtime folder in RAM, and certificates that are due; for service managers.

    `clawmates up` does the same by itself. Repeating it changes nothing that is as it should be.
    """
    need_root()
    renewed = make_ready(state, settings_of(state))
    succeed({"renewed": renewed}, as_json=as_json, text=f"ready; renewed: {', '.join(renewed) or 'nothing'}")


@click.command()
@state_option
@json_option
@answered
async def stop(state: State, as_json: bool) -> None:  # noqa: FBT001
    """Stop every bot of this host, by node where it answers and by the engine where it does not.

    Bots are started again by the next start of node; `clawmates bot pause` stops one for longer.
    """
    need_root()
    settings = settings_of(state)
    with suppress(NodeUnreachableError):
        await NodeClient(settings.run.node).stop()
    left = await stop_all(state, settings)
    succeed({"stopped_by_engine": left}, as_json=as_json, text="every bot is stopped")
