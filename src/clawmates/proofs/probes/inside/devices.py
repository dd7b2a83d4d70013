"""What the kernel shows as files: devices, its own settings, and control groups."""

from __future__ import annotations

import ctypes
import os
import stat
from contextlib import suppress

from clawmates.proofs.probes.inside.frame import Control, Marks, StoppedError, UnclearError, probe
from clawmates.proofs.probes.inside.kernel import libc

SCRATCH = "/tmp"
DETACH = 2
NO_FILE = "this kernel has no such file"


def _device(kind: int, numbers: tuple[int, int], *, size: int = 0) -> str:
    path = f"{SCRATCH}/device"
    os.mknod(path, kind | 0o600, os.makedev(*numbers))
    try:
        device = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    finally:
        os.unlink(path)
    got = os.read(device, size) if size else b""
    return f"opened, {len(got)} bytes read" if size else "opened"


@probe(Control.ROOT)
def disk_of_the_host(marks: Marks) -> str:
    """Make a device file for one of the host's disks and read the first sector."""
    if marks.disk == (0, 0):
        raise UnclearError("the host has no disk that even it can read")
    return _device(stat.S_IFBLK, marks.disk, size=512)


@probe(Control.ROOT)
def memory_of_the_machine(_marks: Marks) -> str:
    """Make a device file for the machine's memory and open it."""
    return _device(stat.S_IFCHR, (1, 1))


@probe(Control.ROOT)
def log_of_the_kernel_as_a_device(_marks: Marks) -> str:
    """Make a device file for the kernel's log and open it."""
    return _device(stat.S_IFCHR, (1, 11))


def _opens(*paths: str) -> str:
    """Opens the first of some files for writing, and writes nothing."""
    refused: OSError | None = None
    for path in paths:
        try:
            os.close(os.open(path, os.O_WRONLY | os.O_CLOEXEC))
        except FileNotFoundError:
            continue
        except OSError as error:
            refused = error
        else:
            return "open for writing"
    raise refused or UnclearError(NO_FILE)


@probe(Control.ROOT)
def core_pattern(_marks: Marks) -> str:
    """Have the kernel run a program on the host at the next crash (core_pattern); it is opened, not changed."""
    return _opens("/proc/sys/kernel/core_pattern")


@probe(Control.ROOT)
def sysrq_trigger(_marks: Marks) -> str:
    """Give the kernel an order past all rights (/proc/sysrq-trigger); it is opened, nothing is ordered."""
    return _opens("/proc/sysrq-trigger")


@probe(Control.ROOT)
def settings_below_sys(_marks: Marks) -> str:
    """Open a setting of the kernel below /sys for writing."""
    return _opens(
        "/sys/kernel/uevent_helper",
        "/sys/kernel/mm/transparent_hugepage/enabled",
        "/sys/power/state",
        "/sys/kernel/profiling",
        "/sys/block/loop0/queue/read_ahead_kb",
    )


@probe(Control.ROOT)
def keys_of_the_kernel(_marks: Marks) -> str:
    """Read the list of keys that the kernel holds (/proc/keys)."""
    return _reads("/proc/keys")


@probe(Control.ROOT)
def core_of_the_kernel(_marks: Marks) -> str:
    """Read the kernel's memory as a file (/proc/kcore)."""
    return _reads("/proc/kcore")


def _reads(path: str) -> str:
    try:
        with open(path, "rb", buffering=0) as file:
            size = len(file.read(16))
    except FileNotFoundError:
        raise UnclearError(NO_FILE) from None
    if not size:
        raise StoppedError("covered, nothing to read")
    return "read"


@probe(Control.ROOT)
def limits_of_its_own_cgroup(_marks: Marks) -> str:
    """Open the file that holds one's own memory limit for writing."""
    here = "/sys/fs/cgroup"
    mine = "/"
    with open("/proc/self/cgroup") as file:
        for line in file:
            _, controllers, place = line.strip().split(":", 2)
            if controllers in {"", "memory"}:
                mine = place.rstrip("/")
    return _opens(
        f"{here}/memory{mine}/memory.limit_in_bytes",
        f"{here}/memory/memory.limit_in_bytes",
        f"{here}{mine}/memory.max",
        f"{here}/memory.max",
    )


@probe(Control.ROOT)
def cgroup_of_its_own(_marks: Marks) -> str:
    """Make a control group, in which limits would be its own to set."""
    for parent in ("/sys/fs/cgroup/memory", "/sys/fs/cgroup"):
        if os.path.isdir(parent):
            os.mkdir(f"{parent}/probe-{os.getpid()}")
            os.rmdir(f"{parent}/probe-{os.getpid()}")
            return "made one"
    raise UnclearError(NO_FILE)


@probe(Control.ROOT)
def release_agent(_marks: Marks) -> str:
    """Have the kernel run a program on the host when a control group empties (release_agent); opened, not changed."""
    refused: OSError | None = None
    try:
        libc("mount", b"none", SCRATCH.encode(), b"cgroup", ctypes.c_ulong(0), b"memory")
    except OSError as error:
        refused = error
    try:
        return _opens(
            f"{SCRATCH}/release_agent", *(f"/sys/fs/cgroup/{name}/release_agent" for name in _listed("/sys/fs/cgroup"))
        )
    except UnclearError:
        raise refused or UnclearError(NO_FILE) from None
    finally:
        with suppress(OSError):
            libc("umount2", SCRATCH.encode(), DETACH)


def _listed(path: str) -> list[str]:
    try:
        return os.listdir(path)
    except OSError:
        return []
