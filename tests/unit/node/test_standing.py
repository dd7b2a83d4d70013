from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from clawmates.node.engines.runtime import here_unified
from clawmates.node.standing import CONTROLLERS, Reason, Standing, here, judge

NOBODY = 65534


@pytest.mark.parametrize("unified", [True, False])
@pytest.mark.parametrize("delegated", [frozenset[str](), CONTROLLERS])
def test_root_may_everywhere(*, unified: bool, delegated: frozenset[str]) -> None:
    assert judge(Standing(root=True, unified=unified, delegated=delegated)).allowed


@pytest.mark.parametrize(
    ("unified", "delegated", "reason"),
    [
        (False, frozenset[str](), Reason.LIMITS_IGNORED),
        (False, CONTROLLERS, Reason.LIMITS_IGNORED),
        (True, frozenset[str](), Reason.LIMITS_NOT_DELEGATED),
        (True, CONTROLLERS - {"cpu"}, Reason.LIMITS_NOT_DELEGATED),
        (True, CONTROLLERS - {"memory"}, Reason.LIMITS_NOT_DELEGATED),
        (True, CONTROLLERS - {"pids"}, Reason.LIMITS_NOT_DELEGATED),
        (True, CONTROLLERS | {"io"}, Reason.NOT_READ_BACK),
    ],
)
def test_others_may_not_and_hear_the_first_reason(*, unified: bool, delegated: frozenset[str], reason: Reason) -> None:
    assert judge(Standing(root=False, unified=unified, delegated=delegated)).reason is reason


def test_controllers_are_those_of_the_own_cgroup(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("clawmates.node.standing.here_unified", lambda: True)
    (tmp_path / "cgroup").write_text("0::/user.slice/me\n")
    (tmp_path / "user.slice" / "me").mkdir(parents=True)
    (tmp_path / "user.slice" / "me" / "cgroup.controllers").write_text("memory pids\n")
    assert here(tmp_path / "cgroup", tmp_path).delegated == {"memory", "pids"}
    assert here(tmp_path / "nothing", tmp_path).delegated == frozenset()


def test_node_refuses_to_start_under_a_user_who_is_not_root(tmp_path: Path) -> None:
    launcher = [sys.executable, "-I", "-m", "clawmates.selfhost.launch", "--uid", str(NOBODY), "--gid", str(NOBODY)]
    node = [sys.executable, "-I", "-m", "clawmates.node", "--config", str(tmp_path / "clawmates.toml")]
    done = subprocess.run(
        [*launcher, "--parent", str(os.getpid()), "--", *node], capture_output=True, text=True, check=False, timeout=30
    )
    assert done.returncode == 4
    reasons = {Reason.LIMITS_NOT_DELEGATED, Reason.NOT_READ_BACK} if here_unified() else {Reason.LIMITS_IGNORED}
    assert done.stderr in {f"node: {reason.value}\n" for reason in reasons}
