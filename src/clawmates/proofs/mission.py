"""The mission page, sentence by sentence, beside what shows each to be so (``docs/claims.toml``).

``python -m clawmates.proofs.mission`` prints ``docs/claims.md``.
"""

from __future__ import annotations

import re
import sys
import tomllib
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from clawmates.base.shape import decode
from clawmates.proofs.prove import TRIALS
from clawmates.proofs.result import Claim

PAGE = Path("docs/mission.txt")
TABLE = Path("docs/claims.toml")
_SENTENCE_END = re.compile(r"(?<=[.!?])(?<!\bYes\.)(?<!\bNo\.)\s+(?=[A-Z])")
_PROVE = re.compile(r"clawmates prove --claim ([a-z0-9-]+)")
_MAKE = re.compile(r"make ([a-z]+)")


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
    shown_by: tuple[str, ...] = ()
    not_yet: int | None = None
    honestly: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Other:
    """A line that promises nothing."""

    says: str
    what: What


@dataclass(frozen=True, slots=True, kw_only=True)
class Section:
    """A part of the page."""

    title: str
    statement: tuple[Statement, ...] = ()
    other: tuple[Other, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """The whole of ``docs/claims.toml``."""

    themes: Mapping[str, str]
    claims: Mapping[Claim, str]
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


def sentences(page: str) -> tuple[str, ...]:
    """Every sentence of the page once, in its order; a *Yes.* or *No.* belongs to the sentence behind it.

    Lines without a letter (ornaments, step numbers) hold none.
    """
    lines = (" ".join(line.split()) for line in page.splitlines())
    found = (sentence for line in lines if re.search(r"[A-Za-z]", line) for sentence in _SENTENCE_END.split(line))
    return tuple(dict.fromkeys(found))


def load(text: str) -> Table:
    """Raises ``tomllib.TOMLDecodeError`` or :class:`~clawmates.base.shape.ShapeError`."""
    return decode(Table, tomllib.loads(text))


def problems(page: str, table: Table, root: Path) -> list[str]:
    """What is wrong between page, table and repository; empty when all is well."""
    wanted, known = sentences(page), Counter(table.says)
    found = [f"not in {TABLE}: {sentence}" for sentence in wanted if sentence not in known]
    found += [f"no longer on the page: {sentence}" for sentence in known if sentence not in wanted]
    found += [f"twice in {TABLE}: {sentence}" for sentence, times in known.items() if times > 1]
    found += [f"claim without a meaning: {claim}" for claim in Claim if claim not in table.claims]
    for statement in table.statements:
        if not statement.shown_by and statement.not_yet is None:
            found.append(f"neither shown nor said to be missing: {statement.says}")
        if statement.not_yet is not None and str(statement.not_yet) not in table.themes:
            found.append(f"there is no theme {statement.not_yet}: {statement.says}")
        found += [f"no such check: {check}" for check in statement.shown_by if not exists(check, root)]
    return found


def exists(check: str, root: Path) -> bool:
    """Whether a command can be given, or a test file (and the test in it) is there."""
    if prove := _PROVE.fullmatch(check):
        return prove[1] in set(TRIALS)
    if make := _MAKE.fullmatch(check):
        makefile = root / "Makefile"
        return makefile.is_file() and re.search(rf"^{make[1]}:", makefile.read_text(), re.MULTILINE) is not None
    path, _, test = check.partition("::")
    file = root / path
    if not check.startswith("tests/") or ".." in path or not file.is_file():
        return False
    return not test or re.search(rf"^(?:async )?def {re.escape(test)}\(", file.read_text(), re.MULTILINE) is not None


def markdown(table: Table) -> str:
    """``docs/claims.md``."""
    statements = list(table.statements)
    shown = sum(not one.not_yet for one in statements)
    partly = sum(bool(one.not_yet and one.shown_by) for one in statements)
    lines = [
        "# What the mission page says, and what shows it",
        "",
        f"Made from `{TABLE}` by `python -m clawmates.proofs.mission`; do not edit. A test keeps this page, the table",
        f"and `{PAGE}` together.",
        "",
        f"Of {len(statements)} sentences that promise something, {shown} are shown, {partly} are shown in part, and",
        f"{len(statements) - shown - partly} are not shown yet. Where the page's words and reality differ, it is said",
        "below the sentence.",
        "",
        "| claim | in one sentence | sentences | try it |",
        "|---|---|---|---|",
    ]
    for claim in Claim:
        count = sum(one.claim is claim for one in statements)
        command = f"`clawmates prove --claim {claim}`" if claim in TRIALS else "not yet"
        lines.append(f"| {claim} | {table.claims[claim]} | {count} | {command} |")
    for section in table.section:
        if section.statement:
            lines += ["", f"## {section.title}"]
        for one in section.statement:
            lines += ["", f"> {one.says.replace('*', chr(92) + '*')}", "", f"- {one.claim}: {_state(one, table)}"]
            if one.honestly:
                lines.append(f"- Honestly: {one.honestly}")
    return "\n".join(lines) + "\n"


def _state(statement: Statement, table: Table) -> str:
    parts = [f"shown by {', '.join(f'`{check}`' for check in statement.shown_by)}"] if statement.shown_by else []
    if statement.not_yet is not None:
        more = "more of it" if parts else "not yet,"
        parts.append(f"{more} with theme {statement.not_yet} ({table.themes[str(statement.not_yet)]})")
    return "; ".join(parts) + "."


if __name__ == "__main__":
    sys.stdout.write(markdown(load(TABLE.read_text())))
