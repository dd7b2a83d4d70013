"""What every trial of a claim is given."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import TypeAlias

from clawmates.base.clock import Clock
from clawmates.proofs.result import Result
from clawmates.proofs.searched import Host

FULL_MESSAGES, FULL_KILLS = 2000, 20
KILLS_A_RELEASE = 4
CLOCK_MARGIN = 5.0
"""Seconds: the times of files come from a coarser clock than ours."""
Progress: TypeAlias = Callable[[str, int], None]
"""Hears what is being done (``messages``, or a kind of place) and how much of it was just done."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """How thorough a trial is."""

    messages: int = 80
    """Canary messages at least, over all bots that can be spoken to."""
    kills: int = 1
    """How often each of vault, node, gateway and a mate is ended by ``kill -9``, and a bot exchanged as planned."""
    full: bool = False
    """Read devices of any size, and files older than the first canary too."""
    chat_seconds: float = 120.0
    """How long one reply may take."""
    grace_seconds: float = 10.0
    """How long the message whose mate was killed is waited for, once there is a new mate."""
    host: Host = field(default_factory=Host.here)
    """The machine's own folders that are searched."""

    @classmethod
    def of(cls, *, full: bool, messages: int | None = None, kills: int | None = None) -> Options:
        """The short form, or with ``full`` the long one; ``messages`` and ``kills`` override how many there are."""
        chosen = cls(messages=FULL_MESSAGES, kills=FULL_KILLS, full=True) if full else cls()
        return replace(
            chosen,
            messages=chosen.messages if messages is None else messages,
            kills=chosen.kills if kills is None else kills,
        )

    @property
    def releases(self) -> int:
        """How often all bots get a newer image: it takes half a minute, which a short form does not have."""
        return self.kills // KILLS_A_RELEASE

    def __post_init__(self) -> None:
        if self.messages < 1 or self.kills < 0:
            raise ValueError("a trial takes at least one message")


@dataclass(frozen=True, slots=True, kw_only=True)
class Bench:
    """Time, randomness and an ear: passed in, never taken."""

    clock: Clock
    """The kernel's own, not a moved one: it is compared with the times of files."""
    entropy: Callable[[int], bytes]
    progress: Progress = lambda _what, _much: None
    ended: Callable[[Result], None] = lambda _result: None
    """Told of each claim when it has been tried: all of them in full take a quarter of an hour."""
