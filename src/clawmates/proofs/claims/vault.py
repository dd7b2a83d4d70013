"""Claim *vault*: credentials are encrypted at rest and open for the bot's own container only."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from clawmates.base.x509 import Authority, Names
from clawmates.proofs.claims.at_rest import at_rest, master_key
from clawmates.proofs.claims.chain import chain
from clawmates.proofs.claims.destroyed import destroyed
from clawmates.proofs.claims.released import gates, nowhere_else, tickets
from clawmates.proofs.claims.victim import victim
from clawmates.proofs.part import Part, figures_of
from clawmates.proofs.result import Claim, Evidence, Result, Status, repeat
from clawmates.proofs.vaultcalls import VaultCalls, Who
from clawmates.selfhost import pki
from clawmates.wire.names import Role, ServiceName

if TYPE_CHECKING:
    from clawmates.base.x509 import Pair
    from clawmates.proofs.platform import Platform
    from clawmates.proofs.trial import Bench, Options

LEFT_OUT = (
    "whatever needs a bot to be made, frozen or destroyed, or credentials to be opened: this is a real platform, so its"
    " records, its tickets and their alarm were left alone; `make prove` tries all of it on a throw-away platform"
)
ALWAYS = (
    "root on the vault's host, who can read the vault's memory (docs/threat-model.md)",
    "the messenger and the AI provider, to whom token and key are sent because they gave them",
)


async def vault(platform: Platform, options: Options, bench: Bench) -> Result:
    """Reads the files, knocks at every route, uses tickets up, destroys. Raises ``ProofError``."""
    real = platform.world is None
    calls = VaultCalls.of(platform.state, platform.settings, _pairs(platform, real=real))
    parts = [await gates(calls, harmless=real)]
    bench.progress("routes", 1)
    if not real:
        parts += await _on_a_victim(platform, calls, options, bench)
    parts.append(await chain(platform))
    status = await platform.status()
    return _result(parts, status.unsafe, (*platform.apart, *ALWAYS, *((LEFT_OUT,) if real else ())))


async def _on_a_victim(platform: Platform, calls: VaultCalls, options: Options, bench: Bench) -> list[Part]:
    master = master_key(platform.state, platform.settings)
    async with victim(platform, calls, bench) as one:
        parts = [await tickets(one)]
        bench.progress("tickets", 1)
        parts.append(await nowhere_else(platform, one))
        bench.progress("answers", 1)
        parts.append(await at_rest(platform, one, master, options, bench))
        # What does not open as it must cannot show that it opens no more.
        if master is not None and not parts[-1].found:
            parts.append(await destroyed(platform, one, master))
    return parts


def _pairs(platform: Platform, *, real: bool) -> dict[Who, Pair]:
    """Certificates of those who should get nothing; one of another node takes the platform's own authority."""
    now, region = datetime.now(UTC), platform.settings.platform.region
    node = Names((), (str(ServiceName(region, Role.NODE, platform.settings.node.name)),))
    pairs = {Who.STRANGER: Authority.create("a stranger", now).issue(node, now)}
    if not real:
        other = Names((), (str(ServiceName(region, Role.NODE, "another-node")),))
        pairs[Who.OTHER_NODE] = pki.load_authority(platform.state, now).issue(other, now)
    return pairs


def _result(parts: list[Part], unsafe: tuple[str, ...], passed_over: tuple[str, ...]) -> Result:
    figures = figures_of(parts)
    found = tuple(one for part in parts for one in part.found)
    said = [f"{figures['route_refusals']} calls of routes by those who may not."]
    if "tickets" in figures:
        said.append(
            f"{figures['tickets']} tickets used up, one of them twice; {figures['answers']} answers searched for"
            " credentials."
        )
    if "records" in figures:
        said.append(
            f"{figures['records']} records opened by an independent reader, and kept closed to every other key and"
            f" binding; {figures['credentials_searched']} credentials looked for in"
            f" {int(figures['bytes_searched']) / (1 << 20):,.0f} MiB of files, devices and memory."
        )
    said.append(f"{figures['audit_entries']} audit entries verified, {figures['mutations']} forgeries found out.")
    return Result(
        id=Claim.VAULT,
        status=Status.BROKEN if found else Status.HELD,
        evidence=Evidence(
            summary=" ".join([*said, f"Objections: {len(found) or 'none'}."]),
            figures={**figures, "objections": len(found), "unsafe_switches": ", ".join(unsafe) or "none"},
            tables=tuple(part.table for part in parts if len(part.table.rows) > 1),
            controls=tuple(one for part in parts for one in part.controls),
            found=found,
            not_looked_at=(*dict.fromkeys(one for part in parts for one in part.not_looked_at), *passed_over),
        ),
        repeat=repeat(Claim.VAULT),
    )
