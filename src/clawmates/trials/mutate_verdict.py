"""Whether a defect was noticed by what should notice it, and by nothing else."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from clawmates.proofs.result import Claim, Status

if TYPE_CHECKING:
    from collections.abc import Sequence

    from clawmates.trials.mutation import Mutation


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


def by_claim(mutation: Mutation, seen: Seen) -> tuple[Outcome, str]:
    """For a mutation that a claim must notice; for one that a test notices, no claim may be red."""
    others = sorted(seen.red.keys() - {mutation.claim})
    if others:
        return Outcome.WRONG, "; ".join(f"{claim}: {seen.red[claim]}" for claim in others)
    if mutation.claim is None:
        return Outcome.CAUGHT, "every claim held, as it must"
    if mutation.claim in seen.red:
        return Outcome.CAUGHT, seen.red[mutation.claim]
    if mutation.claim not in seen.tried:
        return Outcome.NOT_TRIED, f"{mutation.claim} cannot be tried here"
    return Outcome.MISSED, f"{mutation.claim} held"


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
