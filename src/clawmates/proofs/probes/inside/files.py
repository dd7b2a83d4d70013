"""The file system: mounts, roots, devices, and what the host keeps in files."""

from __future__ import annotations

import ctypes
import errno
import os
import stat
from contextlib import suppress

from clawmates.proofs.probes.inside.frame import Control, Marks, StoppedError, UnclearError, confirm, probe
from clawmates.proofs.probes.inside.kernel import libc, system_call

BOOT, DOOR, SCRATCH = "/run/boot", "/run/door", "/tmp"
REMOUNT, BIND = 0x20, 0x1000
NEW_MOUNTS = 0x0002_0000
DETACH = 2
TRIES = 200
HANDLE_BYTES = 128
NO_FILE = "this kernel has no such file"


def _make(path: str) -> str:
    os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC, 0o600))
    os.unlink(path)
    return f"made {path}"


@probe(Control.ROOT, errno.ENOENT)
def file_of_the_host(marks: Marks) -> str:
    """Read a file of the host, by its path and by every detour: the first process's root, and upwards from a mount."""
    upwards = "/".join([".."] * 16)
    detours = ("", f"/proc/{marks.target}/root", f"/proc/{marks.target}/cwd", f"{BOOT}/{upwards}", f"{DOOR}/{upwards}")
    for start in detours:
        with suppress(OSError), open(start + marks.file, "rb") as file:
            return confirm(file.read(), marks)
    raise FileNotFoundError(errno.ENOENT, "in none of the ways")


@probe(Control.ROOT)
def write_to_the_root(_marks: Marks) -> str:
    """Make a file in the root folder."""
    return _make("/probe")


@probe(Control.ROOT)
def write_to_the_program(_marks: Marks) -> str:
    """Open a part of the program for writing, to change what runs next."""
    os.close(os.open(ctypes.__file__, os.O_WRONLY | os.O_CLOEXEC))
    return "opened"


@probe(Control.ROOT)
def write_to_boot(_marks: Marks) -> str:
    """Make a file in the boot folder, where trust and ticket come from."""
    return _make(f"{BOOT}/probe")


@probe(Control.ROOT)
def write_to_the_door(_marks: Marks) -> str:
    """Make a file in the door's folder, beside the socket that the gateway made."""
    return _make(f"{DOOR}/probe")


def _race(folder: str, name: str) -> str:
    """Tries to have a link stand where the host will write next, again and again."""
    refused: OSError | None = None
    for number in range(TRIES):
        trap = f"{folder}/.{name}.{number}"
        for attempt in (os.symlink, os.link):
            try:
                attempt("/etc/hostname", trap)
            except OSError as error:
                refused = error
            else:
                os.unlink(trap)
                return "a link stands where the host writes"
        try:
            os.rename(f"{folder}/{name}", trap)
        except OSError as error:
            refused = refused or error
    raise refused or UnclearError


@probe(Control.ROOT)
def link_race_in_boot(_marks: Marks) -> str:
    """Plant links in the boot folder, 200 times over, for node to follow when it replaces the ticket."""
    return _race(BOOT, "boot.json")


@probe(Control.ROOT)
def link_race_in_the_door(_marks: Marks) -> str:
    """Plant links in the door's folder, 200 times over, for the gateway to follow when it makes its socket anew."""
    return _race(DOOR, "door.sock")


@probe(Control.ROOT)
def remount_the_root(_marks: Marks) -> str:
    """Mount the root anew, writable."""
    libc("mount", None, b"/", None, ctypes.c_ulong(REMOUNT | BIND), None)
    return "remounted"


@probe(Control.ROOT)
def mount_something(_marks: Marks) -> str:
    """Mount a file system."""
    libc("mount", b"none", SCRATCH.encode(), b"tmpfs", ctypes.c_ulong(0), b"size=4k")
    libc("umount2", SCRATCH.encode(), DETACH)
    return "mounted"


@probe(Control.ROOT)
def mount_by_the_new_calls(_marks: Marks) -> str:
    """Begin a mount by the newer calls (fsopen), which older filters do not know."""
    os.close(system_call("fsopen", ctypes.c_char_p(b"tmpfs"), 0))
    return "begun"


@probe(Control.ROOT, errno.ENOENT)
def lift_a_cover(_marks: Marks) -> str:
    """Unmount what covers a part of the kernel's files."""
    libc("umount2", b"/dev/mqueue", DETACH)
    return "unmounted"


@probe(Control.ROOT)
def change_the_root(_marks: Marks) -> str:
    """Take another folder as root (chroot), the beginning of a classic escape."""
    os.chroot(SCRATCH)
    return "changed"


@probe(Control.ROOT)
def pivot_the_root(_marks: Marks) -> str:
    """Exchange the root of the mount namespace (pivot_root)."""
    with suppress(OSError):
        libc("unshare", NEW_MOUNTS)
    place = ctypes.c_char_p(SCRATCH.encode())
    system_call("pivot_root", place, place)
    return "exchanged"


@probe(Control.ROOT)
def open_by_handle(_marks: Marks) -> str:
    """Open a file of the host's file system by its number, past every mount (open_by_handle_at)."""
    handle = ctypes.create_string_buffer(HANDLE_BYTES.to_bytes(4, "little"), 8 + HANDLE_BYTES)
    mount = ctypes.c_int()
    place = os.open(BOOT, os.O_RDONLY | os.O_CLOEXEC)
    with suppress(OSError):
        libc("name_to_handle_at", -100, BOOT.encode(), handle, ctypes.byref(mount), 0)
    os.close(libc("open_by_handle_at", place, handle, os.O_RDONLY))
    return "opened"


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
