"""The requests of the control socket: every one a POST of JSON to ``/<name>``, so that no secret is in a URL.

One that is larger than a request may be comes in parts: ``/part`` for each, then one to ``/<name>?parts=<id>``.
"""

from __future__ import annotations

from dataclasses import dataclass

from clawmates.simulator.model import Call, Draft, Fault, SentMessage, Service, TlsMode, User

PART_CHARACTERS = 32 * 1024
"""Of one part; four bytes each at most, and the request stays small enough."""
MAX_BYTES = 64 << 20
"""Of a request in parts, and of an answer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AddBot:
    """``/bots``: from now on this token is a bot's."""

    token: str
    username: str


@dataclass(frozen=True, slots=True, kw_only=True)
class AddKey:
    """``/keys``: from now on this is a valid API key of the service."""

    key: str
    service: Service = Service.OPENAI


@dataclass(frozen=True, slots=True, kw_only=True)
class AddModel:
    """``/models``: from now on this model exists."""

    model: str
    service: Service = Service.OPENAI


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """``/part``: some more text of a request that is too large for one."""

    id: str
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Say:
    """``/say``: a person writes to a bot → :class:`Said`."""

    token: str
    chat_id: int
    text: str
    user: User | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Push:
    """``/push``: an update of any documented kind; ``body`` is the JSON of its object → :class:`Said`.

    The chat that it names exists from then on.
    """

    token: str
    kind: str
    body: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """``update_id`` is 0 when the bot's ``allowed_updates`` keeps such updates away."""

    update_id: int
    message_id: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class AskSent:
    """``/sent``: what a bot has sent to a chat behind ``after``, waiting ``wait`` seconds for something."""

    token: str
    chat_id: int
    after: int = 0
    wait: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class SentMessages:
    """In the order of their ids."""

    messages: tuple[SentMessage, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class AskDraft:
    """``/draft``: what a bot is writing to a chat right now → :class:`Drafted`."""

    token: str
    chat_id: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Drafted:
    """Nothing when the chat shows no draft."""

    draft: Draft | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PressStop:
    """``/stop``: the reader presses the button beneath the draft → :class:`Said`."""

    token: str
    chat_id: int


@dataclass(frozen=True, slots=True, kw_only=True)
class SetLimits:
    """``/limits``: Telegram's flood control; 0 means none. A 429 says how long to wait, and nothing else happens.

    core.telegram.org/bots/faq ("My bot is hitting limits"): one message a second in a chat with short bursts above it,
    20 a minute in a group, about 30 a second for a bot. Sent and edited messages count.
    """

    chat_per_second: float = 0.0
    group_per_minute: float = 0.0
    bot_per_second: float = 0.0
    burst: int = 1
    """Messages that a chat takes at once after a pause."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SetStyle:
    """``/style``: how the models answer, of one service or of all; the fields are those of ``Style``."""

    first_byte_ms: float = 0.0
    gap_ms: float = 0.0
    words: int = 0
    thoughts: int = 0
    service: Service | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class AskCalls:
    """``/journal``: calls numbered above ``after``, waiting up to ``wait`` seconds for ``count`` of them."""

    service: Service
    method: str = ""
    caller: str = ""
    after: int = 0
    count: int = 0
    finished: bool = False
    """Count only calls that are over."""
    wait: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Calls:
    """A page of a journal; ask again behind ``next`` while ``more``."""

    calls: tuple[Call, ...]
    next: int
    more: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class SetFault:
    """``/faults``: the next ``times`` calls of ``method`` (empty: any) go wrong."""

    service: Service
    fault: Fault
    times: int
    method: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ClearFaults:
    """``/faults/clear`` → :class:`Cleared`."""

    service: Service


@dataclass(frozen=True, slots=True, kw_only=True)
class Cleared:
    """How many of the faults that were taken back no call had met."""

    unmet: int


@dataclass(frozen=True, slots=True, kw_only=True)
class SetTls:
    """``/tls``: for new connections; those that are open are closed."""

    service: Service
    mode: TlsMode
