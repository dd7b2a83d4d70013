"""A trial's disk: what was deleted at once is on it, and so is what lay in the folder for temporary files."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from clawmates.proofs.canary import mint
from clawmates.trials.disk import Apart, NoDiskError, loop_disk, write_through

COVERED = """
import os, sys
from pathlib import Path
from clawmates.trials.disk import loop_disk, mounts_apart, temp_on, write_through
apart = mounts_apart()
with loop_disk(Path(sys.argv[1])) as disk, temp_on(disk, apart):
    write_through(disk)
    Path("/tmp/kept").write_text("something")
    print((disk / "tmp" / "kept").exists(), os.path.ismount("/tmp"))
print(os.path.ismount("/tmp"), Path("/tmp/kept").exists())
"""


@pytest.mark.parametrize("through", [True, False])
def test_what_is_deleted_at_once_is_on_a_disk_that_is_written_through(*, through: bool, tmp_path: Path) -> None:
    """Without, it never is: a raw search of an ordinary disk is blind to it, and says so."""
    text = mint().stem.encode()
    with loop_disk(tmp_path) as disk:
        (disk / "below").mkdir()
        if through:
            write_through(disk)
        with tempfile.TemporaryFile(dir=disk / "below", buffering=0) as stream:
            stream.write(text)
        os.sync()
        assert (text in (tmp_path / "disk.img").read_bytes()) is through


def test_the_folder_for_temporary_files_is_on_it_for_the_trial_alone() -> None:
    before = Path("/tmp").stat()
    # The disk itself must not lie in what it covers.
    with tempfile.TemporaryDirectory(dir="/var/tmp") as place:
        command = (sys.executable, "-I", "-c", COVERED, place)
        said = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    assert said.split() == ["True", "True", "False", "False"]
    after = Path("/tmp").stat()
    assert (before.st_dev, before.st_ino) == (after.st_dev, after.st_ino)


def test_nobody_covers_a_folder_of_the_whole_host() -> None:
    """A trial that did covered /tmp of everybody while it ran."""
    with pytest.raises(NoDiskError, match="whole host"):
        Apart()
