"""What control is told: states that have changed, counts once, troubles. Pure but for one file on a tmpfs.

A report that was not acknowledged is said again with the same number, and control adds its counts once. The file lets a
node that restarts say its last counts again under the number they had, and know which turns it has told of.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from collections.abc import Set as AbstractSet
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from clawmates.base.files import write_atomic
from clawmates.base.shape import ShapeError, decode_json, encode_json
from clawmates.wire.codes import Code, Trouble
from clawmates.wire.control import MOST_ENTRIES, BotReport, BotTrouble, Count, Report

if TYPE_CHECKING:
    from clawmates.wire.gatewayctl import DoorStatus
    from clawmates.wire.status import BotState

_WORDS = frozenset({*(code.value for code in Code), *(trouble.value for trouble in Trouble)})
MAX_FILE = 16 << 20


class Seen(NamedTuple):
    """One bot as node sees it now. Of ten thousand, most are as they were: so it is made and compared cheaply."""

    bot: str
    state: BotState
    code: str
    username: str
    last: str
    """The last code about one message, and when it came."""
    last_at: str

    def report(self) -> BotReport:
        """As it is told; a code that control would not know is left out."""
        code = self.code if self.code in _WORDS else ""
        return BotReport(bot=self.bot, state=self.state, code=code, username=self.username)


@dataclass(frozen=True, slots=True, kw_only=True)
class Counted:
    """How far a door's counts have been told."""

    instance: str
    """The gateway's."""
    turns: int
    tokens: int


@dataclass(frozen=True, slots=True, kw_only=True)
class _Kept:
    run: str
    number: int
    counted: Mapping[str, Counted]
    counts: tuple[Count, ...]


@dataclass(slots=True)
class Teller:
    """Asks nobody: it is shown bots and doors, and gives reports."""

    path: Path
    run: str
    """32 hexadecimal digits that no other life of this node has."""
    number: int = 0
    _told: dict[str, Seen] = field(default_factory=dict)
    """As control has heard it."""
    _seen: dict[str, Seen] = field(default_factory=dict)
    """As it was last shown."""
    _pending: dict[str, Seen] = field(default_factory=dict)
    """What control has not heard."""
    _fresh: dict[str, Seen] = field(default_factory=dict)
    """What of that the report under way says."""
    _counted: dict[str, Counted] = field(default_factory=dict)
    _counts: tuple[Count, ...] = ()
    _troubles: list[BotTrouble] = field(default_factory=list)
    _said: int = 0
    """So many of the troubles are in the report under way."""
    _began: bool = False
    _waits: bool = False
    """Whether a report was made and not yet heard."""
    _legacy: _Kept | None = None
    """What an earlier life of this node had to say."""

    @classmethod
    def open(cls, path: Path, random: Callable[[int], bytes]) -> Teller:
        """With what an earlier life has left to say, if anything."""
        teller = cls(path, random(16).hex())
        with suppress(OSError, ShapeError):
            kept = decode_json(_Kept, path.read_bytes(), MAX_FILE)
            teller._counted, teller._legacy = dict(kept.counted), kept if kept.counts else None
        return teller

    def bots(self, shown: Iterable[Seen]) -> bool:
        """Shows bots that should run, those at least that have changed; whether there is anything new to tell."""
        told, seen, pending = self._told, self._seen, self._pending
        for one in shown:
            bot = one[0]
            if told.get(bot) != one:
                pending[bot] = one
            else:
                pending.pop(bot, None)
            before = seen.get(bot)
            if before != one:
                seen[bot] = one
                if self._began:
                    self._note_trouble(before, one)
        self._fresh = dict(islice(pending.items(), MOST_ENTRIES))
        return bool(pending) or bool(self._troubles)

    def _note_trouble(self, before: Seen | None, now: Seen) -> None:
        if now.code in _WORDS and (before is None or before.code != now.code):
            self._troubles.append(BotTrouble(bot=now.bot, code=now.code))
        if now.last in _WORDS and (before is None or before.last_at != now.last_at):
            self._troubles.append(BotTrouble(bot=now.bot, code=now.last))

    def doors(self, instance: str, doors: Iterable[DoorStatus], day: str) -> bool:
        """Shows the gateway's counts; whether there is anything to add. Nothing is added to a report under way."""
        if self._waits or self._counts or self._legacy is not None:
            return bool(self._counts) or self._legacy is not None
        counts: list[Count] = []
        for door in doors:
            tokens = door.input_tokens + door.output_tokens
            before = self._counted.get(door.bot)
            if before is None or before.instance != instance or door.turns < before.turns:
                before = Counted(instance=instance, turns=0, tokens=0)
            turns, more = door.turns - before.turns, max(0, tokens - before.tokens)
            if not turns and not more:
                continue
            if len(counts) == MOST_ENTRIES:
                break
            counts.append(Count(bot=door.bot, day=day, messages=turns, tokens=more))
            self._counted[door.bot] = Counted(instance=instance, turns=door.turns, tokens=tokens)
        self._counts = tuple(counts)
        return bool(counts)

    def report(self, *, revision: int, capacity: int, release: str, leaving: tuple[str, ...] | None = None) -> Report:
        """What to say now, with the number of before when that was not heard; afterwards call :meth:`heard`."""
        if self._legacy is not None:
            kept = self._legacy
            return Report(
                run=kept.run,
                number=kept.number,
                revision=revision,
                capacity=capacity,
                release=release,
                counts=kept.counts,
            )
        if not self._waits:
            self.number += 1
            self._said = min(len(self._troubles), MOST_ENTRIES)
            self._waits = True
            self._keep()
        return Report(
            run=self.run,
            number=self.number,
            revision=revision,
            capacity=capacity,
            release=release,
            leaving=leaving,
            bots=tuple(one.report() for one in self._fresh.values()),
            counts=self._counts,
            troubles=tuple(self._troubles[: self._said]),
        )

    def heard(self) -> None:
        """Control has it."""
        if self._legacy is not None:
            self._legacy = None
            return
        self._began, self._waits = True, False
        self._told |= self._fresh
        for bot, one in self._fresh.items():
            if self._pending.get(bot) is one:
                del self._pending[bot]
        self._fresh = {}
        self._counts = ()
        del self._troubles[: self._said]

    def forget(self, bots: Iterable[str]) -> None:
        """These bots are no longer ours."""
        for bot in bots:
            self._told.pop(bot, None)
            self._seen.pop(bot, None)
            self._pending.pop(bot, None)
            self._counted.pop(bot, None)

    @property
    def known(self) -> AbstractSet[str]:
        """The bots that were or will be told of."""
        return self._told.keys() | self._pending.keys()

    def _keep(self) -> None:
        """Before counts are said for the first time, so that nobody can say them under another number."""
        if not self._counts:
            return
        with suppress(OSError):  # Where even RAM is full, a restart may count them twice.
            self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            kept = _Kept(run=self.run, number=self.number, counted=self._counted, counts=self._counts)
            write_atomic(self.path, encode_json(kept), sync=False)
