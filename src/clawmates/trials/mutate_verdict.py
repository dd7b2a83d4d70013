"""Whether a defect was noticed by what should notice it, and by nothing else."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from clawmates.proofs.result import Claim, Status

if TYPE_CHECKING:
    from collections.abc import Sequence


class Outcome(StrEnum):
    """How one mutation ended."""

    CAUGHT = "caught"
    MISSED = "missed"
    WRONG = "wrong"
    """Noticed, but by a claim that says something else: that claim's red would send people the wrong way."""
    NOT_TRIED = "not tried"


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """One row of the table."""

    mutation: str
    expected: str
    outcome: Outcome
    why: str
    seconds: float


@dataclass(frozen=True, slots=True)
class Seen:
    """What a report says: which claims are red, which were tried at all, and the first word against each red one."""

    red: Mapping[Claim, str]
    tried: frozenset[Claim]

    @classmethod
    def of(cls, report: Mapping[str, Any]) -> Seen:
        """From ``{"claims": [{"id", "status", "evidence"}]}``."""
        claims = {Claim(one["id"]): one for one in report["claims"]}
        red = {
            claim: next(iter(one["evidence"].get("found") or ()), "")
            for claim, one in claims.items()
            if one["status"] == Status.BROKEN
        }
        tried = frozenset(claim for claim, one in claims.items() if one["status"] != Status.NOT_HERE)
        return cls(red, tried)


def by_claim(claim: Claim, seen: Seen) -> tuple[Outcome, str]:
    """Whether the claim that must notice did, and no other."""
    others = sorted(seen.red.keys() - {claim})
    if others:
        return Outcome.WRONG, "; ".join(f"{one}: {seen.red[one]}" for one in others)
    if claim in seen.red:
        return Outcome.CAUGHT, seen.red[claim]
    if claim not in seen.tried:
        return Outcome.NOT_TRIED, f"{claim} cannot be tried here"
    return Outcome.MISSED, f"{claim} held"


def keys(verdicts: Sequence[Verdict]) -> dict[str, int]:
    """Flat keys for programs."""
    counts = {outcome: sum(one.outcome is outcome for one in verdicts) for outcome in Outcome}
    return {
        "mutations": len(verdicts),
        "caught": counts[Outcome.CAUGHT],
        "wrong": counts[Outcome.WRONG],
        "missed": counts[Outcome.MISSED],
        "not_tried": counts[Outcome.NOT_TRIED],
    }
