from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from clawmates.vault import wipe
from clawmates.vault.checks import StartError
from clawmates.vault.keycopy import CopyError, KeyCopy

SECRET = b"old content that must be gone"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "keys.copy"
    path.write_bytes(SECRET)
    path.chmod(0o600)
    return path


def names(path: Path) -> list[str]:
    return sorted(one.name for one in path.parent.iterdir())


def test_what_is_replaced_is_overwritten_and_not_only_unlinked(path: Path) -> None:
    with path.open("rb") as old:
        wipe.replace_wiped(path, b"new")
        assert old.read() == bytes(len(SECRET))
    assert path.read_bytes() == b"new"
    assert path.stat().st_mode & 0o777 == 0o600
    assert names(path) == ["keys.copy"]


def test_an_ordinary_replacement_would_leave_it(path: Path) -> None:
    """The seeded defect: the test above is red against it."""
    with path.open("rb") as old:
        fresh = path.with_name("fresh")
        fresh.write_bytes(b"new")
        fresh.rename(path)
        assert old.read() == SECRET


def test_a_first_copy_needs_no_old_one(tmp_path: Path) -> None:
    wipe.replace_wiped(tmp_path / "keys.copy", b"new")
    assert (tmp_path / "keys.copy").read_bytes() == b"new"


def test_large_files_are_overwritten_to_their_end(path: Path) -> None:
    path.write_bytes(os.urandom(200_001))
    with path.open("rb") as old:
        wipe.wipe(path)
        assert old.read() == bytes(200_001)
    assert names(path) == []


def test_a_second_name_of_the_live_file_is_unlinked_and_not_overwritten(path: Path) -> None:
    """A crash between the second name and the rename: overwriting it would destroy the live content."""
    os.link(path, wipe.former_of(path))
    wipe.clear_former(path)
    assert path.read_bytes() == SECRET
    assert names(path) == ["keys.copy"]


def test_a_careless_clearing_would_destroy_the_live_file(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The seeded defect."""
    os.link(path, wipe.former_of(path))
    monkeypatch.setattr(Path, "samefile", lambda *_args: False)
    wipe.clear_former(path)
    assert path.read_bytes() == bytes(len(SECRET))


def test_leftovers_of_a_crash_are_overwritten(path: Path) -> None:
    former, fresh = wipe.former_of(path), wipe.next_of(path)
    former.write_bytes(b"older")
    fresh.write_bytes(b"half writ")
    with former.open("rb") as one, fresh.open("rb") as other:
        wipe.clear_leftovers(path)
        assert one.read() == bytes(5)
        assert other.read() == bytes(9)
    assert names(path) == ["keys.copy"]
    wipe.clear_leftovers(path)


def test_a_replacement_that_was_cut_short_can_be_repeated(path: Path) -> None:
    wipe.write_next(path, b"new")
    os.link(path, wipe.former_of(path))
    wipe.put_next(path)
    assert path.read_bytes() == b"new"
    assert names(path) == ["keys.copy"]


def test_a_link_is_not_followed(path: Path) -> None:
    wipe.next_of(path).symlink_to(path)
    with pytest.raises(OSError, match="File exists"):
        wipe.write_next(path, b"new")
    with pytest.raises(OSError, match="symbolic link"):
        wipe.wipe(wipe.next_of(path))
    assert path.read_bytes() == SECRET


def test_what_is_no_plain_file_is_only_unlinked(tmp_path: Path) -> None:
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    reader = os.open(fifo, os.O_RDONLY | os.O_NONBLOCK)
    assert stat.S_ISFIFO(fifo.stat().st_mode)
    wipe.wipe(fifo)
    os.close(reader)
    assert names(fifo) == []


def test_a_full_disk_leaves_the_old_file_alone(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(os, "fsync", full)
        with pytest.raises(CopyError):
            KeyCopy(path).replace(b"new")
    assert path.read_bytes() == SECRET
    KeyCopy(path).replace(b"new")
    assert path.read_bytes() == b"new"


# The copy's own place


def test_no_copy_is_no_work() -> None:
    nothing = KeyCopy.at("")
    nothing.clear()
    nothing.replace(b"x")
    assert nothing.path is None


def test_a_copy_open_to_others_or_somewhere_relative_stops_the_start(path: Path) -> None:
    assert KeyCopy.at(str(path)).path == path
    with pytest.raises(StartError, match="not an absolute path"):
        KeyCopy.at("keys.copy")
    path.chmod(0o644)
    with pytest.raises(StartError, match="is open to others"):
        KeyCopy.at(str(path))


def test_a_copy_whose_disk_is_away_says_so(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(CopyError):
        KeyCopy(path / "not" / "a" / "folder").replace(b"x")
    monkeypatch.setattr(wipe, "clear_former", lambda _path: (_ for _ in ()).throw(OSError(5, "Input/output error")))
    with pytest.raises(CopyError):
        KeyCopy(path).clear()
