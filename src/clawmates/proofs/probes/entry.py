"""The way into a running container: the same program, sent through a pipe, run by the runtime beside what is there."""

from __future__ import annotations

import asyncio
import inspect
import json
import os
import select
import signal
import tomllib
from contextlib import asynccontextmanager, suppress
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from clawmates.proofs.errors import ProofError
from clawmates.proofs.probes.inside import calls, devices, files, frame, hog, kernel, namespaces, network, processes
from clawmates.proofs.probes.inside.frame import PROBES

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable
    from pathlib import Path
    from types import ModuleType

    from clawmates.node.engines.base import Running
    from clawmates.node.engines.podman_files import PodmanFiles
    from clawmates.proofs.probes.inside.frame import Marks

MODULES: tuple[ModuleType, ...] = (kernel, frame, namespaces, processes, network, files, devices, calls, hog)
"""In the order in which they need each other."""
BOOTSTRAP = """\
import json, sys, types
print("in", flush=True)
parcel = json.loads(sys.stdin.buffer.readline())
for name, source in parcel["modules"]:
    sys.modules[name] = module = types.ModuleType(name)
    exec(compile(source, name, "exec"), module.__dict__)
sys.modules[parcel["main"]].main(parcel, parcel["names"])
"""
PYTHON = ("/usr/bin/python3", "-I", "-OO", "-c", BOOTSTRAP)
START_SECONDS = 20.0
RUN_SECONDS = 120.0
END_SECONDS = 3.0
LOOK_SECONDS = 0.01


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """How one attempt ended."""

    outcome: str
    """``denied``, ``done`` or ``unclear``."""
    detail: str


@dataclass(slots=True)
class Visitor:
    """A process of ours inside a container; it waits to be told what to do."""

    pid: int
    """On the host."""
    process: asyncio.subprocess.Process

    async def run(self, marks: Marks | None, names: Iterable[str], main: ModuleType = frame) -> bytes:
        """Sends the program and gives all that it prints. Raises :class:`ProofError`."""
        await self.send(marks, names, main)
        stdout = self.process.stdout
        if stdout is None:
            raise ProofError("the probe has no output")
        try:
            async with asyncio.timeout(RUN_SECONDS):
                return await stdout.read()
        except TimeoutError:
            raise ProofError("the probes inside the container are not over in time: try again") from None

    async def send(self, marks: Marks | None, names: Iterable[str], main: ModuleType = frame) -> None:
        """Sends the program."""
        parcel = {
            "modules": [(one.__name__, inspect.getsource(one)) for one in MODULES],
            "main": main.__name__,
            "names": list(names),
            "marks": None if marks is None else asdict(marks),
        }
        stdin = self.process.stdin
        if stdin is not None:
            stdin.write(json.dumps(parcel).encode() + b"\n")
            with suppress(ConnectionError):
                await stdin.drain()


@asynccontextmanager
async def visit(
    files: PodmanFiles, running: Running, folder: Path, *, user: str, leak: bool = False
) -> AsyncIterator[Visitor]:
    """Enters a container as the console does (:mod:`clawmates.selfhost.talk`); it is ended on the way out.

    ``folder`` takes the file in which the runtime notes the process id. A ``leak`` is an open folder of the host,
    handed on as descriptor 3: only a weak control gets one. Raises :class:`ProofError`.
    """
    runtime = tomllib.loads(files.containers_conf.read_text())["engine"]["runtime"]
    note = folder / f"{running.name}.pid"
    note.unlink(missing_ok=True)
    command = [str(files.storage / runtime), "exec", "--detach", f"--pid-file={note}", f"--user={user}"]
    if leak:
        command = ["sh", "-c", 'exec "$@" 3</etc', "sh", *command, "--preserve-fds=1"]
    process = await asyncio.create_subprocess_exec(
        *(*command, running.id, *PYTHON),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
        env=files.environment,
        limit=1 << 20,
    )
    pid = 0
    try:
        pid = await _noted(note, process)
        async with asyncio.timeout(START_SECONDS):
            if process.stdout is None or await process.stdout.readline() != b"in\n":
                raise ProofError("the container runtime does not let a probe in: see `clawmates status`")
        yield Visitor(pid, process)
    finally:
        if process.stdin is not None:
            process.stdin.close()
        await _end(pid)
        if process.returncode is None:
            process.kill()
        # As in selfhost.console: the runtime is gone, and asyncio has no public way to let go of its pipes.
        process._transport.close()  # type: ignore[attr-defined]  # noqa: SLF001
        await asyncio.sleep(0)


async def _noted(note: Path, process: asyncio.subprocess.Process) -> int:
    with suppress(TimeoutError):
        async with asyncio.timeout(START_SECONDS):
            while process.returncode in {None, 0}:
                if found := _number(note):
                    return found
                await asyncio.sleep(LOOK_SECONDS)
    raise ProofError("the container runtime does not let a probe in: see `clawmates status`")


def _number(note: Path) -> int:
    try:
        return int(note.read_text())
    except (OSError, ValueError):
        return 0


async def _end(pid: int) -> None:
    """Lets it end what it has started, which takes no time; kills it when it does not."""
    if not pid:
        return
    try:
        descriptor = os.pidfd_open(pid)
    except ProcessLookupError:
        return
    try:
        ended, _, _ = await asyncio.to_thread(select.select, [descriptor], [], [], END_SECONDS)
        if not ended:
            signal.pidfd_send_signal(descriptor, signal.SIGKILL)
    finally:
        os.close(descriptor)


def read(said: bytes) -> dict[str, Seen]:
    """What the probes printed; a line that was cut off is none."""
    found: dict[str, Seen] = {}
    for line in said.splitlines():
        with suppress(ValueError, TypeError):
            name, outcome, detail = json.loads(line)
            found[name] = Seen(outcome=str(outcome), detail=str(detail))
    return found


__all__ = ["MODULES", "PROBES", "PYTHON", "Seen", "Visitor", "read", "visit"]
