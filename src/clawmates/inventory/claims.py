"""The mission page's sentences, each with its claim and what shows it: ``docs/claims.toml``."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from pathlib import Path

from clawmates.base.shape import decode

LINK = Path(__file__).with_name("claims.toml")
"""The table itself, by a link: what is packed has it too."""
_PROVE = re.compile(r"clawmates prove --claim [a-z0-9-]+")


class Claim(StrEnum):
    """The claims of the mission page, as the design names them."""

    NO_STORAGE = "no-storage"
    TLS13 = "tls13"
    ISOLATION = "isolation"
    VAULT = "vault"
    REGION = "region"
    SOC2_CONTROLS = "soc2-controls"
    INVENTORY = "inventory"
    RETENTION = "retention"
    SELF_HOST = "self-host"


class What(StrEnum):
    """What a line is that promises nothing."""

    HEADING = "heading"
    QUESTION = "question"
    LABEL = "label"
    LINK = "link"
    SLOGAN = "slogan"


@dataclass(frozen=True, slots=True, kw_only=True)
class Statement:
    """A sentence that promises something; the fields are explained at the top of ``docs/claims.toml``."""

    says: str
    claim: Claim
    reads: str = ""
    says_de: str = ""
    shown_by: tuple[str, ...] = ()
    not_yet: int | None = None
    beyond: bool = False
    honestly: str = ""
    honestly_de: str = ""

    @property
    def checks(self) -> tuple[str, ...]:
        """What shows it, as commands to be typed."""
        return tuple(one if not one.startswith("tests/") else f"pytest {one}" for one in self.shown_by)


@dataclass(frozen=True, slots=True, kw_only=True)
class Other:
    """A line that promises nothing."""

    says: str
    what: What


@dataclass(frozen=True, slots=True, kw_only=True)
class Section:
    """A part of the page."""

    title: str
    title_de: str = ""
    statement: tuple[Statement, ...] = ()
    other: tuple[Other, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """The whole of ``docs/claims.toml``."""

    themes: Mapping[str, str]
    claims: Mapping[Claim, str]
    claims_de: Mapping[Claim, str]
    section: tuple[Section, ...]

    @property
    def statements(self) -> Iterator[Statement]:
        """All of them, in the page's order."""
        return (statement for section in self.section for statement in section.statement)

    @property
    def says(self) -> tuple[str, ...]:
        """Every sentence that the table knows."""
        others = (other.says for section in self.section for other in section.other)
        return (*(statement.says for statement in self.statements), *others)

    def checks(self, claim: Claim) -> tuple[str, ...]:
        """What checks a claim: its own command, or where it has none yet, the tests that show what is shown."""
        every = dict.fromkeys(check for one in self.statements if one.claim is claim for check in one.checks)
        # A test of a file that is named as a whole is in it.
        found = tuple(one for one in every if "::" not in one or one.partition("::")[0] not in every)
        commands = tuple(one for one in found if _PROVE.fullmatch(one) and one.endswith(f" {claim}"))
        return commands or found


def load(text: str) -> Table:
    """Raises ``tomllib.TOMLDecodeError`` or :class:`~clawmates.base.shape.ShapeError`."""
    return decode(Table, tomllib.loads(text))


@cache
def known() -> Table:
    """The table of this software."""
    return load(LINK.read_text())
