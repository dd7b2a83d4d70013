"""Forks processes that find modules loaded: ``python -I nursery.py SOCKET-NUMBER MODULE…``; see ``forked.py``."""

from __future__ import annotations

import gc
import json
import os
import signal
import socket
import sys
from contextlib import suppress
from importlib import import_module
from typing import TextIO, cast

MOST_REQUEST = 1 << 20


def serve(control: socket.socket) -> str:
    """Forks until the tests end; in whoever is forked, gives the code that it is to run."""
    children: dict[int, socket.socket] = {}

    def reap(_number: int, _frame: object) -> None:
        with suppress(ChildProcessError):
            while (ended := os.waitpid(-1, os.WNOHANG))[0]:
                with children.pop(ended[0]) as told, suppress(OSError):
                    told.send(str(os.waitstatus_to_exitcode(ended[1])).encode())

    signal.signal(signal.SIGCHLD, reap)
    while True:
        asked, descriptors, _, _ = socket.recv_fds(control, MOST_REQUEST, 4)
        if not asked:
            sys.exit(0)
        request = json.loads(asked)
        told = socket.socket(fileno=descriptors[3])
        # Whoever ends at once must not be reaped before it is known.
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGCHLD})
        child = os.fork()
        if child == 0:
            for other in (control, told, *children.values()):
                other.close()
            become(descriptors[:3], request)
            return str(request["run"])
        children[child] = told
        with suppress(OSError):
            told.send(str(child).encode())
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGCHLD})
        for descriptor in descriptors[:3]:
            os.close(descriptor)


def become(standard: list[int], request: dict[str, object]) -> None:
    """Takes on the streams, words and environment of a process that was just started."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGCHLD})
    for number, descriptor in enumerate(standard):
        os.dup2(descriptor, number)
        os.close(descriptor)
    # Those of the nursery were made for what lay there before.
    sys.stdin = cast(TextIO, open(0, encoding="utf-8", closefd=False))  # noqa: SIM115 - it stays open to the end
    sys.stdout = cast(TextIO, open(1, "w", encoding="utf-8", closefd=False))  # noqa: SIM115 - the same
    errors = open(2, "w", encoding="utf-8", errors="backslashreplace", buffering=1, closefd=False)  # noqa: SIM115
    sys.stderr = cast(TextIO, errors)
    sys.argv = list(cast(list[str], request["argv"]))
    os.environ.clear()
    os.environ.update(cast(dict[str, str], request["environment"]))
    os.chdir(str(request["folder"]))


if __name__ == "__main__":
    gc.disable()
    for module in sys.argv[2:]:
        import_module(module)
    gc.freeze()
    gc.enable()
    exec(serve(socket.socket(fileno=int(sys.argv[1]))), {"__name__": "__main__"})
