"""The system call filter that is in force, from the kernel and not from a profile: what it lets through.

ptrace(2), PTRACE_SECCOMP_GET_FILTER: it needs CAP_SYS_ADMIN, a kernel with checkpoint and restore (Debian's and
Ubuntu's have it), and a reader that has no filter itself.
"""

from __future__ import annotations

import ctypes
import errno
import os
import platform
import time
from functools import cache, lru_cache
from threading import Thread
from typing import TYPE_CHECKING

from clawmates.node.bpf import Call, FilterError, Program, allows, parse
from clawmates.node.engines.seccomp import DENIED, FAMILIES, NAMESPACE_FLAGS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

SEIZE, INTERRUPT, GET_FILTER, DETACH = 0x4206, 0x4207, 0x420C, 17
ALL_CHILDREN = 0x4000_0000
"""``__WALL`` of waitpid(2)."""
STOP_SECONDS = 0.5
LOOK_SECONDS = 0.0002
MOST_FILTERS = 64
ARCHITECTURES: dict[str, tuple[int, ...]] = {
    "x86_64": (0xC000_003E, 0x4000_0003, 0x4000_003E),
    "aarch64": (0xC000_00B7, 0x4000_0028),
}
"""Machine → the architectures its kernel takes calls in, as libseccomp names them: x86-64, i386, x32; arm64, arm."""
_X32, _X86_64 = 0x4000_003E, 0xC000_003E
MOST_FAMILIES = 64
"""Linux knows 46 families of sockets (AF_MAX of linux/socket.h); a few more cost nothing."""
_UNKNOWN_CALL, _UNKNOWN_ARCHITECTURE = 0x0FFF, 0x0BAD
EVERYTHING, UNREADABLE = "everything", "unreadable"


def forbidden_calls(pid: int) -> tuple[str, ...]:
    """What a mate must not be able to call and this process can; empty is good.

    Stops the process for about half a millisecond. Raises ``ProcessLookupError`` when it is gone.
    """
    try:
        return passing(_in_a_thread_of_its_own(lambda: _read(pid)))
    except ProcessLookupError:
        raise
    except (OSError, FilterError):
        return (UNREADABLE,)


@lru_cache(maxsize=16)
def passing(programs: tuple[bytes, ...]) -> tuple[str, ...]:
    """What all the filters together let through of what must be denied. Raises ``OSError`` or :class:`FilterError`."""
    if not programs:
        return (EVERYTHING,)
    parsed = tuple(parse(raw) for raw in programs)
    return tuple(dict.fromkeys(name for name, call in _to_deny() if _passes(parsed, call)))


def _passes(programs: tuple[Program, ...], call: Call) -> bool:
    return all(allows(program, call) for program in programs)


def _to_deny() -> Iterator[tuple[str, Call]]:
    try:
        architectures = ARCHITECTURES[platform.machine()]
    except KeyError:
        raise FilterError("a machine whose calls are not known") from None
    yield "unknown architectures", Call(number=0, architecture=_UNKNOWN_ARCHITECTURE)
    for architecture in architectures:
        told = _X86_64 if architecture == _X32 else architecture
        yield "unknown calls", Call(number=_UNKNOWN_CALL, architecture=told)
        for name in sorted(DENIED):
            number = _number(architecture, name)
            if number < 0:
                continue
            # Without namespaces clone is how threads and children are made; it alone is judged by its flags.
            flags = [1 << bit for bit in range(32) if NAMESPACE_FLAGS >> bit & 1] if name == "clone" else [0]
            for first in flags:
                yield name, Call(number=number, architecture=told, first=first)
        socket = _number(architecture, "socket")
        if socket >= 0:
            for family in sorted(set(range(MOST_FAMILIES)) - FAMILIES):
                yield "socket", Call(number=socket, architecture=told, first=family)


@cache
def _number(architecture: int, name: str) -> int:
    """A call's number by libseccomp, which every OCI runtime is built on; negative where there is none."""
    resolve: Callable[[ctypes.c_uint32, bytes], int] = _library().seccomp_syscall_resolve_name_arch
    return resolve(ctypes.c_uint32(architecture), name.encode())


@cache
def _library() -> ctypes.CDLL:
    return ctypes.CDLL("libseccomp.so.2")


def _in_a_thread_of_its_own(read: Callable[[], tuple[bytes, ...]]) -> tuple[bytes, ...]:
    """The kernel lets go of a traced process when the tracing thread ends, whatever went wrong in it."""
    found: list[tuple[bytes, ...]] = []
    failed: list[OSError] = []

    def run() -> None:
        try:
            found.append(read())
        except OSError as error:
            failed.append(error)

    thread = Thread(target=run)
    thread.start()
    thread.join()
    if failed:
        raise failed[0]
    return found[0]


def _read(pid: int) -> tuple[bytes, ...]:
    _ptrace(SEIZE, pid)
    _ptrace(INTERRUPT, pid)
    _await_stop(pid)
    try:
        return _programs(pid)
    finally:
        _ptrace(DETACH, pid)


def _programs(pid: int) -> tuple[bytes, ...]:
    programs: list[bytes] = []
    while len(programs) < MOST_FILTERS:
        try:
            length = _ptrace(GET_FILTER, pid, len(programs))
        except OSError as error:
            # No filter of that number, and: no filter at all.
            if error.errno in {errno.ENOENT, errno.EINVAL}:
                return tuple(programs)
            raise
        instructions = ctypes.create_string_buffer(length * 8)
        _ptrace(GET_FILTER, pid, len(programs), instructions)
        programs.append(instructions.raw)
    raise OSError(errno.E2BIG, "more filters than anybody has")


def _await_stop(pid: int) -> None:
    until = time.monotonic() + STOP_SECONDS
    while True:
        waited, status = os.waitpid(pid, os.WNOHANG | ALL_CHILDREN)
        if waited == pid:
            if not os.WIFSTOPPED(status):
                raise ProcessLookupError
            return
        if time.monotonic() > until:
            raise TimeoutError
        time.sleep(LOOK_SECONDS)


def _ptrace(request: int, pid: int, address: int = 0, data: ctypes.Array[ctypes.c_char] | None = None) -> int:
    answer: int = _libc().ptrace(ctypes.c_long(request), ctypes.c_long(pid), ctypes.c_void_p(address), data)
    if answer < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    return answer


@cache
def _libc() -> ctypes.CDLL:
    library = ctypes.CDLL(None, use_errno=True)
    library.ptrace.restype = ctypes.c_long
    return library
