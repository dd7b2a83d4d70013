from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from clawmates.selfhost.launch import Need, blocked, cover

NOBODY = 65534


def test_a_folder_that_others_may_not_pass_through_blocks(tmp_path: Path) -> None:
    closed = tmp_path / "closed"
    (closed / "inner").mkdir(parents=True)
    tmp_path.chmod(0o755)
    closed.chmod(0o700)
    found = blocked(closed / "inner" / "file", NOBODY, NOBODY)
    assert found is not None
    assert found == closed or found in closed.parents
    closed.chmod(0o711)
    assert blocked(closed / "inner" / "file", NOBODY, NOBODY) != closed


def test_the_owner_and_the_group_are_judged_by_their_own_bits(tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    folder.chmod(0o077)
    assert blocked(folder / "file", os.getuid(), os.getgid()) == folder
    folder.chmod(0o707)
    assert blocked(folder / "file", NOBODY, os.getgid()) is not None


def test_needs_below_one_folder_are_bound_into_one_cover(tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o700)
    needs = (Need(closed / "a"), Need(closed / "b", writable=True), Need(Path("/usr/bin/env")))
    covers = cover(needs, NOBODY, NOBODY)
    assert list(covers.values()) == [needs[:2]]


@pytest.fixture
def secretive(tmp_path: Path) -> Path:
    folder = tmp_path / "home"
    (folder / "open").mkdir(parents=True)
    (folder / "open" / "file").write_text("given")
    (folder / "secret").write_text("not given")
    folder.chmod(0o700)
    return folder


def launched(source: str, *options: str) -> subprocess.CompletedProcess[str]:
    line = [sys.executable, "-I", "-m", "clawmates.selfhost.launch", "--uid", str(NOBODY), "--gid", str(NOBODY)]
    line += ["--parent", str(os.getpid()), *options, "--", sys.executable, "-I", "-c", source]
    return subprocess.run(line, capture_output=True, text=True, check=False, timeout=30)


def test_a_service_reaches_what_it_needs_and_nothing_beside_it(secretive: Path) -> None:
    source = (
        "import os; from pathlib import Path; "
        f"print(os.getuid(), os.getgid(), os.getgroups(), Path({str(secretive / 'open' / 'file')!r}).read_text(), "
        f"sorted(os.listdir({str(secretive)!r})))"
    )
    done = launched(source, "--read", str(secretive / "open"))
    assert done.stdout.strip() == f"{NOBODY} {NOBODY} [] given ['open']", done.stderr


def test_without_the_cover_the_same_service_would_see_nothing(secretive: Path) -> None:
    done = launched(f"open({str(secretive / 'open' / 'file')!r})")
    assert "PermissionError" in done.stderr


def test_what_is_only_read_cannot_be_written(secretive: Path) -> None:
    (secretive / "open").chmod(0o777)
    done = launched(f"open({str(secretive / 'open' / 'new')!r}, 'w')", "--read", str(secretive / "open"))
    assert "Read-only file system" in done.stderr
    done = launched(f"open({str(secretive / 'open' / 'new')!r}, 'w')", "--write", str(secretive / "open"))
    assert done.returncode == 0, done.stderr


def test_a_service_whose_supervisor_is_gone_does_not_start() -> None:
    line = [sys.executable, "-I", "-m", "clawmates.selfhost.launch", "--uid", "0", "--gid", "0", "--parent", "1"]
    done = subprocess.run([*line, "--", sys.executable, "-c", "print('ran')"], capture_output=True, check=False)
    assert (done.returncode, done.stdout) == (0, b"")


def test_the_environment_is_emptied() -> None:
    os.environ["SSLKEYLOGFILE"] = "/nowhere"
    try:
        done = launched("import os; print(sorted(os.environ))")
    finally:
        del os.environ["SSLKEYLOGFILE"]
    assert set(eval(done.stdout)) <= {"PATH", "LANG", "LC_CTYPE"}
