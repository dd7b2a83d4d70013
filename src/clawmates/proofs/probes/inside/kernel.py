"""System calls by name and number."""

from __future__ import annotations

import ctypes
import os
import platform

NUMBERS: dict[str, dict[str, int]] = {
    "x86_64": {
        "add_key": 248,
        "bpf": 321,
        "clone": 56,
        "finit_module": 313,
        "fsopen": 430,
        "gettimeofday": 96,
        "io_uring_setup": 425,
        "keyctl": 250,
        "perf_event_open": 298,
        "pidfd_getfd": 438,
        "pidfd_open": 434,
        "pivot_root": 155,
        "request_key": 249,
        "settimeofday": 164,
        "userfaultfd": 323,
    },
    "aarch64": {
        "add_key": 217,
        "bpf": 280,
        "clone": 220,
        "finit_module": 273,
        "fsopen": 430,
        "gettimeofday": 169,
        "io_uring_setup": 425,
        "keyctl": 219,
        "perf_event_open": 241,
        "pidfd_getfd": 438,
        "pidfd_open": 434,
        "pivot_root": 41,
        "request_key": 218,
        "settimeofday": 170,
        "userfaultfd": 282,
    },
}
"""Calls for which libc has no function (asm/unistd_64.h, asm-generic/unistd.h)."""

DEATH_SIGNAL = 1
"""PR_SET_PDEATHSIG of prctl(2)."""
LIBC = ctypes.CDLL(None, use_errno=True)
LIBC.syscall.restype = ctypes.c_long


def checked(answer: int) -> int:
    """What a call returned. Raises ``OSError`` with the kernel's errno when it is negative."""
    if answer < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    return answer


def libc(name: str, *arguments: object) -> int:
    """Calls a function of libc. Raises ``OSError``."""
    ctypes.set_errno(0)
    return checked(getattr(LIBC, name)(*arguments))


def die_with_the_parent() -> None:
    """Whoever starts a child ends it: the first process of the container would never bury it."""
    libc("prctl", DEATH_SIGNAL, ctypes.c_ulong(9), 0, 0, 0)


def system_call(name: str, *arguments: object) -> int:
    """Makes a system call by its number. Raises ``OSError``."""
    number = NUMBERS[platform.machine()][name]
    wide = (ctypes.c_long(one) if isinstance(one, int) else one for one in arguments)
    ctypes.set_errno(0)
    return checked(LIBC.syscall(ctypes.c_long(number), *wide))
