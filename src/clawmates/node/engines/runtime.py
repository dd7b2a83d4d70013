"""Which OCI runtime works on this machine."""

from __future__ import annotations

import asyncio
import shutil
from pathlib import Path

from clawmates.node.engines.base import EngineMissingError

SEARCH_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
"""Where engine and runtime are looked for, whatever this process was started with."""


def unified_cgroups(mountinfo: str) -> bool:
    """Whether ``/sys/fs/cgroup`` itself is cgroup v2 (proc_pid_mountinfo(5)); hybrid and v1 are not."""
    for line in mountinfo.splitlines():
        before, _, after = line.partition(" - ")
        if before.split()[4:5] == ["/sys/fs/cgroup"] and after.split()[:1] == ["cgroup2"]:
            return True
    return False


def here_unified() -> bool:
    """:func:`unified_cgroups` of this machine."""
    return unified_cgroups(Path("/proc/self/mountinfo").read_text())


async def gives_user_namespaces() -> bool:
    """Whether the kernel gives us one now: tried, for a limit may be used up or be that of our own namespace."""
    null = asyncio.subprocess.DEVNULL
    try:
        process = await asyncio.create_subprocess_exec(
            *("unshare", "--user", "true"), stdin=null, stdout=null, stderr=null, env={"PATH": SEARCH_PATH}
        )
    except OSError:
        return True
    return await process.wait() == 0


def choose_runtime(configured: str, *, unified: bool, search: str = SEARCH_PATH) -> Path:
    """The runtime's program. Raises :class:`EngineMissingError`.

    Without a configured one: crun where cgroups are unified (it is smaller and starts faster), else runc,
    for crun refuses hybrid cgroups ("cgroups in hybrid mode not supported", crun 1.8).
    """
    for name in (configured,) if configured else ("crun", "runc") if unified else ("runc", "crun"):
        found = shutil.which(name, path=search)
        if found is not None:
            return Path(found)
    raise EngineMissingError("no OCI runtime")
