"""The mission page's claims in the reader's words, from the one list of them (``docs/claims.toml``). Pure."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from clawmates.inventory.claims import Claim, Statement, known

if TYPE_CHECKING:
    from collections.abc import Iterable

STEPS = ("device", "messenger", "container", "provider", "reply")
"""A message's way, in order."""
MORE: dict[Claim, tuple[str, ...]] = {
    Claim.SOC2_CONTROLS: ("clawmates audit verify",),
    Claim.RETENTION: ("clawmates admin retention", "clawmates receipt verify"),
    Claim.INVENTORY: ("clawmates admin record",),
}
"""Commands that look at one's own platform beside what the list names."""


class Shown(StrEnum):
    """How far a sentence is shown to be true."""

    WHOLLY = "wholly"
    PARTLY = "partly"
    NOT_YET = "not-yet"
    BEYOND = "beyond"
    """No software can show it; what is said below it says why."""


@dataclass(frozen=True, slots=True)
class Promise:
    """One claim: its sentence, and the commands that check it."""

    id: str
    meaning: str
    checks: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Sentence:
    """One sentence of the mission page."""

    says: str
    shown: Shown
    checks: tuple[str, ...]
    honestly: str
    """Empty where page and reality agree."""


@dataclass(frozen=True, slots=True)
class Part:
    """A part of the mission page."""

    title: str
    sentences: tuple[Sentence, ...]


def promises(language: str) -> tuple[Promise, ...]:
    """All claims, in the list's order."""
    table = known()
    meanings = table.claims_de if language == "de" else table.claims
    return tuple(Promise(one.value, meanings[one], (*MORE.get(one, ()), *table.checks(one))) for one in Claim)


def parts(language: str) -> tuple[Part, ...]:
    """All sentences that promise something, in the page's order."""
    german = language == "de"
    return tuple(
        Part(one.title_de if german else one.title, tuple(_sentences(one.statement, german=german)))
        for one in known().section
        if one.statement
    )


def _sentences(statements: Iterable[Statement], *, german: bool) -> Iterable[Sentence]:
    for one in statements:
        yield Sentence(
            says=one.says_de if german else one.reads or one.says,
            shown=_shown(one),
            checks=one.checks,
            honestly=one.honestly_de if german else one.honestly,
        )


def _shown(one: Statement) -> Shown:
    if not one.shown_by:
        return Shown.BEYOND if one.beyond else Shown.NOT_YET
    return Shown.PARTLY if one.beyond or one.not_yet is not None else Shown.WHOLLY
