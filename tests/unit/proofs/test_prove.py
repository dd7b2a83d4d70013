from __future__ import annotations

import json as plain_json
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

import clawmates.proofs.prove as module
from clawmates.proofs.fake import FakePlatform
from clawmates.proofs.not_here import NOT_HERE, not_here
from clawmates.proofs.prove import TRIALS, prove
from clawmates.proofs.report import WIDTH, json, table, text
from clawmates.proofs.result import Claim, Evidence, Report, Result, Status, repeat
from clawmates.proofs.run import Progress
from clawmates.proofs.trial import Options

if TYPE_CHECKING:
    from clawmates.base.paths import Run, State
    from clawmates.proofs.trial import Bench

ALLOWED = {"region", "soc2-controls"}
"""The second copy: a claim joins the list only by changing both."""


def held(claim: Claim) -> Result:
    return Result(
        id=claim,
        status=Status.HELD,
        evidence=Evidence(
            summary="All was well.",
            figures={"messages": 20},
            table=(("place", "MiB", "found"), ("state folder", "1,204.5", "0"), ("run folder", "3.0", "0")),
            not_looked_at=("the other side of the moon",),
        ),
        repeat=repeat(claim),
    )


def broken(claim: Claim) -> Result:
    return Result(
        id=claim,
        status=Status.BROKEN,
        evidence=Evidence(summary="It was not.", found=("logs: /var/log/x, as raw, at offset 3",)),
        repeat=repeat(claim),
    )


def test_the_list_of_what_cannot_be_shown_does_not_grow() -> None:
    assert set(NOT_HERE) <= ALLOWED
    assert all(len(reason) > 20 for reason in NOT_HERE.values())


def test_every_claim_is_either_tried_or_listed() -> None:
    assert set(TRIALS) | set(NOT_HERE) == set(Claim)
    assert not set(TRIALS) & set(NOT_HERE)


def test_a_claim_that_is_tried_cannot_be_excused() -> None:
    with pytest.raises(KeyError):
        not_here(Claim.NO_STORAGE)


def test_the_json_has_the_agreed_shape() -> None:
    report = Report(claims=(held(Claim.ISOLATION), not_here(Claim.REGION)))
    document = plain_json.loads(json(report))
    assert list(document) == ["claims"]
    assert [set(claim) for claim in document["claims"]] == [{"id", "status", "evidence", "repeat"}] * 2
    assert [claim["status"] for claim in document["claims"]] == ["held", "not demonstrable here"]
    assert document["claims"][0]["evidence"]["figures"] == {"messages": 20}
    assert document["claims"][0]["repeat"] == "clawmates prove --claim isolation"


@pytest.mark.parametrize(
    ("claims", "code"),
    [
        ((held(Claim.ISOLATION),), 0),
        ((held(Claim.ISOLATION), not_here(Claim.REGION)), 0),
        ((not_here(Claim.REGION),), 0),
        ((held(Claim.ISOLATION), broken(Claim.NO_STORAGE)), 1),
        ((), 0),
    ],
)
def test_the_exit_code_says_whether_a_claim_is_broken(claims: tuple[Result, ...], code: int) -> None:
    assert Report(claims=claims).exit_code == code


def test_the_report_says_what_was_seen_and_what_was_not() -> None:
    shown = text(Report(claims=(held(Claim.ISOLATION), broken(Claim.NO_STORAGE), not_here(Claim.REGION))))
    lines = shown.splitlines()
    assert lines[:3] == ["isolation   held", "no-storage  broken", "region      not demonstrable here"]
    assert "    the other side of the moon" in lines
    assert "    logs: /var/log/x, as raw, at offset 3" in lines
    assert f"  region: {NOT_HERE[Claim.REGION]}" in lines
    assert "  again: clawmates prove --claim no-storage" in lines
    assert max(map(len, lines)) <= WIDTH


def test_numbers_stand_to_the_right() -> None:
    assert table(held(Claim.ISOLATION).evidence.table) == [
        "  place             MiB  found",
        "  state folder  1,204.5      0",
        "  run folder        3.0      0",
    ]


def test_a_long_cell_is_cut_for_people_and_whole_for_programs() -> None:
    image = f"sha256:{'0' * 64}"
    (_, row) = table((("property", "asked"), ("image", image)))
    assert row == f"  image     {image[:33]}…"
    evidence = replace(held(Claim.ISOLATION).evidence, table=(("property", "asked"), ("image", image)))
    report = Report(claims=(replace(held(Claim.ISOLATION), evidence=evidence),))
    assert image.encode() in json(report)


def test_an_empty_report_is_empty() -> None:
    assert text(Report(claims=())) == "\n"


def test_a_trial_sends_something() -> None:
    with pytest.raises(ValueError, match="at least one message"):
        Options(messages=0)
    with pytest.raises(ValueError, match="at least one message"):
        Options(kills=-1)


def test_the_long_form_sends_as_much_as_was_promised() -> None:
    assert (Options.of(full=True).messages, Options.of(full=True).kills) == (2000, 20)
    assert Options.of(full=False) == Options()
    assert Options.of(full=True, messages=5, kills=0) == Options(messages=5, kills=0, full=True)


async def test_claims_are_tried_in_the_designs_order(
    state: State,
    run_folder: Run,
    options: Options,
    bench: Bench,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    tried: list[Claim] = []

    def trial(claim: Claim) -> object:
        async def run(_platform: object, _options: object, _bench: object) -> Result:
            tried.append(claim)
            return held(claim)

        return run

    monkeypatch.setattr(module, "TRIALS", {claim: trial(claim) for claim in TRIALS})
    platform = FakePlatform(state, run_folder)
    report = await prove(platform, reversed(Claim), options, bench)
    assert [claim.id for claim in report.claims] == list(Claim)
    assert tried == [claim for claim in Claim if claim in TRIALS]
    one = await prove(platform, [Claim.ISOLATION], options, replace(bench, ended=Progress().ended))
    assert [claim.id for claim in one.claims] == [Claim.ISOLATION]
    assert capsys.readouterr() == ("", "  isolation: held\n")


async def test_two_claims_on_a_leaking_platform(state: State, run_folder: Run, options: Options, bench: Bench) -> None:
    async def leak(platform: FakePlatform, message: str) -> None:
        (platform.state.root / "leaked").write_text(message)

    async with FakePlatform(state, run_folder, on_message=leak) as platform:
        report = await prove(platform, [Claim.NO_STORAGE, Claim.ISOLATION], options, bench)
    assert report.exit_code == 1
    assert {claim.id for claim in report.claims if claim.status is Status.BROKEN} == {
        Claim.NO_STORAGE,
        Claim.ISOLATION,
    }
