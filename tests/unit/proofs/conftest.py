from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from clawmates.base.clock import SystemClock
from clawmates.base.paths import Run, State
from clawmates.proofs.canary import Canary, mint
from clawmates.proofs.search import Patterns
from clawmates.proofs.searched import Host
from clawmates.proofs.trial import Bench, Options

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def canary() -> Canary:
    return mint()


@pytest.fixture
def patterns(canary: Canary) -> Patterns:
    return Patterns.of(canary)


@pytest.fixture
def bench() -> Bench:
    return Bench(clock=SystemClock(), entropy=os.urandom)


@pytest.fixture
def state(tmp_path: Path) -> State:
    root = tmp_path / "state"
    (root / "engine").mkdir(parents=True)
    return State(root)


@pytest.fixture
def run_folder(tmp_path: Path) -> Run:
    root = tmp_path / "run"
    root.mkdir()
    return Run(root)


@pytest.fixture
def host(tmp_path: Path) -> Host:
    """A machine's folders, of the test's own."""
    for name in ("temp", "log", "journal", "core", "containers", "rest"):
        (tmp_path / name).mkdir()
    return Host(
        temp=(str(tmp_path / "temp"),),
        log=(str(tmp_path / "log"),),
        journal=(str(tmp_path / "journal"),),
        core=(str(tmp_path / "core"),),
        engine=(str(tmp_path / "containers"),),
        rest=(str(tmp_path / "rest"),),
        whole=str(tmp_path / "rest"),
    )


@pytest.fixture
def options(host: Host) -> Options:
    return Options(messages=1, kills=0, host=host)
