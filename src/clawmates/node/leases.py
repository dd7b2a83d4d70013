"""How long this node may run each bot: the vault's word, counted by our own monotonic clock, in RAM.

The gateway is told too, so that a bot whose node is gone is cut off when its lease ends (ADR 19).
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from clawmates.base.files import write_atomic
from clawmates.base.shape import ShapeError, decode_json, encode_json
from clawmates.wire.leases import Lease

UNTOLD_SECONDS = 300.0
"""How long a door stays open in hosted mode before the vault has said anything of its lease: that takes seconds."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Renewal:
    """What became of one renewal: of ``bots`` those that are not among ``leases`` are this node's no longer."""

    bots: tuple[str, ...]
    leases: tuple[Lease, ...]
    asked_at: float
    """Monotonic seconds before the vault was asked: a lease is never taken for longer than the vault does."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Kept:
    until: Mapping[str, float]


@dataclass(slots=True)
class Leases:
    """Ends of leases. A bot that was never spoken of runs: a vault that does not answer ends nothing.

    The ends are kept in a file on a tmpfs, so that a node that restarts while the vault is away forgets none. The
    monotonic clock is the machine's (time(7)), and file and clock begin anew with it.
    """

    path: Path
    finite: bool = False
    """Hosted: no lease is endless, and what is not known yet ends soon."""
    changed: asyncio.Event = field(default_factory=asyncio.Event)
    """There is something to tell the gateway."""
    _until: dict[str, float] = field(default_factory=dict)
    _endless: set[str] = field(default_factory=set)
    """The vault has said so."""

    @classmethod
    def open(cls, path: Path, *, finite: bool = False) -> Leases:
        """What an earlier node of the same boot knew."""
        known: Mapping[str, float] = {}
        with suppress(OSError, ShapeError):
            known = decode_json(_Kept, path.read_bytes()).until
        return cls(path, finite, _until=dict(known))

    def ends(self, bot: str) -> float:
        """Until when the bot may run, in monotonic seconds; infinity without an end."""
        return self._until.get(bot, math.inf)

    def door(self, bot: str, now: float) -> float | None:
        """Until when the bot's door may be open without another word of ours: ``DoorSpec.until``."""
        if bot in self._until or bot in self._endless or not self.finite:
            return self._until.get(bot)
        return now + UNTOLD_SECONDS

    def doors(self) -> dict[str, float | None]:
        """Of all bots whose leases end."""
        return dict(self._until) | dict.fromkeys(self._endless)

    def learn(self, renewal: Renewal) -> None:
        """Takes the vault's word. Raises ``OSError`` when it cannot be remembered; it counts all the same."""
        before = self.doors()
        for bot in renewal.bots:
            self._until[bot] = min(self.ends(bot), renewal.asked_at)
        for lease in renewal.leases:
            self._note(lease.bot, renewal.asked_at, lease.seconds)
        if self.doors() != before:
            self.changed.set()
            self._save()

    def granted(self, bot: str, asked_at: float, seconds: int | None) -> None:
        """A ticket came with the lease it stands on, so that no bot runs of whose lease nothing is known.

        Raises ``OSError`` as :meth:`learn` does.
        """
        before = self._until.get(bot), bot in self._endless
        self._note(bot, asked_at, seconds)
        if before != (self._until.get(bot), bot in self._endless):
            self.changed.set()
            self._save()

    def forget(self, bot: str) -> None:
        """The bot is no concern of ours any more. Raises ``OSError`` as :meth:`learn` does."""
        self._endless.discard(bot)
        if self._until.pop(bot, None) is not None:
            self._save()

    def _note(self, bot: str, asked_at: float, seconds: int | None) -> None:
        if seconds is None:
            self._until.pop(bot, None)
            self._endless.add(bot)
        else:
            self._endless.discard(bot)
            self._until[bot] = asked_at + seconds

    def _save(self) -> None:
        self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        write_atomic(self.path, encode_json(_Kept(until=self._until)), sync=False)
