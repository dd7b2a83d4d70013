"""What every process does to itself before its first line of work."""

from __future__ import annotations

import ctypes
import sys
from os.path import basename
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import asyncio
    from types import TracebackType
    from typing import Any

RLIMIT_CORE = 4
PR_SET_DUMPABLE = 4
PR_SET_NO_NEW_PRIVS = 38


class HardeningError(RuntimeError):
    """The kernel refused a protection that this process does not run without."""


def harden(*, new_privileges: bool = False) -> None:
    """No core dumps, not dumpable (ptrace and /proc/PID/mem closed to equals), no new privileges.

    ``new_privileges`` is for those that start containers: a security module's transition into the container's own
    profile counts as one (AppArmor refuses it under no_new_privs).

    Exception hooks keep the type and place and drop the text, which may quote anything. Raises
    :class:`HardeningError`. prctl(2), setrlimit(2).
    """
    libc = ctypes.CDLL(None, use_errno=True)
    # Not by the resource module: loading it costs every mate a fifth of a MiB.
    if libc.setrlimit(RLIMIT_CORE, (ctypes.c_ulong * 2)(0, 0)) != 0:
        raise HardeningError(f"the core limit was refused (errno {ctypes.get_errno()})")
    for option, value in ((PR_SET_DUMPABLE, 0), (PR_SET_NO_NEW_PRIVS, 1))[: 1 if new_privileges else 2]:
        if libc.prctl(option, value, 0, 0, 0) != 0:
            raise HardeningError(f"prctl option {option} was refused (errno {ctypes.get_errno()})")
    sys.excepthook = _say_place
    sys.unraisablehook = lambda unraisable: _say_place(
        unraisable.exc_type, unraisable.exc_value, unraisable.exc_traceback
    )


def place_of(error: BaseException) -> str:
    """``Type at file.py:line`` of the deepest frame: all that may be said of an unexpected error."""
    trace = error.__traceback__
    where = "unknown place"
    while trace is not None:
        where = f"{basename(trace.tb_frame.f_code.co_filename)}:{trace.tb_lineno}"
        trace = trace.tb_next
    return f"{type(error).__name__} at {where}"


def quiet_loop(loop: asyncio.AbstractEventLoop) -> None:
    """The loop's own complaints keep the exception's type and place and drop its text."""

    def handler(_loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        error = context.get("exception")
        sys.stderr.write(f"unhandled: {place_of(error)}\n" if error is not None else "unhandled: event loop\n")

    loop.set_exception_handler(handler)


def _say_place(kind: type[BaseException] | None, error: BaseException | None, _trace: TracebackType | None) -> None:
    if error is not None:
        sys.stderr.write(f"fatal: {place_of(error)}\n")
    elif kind is not None:
        sys.stderr.write(f"fatal: {kind.__name__}\n")
