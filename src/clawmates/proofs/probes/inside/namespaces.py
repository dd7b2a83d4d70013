"""Ways out of the namespaces, or into new ones."""

from __future__ import annotations

import ctypes
import errno
import os
import platform
import signal
import socket

from clawmates.proofs.probes.inside.frame import Control, Marks, StoppedError, UnclearError, confirm, probe
from clawmates.proofs.probes.inside.kernel import LIBC, libc, system_call

NEW_USER, NEW_MOUNTS = 0x1000_0000, 0x0002_0000
READ_WRITE_EXECUTE, PRIVATE_ANONYMOUS = 7, 0x22
NO_WAIT = 0o4000
UNSHARE_32 = 310
"""``unshare`` among the calls of 32-bit x86 (asm/unistd_32.h)."""


@probe(Control.UNFILTERED)
def nested_user_namespace(_marks: Marks) -> str:
    """Make a user namespace (unshare), to be root in it and reach kernel code that only root may reach."""
    libc("unshare", NEW_USER)
    return "in a user namespace of its own making"


@probe(Control.UNFILTERED)
def child_in_new_namespaces(_marks: Marks) -> str:
    """Start a child in new user and mount namespaces (clone with flags)."""
    child = system_call("clone", NEW_USER | NEW_MOUNTS | signal.SIGCHLD, 0, 0, 0, 0)
    if child == 0:
        os._exit(0)
    os.waitpid(child, 0)
    return "a child in namespaces of its own"


@probe(Control.UNFILTERED)
def calls_of_32_bit_programs(_marks: Marks) -> str:
    """Make a user namespace through the kernel's entry for 32-bit programs, which a careless filter forgets."""
    if platform.machine() != "x86_64":
        raise UnclearError("this machine has no such entry")
    code = (
        b"\x53\xb8" + UNSHARE_32.to_bytes(4, "little") + b"\xbb" + NEW_USER.to_bytes(4, "little") + b"\xcd\x80\x5b\xc3"
    )
    LIBC.mmap.restype = ctypes.c_void_p
    address = LIBC.mmap(None, ctypes.c_size_t(4096), READ_WRITE_EXECUTE, PRIVATE_ANONYMOUS, -1, ctypes.c_long(0))
    ctypes.memmove(address, code, len(code))
    answer = ctypes.CFUNCTYPE(ctypes.c_int)(address)()
    if answer < 0:
        raise OSError(-answer, os.strerror(-answer))
    return "in a user namespace of its own making"


@probe(Control.ROOT)
def join_a_namespace(marks: Marks) -> str:
    """Join the network namespace of a process on the host, or any namespace at all (setns)."""
    try:
        place = os.open(f"/proc/{marks.witness}/ns/net", os.O_RDONLY)
    except OSError:
        place = os.open("/proc/self/ns/uts", os.O_RDONLY)
    libc("setns", place, 0)
    return "in another process's namespace"


@probe(Control.ROOT)
def name_of_the_host(marks: Marks) -> str:
    """Learn the host's name."""
    if socket.gethostname() != marks.hostname:
        raise StoppedError("has a name of its own")
    return "the host's own name"


@probe(Control.ROOT)
def rename_the_host(_marks: Marks) -> str:
    """Set the host name (to what it is)."""
    socket.sethostname(socket.gethostname())
    return "may rename"


@probe(Control.ROOT, errno.ENOENT)
def shared_memory_of_system_v(marks: Marks) -> str:
    """Read a System V shared memory segment of the host."""
    LIBC.shmat.restype = ctypes.c_void_p
    ctypes.set_errno(0)
    address = LIBC.shmat(marks.segment, None, 0o10000)
    if address in {None, ctypes.c_void_p(-1).value}:
        raise OSError(ctypes.get_errno(), "shmat")
    return confirm(ctypes.string_at(address), marks)


@probe(Control.ROOT)
def messages_of_system_v(marks: Marks) -> str:
    """Take a message from a System V queue of the host."""
    room = ctypes.create_string_buffer(8 + 64)
    size = libc("msgrcv", marks.queue, room, 64, ctypes.c_long(0), NO_WAIT)
    return confirm(room.raw[8 : 8 + size], marks)


@probe(Control.ROOT)
def semaphores_of_system_v(marks: Marks) -> str:
    """Read a System V semaphore of the host."""
    value = libc("semctl", marks.semaphore, 0, 12)
    return f"value {value}"


@probe(Control.ROOT)
def queues_of_posix(marks: Marks) -> str:
    """Open a POSIX message queue of the host."""
    os.close(libc("mq_open", marks.posix_queue.encode(), os.O_RDONLY | os.O_NONBLOCK))
    return "opened the host's queue"


@probe(Control.ROOT, errno.ENOENT)
def shared_memory_folder(marks: Marks) -> str:
    """Read a file that lies in the host's /dev/shm, and make one there."""
    try:
        with open(marks.shared_file, "rb") as file:
            return confirm(file.read(), marks)
    except FileNotFoundError:
        os.close(os.open("/dev/shm/probe", os.O_CREAT | os.O_WRONLY))
        os.unlink("/dev/shm/probe")
        return "made a file in /dev/shm"


@probe(Control.ROOT)
def cgroups_of_the_host(_marks: Marks) -> str:
    """See where in the host's tree of control groups one stands, and so which others are there."""
    with open("/proc/self/cgroup") as file:
        places = {line.strip().split(":", 2)[2] for line in file}
    if all(place == "/" for place in places):
        raise StoppedError("sees itself at the root of a tree of its own")
    return f"sees {len(places)} places in the host's tree"
