from __future__ import annotations

import os
from pathlib import Path

import pytest

from clawmates.base.files import write_atomic


def test_a_file_is_replaced_whole_with_its_mode(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_text("old")
    write_atomic(path, b"new", mode=0o640)
    assert path.read_bytes() == b"new"
    assert path.stat().st_mode & 0o777 == 0o640
    assert [entry.name for entry in tmp_path.iterdir()] == ["file"]


def test_the_owner_is_set_before_anybody_can_open_it(tmp_path: Path) -> None:
    write_atomic(tmp_path / "file", b"", owner=(os.getuid(), os.getgid()), sync=False)
    assert (tmp_path / "file").stat().st_uid == os.getuid()


def test_a_failure_leaves_the_old_file_and_nothing_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "file"
    path.write_text("old")

    def full(_descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        write_atomic(path, b"new")
    assert path.read_text() == "old"
    assert [entry.name for entry in tmp_path.iterdir()] == ["file"]


def test_a_link_planted_in_its_place_is_not_followed(tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.write_text("mine")
    (tmp_path / f".file.{os.getpid()}").symlink_to(victim)
    with pytest.raises(OSError, match="symbolic links"):
        write_atomic(tmp_path / "file", b"new")
    assert victim.read_text() == "mine"
