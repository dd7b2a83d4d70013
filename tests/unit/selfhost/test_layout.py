from __future__ import annotations

from pathlib import Path

import pytest

from clawmates.selfhost.layout import is_tmpfs

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


def test_this_very_machine_is_understood() -> None:
    assert is_tmpfs(Path("/dev/shm"))
    assert not is_tmpfs(Path("/usr"))
