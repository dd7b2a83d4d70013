"""The probes in real containers: one that forgot a wall is found out, and a bomb beside the mate leaves it alive."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests.support.engines import Rig, podman, rig

from clawmates.base.clock import SystemClock
from clawmates.node.engines.base import ContainerSpec
from clawmates.node.engines.podman import run_arguments
from clawmates.node.facts import read_facts
from clawmates.node.isolation import judge
from clawmates.proofs.containers import OWN_CHOICE
from clawmates.proofs.probes.attempt import Attempts, Site, attempt
from clawmates.proofs.probes.controls import arguments
from clawmates.proofs.probes.entry import PROBES
from clawmates.proofs.probes.inside.frame import DONE, Control
from clawmates.proofs.probes.marks import Known
from clawmates.proofs.trial import Bench
from clawmates.wire.status import Finding

Arguments = Callable[[ContainerSpec, Path], tuple[str, ...]]


@pytest.fixture(scope="module")
def host() -> Iterator[Rig]:
    with rig() as made:
        yield made


async def tried(host: Rig, weaker: Arguments) -> Attempts:
    """Every probe in a container that was started with such arguments, as if it were a bot's; no controls."""
    async with podman(host, weaker) as engine:
        spec = host.spec("mate-a-1")
        running = await engine.start(spec)

        async def judged(pid: int) -> tuple[Finding, ...]:
            found = judge(spec, read_facts(pid, spec.mounts, monitored=False))
            return tuple(one for one in found if one.name not in OWN_CHOICE)

        with socket.create_server(("127.0.0.1", 0)) as vault:
            site = Site(
                files=host.files,
                runtime="",
                running=running,
                spec=spec,
                run=host.ram,
                known=Known(
                    vault=vault.getsockname(), sockets={"node": "/x", "gateway": "/x"}, neighbour="", folder=host.disk
                ),
                neighbour=None,
                judged=judged,
            )
            found = await attempt(site, Bench(clock=SystemClock(), entropy=os.urandom), controls=False)
        assert (await engine.list())[0].pid == running.pid, "it did not outlive the probes"
    return found


def done(attempts: Attempts) -> set[str]:
    return {name for name, seen in attempts.sealed.items() if seen.outcome == DONE}


def without_memory_limit(spec: ContainerSpec, seccomp: Path) -> tuple[str, ...]:
    return tuple(one for one in run_arguments(spec, seccomp) if not one.startswith("--memory"))


def of_the_filter() -> set[str]:
    return {name for name, one in PROBES.items() if one.control == Control.UNFILTERED}


@pytest.mark.parametrize(
    ("weaker", "found", "noticed"),
    [
        (run_arguments, set(), set()),
        (arguments(Control.UNFILTERED, {}), of_the_filter(), {"seccomp", "forbidden system calls"}),
        (without_memory_limit, {"memory-hog"}, {"memory limit", "memory and swap limit"}),
    ],
    ids=["sealed", "no-filter", "no-memory-limit"],
)
async def test_a_wall_that_is_missing_is_found_by_the_probes_that_need_it(
    host: Rig, weaker: Arguments, found: set[str], noticed: set[str]
) -> None:
    attempts = await tried(host, weaker)
    assert set(attempts.sealed) == set(PROBES)
    assert done(attempts) == found
    assert {one.name for one in attempts.walls if not one.ok} == noticed
