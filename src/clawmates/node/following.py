"""In hosted mode control says what should run: by long poll, and what it said last is kept in RAM."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from clawmates.base.files import write_atomic
from clawmates.base.identity import ClientIdentity
from clawmates.base.settings import Settings, SettingsError, nodes_address
from clawmates.base.shape import ShapeError, decode_json, encode_json
from clawmates.node.keeper import Keeper
from clawmates.wire.codes import Trouble
from clawmates.wire.control import MAX_DESIRED_BYTES
from clawmates.wire.control_client import ControlClient, ControlError, DesiredUnreadableError
from clawmates.wire.desired import DesiredState

FIRST_PAUSE = 0.25
LONGEST_PAUSE = 10.0
PATIENCE_SECONDS = 30.0
"""How long control may be away before it is said."""


@dataclass(slots=True)
class ControlLine:
    """A connection to control; its address and our certificate may change while we run."""

    settings: Settings
    identity: ClientIdentity
    _client: ControlClient | None = None

    async def client(self) -> ControlClient:
        """The one of last time, unless address or certificate are other ones now; raises :class:`ControlError`."""
        try:
            host, port = nodes_address(self.settings)
            tls = self.identity.context()
        except (SettingsError, OSError):
            raise ControlError from None
        last = self._client
        if last is not None and (last.host, last.port, last.tls) == (host, port, tls):
            return last
        if last is not None:
            await last.close()
        self._client = ControlClient(host, port, tls)
        return self._client


@dataclass(slots=True)
class Pauses:
    """Doubled with every failure, and never equally long on all nodes. ``jitter`` gives numbers in [0, 1)."""

    jitter: Callable[[], float]
    _next: float = FIRST_PAUSE

    def after_failure(self) -> float:
        """Seconds to wait now."""
        pause, self._next = self._next, min(LONGEST_PAUSE, self._next * 2)
        return pause * (0.5 + self.jitter() / 2)

    def reset(self) -> None:
        """It has worked."""
        self._next = FIRST_PAUSE


@dataclass(slots=True)
class Follower:
    """``path`` lies on a tmpfs: a node that restarts while control is away goes on with what it said last."""

    line: ControlLine
    keeper: Keeper
    path: Path
    pauses: Pauses
    revision: int = -1
    _failing_since: float | None = field(default=None)

    def remember(self) -> None:
        """Takes up what an earlier node of the same boot was told."""
        with suppress(OSError, ShapeError):
            self._take(decode_json(DesiredState, self.path.read_bytes(), MAX_DESIRED_BYTES), keep=False)

    async def follow(self) -> None:
        """For ever."""
        self.remember()
        while True:
            try:
                fresh = await (await self.line.client()).desired(max(self.revision, 0))
            except DesiredUnreadableError:
                self.keeper.wants(Trouble.DESIRED_INVALID)
                await asyncio.sleep(LONGEST_PAUSE)
            except ControlError:
                self._missing()
                await asyncio.sleep(self.pauses.after_failure())
            else:
                self._answers()
                if fresh is not None:
                    self._take(fresh, keep=True)

    def _take(self, fresh: DesiredState, *, keep: bool) -> None:
        if fresh.revision <= self.revision:
            return
        self.revision = fresh.revision
        self.keeper.wants(fresh)
        if keep:
            with suppress(OSError):  # A full tmpfs costs the memory of it after a restart.
                self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
                write_atomic(self.path, encode_json(fresh), sync=False)

    def _missing(self) -> None:
        now = self.keeper.now
        self._failing_since = now if self._failing_since is None else self._failing_since
        if now - self._failing_since >= PATIENCE_SECONDS and self.keeper.desired_trouble is None:
            self.keeper.wants(Trouble.CONTROL_DOWN)

    def _answers(self) -> None:
        self.pauses.reset()
        self._failing_since = None
        if self.keeper.desired_trouble is Trouble.CONTROL_DOWN:
            self.keeper.desired_trouble = None
