"""``clawmates up``: the platform in the foreground."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from clawmates.cli.options import answered, need_root, state_option
from clawmates.cli.running import run_platform

if TYPE_CHECKING:
    from clawmates.base.paths import State


@click.command()
@state_option
@click.option("--leave-bots", is_flag=True, help="At the end, leave the containers running for the next start.")
@answered
async def up(state: State, leave_bots: bool) -> None:  # noqa: FBT001 - click's way
    """Run vault, gateway, node and every bot until Ctrl-C, and show what changes."""
    need_root()
    await run_platform(state, leave_bots=leave_bots)
