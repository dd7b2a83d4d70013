from __future__ import annotations

import asyncio
import math
import os
import signal
import socket
import sys
import tempfile
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from clawmates.selfhost.supervisor import (
    CONFIGURATION,
    LONGEST_PAUSE,
    SHORTEST_PAUSE,
    STEADY_SECONDS,
    Phase,
    Supervisor,
    pause_after,
)

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

READY = "from clawmates.base.notify import ready; ready(); import signal; signal.pause()"


@dataclass
class Program:
    source: str
    name: str = "program"
    descriptors: tuple[int, ...] = ()

    def command(self) -> list[str]:
        return [sys.executable, "-I", "-c", self.source]


@dataclass
class Watch:
    phases: list[Phase] = field(default_factory=list)
    supervisor: Supervisor | None = None
    _changed: asyncio.Event = field(default_factory=asyncio.Event)

    def __call__(self) -> None:
        assert self.supervisor is not None
        self.phases += [one.phase for one in self.supervisor.running.values()]
        self._changed.set()

    async def until(self, condition: Callable[[], bool]) -> None:
        async with asyncio.timeout(20):
            while not condition():
                self._changed.clear()
                await self._changed.wait()


@asynccontextmanager
async def supervising() -> AsyncIterator[tuple[Supervisor, Watch]]:
    with tempfile.TemporaryDirectory(prefix="cm-") as folder:
        watch = Watch()
        supervisor = watch.supervisor = Supervisor(Path(folder), watch)
        try:
            yield supervisor, watch
        finally:
            await supervisor.close()


async def test_start_returns_when_the_process_says_that_it_is_ready() -> None:
    async with supervising() as (supervisor, _watch):
        await supervisor.start([Program(READY)])
        assert supervisor.running["program"].phase is Phase.READY
        assert supervisor.pid("program") > 0


async def test_who_is_ready_before_the_supervisor_knows_its_pid_is_heard(monkeypatch: pytest.MonkeyPatch) -> None:
    """As on a machine so busy that the new process has its turn before the one that started it."""
    spawn = asyncio.create_subprocess_exec
    async with supervising() as (supervisor, _watch):

        async def slow(*command: str, **options: Any) -> asyncio.subprocess.Process:
            process = await spawn(*command, **options)
            async with asyncio.timeout(20):
                while process.pid not in supervisor._early:  # noqa: ASYNC110 - a socket is heard
                    await asyncio.sleep(0.01)
            return process

        monkeypatch.setattr(asyncio, "create_subprocess_exec", slow)
        await supervisor.start([Program(READY)])
        assert supervisor.running["program"].phase is Phase.READY
        assert not supervisor._early


async def test_readiness_is_believed_only_from_the_process_itself() -> None:
    liar = (
        "import os, socket; to = os.environ['NOTIFY_SOCKET']; line = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)\n"
        "if not os.fork():\n    line.sendto(b'READY=1', to); os._exit(0)\n"
        "os.wait(); os._exit(78)"
    )
    async with supervising() as (supervisor, watch):
        await supervisor.start([Program(liar)])
        assert Phase.READY not in watch.phases


async def test_a_killed_process_comes_back_with_a_new_pid() -> None:
    async with supervising() as (supervisor, watch):
        await supervisor.start([Program(READY)])
        first = supervisor.pid("program")
        os.kill(first, signal.SIGKILL)
        await watch.until(
            lambda: supervisor.pid("program") not in {0, first} and supervisor.running["program"].phase is Phase.READY
        )
        assert supervisor.running["program"].restarts == 1


def test_what_ends_again_and_again_waits_longer_and_what_has_served_does_not() -> None:
    pauses = [0.0]
    for _ in range(8):
        pauses.append(pause_after(pauses[-1], -math.inf))  # never ready
    assert pauses[1:3] == [SHORTEST_PAUSE, 2 * SHORTEST_PAUSE]
    assert pauses[-2:] == [LONGEST_PAUSE, LONGEST_PAUSE]
    assert pause_after(LONGEST_PAUSE, STEADY_SECONDS - 0.1) == LONGEST_PAUSE
    assert pause_after(LONGEST_PAUSE, STEADY_SECONDS) == SHORTEST_PAUSE


async def test_a_configuration_error_is_not_tried_again() -> None:
    async with supervising() as (supervisor, _watch):
        await supervisor.start([Program(f"raise SystemExit({CONFIGURATION})")])
        assert supervisor.running["program"].phase is Phase.FAILED
        assert supervisor.running["program"].restarts == 0


async def test_close_ends_every_process() -> None:
    async with supervising() as (supervisor, _watch):
        await supervisor.start([Program(READY)])
        pid = supervisor.pid("program")
        os.kill(pid, 0)
        await supervisor.close()
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)


async def test_a_listening_socket_is_handed_over_and_survives_the_process() -> None:
    listener = socket.create_server(("127.0.0.1", 0))
    number = listener.fileno()
    source = f"import socket; s = socket.socket(fileno={number}); {READY}"
    async with supervising() as (supervisor, _watch):
        await supervisor.start([Program(source, descriptors=(listener.fileno(),))])
        assert supervisor.running["program"].phase is Phase.READY
        with socket.create_connection(listener.getsockname()[:2], timeout=5) as client:
            assert client.getpeername() == listener.getsockname()
    listener.close()
