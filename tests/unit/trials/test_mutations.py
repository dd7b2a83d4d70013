"""The seeded defects, held against the sources as they are; `make mutate` and one integration test try them."""

from __future__ import annotations

import ast
import json
import sys
import tomllib
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from threading import Event

import pytest

from clawmates.proofs.prove import TRIALS
from clawmates.proofs.result import Claim, Status
from clawmates.trials.mutate import Plan, _tried, _try, good, text, write
from clawmates.trials.mutate_tree import Tree, _alone, copied
from clawmates.trials.mutate_verdict import Outcome, Seen, Verdict, by_claim, keys
from clawmates.trials.mutation import Change, Mutation, StaleError
from clawmates.trials.mutations import MUTATIONS, UNSEEN, markdown
from clawmates.trials.throwaway import TrialError

ROOT = Path(__file__).resolve().parents[3]


@pytest.mark.parametrize("mutation", MUTATIONS, ids=lambda one: one.id)
def test_it_fits_the_sources_as_they_are_and_leaves_programs(mutation: Mutation) -> None:
    """A moved line is found here, in a moment, and not in the middle of an hour of `make mutate`."""
    for name, mutated in mutation.patched(ROOT).items():
        assert mutated != (ROOT / name).read_text()
        if name.endswith(".py"):
            ast.parse(mutated)
        elif name.endswith(".toml"):
            tomllib.loads(mutated)


@pytest.mark.parametrize("mutation", [one for one in MUTATIONS if one.test], ids=lambda one: one.id)
def test_the_test_it_names_is_there(mutation: Mutation) -> None:
    file, *names = mutation.test.partition("[")[0].split("::")
    tree: ast.AST = ast.parse((ROOT / file).read_text())
    for name in names:
        tree = next(node for node in ast.walk(tree) if getattr(node, "name", "") == name)


def test_each_has_a_name_of_its_own_and_a_claim_that_can_be_tried() -> None:
    assert Counter(one.id for one in MUTATIONS).most_common(1)[0][1] == 1
    assert {one.claim for one in MUTATIONS if one.claim is not None} <= set(TRIALS)


def test_there_are_enough_of_them_and_six_are_tried_each_time() -> None:
    assert sum(one.claim is not None for one in MUTATIONS) >= 20
    assert all(sum(one.claim is claim for one in MUTATIONS) >= 3 for claim in TRIALS)
    assert sum(one.quick for one in MUTATIONS) == 6
    assert all(one.claim is not None for one in MUTATIONS if one.quick)


def test_the_page_lists_them() -> None:
    assert (ROOT / "docs" / "mutations.md").read_text() == markdown()
    assert set(UNSEEN) <= {one.id for one in MUTATIONS if one.claim is not None}


def test_a_change_fits_exactly_once_or_says_that_the_code_has_moved() -> None:
    change = Change(file="a.py", old="x = 1", new="x = 2")
    assert change.applied("x = 1\ny = 1\n") == "x = 2\ny = 1\n"
    for moved in ("y = 1\n", "x = 1\nx = 1\n"):
        with pytest.raises(StaleError, match=r"a\.py: found [02] times"):
            change.applied(moved)


def test_a_mutation_names_one_who_must_see_it() -> None:
    change = Change(file="a.py", old="1", new="2")
    for claim, test, changes in ((None, "", (change,)), (Claim.VAULT, "t", (change,)), (Claim.VAULT, "", ())):
        with pytest.raises(ValueError, match="broken"):
            Mutation(id="broken", what="", changes=changes, claim=claim, test=test)
    with pytest.raises(ValueError, match="nothing"):
        Change(file="a.py", old="1", new="1")


@pytest.fixture
def tree(tmp_path: Path) -> Tree:
    (tmp_path / "a.py").write_text("x = 1\ny = 1\n")
    return Tree(tmp_path)


def test_a_copy_is_broken_and_whole_again(tree: Tree) -> None:
    path = tree.root / "a.py"
    changes = (Change(file="a.py", old="x = 1", new="x = 2"), Change(file="a.py", old="y = 1", new="y = 2"))
    mutation = Mutation(id="m", what="", changes=changes, claim=Claim.VAULT)
    seconds = {int(path.stat().st_mtime)}
    for _ in range(2):
        with suppress(RuntimeError), tree.broken(mutation):
            assert path.read_text() == "x = 2\ny = 2\n"
            seconds.add(int(path.stat().st_mtime))
            raise RuntimeError
        assert path.read_text() == "x = 1\ny = 1\n"
        seconds.add(int(path.stat().st_mtime))
    # Python takes a compiled module for its source's when size and second agree: each form has seconds of its own.
    assert len(seconds) == 5


def test_a_stale_mutation_changes_nothing(tree: Tree) -> None:
    changes = (Change(file="a.py", old="x = 1", new="x = 2"), Change(file="b.py", old="y", new="z"))
    with pytest.raises(StaleError, match=r"b\.py"), tree.broken(Mutation(id="m", what="", changes=changes, test="t")):
        raise AssertionError
    assert (tree.root / "a.py").read_text() == "x = 1\ny = 1\n"


@pytest.mark.parametrize(
    ("test", "outcome"),
    [
        ("assert open('a.py').read() == 'x = 1\\ny = 1\\n'", Outcome.CAUGHT),
        ("assert open('a.py').read()", Outcome.MISSED),
        ("assert not open('a.py').read()", Outcome.NOT_TRIED),
        ("syntax error", Outcome.NOT_TRIED),
    ],
)
def test_a_test_must_pass_without_the_defect_and_fail_with_it(tree: Tree, test: str, outcome: Outcome) -> None:
    (tree.root / ".venv").symlink_to(sys.prefix)
    (tree.root / "test_a.py").write_text(f"def test_a():\n    {test}\n")
    change = Change(file="a.py", old="x = 1", new="x = 2")
    mutation = Mutation(id="m", what="", changes=(change,), test="test_a.py::test_a")
    assert _try(tree, mutation, Plan((mutation,))).outcome is outcome


def test_each_copy_has_one_defect_at_a_time(tmp_path: Path) -> None:
    """Two copies, four defects; a test that sees two of them in its copy would pass, as if nothing were wrong."""
    trees = tuple(Tree(tmp_path / name) for name in ("one", "other"))
    for one in trees:
        one.root.mkdir()
        (one.root / ".venv").symlink_to(sys.prefix)
        (one.root / "a.py").write_text("x = 0\ny = 0\n")
        (one.root / "test_a.py").write_text("def test_a():\n    assert open('a.py').read().count('1') != 1\n")
    defects = tuple(
        Mutation(id=f"{name}-{again}", what="", changes=(change,), test="test_a.py::test_a")
        for again in range(2)
        for name in "xy"
        for change in (Change(file="a.py", old=f"{name} = 0", new=f"{name} = 1"),)
    )
    said: list[str] = []
    verdicts = list(_tried(trees, Plan(defects, jobs=2), said.append))
    assert {(one.mutation, one.outcome) for one in verdicts} == {(one.id, Outcome.CAUGHT) for one in defects}
    assert len(said) == 2 * len(defects)
    assert {(one.root / "a.py").read_text() for one in trees} == {"x = 0\ny = 0\n"}


def test_what_runs_ends_when_it_is_stopped_and_nothing_else_begins(tmp_path: Path) -> None:
    (tmp_path / ".venv").symlink_to(sys.prefix)
    (tmp_path / "test_a.py").write_text(
        "import pathlib, time\ndef test_a():\n    pathlib.Path('begun').touch()\n    time.sleep(600)\n"
    )
    tree = Tree(tmp_path)
    mutation = Mutation(id="m", what="", changes=(Change(file="test_a.py", old="600", new="601"),), test="test_a.py")

    def stop() -> None:
        while not (tmp_path / "begun").exists():
            pass
        tree.stopped.set()

    with ThreadPoolExecutor() as threads:
        threads.submit(stop)
        for _again in range(2):
            verdict = _try(tree, mutation, Plan((mutation,)))
            assert (verdict.outcome, verdict.why) == (Outcome.NOT_TRIED, "stopped")


def test_two_do_not_seed_defects_in_one_place(tmp_path: Path) -> None:
    (tmp_path / "place" / "checkout-1").mkdir(parents=True)
    place, stop = tmp_path / "place", Event()
    empty = copied(tmp_path, place, 1, stop)
    with pytest.raises(FileNotFoundError), empty:
        raise AssertionError
    with (
        _alone(tmp_path / "place"),
        pytest.raises(TrialError, match="already"),
        copied(tmp_path, tmp_path / "place", 1, Event()),
    ):
        raise AssertionError


def test_what_was_found_so_far_can_be_read(tmp_path: Path) -> None:
    path = tmp_path / "found.json"
    row = Verdict(mutation="m", expected="vault", outcome=Outcome.CAUGHT, why="seen", seconds=1.0)
    for rows in ([row], [row, row]):
        write(rows, path)
        found = json.loads(path.read_text())
        assert found["mutations"] == found["caught"] == len(found["table"]) == len(rows)
        assert found["table"][0]["why"] == "seen"


def seen(**claims: Status) -> Seen:
    listed = [
        {"id": name.replace("_", "-"), "status": status, "evidence": {"found": [f"against {name}"]}}
        for name, status in claims.items()
    ]
    return Seen.of(json.loads(json.dumps({"claims": listed})))


@pytest.mark.parametrize(
    ("found", "outcome"),
    [
        (seen(vault=Status.BROKEN, isolation=Status.HELD), Outcome.CAUGHT),
        (seen(vault=Status.HELD, isolation=Status.HELD), Outcome.MISSED),
        (seen(vault=Status.HELD, isolation=Status.BROKEN), Outcome.WRONG),
        (seen(vault=Status.BROKEN, isolation=Status.BROKEN), Outcome.WRONG),
        (seen(vault=Status.NOT_HERE, isolation=Status.HELD), Outcome.NOT_TRIED),
        (seen(isolation=Status.HELD), Outcome.NOT_TRIED),
    ],
)
def test_only_the_right_claim_counts(found: Seen, outcome: Outcome) -> None:
    assert by_claim(Claim.VAULT, found)[0] is outcome


def test_one_that_was_not_caught_makes_the_whole_run_bad() -> None:
    rows = [Verdict(mutation="m", expected="vault", outcome=one, why="", seconds=1.0) for one in Outcome]
    assert good(rows[:1])
    assert not any(good([rows[0], other]) for other in rows[1:])
    assert not good([])
    assert keys(rows) == {"mutations": 4, "caught": 1, "wrong": 1, "missed": 1, "not_tried": 1}
    assert "caught 1, wrong 1" in text(rows)
