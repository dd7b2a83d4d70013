"""What node says to control and hears from it, over mutual TLS 1.3; only certificates of role *node* are let in.

=========================== ====================================================================================
``GET /v1/desired?after=N`` :class:`~clawmates.wire.desired.DesiredState` as soon as its revision is newer than N,
                            or 204 after at most :data:`POLL_SECONDS`
``POST /v1/report``         :class:`Report` → 204
=========================== ====================================================================================

Nothing but names, numbers and words of closed lists: what a person says to a bot has no field here. Errors are
``{"error": {"code": ControlRefusal}}`` with a matching HTTP status.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum

from clawmates.wire.codes import USERNAME, Code, Trouble
from clawmates.wire.names import check_bot_id
from clawmates.wire.status import BotState

POLL_SECONDS = 25.0
MAX_REPORT_BYTES = 1 << 20
MAX_DESIRED_BYTES = 16 << 20
MOST_ENTRIES = 2000
"""Bots, counts and troubles of one report, each; what does not fit comes with the next."""
_RUN = re.compile(r"[0-9a-f]{32}")
_DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_DIGEST = re.compile(r"(?:sha256:[0-9a-f]{64})?")
_WORDS = frozenset({*(code.value for code in Code), *(trouble.value for trouble in Trouble)})
_LARGEST = 1 << 53


class ControlRefusal(StrEnum):
    """Why control said no."""

    NOT_ALLOWED = "not-allowed"
    """Not a node of this region, or its certificate counts no more."""
    MALFORMED = "malformed"
    TOO_LARGE = "too-large"
    UNKNOWN = "unknown"
    UNAVAILABLE = "unavailable"
    INTERNAL = "internal"


def check_word(word: str) -> str:
    """``word`` itself; raises ``ValueError`` unless it is a :class:`Code` or a :class:`Trouble`."""
    if word not in _WORDS:
        raise ValueError("not a code")
    return word


@dataclass(frozen=True, slots=True, kw_only=True)
class BotReport:
    """Where a bot is in its life now."""

    bot: str
    state: BotState
    code: str = ""
    """A :class:`~clawmates.wire.codes.Code` or :class:`~clawmates.wire.codes.Trouble`, or empty."""
    username: str = ""

    def __post_init__(self) -> None:
        check_bot_id(self.bot)
        if self.code:
            check_word(self.code)
        if self.username and not USERNAME.fullmatch(self.username):
            raise ValueError("not a username")


@dataclass(frozen=True, slots=True, kw_only=True)
class Count:
    """What a bot has done since the report before. Turns and tokens are the container's own word."""

    bot: str
    day: str
    """UTC, ISO 8601."""
    messages: int
    tokens: int

    def __post_init__(self) -> None:
        check_bot_id(self.bot)
        if not _DAY.fullmatch(self.day):
            raise ValueError("not a day")
        if not 0 <= self.messages < _LARGEST or not 0 <= self.tokens < _LARGEST:
            raise ValueError("count out of range")


@dataclass(frozen=True, slots=True, kw_only=True)
class BotTrouble:
    """Something went wrong with a bot, once."""

    bot: str
    code: str

    def __post_init__(self) -> None:
        check_bot_id(self.bot)
        check_word(self.code)


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """What is new since the report before it. A report may come twice; its counts and troubles count once."""

    run: str
    """32 hexadecimal digits, drawn when the host booted: numbers begin anew with it."""
    number: int
    """Grows by one with every report of a run."""
    revision: int
    """The newest desired state that the node has."""
    capacity: int
    """How many bots it takes, those that it holds included."""
    leaving: tuple[str, ...] | None = None
    """Bots that should not be here, and of which there is still a container or a door; ``None``: not said."""
    release: str = ""
    """The digest of the image that bots run, or empty."""
    bots: tuple[BotReport, ...] = ()
    counts: tuple[Count, ...] = ()
    troubles: tuple[BotTrouble, ...] = ()

    def __post_init__(self) -> None:
        if not _RUN.fullmatch(self.run) or not _DIGEST.fullmatch(self.release):
            raise ValueError("not a run, or not a digest")
        numbers = (self.number, self.revision, self.capacity)
        if any(not 0 <= number < _LARGEST for number in numbers):
            raise ValueError("number out of range")
        for bot in self.leaving or ():
            check_bot_id(bot)
        if max(len(self.leaving or ()), len(self.bots), len(self.counts), len(self.troubles)) > MOST_ENTRIES:
            raise ValueError("more entries than a report may have")
