"""How long this node may run each bot: the vault's word, counted by our own monotonic clock, in RAM."""

from __future__ import annotations

import math
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from clawmates.base.files import write_atomic
from clawmates.base.shape import ShapeError, decode_json, encode_json
from clawmates.wire.leases import Lease


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
    _until: dict[str, float] = field(default_factory=dict)

    @classmethod
    def open(cls, path: Path) -> Leases:
        """What an earlier node of the same boot knew."""
        known: Mapping[str, float] = {}
        with suppress(OSError, ShapeError):
            known = decode_json(_Kept, path.read_bytes()).until
        return cls(path, dict(known))

    def ends(self, bot: str) -> float:
        """Until when the bot may run, in monotonic seconds; infinity without an end."""
        return self._until.get(bot, math.inf)

    def learn(self, renewal: Renewal) -> None:
        """Takes the vault's word. Raises ``OSError`` when it cannot be remembered; it counts all the same."""
        before = dict(self._until)
        for bot in renewal.bots:
            self._until[bot] = min(self.ends(bot), renewal.asked_at)
        for lease in renewal.leases:
            if lease.seconds is None:
                self._until.pop(lease.bot, None)
            else:
                self._until[lease.bot] = renewal.asked_at + lease.seconds
        if self._until != before:
            self._save()

    def granted(self, bot: str, asked_at: float, seconds: int | None) -> None:
        """A ticket came with the lease it stands on, so that no bot runs of whose lease nothing is known.

        Raises ``OSError`` as :meth:`learn` does.
        """
        before = self._until.get(bot)
        if seconds is None:
            self._until.pop(bot, None)
        else:
            self._until[bot] = asked_at + seconds
        if self._until.get(bot) != before:
            self._save()

    def forget(self, bot: str) -> None:
        """The bot is no concern of ours any more. Raises ``OSError`` as :meth:`learn` does."""
        if self._until.pop(bot, None) is not None:
            self._save()

    def _save(self) -> None:
        self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        write_atomic(self.path, encode_json(_Kept(until=self._until)), sync=False)
