"""A seeded defect: what it breaks, and what must notice."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from clawmates.proofs.result import Claim

if TYPE_CHECKING:
    from pathlib import Path


class StaleError(Exception):
    """The code that a mutation changes is not there, or is there twice: it has moved, and the mutation must follow."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """One exact replacement in one file of the checkout."""

    file: str
    old: str
    new: str

    def __post_init__(self) -> None:
        if self.old == self.new:
            raise ValueError("a change that changes nothing")

    def applied(self, text: str) -> str:
        """``text`` with the replacement; raises :class:`StaleError` unless it fits exactly once."""
        found = text.count(self.old)
        if found != 1:
            raise StaleError(f"{self.file}: found {found} times, not once: {self.old.strip().splitlines()[0]!r}")
        return text.replace(self.old, self.new)


@dataclass(frozen=True, slots=True, kw_only=True)
class Mutation:
    """A defect that somebody could make, as a small patch.

    ``claim`` is the one that must turn red, and no other. What no claim can see from outside names the ``test`` that
    does (a pytest node id).
    """

    id: str
    what: str
    """The defect, in a few words."""
    changes: tuple[Change, ...]
    claim: Claim | None = None
    test: str = ""
    quick: bool = False
    """Whether `make test` tries it too."""

    def __post_init__(self) -> None:
        if (self.claim is None) is not bool(self.test):
            raise ValueError(f"{self.id}: names either a claim or a test")
        if not self.changes:
            raise ValueError(f"{self.id}: changes nothing")

    @property
    def expected(self) -> str:
        """What must notice, for people."""
        return str(self.claim) if self.claim is not None else self.test

    def patched(self, root: Path) -> dict[str, str]:
        """File → its mutated text; raises :class:`StaleError` when a change does not fit ``root``."""
        texts: dict[str, str] = {}
        for change in self.changes:
            try:
                before = texts.get(change.file) or (root / change.file).read_text()
            except OSError:
                raise StaleError(f"{change.file} is not there") from None
            texts[change.file] = change.applied(before)
        return texts
