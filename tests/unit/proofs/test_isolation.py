from __future__ import annotations

import os
from dataclasses import replace
from typing import TYPE_CHECKING, cast

import pytest

from clawmates.proofs.claims import neighbours
from clawmates.proofs.claims.isolation import NO_HOG, isolation
from clawmates.proofs.errors import NoBotError, ProofError
from clawmates.proofs.fake import FakePlatform, all_denied
from clawmates.proofs.kernel import (
    NAMESPACES,
    SECOND,
    Kernel,
    KernelUnreadableError,
    judge,
    read_kernel,
    separation,
    users,
)
from clawmates.proofs.probes.entry import PROBES, Seen
from clawmates.proofs.probes.inside.frame import DENIED, DONE
from clawmates.proofs.probes.verdict import LEAST
from clawmates.proofs.report import text
from clawmates.proofs.result import Report, Status
from clawmates.proofs.world import World
from clawmates.wire.status import Finding

if TYPE_CHECKING:
    from collections.abc import Mapping

    from clawmates.base.paths import Run, State
    from clawmates.proofs.probes.attempt import Attempts
    from clawmates.proofs.trial import Bench, Options


def kernel(number: int, **changes: str) -> Kernel:
    """A sealed container's process; ``changes`` to its status lines weaken it."""
    return Kernel(
        namespaces={name: f"{name}:[{number}]" for name in NAMESPACES},
        interfaces=("lo",),
        status={"CapEff": "0" * 16, "CapBnd": "0" * 16, "NoNewPrivs": "1", "Seccomp": "2"} | changes,
        uids=((100_000 + number * 1024, 1024),),
    )


HOST = replace(kernel(0), uids=((0, 1 << 32),))
WEAKER: dict[str, tuple[str, Kernel]] = {
    **{
        f"{name} of the host": (
            f"{name} namespace",
            replace(kernel(1), namespaces=dict(kernel(1).namespaces) | {name: HOST.namespaces[name]}),
        )
        for name in NAMESPACES
    },
    **{
        f"{name} of another bot": (
            f"{name} namespace",
            replace(kernel(1), namespaces=dict(kernel(1).namespaces) | {name: kernel(2).namespaces[name]}),
        )
        for name in NAMESPACES
    },
    "a network": ("network interfaces", replace(kernel(1), interfaces=("lo", "eth0"))),
    "no loopback": ("network interfaces", replace(kernel(1), interfaces=())),
    "a capability": ("capabilities, effective", kernel(1, CapEff="0000000000000400")),
    "a capability to gain": ("capabilities, bounding", kernel(1, CapBnd="0000000000000400")),
    "new privileges": ("no new privileges", kernel(1, NoNewPrivs="0")),
    "no filter": ("system call filter", kernel(1, Seccomp="0")),
    "the host's root": ("host's root within reach", replace(kernel(1), uids=((0, 1), (200_000, 10)))),
    "another bot's user ids": (
        "user ids shared with another bot",
        replace(kernel(1), uids=((kernel(2).uids[0][0] + 1023, 1),)),
    ),
}


def weak(findings: tuple[Finding, ...]) -> list[str]:
    return [one.name.removeprefix(SECOND) for one in findings if not one.ok]


def test_a_sealed_container_is_as_asked() -> None:
    findings = judge(kernel(1), HOST, (kernel(2), kernel(3)))
    assert weak(findings) == []
    assert len(findings) == len(NAMESPACES) + 7


@pytest.mark.parametrize("weakness", WEAKER)
def test_each_weakening_is_seen_and_nothing_else(weakness: str) -> None:
    name, weakened = WEAKER[weakness]
    assert weak(judge(weakened, HOST, (kernel(2),))) == [name]


def test_lines_that_are_missing_count_as_weak() -> None:
    findings = judge(replace(kernel(1), status={}), HOST, ())
    assert weak(findings) == [
        "capabilities, effective",
        "capabilities, bounding",
        "no new privileges",
        "system call filter",
    ]


def test_this_very_process_is_no_sealed_container() -> None:
    mine = read_kernel(os.getpid())
    assert {f"{name} namespace" for name in NAMESPACES} <= set(weak(judge(mine, mine, ())))


def test_a_process_that_is_gone_cannot_be_judged() -> None:
    with pytest.raises(KernelUnreadableError):
        read_kernel(1 << 30)


@pytest.mark.parametrize(
    ("uids", "said"),
    [
        ({"vault": 901, "gateway": 902, "node": 0}, "own users"),
        ({"vault": 0, "gateway": 0, "node": 0}, "nominal"),
        ({"vault": 901, "gateway": 901, "node": 0}, "nominal"),
        ({"vault": 901, "gateway": 902, "node": 0, "conmon 7": 0, "conmon 8": 0}, "own users"),
        ({"vault": 901, "gateway": 902, "node": 0, "control": 0}, "nominal"),
    ],
)
def test_separation_is_nominal_where_users_are_shared(uids: Mapping[str, int], said: str) -> None:
    assert separation(uids) == said


def test_users_are_read_from_the_kernel() -> None:
    assert users({"me": os.getpid(), "gone": 1 << 30}) == {"me": os.getuid()}


@pytest.fixture
def sealed(monkeypatch: pytest.MonkeyPatch) -> dict[int, Kernel]:
    """Stands for /proc: processes not named here look like sealed containers, this one like the host."""
    known: dict[int, Kernel] = {os.getpid(): HOST}
    monkeypatch.setattr(
        "clawmates.proofs.claims.isolation.read_kernel", lambda pid: known.setdefault(pid, kernel(len(known)))
    )
    return known


async def test_it_holds_for_sealed_containers(
    sealed: dict[int, Kernel], state: State, run_folder: Run, options: Options, bench: Bench
) -> None:
    async with FakePlatform(state, run_folder, bots=("one", "two")) as platform:
        result = await isolation(platform, options, bench)
    assert result.status is Status.HELD
    assert (result.evidence.figures["bots"], result.evidence.figures["weaker"]) == (2, 0)
    assert result.evidence.figures["properties"] == 2 * (1 + len(NAMESPACES) + 7)
    assert ("network", "lo", "lo", "2 of 2") in result.evidence.table
    assert ("second reading: net namespace", "its own", "its own", "2 of 2") in result.evidence.table
    assert "separation of the host's processes: nominal" in text(Report(claims=(result,)))
    assert len(sealed) == 3


async def test_one_weak_container_among_many_breaks_it(
    sealed: dict[int, Kernel], state: State, run_folder: Run, options: Options, bench: Bench
) -> None:
    async with FakePlatform(state, run_folder, bots=("one", "two")) as platform:
        sealed[platform.mates["two"].pid] = kernel(9, Seccomp="0")
        result = await isolation(platform, options, bench)
    assert result.status is Status.BROKEN
    assert result.evidence.found == ("bot two: second reading: system call filter is 0, not 2",)
    assert ("second reading: system call filter", "2", "2 / 0", "1 of 2") in result.evidence.table


async def test_a_plain_process_in_place_of_a_container_breaks_it(
    state: State, run_folder: Run, options: Options, bench: Bench
) -> None:
    async with FakePlatform(state, run_folder) as platform:
        result = await isolation(platform, options, bench)
    assert result.status is Status.BROKEN
    assert "bot tester: second reading: net namespace is the host's, not its own" in result.evidence.found


async def test_nodes_own_findings_count(
    sealed: dict[int, Kernel], state: State, run_folder: Run, options: Options, bench: Bench
) -> None:
    findings = (Finding(name="memory limit", wanted="128 MiB", found="none", ok=False),)
    async with FakePlatform(state, run_folder, findings=findings) as platform:
        result = await isolation(platform, options, bench)
    assert result.status is Status.BROKEN
    assert result.evidence.found == ("bot tester: memory limit is none, not 128 MiB",)
    assert sealed


@pytest.mark.parametrize("fresh", [(), (Finding(name="other", wanted="1", found="1", ok=True),)])
async def test_a_property_that_is_no_longer_read_breaks_it(
    fresh: tuple[Finding, ...],
    sealed: dict[int, Kernel],
    state: State,
    run_folder: Run,
    options: Options,
    bench: Bench,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def read_back(_platform: FakePlatform, _bot: str) -> tuple[Finding, ...]:
        return fresh

    monkeypatch.setattr(FakePlatform, "read_back", read_back)
    async with FakePlatform(state, run_folder) as platform:
        result = await isolation(platform, options, bench)
    assert result.status is Status.BROKEN
    assert "bot tester: network was read at the start and is not any more" in result.evidence.found
    assert ("bot tester: node read nothing back" in result.evidence.found) is (fresh == ())
    assert sealed


async def test_without_a_running_bot_nothing_is_claimed(
    state: State, run_folder: Run, options: Options, bench: Bench
) -> None:
    async with FakePlatform(state, run_folder, bots=()) as platform:
        with pytest.raises(NoBotError, match="no bot is running"):
            await isolation(platform, options, bench)


async def test_a_container_that_just_died_is_said(
    state: State, run_folder: Run, options: Options, bench: Bench
) -> None:
    async with FakePlatform(state, run_folder) as platform:
        await platform.mates["tester"].kill()
        with pytest.raises(ProofError, match="does not show the container of bot tester"):
            await isolation(platform, options, bench)
        platform.mates.clear()


def with_outcome(probe: str, here: Seen) -> Attempts:
    well = all_denied()
    return replace(well, sealed=dict(well.sealed) | {probe: here})


async def test_every_attempt_stands_in_the_report(
    sealed: dict[int, Kernel], state: State, run_folder: Run, options: Options, bench: Bench
) -> None:
    async with FakePlatform(state, run_folder) as platform:
        result = await isolation(platform, options, bench)
    rows = result.evidence.tables[0].rows
    assert len(rows) == len(PROBES) + 1
    assert all(rows[1:][number][-1] == one.tried for number, one in enumerate(PROBES.values()))
    assert result.evidence.figures["probes_that_count"] == len(PROBES)
    assert any("measured with --full" in one for one in result.evidence.not_looked_at)
    assert sealed


async def test_one_attempt_that_succeeds_breaks_it(
    sealed: dict[int, Kernel], state: State, run_folder: Run, options: Options, bench: Bench
) -> None:
    tried = with_outcome("raw-socket", Seen(outcome=DONE, detail="opened"))
    async with FakePlatform(state, run_folder, tried=tried) as platform:
        result = await isolation(platform, options, bench)
    assert result.status is Status.BROKEN
    assert result.evidence.found == ("bot tester: raw-socket was done: opened; in the weak control done: could",)
    assert sealed


async def test_a_mate_that_does_not_outlive_the_attempts_breaks_it(
    sealed: dict[int, Kernel], state: State, run_folder: Run, options: Options, bench: Bench
) -> None:
    async with FakePlatform(state, run_folder, kills_the_mate=True) as platform:
        result = await isolation(platform, options, bench)
    assert result.status is Status.BROKEN
    assert result.evidence.found == ("bot tester: the mate did not outlive what was tried beside it",)
    assert sealed


async def test_too_few_attempts_that_count_claim_nothing(
    sealed: dict[int, Kernel], state: State, run_folder: Run, options: Options, bench: Bench
) -> None:
    well = all_denied()
    few = replace(well, controls=dict(list(well.controls.items())[: LEAST - 1]))
    async with FakePlatform(state, run_folder, tried=few) as platform:
        with pytest.raises(ProofError, match=f"only {LEAST - 1} of {len(PROBES)}"):
            await isolation(platform, options, bench)
    enough = replace(well, controls=dict(list(well.controls.items())[:LEAST]))
    async with FakePlatform(state, run_folder, tried=enough) as platform:
        assert (await isolation(platform, options, bench)).status is Status.HELD
    assert sealed


@pytest.mark.parametrize("throwaway", [True, False])
async def test_an_attempt_that_shows_nothing_without_a_listed_reason_stops_the_trial(
    *, throwaway: bool, sealed: dict[int, Kernel], state: State, run_folder: Run, options: Options, bench: Bench
) -> None:
    """On a throw-away platform; on somebody's own, whose kernel may lack what no list foresaw, it is said."""
    well = all_denied()
    quiet = Seen(outcome=DENIED, detail="EPERM")
    for probe, listed in (("sysrq-trigger", True), ("raw-socket", False)):
        tried = replace(well, controls=dict(well.controls) | {probe: quiet})
        async with FakePlatform(state, run_folder, tried=tried) as platform:
            if throwaway:
                platform.world = cast(World, object())
            if listed or not throwaway:
                evidence = (await isolation(platform, options, bench)).evidence
                assert any(one.startswith(f"{probe}: does not count") for one in evidence.not_looked_at)
            else:
                with pytest.raises(ProofError, match="not on the list of what may show nothing: raw-socket"):
                    await isolation(platform, options, bench)
    assert sealed


async def test_in_full_every_bot_is_tried_and_a_hog_let_loose(
    sealed: dict[int, Kernel],
    state: State,
    run_folder: Run,
    options: Options,
    bench: Bench,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(neighbours, "BLOCK", 1)
    monkeypatch.setattr(neighbours, "MOST", 1e9)
    async with FakePlatform(state, run_folder, bots=("one", "two")) as platform:
        # Nobody's real AI provider is asked twelve hundred times.
        real = await isolation(platform, replace(options, full=True), bench)
        assert (platform.heard, NO_HOG in real.evidence.not_looked_at) == (0, True)
        platform.world = cast(World, object())
        result = await isolation(platform, replace(options, full=True), bench)
    assert result.status is Status.HELD
    assert result.evidence.figures["probed_bots"] == 2
    assert result.evidence.figures["hog_replies"] == 2 * neighbours.ROUNDS
    assert result.evidence.tables[-1].title.startswith("a neighbour's replies")
    assert sealed
