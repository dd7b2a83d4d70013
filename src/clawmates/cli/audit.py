"""``clawmates audit``: whether the chains of what happened are whole."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import click

from clawmates.cli.answers import Exit, succeed
from clawmates.cli.options import answered, json_option, need_root, settings_of, state_option
from clawmates.selfhost.auditing import Finding, verify
from clawmates.selfhost.evidence import gather, gather_hosted
from clawmates.selfhost.install import vault_of
from clawmates.wire.operator_client import OperatorClient

if TYPE_CHECKING:
    from clawmates.base.paths import State
    from clawmates.base.settings import Settings
    from clawmates.selfhost.auditing import Evidence

MOST_SHOWN = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """One chain beside one list of its countersigner."""

    chain: str
    countersigner: str
    holds: bool
    entries: int
    countersigned: int
    unsigned: int
    unsigned_seconds: int
    findings: tuple[Finding, ...]


@click.group()
def audit() -> None:
    """Check what was written down."""


@audit.command("verify")
@state_option
@json_option
@answered
async def verify_chain(state: State, as_json: bool) -> None:  # noqa: FBT001 - click's way
    """Recompute the audit chains and compare them with what was countersigned; exit 1 when one does not hold.

    The vault's chain is compared with node's list; on a hosted platform with control's too, and control's chain with
    the vault's list.
    """
    need_root()
    settings = settings_of(state)
    now = datetime.now(UTC) + timedelta(seconds=settings.platform.unsafe_clock_offset)
    judged = [judge(one, now) for one in await _evidence(state, settings)]
    first = judged[0]
    shown = {
        "holds": all(one.holds for one in judged),
        "entries": first.entries,
        "countersigned": first.countersigned,
        "unsigned": first.unsigned,
        "unsigned_seconds": first.unsigned_seconds,
        "findings": [finding for one in judged for finding in one.findings],
        "chains": judged,
    }
    succeed(shown, as_json=as_json, text="\n".join(line for one in judged for line in lines_of(one)))
    if not shown["holds"]:
        raise SystemExit(int(Exit.FAILED))


async def _evidence(state: State, settings: Settings) -> list[Evidence]:
    async with vault_of(state, settings) as client:
        if not settings.hosted:
            return [await gather(state, settings, client)]
        hosted = await gather_hosted(state, settings, client, OperatorClient(settings.run.control))
        # Where no node runs on this host, its list is on another.
        return [*([await gather(state, settings, client)] if state.heads.exists() else []), *hosted]


def judge(evidence: Evidence, now: datetime) -> Judged:
    """What is to be said of one chain."""
    verdict = verify(evidence, now)
    return Judged(
        chain=evidence.owner.value,
        countersigner=evidence.by.value,
        holds=verdict.holds,
        entries=verdict.entries,
        countersigned=verdict.countersigned,
        unsigned=verdict.unsigned,
        unsigned_seconds=verdict.unsigned_seconds,
        findings=verdict.findings,
    )


def lines_of(one: Judged) -> list[str]:
    """The same for people."""
    mark = "✓" if one.holds else "✗"
    signed = f"countersigned by {one.countersigner} up to {one.countersigned}"
    found = [f"{mark} {one.chain}'s chain: {one.entries} entries, {signed}"]
    if one.unsigned:
        found.append(f"  {one.unsigned} not yet countersigned, the oldest {one.unsigned_seconds} s old")
    found += [f"  {finding.number}: {finding.fault.value}" for finding in one.findings[:MOST_SHOWN]]
    if len(one.findings) > MOST_SHOWN:
        found.append(f"  and {len(one.findings) - MOST_SHOWN} more")
    return found
