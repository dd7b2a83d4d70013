"""The requests of the control socket: every one a POST of JSON to ``/<name>``, so that no secret is in a URL."""

from __future__ import annotations

from dataclasses import dataclass

from clawmates.simulator.model import Call, Fault, SentMessage, Service, TlsMode, User


@dataclass(frozen=True, slots=True, kw_only=True)
class AddBot:
    """``/bots``: from now on this token is a bot's."""

    token: str
    username: str


@dataclass(frozen=True, slots=True, kw_only=True)
class AddKey:
    """``/keys``: from now on this is a valid API key."""

    key: str


@dataclass(frozen=True, slots=True, kw_only=True)
class AddModel:
    """``/models``: from now on this model exists."""

    model: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Say:
    """``/say``: a person writes to a bot → :class:`Said`."""

    token: str
    chat_id: int
    text: str
    user: User | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Push:
    """``/push``: an update of any documented kind; ``body`` is the JSON of its object → :class:`Said`."""

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
    """``/faults/clear``."""

    service: Service


@dataclass(frozen=True, slots=True, kw_only=True)
class SetTls:
    """``/tls``: for new connections; those that are open are closed."""

    service: Service
    mode: TlsMode
