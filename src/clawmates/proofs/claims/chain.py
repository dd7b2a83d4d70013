"""The audit chain: whole as it stands, and broken by every change that somebody might make."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from clawmates.proofs.errors import ProofError
from clawmates.proofs.part import Part
from clawmates.proofs.result import Table
from clawmates.proofs.vaultfile import lengths
from clawmates.selfhost.auditing import Evidence, verify
from clawmates.selfhost.evidence import gather
from clawmates.selfhost.install import InstallError, vault_of
from clawmates.wire.vault_client import VaultCallError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from clawmates.proofs.platform import Platform
    from clawmates.wire.audit import Entry

HEAD = ("the chain", "must", "does", "as it must be")
_PREFIX = b"clawmates-audit-entry-v1\0"
GENESIS = bytes(32)


def head_of(entries: Sequence[Entry]) -> bytes:
    """The last hash, computed here from the fields alone; ``None`` of the platform's code has a hand in it."""
    digest = GENESIS
    for entry in entries:
        said = lengths(str(entry.number), entry.at, entry.tag, entry.detail)
        digest = hashlib.sha256(_PREFIX + digest + said).digest()
    return digest


def forged(entries: Sequence[Entry]) -> list[Entry]:
    """The chain with every hash computed anew, as somebody would who changed an entry and owns the database."""
    found: list[Entry] = []
    for entry in entries:
        digest = head_of([*found, entry])
        found.append(replace(entry, hash=digest.hex()))
    return found


def mutations(evidence: Evidence) -> dict[str, Evidence]:
    """Every change that must be seen. The last two recompute all hashes: only the countersignatures betray them."""
    entries = list(evidence.entries)
    middle = len(entries) // 2
    altered = [*entries]
    altered[middle] = replace(altered[middle], at=entries[0].at)
    signed = max((line.said.head.number for line in evidence.lines if line is not None), default=0)
    found = {
        "one entry left out": [*entries[:middle], *entries[middle + 1 :]],
        "two entries in another order": [
            *entries[:middle],
            *reversed(entries[middle : middle + 2]),
            *entries[middle + 2 :],
        ],
        "one moment changed": altered,
    }
    if signed:
        first = [replace(entries[0], at=entries[-1].at), *entries[1:]]
        found["one moment changed, and all hashes computed anew"] = forged(first)
        found["cut before what node countersigned"] = entries[: signed - 1]
    return {what: replace(evidence, entries=changed) for what, changed in found.items()}


async def chain(platform: Platform) -> Part:
    """Verifies the chain twice, and changed copies of it. Raises :class:`ProofError`."""
    try:
        async with vault_of(platform.state, platform.settings) as client:
            evidence = await gather(platform.state, platform.settings, client)
    except (InstallError, VaultCallError, OSError):
        raise ProofError("the vault's audit chain cannot be read: see `clawmates audit verify`") from None
    if len(evidence.entries) < 3:
        raise ProofError("the audit chain has too few entries to try anything on")
    now = datetime.now(UTC) + timedelta(seconds=platform.settings.platform.unsafe_clock_offset)
    verdict = verify(evidence, now)
    own = head_of(evidence.entries).hex() == evidence.entries[-1].hash
    rows: list[tuple[str, ...]] = [
        (
            f"as it stands, {verdict.entries} entries",
            "hold",
            "holds" if verdict.holds else "does not hold",
            _yes(verdict.holds),
        ),
        ("its last hash, computed by other code", "be the same", "the same" if own else "another", _yes(own)),
    ]
    found = [f"the audit chain: entry {one.number}: {one.fault.value}" for one in verdict.findings[:10]]
    found += [] if own else ["the audit chain's last hash is another when it is computed by other code"]
    changed = mutations(evidence)
    for what, copy in changed.items():
        faults = [one for one in verify(copy, now).findings if one not in verdict.findings]
        rows.append(
            (
                f"a copy with {what}" if not what.startswith("cut") else f"a copy {what}",
                "be found out",
                faults[0].fault.value if faults else "passes",
                _yes(bool(faults)),
            )
        )
        found += [] if faults else [f"a copy of the audit chain with {what} passes"]
    signed = verdict.countersigned > 0
    return Part(
        table=Table(title="the audit chain", rows=(HEAD, *rows)),
        figures={"audit_entries": verdict.entries, "countersigned": verdict.countersigned, "mutations": len(changed)},
        controls=(f"{len(changed)} changed copies of the chain: each found out by the same verification",),
        found=tuple(found),
        not_looked_at=(
            ()
            if signed
            else ("a chain with all hashes computed anew: node has not countersigned one yet, it does each minute",)
        ),
    )


def _yes(good: bool) -> str:  # noqa: FBT001 - a word for it
    return "yes" if good else "no"
