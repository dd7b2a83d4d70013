"""Turns: which messages are being answered, were answered, or killed the mate. In RAM, as keyed hashes.

A mate begins a turn once for each time it tries to answer the message, so a turn that begins again without having
ended is one that the mate did not survive. Ids are hashed with a key born with the process: they may hold a
messenger's own ids, and nobody can test a guess against what a memory image shows. So are the names of chats, which the
mate has hashed once already under a secret of its own.
"""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import blake2b
from itertools import takewhile
from typing import TYPE_CHECKING

from clawmates.gateway.bucket import Bucket
from clawmates.gateway.chats import Chats
from clawmates.gateway.quota import Usage
from clawmates.wire.door import TurnBegin, TurnEnd, Verdict

if TYPE_CHECKING:
    from clawmates.base.clock import Clock
    from clawmates.wire.desired import Limits

KEPT_SECONDS = 25 * 3600.0
"""One hour more than a messenger redelivers."""
MAX_TURNS = 10_000
MAX_ATTEMPTS = 2
RESERVED_SECONDS = 300.0
"""A turn that has not ended by then has lost its mate: what was set aside for it is free again."""
KEY_BYTES = 32
_DIGEST_BYTES = 16


@dataclass(slots=True)
class _Open:
    attempts: int
    """0 when it never got a GO: the quota was used up."""
    at: float
    reserved: int = 0
    """Tokens it may cost."""
    chat: bytes = b""
    """In which chat it is, where the mate said so."""


class Ledger:
    """The turns of one bot."""

    __slots__ = (
        *("_bucket", "_chats", "_clock", "_ended", "_key", "_open", "_usage"),
        *("input_tokens", "output_tokens", "turns"),
    )

    def __init__(self, key: bytes, clock: Clock, turns_per_minute: int) -> None:
        """``key`` is random, :data:`KEY_BYTES` long and lives as long as the process."""
        self._key = key
        self._clock = clock
        self._bucket = Bucket(turns_per_minute, turns_per_minute / 60, clock.monotonic())
        self._usage = Usage(clock.now())
        self._chats = Chats()
        # Both in the order of their last change, so that what is to be forgotten stands in front.
        self._open: dict[bytes, _Open] = {}
        self._ended: dict[bytes, float] = {}
        self.turns = 0
        self.input_tokens = 0
        self.output_tokens = 0

    def __len__(self) -> int:
        return len(self._open) + len(self._ended)

    @property
    def running(self) -> int:
        """Turns that got a GO and have not ended."""
        return sum(1 for turn in self._open.values() if 0 < turn.attempts <= MAX_ATTEMPTS)

    @property
    def reserved(self) -> int:
        """Tokens that running turns may still cost."""
        oldest = self._clock.monotonic() - RESERVED_SECONDS
        recent = takewhile(lambda turn: turn.at > oldest, reversed(self._open.values()))
        return sum(turn.reserved for turn in recent)

    def met(self, chat: str) -> bool:
        """Whether a turn of this chat has ended within a day; of a chat without a name nothing is known."""
        return bool(chat) and self._chats.met(self._hash(chat), self._clock.monotonic())

    def begin(self, begin: TurnBegin, limits: Limits, most_tokens: int = 0) -> Verdict:
        """What to do with a message. A turn counts once, however often it begins.

        ``most_tokens`` is what a turn may cost whose mate does not say.
        """
        now = self._clock.monotonic()
        self._forget(now)
        name = self._hash(begin.turn)
        if name in self._ended:
            return Verdict.DONE
        turn = self._open.pop(name, None) or _Open(0, now)
        turn.at = now
        turn.chat = self._hash(begin.chat) if begin.chat else b""
        self._open[name] = turn
        if turn.attempts:
            turn.attempts = min(turn.attempts, MAX_ATTEMPTS) + 1
            if turn.attempts <= MAX_ATTEMPTS:
                return Verdict.GO
            turn.reserved = 0
            return Verdict.GIVE_UP
        wall = self._clock.now()
        if self._usage.used_up(limits, wall, self.reserved) or not self._bucket.take(now):
            return Verdict.OVER
        turn.attempts, turn.reserved = 1, begin.tokens or most_tokens
        self._count(messages=1)
        return Verdict.GO

    def end(self, end: TurnEnd) -> None:
        """The reply was sent. Said twice it counts once; a turn begun before a restart of ours counts now."""
        now = self._clock.monotonic()
        self._forget(now)
        name = self._hash(end.turn)
        if name in self._ended:
            return
        turn = self._open.pop(name, None)
        if turn is None:
            self._count(messages=1)
        elif turn.chat:
            self._chats.note(turn.chat, now)
        self._ended[name] = now
        self.input_tokens += end.input_tokens
        self.output_tokens += end.output_tokens
        self._count(tokens=end.input_tokens + end.output_tokens)

    def _count(self, *, messages: int = 0, tokens: int = 0) -> None:
        self.turns += messages
        self._usage.add(self._clock.now(), messages=messages, tokens=tokens)

    def _hash(self, turn: str) -> bytes:
        return blake2b(turn.encode("utf-8", "surrogatepass"), key=self._key, digest_size=_DIGEST_BYTES).digest()

    def _forget(self, now: float) -> None:
        """Drops what is too old, and room for one more where there is none: the ended first."""
        oldest = now - KEPT_SECONDS
        while self._ended and next(iter(self._ended.values())) < oldest:
            del self._ended[next(iter(self._ended))]
        while self._open and next(iter(self._open.values())).at < oldest:
            del self._open[next(iter(self._open))]
        while len(self) >= MAX_TURNS:
            crowd: dict[bytes, _Open] | dict[bytes, float] = self._ended or self._open
            del crowd[next(iter(crowd))]
