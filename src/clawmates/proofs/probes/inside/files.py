"""The file system: what may be written, mounted, and reached past a mount."""

from __future__ import annotations

import ctypes
import errno
import os
from contextlib import suppress

from clawmates.proofs.probes.inside.frame import Control, Marks, UnclearError, confirm, probe
from clawmates.proofs.probes.inside.kernel import libc, system_call

BOOT, DOOR, SCRATCH = "/run/boot", "/run/door", "/tmp"
REMOUNT, BIND = 0x20, 0x1000
NEW_MOUNTS = 0x0002_0000
DETACH = 2
TRIES = 200
HANDLE_BYTES = 128


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
