from __future__ import annotations

import errno
import os
import shutil
import subprocess
import tempfile
from pathlib import Path

import pytest

from clawmates.base.paths import Run
from clawmates.selfhost.accounts import own
from clawmates.selfhost.layout import (
    Folder,
    LayoutError,
    ensure_tmpfs,
    is_tmpfs,
    make,
    remove_run,
    remove_state,
    unmount_below,
)

MOUNTS = """\
20 1 254:0 / / rw,relatime - ext4 /dev/vda rw
30 20 0:30 / /run rw,nosuid - tmpfs tmpfs rw
31 30 254:0 /x /run/disk rw - ext4 /dev/vda rw
32 20 0:31 / /run/clawmates\\040two rw - tmpfs clawmates rw
"""


@pytest.mark.parametrize(
    ("path", "ram"),
    [
        ("/", False),
        ("/var/lib/clawmates", False),
        ("/run", True),
        ("/run/clawmates", True),
        ("/run/disk/clawmates", False),
        ("/run/clawmates two/doors", True),
        ("/runaway", False),
    ],
)
def test_the_nearest_mount_decides(path: str, ram: bool) -> None:  # noqa: FBT001
    assert is_tmpfs(Path(path), MOUNTS) is ram


def test_a_runtime_folder_on_a_disk_is_refused_with_the_remedy(monkeypatch: pytest.MonkeyPatch) -> None:
    with tempfile.TemporaryDirectory(prefix="cm-", dir="/var/tmp") as folder:
        monkeypatch.setattr(os, "geteuid", lambda: 1000)
        with pytest.raises(LayoutError, match="as root, mount a tmpfs"):
            ensure_tmpfs(Run(Path(folder)))
        monkeypatch.undo()
        ensure_tmpfs(Run(Path(folder)))
        try:
            assert is_tmpfs(Path(folder))
        finally:
            remove_run(Run(Path(folder)))
        assert not Path(folder).exists()
        Path(folder).mkdir()


def test_a_folder_that_cannot_be_made_is_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(LayoutError, match="cannot be made: Not a directory"):
        make((Folder(tmp_path / "file" / "below", 0o700, own()),))


def test_what_is_mounted_below_a_folder_goes_and_what_is_beside_it_stays(tmp_path: Path) -> None:
    inner, beside = tmp_path / "state" / "mount", tmp_path / "beside"
    for folder in (inner, beside):
        folder.mkdir(parents=True)
        subprocess.run(["mount", "-t", "tmpfs", "none", str(folder)], check=True)
    try:
        unmount_below(tmp_path / "state")
        assert not inner.is_mount()
        assert beside.is_mount()
    finally:
        subprocess.run(["umount", str(beside)], check=True)


class Late:
    """An engine's clean-up that makes one more file each of the first times the folder is removed."""

    def __init__(self, times: int, number: int) -> None:
        self.left, self.number, self.remove = times, number, shutil.rmtree

    def __call__(self, root: Path) -> None:
        if self.left:
            self.left -= 1
            raise OSError(self.number, os.strerror(self.number), str(root))
        self.remove(root)


def test_a_state_folder_goes_though_something_still_writes_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "state" / "engine").mkdir(parents=True)
    monkeypatch.setattr(shutil, "rmtree", Late(3, errno.ENOTEMPTY))
    remove_state(tmp_path / "state")
    assert not (tmp_path / "state").exists()


@pytest.mark.parametrize(("times", "number"), [(1, errno.EACCES), (9, errno.EBUSY)])
def test_a_state_folder_that_stays_is_an_error(
    times: int, number: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "state").mkdir()
    monkeypatch.setattr(shutil, "rmtree", Late(times, number))
    monkeypatch.setattr("clawmates.selfhost.layout.time.sleep", lambda _: None)
    with pytest.raises(OSError, match=os.strerror(number)):
        remove_state(tmp_path / "state")
    assert (tmp_path / "state").exists()


def test_this_very_machine_is_understood() -> None:
    assert is_tmpfs(Path("/dev/shm"))
    assert not is_tmpfs(Path("/usr"))
