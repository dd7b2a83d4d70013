"""docs/threat-model.md: every row names what shows it, what is named exists, and no command is left out."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from tests.support.sentences import test_names
from tests.unit.test_docs import COMMANDS

from clawmates.proofs.encodings import ENCODINGS
from clawmates.proofs.packings import PACKINGS
from clawmates.proofs.probes.entry import PROBES
from clawmates.proofs.prove import TRIALS
from clawmates.proofs.result import Claim
from clawmates.trials.mutations import MUTATIONS

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "threat-model.md").read_text()
NAMED = re.compile(r"(?:(prove|probe|defect) )?`([^`]+)`")
DESIGN = "by design: "


def tables(page: str, heading: str) -> list[list[str]]:
    """The rows, without heads, of all tables whose head matches."""
    rows: list[list[str]] = []
    for table in re.findall(r"(?:^\|.*\|\n)+", page, re.MULTILINE):
        lines = [[cell.strip() for cell in line.strip("|\n").split("|")] for line in table.splitlines()]
        if re.fullmatch(heading, lines[0][0]):
            rows += lines[2:]
    return rows


def exists(kind: str, name: str) -> bool:
    """Whether what is named is there."""
    if kind == "prove":
        return name in {claim.value for claim in TRIALS}
    if kind == "probe":
        return name in PROBES
    if kind == "defect":
        return name in {mutation.id for mutation in MUTATIONS}
    file, colons, test = name.partition("::")
    return colons != "" and (ROOT / "tests" / file).exists() and test in test_names(f"tests/{file}")


def unshown(page: str) -> list[str]:
    """Rows that name nothing, or something that is not there."""
    bad = []
    for row in tables(page, "(they|it) can(not)?"):
        what, shown = row
        named = NAMED.findall(shown)
        rest = NAMED.sub("", shown).replace(",", "").strip()
        fine = shown.startswith(DESIGN) or (named and not rest and all(exists(*one) for one in named))
        if not fine:
            bad.append(what)
    return bad


def test_every_row_is_shown_by_something_that_exists() -> None:
    assert unshown(PAGE) == []


@pytest.mark.parametrize(
    "row",
    [
        "| fly | |",
        "| fly | I saw it |",
        "| fly | prove `flight` |",
        "| fly | defect `wings`, prove `isolation` |",
        "| fly | `unit/test_threat_model.py::test_it_flies` |",
    ],
)
def test_a_row_that_shows_nothing_would_be_noticed(row: str) -> None:
    assert unshown(f"| it can | shown by |\n|---|---|\n{row}\n") == ["fly"]


def test_what_is_named_between_the_tables_exists_too() -> None:
    for kind, name in NAMED.findall(PAGE):
        if kind or "::" in name:
            assert exists(kind, name), name


def test_the_count_is_the_count() -> None:
    rows = tables(PAGE, "(they|it) can(not)?")
    design = sum(row[1].startswith(DESIGN) for row in rows)
    assert f"Of the {len(rows)} rows, {len(rows) - design} are shown and {design} rest on the design." in PAGE


def test_the_curious_operators_table_names_every_command() -> None:
    named = {name for row in tables(PAGE, "command") for name in re.findall(r"`([^`]+)`", row[0])}
    there = {
        " ".join(path) for path, one in COMMANDS.items() if path and not one.hidden and not hasattr(one, "commands")
    }
    doubles = {f"selfhost {name}" for name in there} & there
    assert named == there - doubles


def test_numbers_are_those_of_the_code() -> None:
    assert f"in {len(ENCODINGS)} encodings" in " ".join(PAGE.split())
    assert len(PACKINGS) == 5
    assert "five kinds of compression" in " ".join(PAGE.split())


def test_every_claim_that_can_be_tried_stands_on_the_page() -> None:
    assert {name for kind, name in NAMED.findall(PAGE) if kind == "prove"} == {Claim(one).value for one in TRIALS}
