"""``clawmates doctor``: what this machine lacks, one line each with the remedy."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from clawmates.cli.answers import Exit, succeed
from clawmates.cli.options import answered, json_option, state_option
from clawmates.selfhost.doctor import examine

if TYPE_CHECKING:
    from clawmates.base.paths import State


@click.command()
@state_option
@json_option
@answered
async def doctor(state: State, as_json: bool) -> None:  # noqa: FBT001 - click's way
    """Say what this machine lacks. Exits 4 when something that is needed is missing."""
    checks = await examine(state)
    lines = []
    for check in checks:
        lines.append(f"{'✓' if check.ok else '✗'} {check.name}: {check.found}")
        if not check.ok:
            lines.append(f"    {check.remedy}")
    succeed({"checks": checks}, as_json=as_json, text="\n".join(lines))
    if not all(check.ok for check in checks):
        raise SystemExit(int(Exit.MISSING))
