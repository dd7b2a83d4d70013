"""Other processes, other users, and more of the machine than one's share."""

from __future__ import annotations

import ctypes
import errno
import os
import resource
import shutil
import signal
import time
from contextlib import suppress

from clawmates.proofs.probes.inside.frame import Control, Marks, StoppedError, UnclearError, probe
from clawmates.proofs.probes.inside.kernel import die_with_the_parent, libc, system_call

ATTACH, DETACH = 16, 17
BOMB = 150
"""Processes at once that count as a fork bomb that went off."""
HOG_MIB = 256
FILL_MIB = 24
MOST_SHARE = 1.3
"""Processors; one is what a mate may take, and the kernel settles accounts every 0.1 s."""
SCRATCH = "/tmp"


class _Span(ctypes.Structure):
    _fields_ = (("base", ctypes.c_void_p), ("length", ctypes.c_size_t))


def _first_mapping(pid: int) -> int:
    with open(f"/proc/{pid}/maps") as file:
        return int(file.readline().partition("-")[0], 16)


@probe(Control.ROOT)
def processes_of_the_host(marks: Marks) -> str:
    """Look through /proc for a process of the host, by its command line."""
    seen = 0
    for name in os.listdir("/proc"):
        if name.isdigit():
            seen += 1
            try:
                with open(f"/proc/{name}/cmdline", "rb") as file:
                    if marks.word.encode() in file.read():
                        return "read its command line"
            except OSError:
                continue
    raise StoppedError(f"{seen} processes, none of them the host's")


@probe(Control.ROOT, errno.ESRCH)
def signal_to_the_host(marks: Marks) -> str:
    """Send a signal (0, which only asks) to a process of the host."""
    os.kill(marks.witness, 0)
    return "may signal it"


@probe(Control.ROOT)
def trace_the_mate(marks: Marks) -> str:
    """Attach to the mate's process as a debugger (ptrace)."""
    libc("ptrace", ctypes.c_long(ATTACH), ctypes.c_long(marks.target), None, None)
    os.waitpid(marks.target, 0x4000_0000)
    libc("ptrace", ctypes.c_long(DETACH), ctypes.c_long(marks.target), None, None)
    return "attached"


@probe(Control.ROOT)
def memory_of_the_mate(marks: Marks) -> str:
    """Read the mate's memory through /proc."""
    with open(f"/proc/{marks.target}/mem", "rb", buffering=0) as file:
        file.seek(_first_mapping(marks.target))
        return f"read {len(file.read(4))} bytes"


@probe(Control.ROOT)
def memory_of_the_mate_by_call(marks: Marks) -> str:
    """Read the mate's memory by process_vm_readv."""
    room = ctypes.create_string_buffer(4)
    try:
        there = _first_mapping(marks.target)
    except OSError:
        there = 0x10000
    mine, theirs = _Span(ctypes.addressof(room), 4), _Span(there, 4)
    size = libc("process_vm_readv", marks.target, ctypes.byref(mine), 1, ctypes.byref(theirs), 1, 0)
    return f"read {size} bytes"


@probe(Control.ROOT)
def descriptors_of_the_mate(marks: Marks) -> str:
    """Take over an open connection of the mate's process (pidfd_getfd)."""
    process = system_call("pidfd_open", marks.target, 0)
    os.close(system_call("pidfd_getfd", process, 0, 0))
    return "took one"


@probe(Control.ROOT)
def environment_of_the_mate(marks: Marks) -> str:
    """Read the environment of the mate's process."""
    with open(f"/proc/{marks.target}/environ", "rb") as file:
        return f"read {len(file.read())} bytes"


@probe(Control.ROOT)
def inherited_descriptors(_marks: Marks) -> str:
    """Use a descriptor that was left open on the way in, as runtimes have leaked before."""
    open_now = sorted(int(name) for name in os.listdir("/proc/self/fd"))
    leaked = [number for number in open_now if number > 2 and _is_foreign(number)]
    if not leaked:
        raise StoppedError("nothing is open that it did not open itself")
    return f"{len(leaked)} open from outside"


def _is_foreign(number: int) -> bool:
    try:
        shown = os.readlink(f"/proc/self/fd/{number}")
    except OSError:
        return False
    # The pipe to the parent of this attempt, and the listing itself.
    return not shown.startswith(("pipe:", "/proc/"))


@probe(Control.ROOT)
def become_another_user(_marks: Marks) -> str:
    """Become root (or, being root, somebody else)."""
    os.setuid(0 if os.getuid() else 1)
    return f"is user {os.getuid()}"


@probe(Control.ROOT)
def become_another_group(_marks: Marks) -> str:
    """Join root's group (or, being in it, leave it) and every other."""
    os.setgid(0 if os.getgid() else 1)
    os.setgroups([0, 1])
    return f"is in group {os.getgid()}"


@probe(Control.ROOT)
def higher_priority(_marks: Marks) -> str:
    """Take a better priority than others have."""
    os.setpriority(os.PRIO_PROCESS, 0, -5)
    return f"nice {os.getpriority(os.PRIO_PROCESS, 0)}"


def _remove(path: str) -> None:
    with suppress(FileNotFoundError):
        os.unlink(path)


@probe(Control.LIMITLESS)
def run_a_program_of_its_own(_marks: Marks) -> str:
    """Write a program to the scratch folder and run it."""
    path = f"{SCRATCH}/program"
    try:
        shutil.copyfile("/usr/bin/python3", path)
        os.chmod(path, 0o700)
        child = os.fork()
        if child == 0:
            try:
                os.execv(path, (path, "-I", "-S", "-c", ""))  # noqa: S606
            except OSError as error:
                os._exit(error.errno or 1)
        _, status = os.waitpid(child, 0)
    finally:
        _remove(path)
    code = os.waitstatus_to_exitcode(status)
    if code:
        raise OSError(code, "exec")
    return "ran it"


@probe(Control.LIMITLESS)
def fork_bomb(_marks: Marks) -> str:
    """Start processes without end."""
    children: list[int] = []
    try:
        while len(children) < BOMB:
            child = os.fork()
            if child == 0:
                die_with_the_parent()
                signal.pause()
                os._exit(0)
            children.append(child)
    except BlockingIOError:
        raise StoppedError(f"stopped after {len(children)} processes") from None
    finally:
        for child in children:
            os.kill(child, signal.SIGKILL)
        for child in children:
            os.waitpid(child, 0)
    return f"{len(children)} processes at once"


@probe(Control.LIMITLESS)
def memory_hog(_marks: Marks) -> str:
    """Take memory without end; the mate beside it must live on."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        die_with_the_parent()
        # Whoever takes too much should be the one that is ended, here as in life.
        with open("/proc/self/oom_score_adj", "w") as file:
            file.write("1000")
        held = []
        for taken in range(1, HOG_MIB + 1):
            held.append(b"x" * (1 << 20))
            os.write(writing, bytes((taken % 256,)))
        os._exit(0)
    os.close(writing)
    taken = 0
    while piece := os.read(reading, 4096):
        taken += len(piece)
    _, status = os.waitpid(child, 0)
    if os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL:
        raise StoppedError(f"ended by the kernel at {taken} MiB")
    if os.waitstatus_to_exitcode(status):
        raise UnclearError
    return f"{taken} MiB"


@probe(Control.LIMITLESS, errno.ENOSPC)
def fill_the_scratch_folder(_marks: Marks) -> str:
    """Fill the scratch folder, which is host memory, without end."""
    path = f"{SCRATCH}/filling"
    try:
        with open(path, "wb", buffering=0) as file:
            file.writelines(b"x" * (1 << 20) for _ in range(FILL_MIB))
    finally:
        _remove(path)
    return f"{FILL_MIB} MiB"


@probe(Control.LIMITLESS)
def all_processors(_marks: Marks) -> str:
    """Take more processor time than one's share, with a process for each processor."""
    count, seconds = max(2, os.cpu_count() or 2), 1.0
    began = time.monotonic()
    children = []
    for _ in range(count):
        child = os.fork()
        if child == 0:
            while time.monotonic() - began < seconds:
                pass
            os._exit(0)
        children.append(child)
    for child in children:
        os.waitpid(child, 0)
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    share = (used.ru_utime + used.ru_stime) / (time.monotonic() - began)
    if share <= MOST_SHARE:
        raise StoppedError(f"held to {share:.1f} processors")
    return f"{share:.1f} processors"
