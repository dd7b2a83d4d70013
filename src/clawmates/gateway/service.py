"""The gateway put together: one control socket, many doors, one way out."""

from __future__ import annotations

import asyncio
import resource
import secrets
import socket
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from clawmates.base.clock import Clock
from clawmates.base.eventlog import EventLog
from clawmates.base.notify import inherited_sockets, ready, tell
from clawmates.base.paths import State
from clawmates.base.settings import Settings, SettingsError, address
from clawmates.gateway.control import MOST, Control
from clawmates.gateway.dial import Dialler, TcpDialler
from clawmates.gateway.door import Door
from clawmates.gateway.doors import Doors, prepare
from clawmates.gateway.events import EventRing
from clawmates.gateway.ingress import MOST_CALLERS, Ingress
from clawmates.gateway.listen import bind, bind_tcp, listen, refuse_second
from clawmates.gateway.resolve import FixedHosts, Resolver, SystemResolver, control_endpoint
from clawmates.gateway.tunnel import Outside
from clawmates.gateway.turns import KEY_BYTES

if TYPE_CHECKING:
    from pathlib import Path

    from clawmates.wire.door import DoorSpec

CONTROL_MODE = 0o600
DRAIN_SECONDS = 5.0
"""How long a stopping gateway lets running turns finish."""


@dataclass(slots=True)
class Gateway:
    """Everything it needs from the outside; :meth:`run` is its whole life."""

    settings: Settings
    state: State
    clock: Clock
    resolver: Resolver = field(default_factory=SystemResolver)
    dialler: Dialler = field(default_factory=TcpDialler)
    drain_seconds: float = DRAIN_SECONDS
    serving: asyncio.Event = field(default_factory=asyncio.Event)
    """Set once node can connect."""
    callers: tuple[str, int] = ("", 0)
    """Where callers from outside arrive, once it serves."""

    async def run(self, stop: asyncio.Event) -> None:
        """Serves until ``stop`` is set, then drains.

        Raises :class:`~clawmates.base.settings.SettingsError`, :class:`~clawmates.gateway.listen.InUseError` and
        ``OSError`` before it serves.
        """
        fixed, control_at = FixedHosts(self.settings), control_endpoint(self.settings)
        outside = Outside(self.resolver, fixed, self.dialler, self.settings.gateway.limits, self.clock.monotonic)
        key = secrets.token_bytes(KEY_BYTES)
        with suppress(OSError):
            self.state.log.mkdir(parents=True, exist_ok=True)
        log = EventLog(self.state.log, "gateway", self.clock)
        events = EventRing(secrets.token_hex(8), self.clock, log)

        def make(spec: DoorSpec) -> Door:
            return Door(spec, outside, events, self.clock, key)

        prepare(self.settings.run.doors)
        handed = inherited_sockets()
        with ExitStack() as stack:
            callers = _ingress_socket(self.settings.gateway.ingress, handed)
            if callers is not None:
                stack.callback(callers.close)
                self.callers = callers.getsockname()[:2]
            sock = stack.enter_context(_control_socket(self.settings.run.gateway, handed))
            async with asyncio.TaskGroup() as group:
                doors = Doors(self.settings.run.doors, group, make)
                ingress = Ingress(self.settings.platform.domain, control_at, doors.called, outside)
                control = Control(doors, events, ingress if callers is not None else None)
                tasks = [group.create_task(listen(sock, control.serve, MOST))]
                if callers is not None:
                    tasks.append(group.create_task(listen(callers, ingress.serve, MOST_CALLERS)))
                forgetting = group.create_task(log.keep_short())
                self.serving.set()
                ready("serving")
                await stop.wait()
                tell("STOPPING=1")
                tasks[0].cancel()
                await doors.drain(self.drain_seconds)
                tasks[-1].cancel()
                forgetting.cancel()


def _control_socket(path: Path, handed: list[socket.socket]) -> socket.socket:
    """The one inherited from a supervisor, or our own."""
    for sock in handed:
        if sock.family == socket.AF_UNIX:
            return sock
    path.parent.mkdir(parents=True, exist_ok=True)
    refuse_second(path)
    return bind(path, CONTROL_MODE)


def _ingress_socket(where: str, handed: list[socket.socket]) -> socket.socket | None:
    """The one inherited from a supervisor, which may bind a port below 1024; or our own; or none."""
    for sock in handed:
        if sock.family in {socket.AF_INET, socket.AF_INET6}:
            return sock
    if not where:
        return None
    host, port = address(where)
    try:
        return bind_tcp(host, port)
    except OSError as error:
        raise SettingsError(f"gateway cannot listen on gateway.ingress {where}: {error.strerror}") from None


def raise_file_limit() -> None:
    """A tunnel takes two descriptors, a bot a handful: the soft limit becomes the hard one (getrlimit(2))."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
