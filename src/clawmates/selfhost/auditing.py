"""Reading an audit chain the way an auditor would: its rows against what a counterpart countersigned. Pure.

The vault's chain has node for a counterpart and, on a hosted platform, control; control's chain has the vault.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from clawmates.wire import deeds
from clawmates.wire.audit import (
    COUNTERSIGN_SECONDS,
    GENESIS,
    KEPT_WORDS,
    Entry,
    Head,
    Line,
    Witness,
    canonical,
    chained,
    chained_line,
    head_bytes,
    witness_bytes,
)
from clawmates.wire.deeds import Deed
from clawmates.wire.names import Role, ServiceName
from clawmates.wire.signatures import SignatureError, signer
from clawmates.wire.vault_deeds import Resumed, Tag, detail_of

GRACE = timedelta(seconds=30)
"""A meeting takes its time, and a busy machine too: an unsigned tail this much older than a minute is a fault."""

COUNTERPARTS = {Role.VAULT: frozenset({Role.NODE, Role.CONTROL}), Role.CONTROL: frozenset({Role.VAULT})}
"""By a chain's owner: who countersigns it."""
GRAMMARS: dict[Role, Callable[[str, str], object]] = {Role.VAULT: detail_of, Role.CONTROL: deeds.detail_of}


class Fault(StrEnum):
    """What can be wrong."""

    NUMBER = "an entry is missing, doubled or out of place"
    HASH = "an entry does not follow from the one before"
    GRAMMAR = "an entry is not in the chain's grammar"
    UNLIKE_WITNESS = "the chain is not the one that was countersigned"
    CUT = "the chain ends before a head that was countersigned"
    WITNESS_SIGNATURE = "a countersignature kept beside the chain does not hold"
    LINE_HASH = "a line of the countersigner's list does not follow from the one before"
    LINE_NUMBER = "a line of the countersigner's list is missing, doubled or out of place"
    LINE_SIGNATURE = "a head in the countersigner's list was not signed by the chain's owner"
    LINE_UNLIKE_WITNESS = "the countersigner's list is not the one that it told of"
    LINES_CUT = "the countersigner's list ends before what it told of"
    LINE_MALFORMED = "the countersigner's list is damaged"
    LINE_UNTOLD = "a countersignature that the countersigner's list holds is missing beside the chain"
    UNSIGNED = "the chain has not been countersigned for more than a minute"


@dataclass(frozen=True, slots=True, order=True)
class Finding:
    """One fault and the number of the entry or line where it shows."""

    number: int
    fault: Fault


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """What both sides hold of one chain. ``trusted`` is the authority's certificate (PEM)."""

    region: str
    trusted: bytes
    owner: Role = Role.VAULT
    """Whose chain it is: who signs its heads."""
    by: Role = Role.NODE
    """Whose list ``lines`` is."""
    node: str = ""
    """Its name, where several are of that role."""
    entries: Sequence[Entry]
    witnesses: Sequence[Witness]
    lines: Sequence[Line | None]
    """``None`` for a line that cannot be read."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Break:
    """Root had these two begin anew: what the countersigner had seen last may be in the chain no more."""

    number: int
    """The entry that says so."""
    at: str
    seen: int
    kept: bool
    """Whether the chain still holds it, as it was seen."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """``unsigned`` entries at the end are younger than the last meeting; the oldest is ``unsigned_seconds`` old."""

    entries: int
    countersigned: int
    unsigned: int
    unsigned_seconds: int
    findings: tuple[Finding, ...]
    breaks: tuple[Break, ...] = ()

    @property
    def holds(self) -> bool:
        """Whether nothing is wrong."""
        return not self.findings


def verify(evidence: Evidence, now: datetime) -> Verdict:
    """Compares everything with everything."""
    hashes = {0: GENESIS.hex()} | {entry.number: entry.hash for entry in evidence.entries}
    signed = max([0, *(line.said.head.number for line in evidence.lines if line is not None)])
    tail = [entry for entry in evidence.entries if entry.number > signed]
    age = max([timedelta(), *(now - _moment(entry.at, now) for entry in tail)])
    late = [Finding(tail[0].number, Fault.UNSIGNED)] if age > timedelta(seconds=COUNTERSIGN_SECONDS) + GRACE else []
    findings = {
        *_chain(evidence),
        *_lines(evidence, hashes),
        *_witnesses(evidence, hashes, now),
        *late,
    }
    return Verdict(
        entries=len(evidence.entries),
        countersigned=signed,
        unsigned=len(tail),
        unsigned_seconds=int(age.total_seconds()),
        findings=tuple(sorted(findings)),
        breaks=tuple(_breaks(evidence, hashes)),
    )


def _breaks(evidence: Evidence, hashes: dict[int, str]) -> Iterable[Break]:
    for entry in evidence.entries:
        if entry.tag not in {Tag.AUDIT_RESUMED.value, Deed.AUDIT_RESUMED.value}:
            continue
        try:
            order = canonical(Resumed, entry.detail)
        except ValueError:
            continue  # a fault of the chain's grammar, found as one
        match evidence.owner, evidence.by:
            case Role.CONTROL, _:
                seen = order.by_vault
            case _, Role.CONTROL:
                seen = order.by_control
            case _:
                seen = order.by(evidence.node)
        if seen is not None:
            kept = hashes.get(seen.number) == seen.hash
            yield Break(number=entry.number, at=entry.at, seen=seen.number, kept=kept)


def _chain(evidence: Evidence) -> Iterable[Finding]:
    detail_of = GRAMMARS[evidence.owner]
    previous = GENESIS
    for number, entry in enumerate(evidence.entries, 1):
        if entry.number != number:
            yield Finding(number, Fault.NUMBER)
        wanted = chained(previous, entry.number, entry.at, entry.tag, entry.detail, entry.subject)
        if wanted.hex() != entry.hash:
            yield Finding(number, Fault.HASH)
        try:
            detail_of(entry.tag, entry.detail)
            datetime.fromisoformat(entry.at)
        except ValueError:
            yield Finding(number, Fault.GRAMMAR)
        previous = wanted


def _lines(evidence: Evidence, hashes: dict[int, str]) -> Iterable[Finding]:
    before: Line | None = None
    for place, line in enumerate(evidence.lines, 1):
        if line is None:
            yield Finding(place, Fault.LINE_MALFORMED)
            continue
        # The oldest lines go in time; what is left must still hang together.
        first_wrong = place > 1 or (line.number != 1 and len(evidence.lines) < KEPT_WORDS)
        if first_wrong if before is None else line.number != before.number + 1:
            yield Finding(line.number, Fault.LINE_NUMBER)
        if before is not None or line.number == 1:
            previous = _raw(before.hash) if before is not None else GENESIS
            if chained_line(previous, line.number, line.said).hex() != line.hash:
                yield Finding(line.number, Fault.LINE_HASH)
        yield from _against(line.said.head, hashes)
        yield from _against(line.said.before, hashes)
        before_said = before.said.head if before is not None else None
        if before_said is not None and line.said.before != before_said:
            yield Finding(line.number, Fault.LINE_HASH)
        data = head_bytes(evidence.region, line.said.head, line.said.at)
        name = _signer(evidence, line.said.certificate, data, line.said.signature, line.said.at)
        if name is None or name.role is not evidence.owner:
            yield Finding(line.number, Fault.LINE_SIGNATURE)
        before = line


def _witnesses(evidence: Evidence, hashes: dict[int, str], now: datetime) -> Iterable[Finding]:
    lines = {line.number: line for line in evidence.lines if line is not None}
    told: list[int] = []
    for witness in evidence.witnesses:
        number = witness.line.number
        data = witness_bytes(evidence.region, witness.head, witness.line, witness.at)
        name = _signer(evidence, witness.certificate, data, witness.signature, witness.at)
        yield from _against(witness.head, hashes)
        if name is None or name.role not in COUNTERPARTS[evidence.owner]:
            yield Finding(number, Fault.WITNESS_SIGNATURE)
        elif name.role is not evidence.by or (evidence.node and name.name != evidence.node):
            continue  # another one's: its own list is elsewhere
        told.append(number)
        line = lines.get(number)
        if number > max(lines, default=0):
            yield Finding(number, Fault.LINES_CUT)
        elif line is not None and (line.hash != witness.line.hash or line.said.head != witness.head):
            yield Finding(number, Fault.LINE_UNLIKE_WITNESS)
    yield from _untold(lines, told, now)


def _untold(lines: dict[int, Line], told: list[int], now: datetime) -> Iterable[Finding]:
    """Every line is told, in order; only the last may still be on its way."""
    first = min(lines, default=1)
    if len(told) >= KEPT_WORDS:
        first = max(first, min(told))
    for number in sorted(lines):
        old = now - _moment(lines[number].said.at, now) > timedelta(seconds=COUNTERSIGN_SECONDS) + GRACE
        if number >= first and number not in told and (old or number != max(lines)):
            yield Finding(number, Fault.LINE_UNTOLD)
    if told != sorted(set(told)):
        yield Finding(min(told), Fault.LINE_UNTOLD)


def _against(head: Head, hashes: dict[int, str]) -> Iterable[Finding]:
    found = hashes.get(head.number)
    if found is None:
        yield Finding(head.number, Fault.CUT)
    elif found != head.hash:
        yield Finding(head.number, Fault.UNLIKE_WITNESS)


def _signer(evidence: Evidence, certificate: str, data: bytes, signature: str, at: str) -> ServiceName | None:
    """Whose signature it is, in this region; ``None`` when it does not hold."""
    try:
        moment = datetime.fromisoformat(at)
        name = signer(certificate, data, signature, authority=evidence.trusted, at=moment)
    except (SignatureError, ValueError, TypeError):
        return None
    return name if name.region == evidence.region else None


def _raw(digest: str) -> bytes:
    """The bytes of a hash; none for what is no hash, so that nothing follows from it."""
    try:
        return bytes.fromhex(digest)
    except ValueError:
        return b""


def _moment(at: str, otherwise: datetime) -> datetime:
    try:
        found = datetime.fromisoformat(at)
    except ValueError:
        return otherwise
    return found if found.tzinfo is not None else otherwise
