"""What node says of itself and its bots (``GET /status`` on its socket): enums, numbers and names only."""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum


class BotState(StrEnum):
    """Where a bot is in its life."""

    STARTING = "starting"
    LIVE = "live"
    DEGRADED = "degraded"
    """It runs, and its last word was an error: see the code."""
    BACKING_OFF = "backing-off"
    REFUSED = "refused"
    PAUSED = "paused"


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One isolation property as read back from the kernel."""

    name: str
    wanted: str
    found: str
    ok: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class BotStatus:
    """One bot."""

    bot: str
    state: BotState
    code: str = ""
    """A :class:`~clawmates.wire.codes.Code` or :class:`~clawmates.wire.codes.Trouble`, or empty."""
    since: str
    last: str = ""
    """The last :data:`~clawmates.wire.codes.PASSING` code: about one message, not about the bot."""
    last_at: str = ""
    channel: str
    provider: str
    model: str
    username: str = ""
    container: str = ""
    pid: int = 0
    generation: int = 0
    restarts: int = 0
    memory_bytes: int = 0
    written_at_start: int = 0
    """``write_bytes`` of /proc/PID/io when the isolation was read back: what comes on top is the mate's own doing."""
    properties: int = 0
    """How many isolation properties were read back."""
    failed: int = 0
    """How many of them were not as wanted."""
    isolation: tuple[Finding, ...] = ()
    """Each of them; left out of what is :meth:`~NodeStatus.brief`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeStatus:
    """One host."""

    revision: int
    node: str
    region: str
    engine: str
    release: str
    """The image digest that bots run, or empty."""
    number: int = 0
    """The number of that release."""
    trying: int = 0
    """The number of a release that is being tried, or 0."""
    tried_by: str = ""
    """The bot that tries it first."""
    stopped_by: str = ""
    """A later bot that did not come to life with it: nobody follows any more."""
    stopped_code: str = ""
    """What that bot's container said last, or what became of it."""
    refused: int = 0
    """The number of a release that did not come to life, or 0."""
    trouble: str = ""
    gateway: bool
    unsafe: tuple[str, ...]
    bots: tuple[BotStatus, ...]

    def brief(self) -> NodeStatus:
        """Without the single findings, which with hundreds of bots are nearly all that there is to say."""
        return replace(self, bots=tuple(replace(bot, isolation=()) for bot in self.bots))
