"""A platform of plain child processes: enough to try the trials on, and to leak on purpose."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Self

from clawmates.base.paths import Run, State
from clawmates.base.settings import Settings
from clawmates.proofs.fake_world import FakeWorld
from clawmates.proofs.probes.attempt import Attempts
from clawmates.proofs.probes.entry import PROBES, Seen
from clawmates.proofs.probes.inside.frame import DENIED, DONE
from clawmates.proofs.world import World
from clawmates.proofs.writes import write_bytes
from clawmates.wire.names import ChannelKind
from clawmates.wire.status import BotState, BotStatus, Finding, NodeStatus

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from types import TracebackType

    from clawmates.proofs.trial import Bench

_CHILD = """
import os, sys
OTHER = "import sys; held = sys.stdin.readline(); print(flush=True); sys.stdin.read()"
held = []
take = sys.stdin.buffer
while head := take.read(5):
    body = take.read(int.from_bytes(head[1:], "big"))
    if head[:1] == b"w":
        path, _, data = body.partition(b"\\0")
        with open(path, "wb") as out:
            out.write(data)
            out.flush()
            os.fsync(out.fileno())
    elif head[:1] == b"s":
        # Few are asked for this, and for the rest it would be half of their start, and of the memory that is searched.
        import subprocess
        # It ends when this one does, for then its pipe ends.
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
        other = subprocess.Popen((sys.executable, "-I", "-S", "-c", OTHER), **pipes)
        other.stdin.write(body + b"\\n")
        other.stdin.flush()
        other.stdout.readline()
    else:
        held.append(body)
    print("done", flush=True)
"""
SERVICES = ("vault", "gateway", "node")


@dataclass(slots=True)
class Child:
    """A process that holds what it is given, or writes it to a file."""

    process: asyncio.subprocess.Process
    written_at_start: int = 0

    @classmethod
    async def start(cls) -> Child:
        """Returns once it listens."""
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-I", "-S", "-c", _CHILD),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            env={},
        )
        child = cls(process)
        await child.hold(b"")
        child.written_at_start = write_bytes(child.pid)
        return child

    @property
    def pid(self) -> int:
        """Its process id."""
        return self.process.pid

    async def hold(self, data: bytes) -> None:
        """Keeps ``data`` in its memory from now on."""
        await self._order(b"h", data)

    async def start_one_that_holds(self, data: bytes) -> None:
        """Starts a process of its own, which keeps ``data``, a line, in its memory."""
        await self._order(b"s", data)

    async def write(self, path: str, data: bytes) -> None:
        """Writes ``data`` to a file and waits for the disk."""
        await self._order(b"w", path.encode() + b"\0" + data)

    async def _order(self, what: bytes, body: bytes) -> None:
        if self.process.stdin is None or self.process.stdout is None:
            raise RuntimeError("the child was started without pipes")
        self.process.stdin.write(what + len(body).to_bytes(4, "big") + body)
        await self.process.stdin.drain()
        await self.process.stdout.readline()

    async def kill(self) -> None:
        """``kill -9``."""
        self.process.kill()
        await self.process.wait()
        if self.process.stdin is not None:
            self.process.stdin.close()


def all_denied() -> Attempts:
    """Every probe as it should end."""
    return Attempts(
        walls=(),
        sealed={name: Seen(outcome=DENIED, detail="EPERM") for name in PROBES},
        controls={name: Seen(outcome=DONE, detail="could") for name in PROBES},
    )


async def _keep_quiet(_platform: FakePlatform, _text: str) -> None:
    return


@dataclass(slots=True)
class FakePlatform:
    """Use it as an async context manager; ``on_message`` sees every text and may leak it."""

    state: State
    run: Run
    bots: tuple[str, ...] = ("tester",)
    channel: ChannelKind = ChannelKind.TERMINAL
    on_message: Callable[[FakePlatform, str], Awaitable[None]] = _keep_quiet
    reply: str = "yes"
    unsafe: tuple[str, ...] = ()
    apart: tuple[str, ...] = ()
    findings: tuple[Finding, ...] = (Finding(name="network", wanted="lo", found="lo", ok=True),)
    outside: FakeWorld | None = field(default_factory=FakeWorld)
    """``None`` for a real one."""
    messenger: tuple[str, ...] = ()
    """The bots among ``bots`` that are reached through the messenger and not through ``channel``."""
    settings: Settings = field(default_factory=Settings)
    world: World | None = None
    services: dict[str, Child] = field(default_factory=dict)
    mates: dict[str, Child] = field(default_factory=dict)
    tried: Attempts = field(default_factory=all_denied)
    kills_the_mate: bool = False
    """Whether what is tried inside ends the mate."""
    renewable: bool = True
    renewed: int = 0
    replaced: list[str] = field(default_factory=list)
    ended: list[str] = field(default_factory=list)
    hogged: list[str] = field(default_factory=list)
    hogs: int = 0
    """Hogs that run now."""
    killed: int = 0
    heard: int = 0

    async def __aenter__(self) -> Self:
        """Starts the processes."""
        for name in SERVICES:
            self.services[name] = await Child.start()
        for bot in self.bots:
            self.mates[bot] = await Child.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Ends the processes."""
        for child in (*self.services.values(), *self.mates.values()):
            await child.kill()

    @property
    def stand_ins(self) -> FakeWorld | None:
        """Hears what is written to the messenger; ``None`` for a real world."""
        if self.outside is not None:
            self.outside.bots, self.outside.chat, self.outside.hear = self.bots, self.chat, self._hear
        return self.outside

    async def processes(self) -> Mapping[str, int]:
        """The three services."""
        return {name: child.pid for name, child in self.services.items()}

    async def status(self) -> NodeStatus:
        """All bots are live."""
        return NodeStatus(
            revision=1,
            node="node-1",
            region="local",
            engine="fake",
            release="",
            gateway=True,
            unsafe=self.unsafe,
            bots=tuple(
                BotStatus(
                    bot=bot,
                    state=BotState.LIVE,
                    since="",
                    channel=(ChannelKind.TELEGRAM if bot in self.messenger else self.channel).value,
                    provider="openai",
                    model="fake",
                    pid=mate.pid,
                    written_at_start=mate.written_at_start,
                    isolation=self.findings,
                )
                for bot, mate in self.mates.items()
            ),
        )

    async def read_back(self, _bot: str) -> tuple[Finding, ...]:
        """Always the same."""
        return self.findings

    async def attempts(self, bot: str, _bench: Bench, *, controls: bool = True) -> Attempts:
        """What the test says; without controls, without them."""
        if self.kills_the_mate:
            await self.kill_mate(bot)
        return self.tried if controls else replace(self.tried, controls={})

    @asynccontextmanager
    async def hog(self, bot: str) -> AsyncIterator[None]:
        """Remembers whom it was in."""
        self.hogged.append(bot)
        self.hogs += 1
        yield
        self.hogs -= 1

    async def chat(self, _bot: str, text: str) -> str:
        """Hears the text, lets it leak, answers."""
        self.heard += 1
        await self.on_message(self, text)
        return f"{self.reply}: {text}" if self.reply else ""

    async def _hear(self, text: str) -> None:
        await self.on_message(self, text)

    async def kill(self, process: str) -> None:
        """Another child takes the dead one's place."""
        self.ended.append(process)
        await self.services[process].kill()
        self.services[process] = await Child.start()

    async def replace(self, bot: str) -> None:
        """The same, as planned."""
        self.replaced.append(bot)
        await self.mates[bot].kill()
        self.mates[bot] = await Child.start()

    async def renew(self) -> None:
        """Other children take everybody's places."""
        self.renewed += 1
        for bot in self.mates:
            await self.mates[bot].kill()
            self.mates[bot] = await Child.start()

    async def kill_mate(self, bot: str) -> None:
        """Another child takes the dead one's place."""
        self.killed += 1
        await self.mates[bot].kill()
        self.mates[bot] = await Child.start()
