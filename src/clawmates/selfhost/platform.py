"""A platform running in the foreground: what ``clawmates up`` does."""

from __future__ import annotations

import asyncio
import fcntl
import os
import socket
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field

from clawmates.base.files import write_atomic
from clawmates.base.paths import State
from clawmates.base.settings import Settings, load
from clawmates.base.shape import encode_json
from clawmates.selfhost import services
from clawmates.selfhost.containers import stop_all
from clawmates.selfhost.prepare import prepare, renew
from clawmates.selfhost.supervisor import Phase, Running, Supervisor
from clawmates.wire.node_client import NodeClient, NodeUnreachableError

RENEW_EVERY_SECONDS = 3600.0


class AlreadyRunningError(Exception):
    """This platform is running already: see `clawmates status`."""


@dataclass(slots=True)
class Platform:
    """Starts everything in :meth:`start`, ends it in :meth:`close`. ``changed`` follows every phase."""

    state: State
    changed: Callable[[], None] = lambda: None
    terminal: int = -1
    """A descriptor, 100 or higher, on which control shows links where it sends no mail; the caller closes it."""
    settings: Settings = field(init=False)
    supervisor: Supervisor = field(init=False)
    _lock: int = -1
    _listeners: list[socket.socket] = field(default_factory=list)
    _renewing: asyncio.Task[None] | None = None

    def __post_init__(self) -> None:
        self.settings = load(self.state.config)
        self.supervisor = Supervisor(self.settings.run.supervisor, self._note)

    def _note(self) -> None:
        """Keeps ``pids.json`` true, then tells whoever follows."""
        pids = {name: one.pid for name, one in self.supervisor.running.items() if one.pid}
        with suppress(OSError):
            write_atomic(self.settings.run.pids, encode_json(pids), mode=0o644, sync=False)
        self.changed()

    async def start(self) -> None:
        """Starts vault, gateway and node, and control where it is hosted; waits until they are ready or have failed.

        Raises :class:`AlreadyRunningError`, ``LayoutError`` or ``SettingsError``.
        """
        run = self.settings.run
        prepare(self.state, self.settings)
        self._take_lock()
        vault = self._listen("vault", self.settings.vault.listen)
        ports = {"vault": vault.getsockname()[1]}
        ingress = self.settings.gateway.ingress
        callers = self._listen("gateway", ingress, "ingress") if ingress else None
        if callers is not None:
            ports["ingress"] = callers.getsockname()[1]
        wanted = [services.vault(self.state, vault), services.gateway(self.state, self.settings, callers)]
        if self.settings.hosted:
            web = self._listen("control", self.settings.control.listen)
            nodes = self._listen("control", self.settings.control.nodes, "nodes")
            ports |= {"web": web.getsockname()[1], "nodes": nodes.getsockname()[1]}
            wanted.append(services.control(self.state, self.settings, (web, nodes), self.terminal))
        write_atomic(run.ports, encode_json(ports), mode=0o644, sync=False)
        # All at once: node waits for the others, as it does after a crash of theirs. Last here, it is ended first.
        await self.supervisor.start([*wanted, services.node(self.state)])
        self._renewing = asyncio.create_task(self._keep_renewing())

    @property
    def failed(self) -> tuple[Running, ...]:
        """The processes that will not come up without a change of configuration."""
        return tuple(one for one in self.supervisor.running.values() if one.phase is Phase.FAILED)

    async def close(self, *, stop_bots: bool = True) -> None:
        """Stops the bots, then the processes; without ``stop_bots`` the containers stay for the next start.

        A second call does nothing. Raises ``StillRunningError``.
        """
        if self._renewing is not None:
            self._renewing.cancel()
        try:
            if stop_bots and self._lock >= 0:
                await self._stop_bots()
        finally:
            await self._stop_processes()

    async def _stop_bots(self) -> None:
        """By node where it answers; by the engine where it does not, so that no container outlives us unseen."""
        with suppress(NodeUnreachableError):
            await NodeClient(self.settings.run.node).stop()
        await self.supervisor.stop("node")
        await stop_all(self.state, self.settings)

    async def _stop_processes(self) -> None:
        await self.supervisor.close()
        while self._listeners:
            self._listeners.pop().close()
        if self._lock >= 0:
            os.close(self._lock)
            self._lock = -1

    def _listen(self, name: str, where: str, setting: str = "listen") -> socket.socket:
        listener = services.listen_at(where, name, f"[{name}] {setting}")
        self._listeners.append(listener)
        return listener

    def _take_lock(self) -> None:
        self._lock = os.open(self.settings.run.supervisor / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(self._lock)
            self._lock = -1
            raise AlreadyRunningError(AlreadyRunningError.__doc__) from None

    async def _keep_renewing(self) -> None:
        """Services reload certificates when the files change."""
        while True:
            await asyncio.sleep(RENEW_EVERY_SECONDS)
            # A disk that is full or read-only now is tried again: certificates have days left.
            with suppress(OSError):
                renew(self.state, self.settings)
