"""Who makes the agreement, as the form says it. Pure."""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from clawmates.control.agreement.document import printable

if TYPE_CHECKING:
    from collections.abc import Mapping

MOST = {"company": 120, "address": 300, "signer": 120}
"""Characters of each field."""
MOST_LINES = 6


class Role(StrEnum):
    """What the owner of the account is to the people who write to a bot."""

    CONTROLLER = "controller"
    PROCESSOR = "processor"
    """For somebody else, who is the controller (GDPR, article 28(4))."""


class Unfit(StrEnum):
    """Why something is not taken; the key of a sentence with the remedy: ``agreement.unfit.KEY``."""

    EMPTY = "empty"
    TOO_LONG = "too-long"
    LINES = "lines"
    LETTERS = "letters"
    ROLE = "role"


@dataclass(frozen=True, slots=True, kw_only=True)
class Party:
    """One side of it; kept nowhere but in the document."""

    company: str
    address: str
    """Lines."""
    signer: str
    """The name of who signs, and what they are there."""
    role: Role
    email: str
    """The account's."""


def read(form: Mapping[str, str], email: str) -> Party | dict[str, Unfit]:
    """The party, or what is wrong with which field."""
    said = {name: _tidy(form.get(name, "")) for name in MOST}
    wrong = {name: unfit for name, text in said.items() if (unfit := _unfit(name, text)) is not None}
    role = form.get("role", "")
    if role not in set(Role):
        wrong["role"] = Unfit.ROLE
    if wrong:
        return wrong
    return Party(company=said["company"], address=said["address"], signer=said["signer"], role=Role(role), email=email)


def _tidy(text: str) -> str:
    """As it is printed: composed letters (NFC), one blank between words, no empty lines."""
    lines = (" ".join(line.split()) for line in unicodedata.normalize("NFC", text).splitlines())
    return "\n".join(line for line in lines if line)


def _unfit(name: str, text: str) -> Unfit | None:
    if not text:
        return Unfit.EMPTY
    if len(text) > MOST[name]:
        return Unfit.TOO_LONG
    if text.count("\n") >= (MOST_LINES if name == "address" else 1):
        return Unfit.LINES
    return None if printable(text) else Unfit.LETTERS
