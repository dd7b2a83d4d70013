"""Every sentence of the mission page is mapped to a claim and to what shows it, and the mapping is true."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from clawmates.base.shape import ShapeError
from clawmates.inventory.claims import LINK, Claim, Section, Statement, Table, load
from clawmates.proofs.mission import PAGE, TABLE, exists, markdown, problems, sentences

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def page() -> str:
    return (ROOT / PAGE).read_text()


@pytest.fixture
def table() -> Table:
    return load((ROOT / TABLE).read_text())


def changed(table: Table, **fields: Any) -> Table:
    """The table with its first statement altered."""
    first = table.section[0]
    statement = replace(first.statement[0], **fields)
    return replace(table, section=(replace(first, statement=(statement, *first.statement[1:])), *table.section[1:]))


def test_page_table_and_repository_agree(page: str, table: Table) -> None:
    assert problems(page, table, ROOT) == []


def test_the_page_here_is_the_page_there(page: str) -> None:
    there = sorted((ROOT.parent / "shared" / "mission").glob("*.txt"))
    # Where the repository stands alone, as in a clone, there is nothing to compare with.
    assert all(one.read_text() == page for one in there)


def test_the_package_has_the_table_itself_and_no_second_one() -> None:
    assert LINK.is_symlink()
    assert LINK.resolve() == ROOT / TABLE


def test_the_document_is_made_from_the_table(table: Table) -> None:
    assert (ROOT / "docs" / "claims.md").read_text() == markdown(table)


def test_every_claim_is_made_by_some_sentence(table: Table) -> None:
    assert {statement.claim for statement in table.statements} == set(Claim)


def test_what_no_software_can_show_is_not_said_to_be_shown(table: Table) -> None:
    soc2 = [statement for statement in table.statements if "SOC 2" in statement.says]
    assert all(statement.honestly and statement.beyond for statement in soc2)
    assert [one.says for one in soc2 if one.shown_by] == [one.says for one in soc2 if "audit logging" in one.says]


def test_a_new_sentence_on_the_page_is_noticed(page: str, table: Table) -> None:
    found = problems(page + "\nWe also make coffee. It is good.\n", table, ROOT)
    assert found == [f"not in {TABLE}: We also make coffee.", f"not in {TABLE}: It is good."]


def test_a_changed_word_is_noticed_on_both_sides(page: str, table: Table) -> None:
    found = problems(page.replace("No plaintext paths.", "Few plaintext paths."), table, ROOT)
    assert found == [f"not in {TABLE}: Few plaintext paths.", "no longer on the page: No plaintext paths."]


def test_a_sentence_mapped_twice_is_noticed(page: str, table: Table) -> None:
    double = replace(table, section=(*table.section, Section(title="again", other=table.section[0].other[:1])))
    assert problems(page, double, ROOT) == [f"twice in {TABLE}: Privacy-First Architecture"]


@pytest.mark.parametrize(
    ("fields", "problem"),
    [
        ({"shown_by": (), "not_yet": None}, "neither shown nor said to be missing: "),
        ({"shown_by": ("tests/unit/test_nothing.py",)}, "no such check: tests/unit/test_nothing.py"),
        ({"not_yet": 99}, "there is no theme 99: "),
        ({"beyond": True}, "nothing says why no software can show it: "),
        ({"says_de": ""}, "no German: "),
        ({"honestly": "Not quite.", "honestly_de": ""}, "no German: "),
    ],
)
def test_a_statement_without_ground_is_noticed(
    fields: dict[str, object], problem: str, page: str, table: Table
) -> None:
    (found,) = problems(page, changed(table, **fields), ROOT)
    assert found.startswith(problem)


def test_an_unknown_claim_is_refused() -> None:
    text = (ROOT / TABLE).read_text().replace('claim = "tls13"', 'claim = "coffee"', 1)
    with pytest.raises(ShapeError, match="claim: expected one of"):
        load(text)


def test_an_unknown_key_is_refused() -> None:
    text = (ROOT / TABLE).read_text().replace("honestly =", "perhaps =", 1)
    with pytest.raises(ShapeError, match="unknown key 'perhaps'"):
        load(text)


def test_a_claim_without_a_meaning_is_noticed(page: str, table: Table) -> None:
    fewer: dict[Claim, str] = {claim: meaning for claim, meaning in table.claims.items() if claim is not Claim.VAULT}
    assert problems(page, replace(table, claims=fewer), ROOT) == ["claim without a meaning: vault"]


@pytest.mark.parametrize(
    ("check", "there"),
    [
        ("tests/unit/test_claims.py", True),
        ("tests/unit/test_claims.py::test_a_check_is_looked_for", True),
        ("tests/unit/test_claims.py::test_a_check", False),
        ("tests/unit/test_claims.txt", False),
        ("tests/unit", False),
        ("tests/../README.md", False),
        ("README.md", False),
        ("clawmates prove --claim no-storage", True),
        ("clawmates prove --claim isolation", True),
        ("clawmates prove --claim region", False),
        ("clawmates prove --claim coffee", False),
        ("clawmates believe", False),
        ("make test", True),
        ("make coffee", False),
    ],
)
def test_a_check_is_looked_for(check: str, *, there: bool) -> None:
    assert exists(check, ROOT) is there


@pytest.mark.parametrize(
    ("page", "found"),
    [
        ("One. Two! Three? Four", ("One.", "Two!", "Three?", "Four")),
        ("Is it? No. Because.", ("Is it?", "No. Because.")),
        ("Yes. All\u00a0of it.", ("Yes. All of it.",)),
        ("TLS 1.3 enforced. ETA: late 2026.", ("TLS 1.3 enforced.", "ETA: late 2026.")),
        ("🔒\n1\n\n  Twice  \nTwice\n", ("Twice",)),
        ("a piano. b", ("a piano. b",)),
        ("A piano. It plays.", ("A piano.", "It plays.")),
        ("", ()),
    ],
)
def test_a_page_falls_into_sentences(page: str, found: tuple[str, ...]) -> None:
    assert sentences(page) == found


def test_a_statement_needs_its_claim() -> None:
    assert Statement(says="x", says_de="y", claim=Claim.VAULT).shown_by == ()
    text = '[[section]]\ntitle = "x"\n[[section.statement]]\nsays = "x"\n[themes]\n[claims]\n[claims_de]\n'
    with pytest.raises(ShapeError, match=r"section\[0\].statement\[0\].claim: is missing"):
        load(text)
