"""``clawmates audit``: whether the chains of what happened are whole."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import click

from clawmates.base.files import write_atomic
from clawmates.base.shape import encode_json
from clawmates.cli.answers import CommandError, Exit, succeed
from clawmates.cli.options import answered, json_option, need_root, settings_of, state_option
from clawmates.selfhost.auditing import Break, Finding, verify
from clawmates.selfhost.evidence import gather, gather_hosted
from clawmates.selfhost.install import vault_of
from clawmates.selfhost.resuming import order_of
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
    breaks: tuple[Break, ...]


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
    judged = [judge(one, now) for one in await evidence_of(state, settings)]
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


@audit.command("resume")
@click.option(
    "--node",
    "nodes",
    type=(str, click.Path(exists=True, dir_okay=False, path_type=Path)),
    multiple=True,
    help="A node of another host, and a copy of its node/heads.jsonl.",
)
@click.option("--yes", is_flag=True, help="Do not ask.")
@state_option
@json_option
@answered
async def resume(
    *,
    state: State,
    nodes: tuple[tuple[str, Path], ...],
    yes: bool,
    as_json: bool,
) -> None:
    """Have countersigning begun anew, where one side was put back from a backup alone and contradicts the other.

    That it was, and what had been signed last before, is an entry in the chains from then on. What verifies is let be.
    """
    need_root()
    settings = settings_of(state)
    now = datetime.now(UTC) + timedelta(seconds=settings.platform.unsafe_clock_offset)
    order = order_of(await evidence_of(state, settings, nodes), now)
    if order is None:
        raise CommandError("the chains hold: there is nothing to begin anew.", code="chains-hold")
    who = ", ".join([one.node for one in order.by_nodes] + (["control"] if order.control is not None else []))
    if not yes and not sys.stdin.isatty():
        raise click.UsageError("nobody is there to agree: give --yes")
    if not yes and not click.confirm(
        f"Vault and {who} contradict each other. Give up what tells which is right", err=True
    ):
        raise click.Abort
    write_atomic(settings.run.resumed, encode_json(order) + b"\n", mode=0o644)
    succeed(
        order, as_json=as_json, text=f"✓ Vault and {who} begin anew within two minutes: see `clawmates audit verify`"
    )


async def evidence_of(state: State, settings: Settings, nodes: tuple[tuple[str, Path], ...] = ()) -> list[Evidence]:
    """What every chain of this host says, and who has countersigned it. Raises the clients' errors."""
    async with vault_of(state, settings) as client:
        others = [await gather(state, settings, client, node, heads) for node, heads in nodes]
        if not settings.hosted:
            return [await gather(state, settings, client), *others]
        hosted = await gather_hosted(state, settings, client, OperatorClient(settings.run.control))
        # Where no node runs on this host, its list is on another.
        return [*([await gather(state, settings, client)] if state.heads.exists() else []), *others, *hosted]


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
        breaks=verdict.breaks,
    )


def lines_of(one: Judged) -> list[str]:
    """The same for people."""
    mark = "✓" if one.holds else "✗"
    signed = f"countersigned by {one.countersigner} up to {one.countersigned}"
    found = [f"{mark} {one.chain}'s chain: {one.entries} entries, {signed}"]
    if one.unsigned:
        found.append(f"  {one.unsigned} not yet countersigned, the oldest {one.unsigned_seconds} s old")
    for gap in one.breaks:
        kept = "which the chain still holds" if gap.kept else "which the chain holds no more, nor what came between"
        anew = f"at entry {gap.number} ({gap.at}) root had countersigning begun anew"
        found.append(f"  {anew}: before, {one.countersigner} had signed up to {gap.seen}, {kept}")
    found += [f"  {finding.number}: {finding.fault.value}" for finding in one.findings[:MOST_SHOWN]]
    if len(one.findings) > MOST_SHOWN:
        found.append(f"  and {len(one.findings) - MOST_SHOWN} more")
    return found
