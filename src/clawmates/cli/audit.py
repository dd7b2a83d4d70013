"""``clawmates audit``: whether the chain of what happened is whole."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import click

from clawmates.cli.answers import Exit, succeed
from clawmates.cli.options import answered, json_option, need_root, settings_of, state_option
from clawmates.selfhost.auditing import verify
from clawmates.selfhost.evidence import gather
from clawmates.selfhost.install import vault_of

if TYPE_CHECKING:
    from clawmates.base.paths import State

MOST_SHOWN = 20


@click.group()
def audit() -> None:
    """Check what was written down."""


@audit.command("verify")
@state_option
@json_option
@answered
async def verify_chain(state: State, as_json: bool) -> None:  # noqa: FBT001 - click's way
    """Recompute the vault's audit chain, compare it with what node countersigned; exit 1 when it does not hold."""
    need_root()
    settings = settings_of(state)
    async with vault_of(state, settings) as client:
        evidence = await gather(state, settings, client)
    verdict = verify(evidence, datetime.now(UTC) + timedelta(seconds=settings.platform.unsafe_clock_offset))
    lines = [
        f"{'✓' if verdict.holds else '✗'} {verdict.entries} entries, countersigned up to {verdict.countersigned}",
        f"  {verdict.unsigned} not yet countersigned, the oldest {verdict.unsigned_seconds} s old"
        if verdict.unsigned
        else "",
        *(f"  {finding.number}: {finding.fault.value}" for finding in verdict.findings[:MOST_SHOWN]),
        f"  and {len(verdict.findings) - MOST_SHOWN} more" if len(verdict.findings) > MOST_SHOWN else "",
    ]
    shown = {
        "holds": verdict.holds,
        "entries": verdict.entries,
        "countersigned": verdict.countersigned,
        "unsigned": verdict.unsigned,
        "unsigned_seconds": verdict.unsigned_seconds,
        "findings": verdict.findings,
    }
    succeed(shown, as_json=as_json, text="\n".join(line for line in lines if line))
    if not verdict.holds:
        raise SystemExit(int(Exit.FAILED))
