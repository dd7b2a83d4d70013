"""What a proof says: claims, their status, and evidence that people and programs can read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from clawmates.inventory.claims import Claim

__all__ = ("Claim", "Evidence", "Report", "Result", "Status", "Table", "repeat")


class Status(StrEnum):
    """How a trial ended."""

    HELD = "held"
    BROKEN = "broken"
    NOT_HERE = "not demonstrable here"


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """Rows under a title; the first row is the head."""

    title: str
    rows: tuple[tuple[str, ...], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """What was done and seen; no text of any message is in it."""

    summary: str
    """One or two sentences."""
    figures: Mapping[str, int | float | str] = field(default_factory=dict)
    """Flat keys, for programs and for comparing runs."""
    table: tuple[tuple[str, ...], ...] = ()
    """Rows for people; the first is the head."""
    tables: tuple[Table, ...] = ()
    """More of them, where one is not enough."""
    controls: tuple[str, ...] = ()
    """What shows that the trial can fail: weak things that it found in this very run."""
    found: tuple[str, ...] = ()
    """What speaks against the claim."""
    not_looked_at: tuple[str, ...] = ()
    """What the trial passed over, and why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """One claim, tried."""

    id: Claim
    status: Status
    evidence: Evidence
    repeat: str
    """The command that does the same again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """``{"claims": [{"id", "status", "evidence", "repeat"}]}``."""

    claims: tuple[Result, ...]

    @property
    def exit_code(self) -> int:
        """0 unless a claim is broken, then 1."""
        return int(any(claim.status is Status.BROKEN for claim in self.claims))


def repeat(claim: Claim) -> str:
    """The command that tries one claim."""
    return f"clawmates prove --claim {claim}"
