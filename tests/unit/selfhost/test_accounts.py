from __future__ import annotations

import os
from typing import TYPE_CHECKING

from clawmates.base.paths import Run
from clawmates.selfhost.accounts import separation
from clawmates.selfhost.processes import helpers

if TYPE_CHECKING:
    from pathlib import Path


def process(proc: Path, pid: int, uid: int, command: bytes = b"") -> None:
    (proc / str(pid)).mkdir()
    (proc / str(pid) / "status").write_text(f"Name:\tx\nUid:\t{uid}\t{uid}\t{uid}\t{uid}\nGid:\t0\n")
    (proc / str(pid) / "cmdline").write_bytes(command)


def test_separation_is_what_runs_and_not_what_should(tmp_path: Path) -> None:
    for pid, uid in ((1, 901), (2, 902), (3, 0), (4, 902)):
        process(tmp_path, pid, uid)
    assert separation({"vault": 1, "gateway": 2, "node": 3}, tmp_path) == "separate users"
    assert separation({"vault": 4, "gateway": 2, "node": 3}, tmp_path) == "nominal"
    assert separation({"vault": 1, "gateway": 2, "node": 99}, tmp_path) == "separate users"
    assert separation({}, tmp_path) == "nominal"
    assert separation({"me": os.getpid()}) == "separate users"


def test_the_engines_helpers_are_known_by_the_runtime_folder(tmp_path: Path) -> None:
    run = Run(tmp_path / "run")
    process(tmp_path, 7, 0, b"/usr/bin/conmon\0--exit-dir\0" + os.fsencode(run.engine / "exits"))
    process(tmp_path, 8, 0, b"/usr/bin/conmon\0--exit-dir\0/run/other/engine/exits")
    assert helpers(run, tmp_path) == (7,)
