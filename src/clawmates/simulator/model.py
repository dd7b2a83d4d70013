"""What the stand-ins, their control socket and its client say to each other."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from ipaddress import ip_address

TELEGRAM_HOST = "api.telegram.org"
OPENAI_HOST = "api.openai.com"
ANTHROPIC_HOST = "api.anthropic.com"
GOOGLE_HOST = "generativelanguage.googleapis.com"
OLLAMA_HOST = "localhost"
JOURNAL_CALLS = 20_000
"""Calls that a journal remembers of each service."""
FOREVER = 1_000_000_000
"""``times`` of a fault that stays until it is cleared."""
MAX_WAIT_SECONDS = 50.0
"""The longest that one request on the control socket waits."""


class Service(StrEnum):
    """One stand-in."""

    TELEGRAM = "telegram"
    OPENAI = "openai"
    ANTHROPIC = "anthropic"
    GOOGLE = "google"
    OLLAMA = "ollama"

    @property
    def host(self) -> str:
        """The host name that it answers for."""
        return _HOSTS[self]

    @property
    def encrypted(self) -> bool:
        """Whether it speaks TLS; a local model does not."""
        return self is not Service.OLLAMA

    def serves(self, host: str) -> bool:
        """Whether a request with this Host header (no port) is for it.

        A model server that listens on loopback refuses every name that is not local, so that a web page cannot reach it
        through DNS (github.com/ollama/ollama, server/routes.go, ``allowedHostsMiddleware``).
        """
        if self is Service.OLLAMA:
            return host in {"", "localhost"} or host.endswith(_LOCAL_NAMES) or _is_local(host)
        return host == self.host


_HOSTS = {
    Service.TELEGRAM: TELEGRAM_HOST,
    Service.OPENAI: OPENAI_HOST,
    Service.ANTHROPIC: ANTHROPIC_HOST,
    Service.GOOGLE: GOOGLE_HOST,
    Service.OLLAMA: OLLAMA_HOST,
}
_LOCAL_NAMES = (".localhost", ".local", ".internal")


def _is_local(host: str) -> bool:
    try:
        found = ip_address(host.strip("[]"))
    except ValueError:
        return False
    return found.is_loopback or found.is_private or found.is_unspecified


class TlsMode(StrEnum):
    """How a stand-in shows itself to new connections."""

    GOOD = "good"
    """TLS 1.3 with a certificate of the authority in ``ca.pem``."""
    TLS12 = "tls12"
    """The same certificate, TLS 1.2 and nothing newer."""
    EXPIRED = "expired"
    WRONG_NAME = "wrong-name"
    SELF_SIGNED = "self-signed"


class FaultKind(StrEnum):
    """What goes wrong with a call."""

    ERROR = "error"
    """It is answered with ``failure``, and nothing else happens."""
    DELAY = "delay"
    """It is answered normally, ``seconds`` later."""
    DROP = "drop"
    """The connection is cut before the call has any effect."""
    DROP_ANSWER = "drop-answer"
    """The call has its effect; the connection is cut before the first byte of the answer."""
    DROP_MIDWAY = "drop-midway"
    """The connection is cut in the middle of the answer: of a stream, after ``words`` words."""
    BAD_JSON = "bad-json"
    """The call has its effect; the answer, or the event after ``words`` words, is not JSON."""
    STALL = "stall"
    """The answer pauses for ``seconds``: a stream after ``words`` words, a whole answer in its middle."""
    STREAM_FAILURE = "stream-failure"
    """A stream ends with ``failure`` after ``words`` words."""


class Failure(StrEnum):
    """The documented errors; which service knows which is in its ``errors`` module."""

    BAD_REQUEST = "bad-request"
    CANT_PARSE_ENTITIES = "cant-parse-entities"
    CHAT_NOT_FOUND = "chat-not-found"
    UNAUTHORIZED = "unauthorized"
    BLOCKED = "blocked"
    CONFLICT = "conflict"
    TOO_MANY_REQUESTS = "too-many-requests"
    BAD_GATEWAY = "bad-gateway"

    INVALID_API_KEY = "invalid-api-key"
    REGION = "region"
    MODEL_NOT_FOUND = "model-not-found"
    CONTEXT_LENGTH = "context-length"
    RATE_LIMIT = "rate-limit"
    INSUFFICIENT_QUOTA = "insufficient-quota"
    OVERLOADED = "overloaded"

    BILLING = "billing"
    """402: something is wrong with the payment."""
    SPEND_LIMIT = "spend-limit"
    """Anthropic: 400, the limit that the customer has set is reached."""
    SPEND_CAP = "spend-cap"
    """Anthropic: 429 without ``retry-after``, the month's cap is reached."""
    PERMISSION_DENIED = "permission-denied"
    REQUEST_TOO_LARGE = "request-too-large"
    TIMEOUT = "timeout"

    SERVER_ERROR = "server-error"

    CONTENT_FILTER = "content-filter"
    """Only as the end of an answer: OpenAI ``content_filter``, Anthropic ``refusal``, Google ``SAFETY``."""
    PROMPT_BLOCKED = "prompt-blocked"
    """Only as an answer, Google: no candidates, but a ``blockReason``."""
    ERROR_EVENT = "error-event"
    """Only in a stream: an error as one more event, then the end of the stream."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """One thing to go wrong; see :class:`FaultKind` for which fields matter when."""

    kind: FaultKind
    failure: Failure | None = None
    seconds: float = 0.0
    words: int = 0
    retry_after: int = 0
    """Seconds, for the failures that carry them."""
    chat_id: int = 0
    """Telegram: only calls about this chat; 0 means any."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Style:
    """How a model answers: a wait before the first byte, then one word a ``gap_ms``.

    ``words`` is the exact length of every reply; 0 leaves the echo as long as it is. With ``thoughts`` the model thinks
    first, so many words, where the API shows that (not OpenAI's): no part of the answer.
    """

    first_byte_ms: float = 0.0
    gap_ms: float = 0.0
    words: int = 0
    thoughts: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class User:
    """A person who writes to a bot (core.telegram.org/bots/api/types/user.md)."""

    id: int
    first_name: str = "Ada"
    username: str = ""
    language_code: str = "en"


@dataclass(frozen=True, slots=True, kw_only=True)
class SentMessage:
    """A message that a bot has sent with ``sendMessage`` and that stayed in the chat."""

    message_id: int
    chat_id: int
    text: str
    """After entity parsing, and after the last ``editMessageText``."""
    entities: tuple[str, ...]
    """The types of its entities, in order of their offsets."""
    preview_disabled: bool
    reply_to: int
    """The message it replies to, or 0."""
    received: float
    """When its call had arrived: monotonic seconds of this machine."""
    edits: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One request as a stand-in saw it. Times are this machine's monotonic seconds (``time.monotonic``)."""

    number: int
    """Counts up within one service, from 1."""
    service: Service
    method: str
    """As documented: ``getUpdates``, ``POST /v1/responses``, ``POST /v1/messages``, ``POST /api/chat``; Google:
    ``models.streamGenerateContent``."""
    caller: str
    """The bot's username, or empty."""
    received: float
    """When the whole request had arrived."""
    received_at: str
    """The same as wall time, RFC 3339."""
    first_byte: float = 0.0
    """When the first byte of the answer was handed to the kernel; 0.0 before that."""
    answered: float = 0.0
    """When the last byte was handed to the kernel, or the connection ended; 0.0 while it runs."""
    status: int = 0
    """The HTTP status; 0 when no answer was begun."""
    complete: bool = False
    """Whether the whole answer was sent."""
    fault: str = ""
    """The :class:`FaultKind` that it met, or empty."""
    updates: tuple[int, ...] = ()
    """The update ids in an answer to ``getUpdates``."""
    tls: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)
    """Request headers in lower case, without those that carry credentials."""
    body: str = "{}"
    """The parameters as one JSON object; for AI providers the whole request body."""
    model: str = ""
    """The model that was asked for, also where it is part of the path."""
    warnings: tuple[str, ...] = ()
    """What the API allows and a careful client does not do: :data:`KEY_IN_URL`, :data:`KEY_IN_PLAINTEXT`."""

    @property
    def parameters(self) -> Mapping[str, object]:
        """:attr:`body`, parsed; empty when it is not an object."""
        try:
            value = json.loads(self.body)
        except ValueError:
            return {}
        return value if isinstance(value, dict) else {}


KEY_IN_URL = "key-in-url"
"""A credential in the address, where every log of an address keeps it."""
KEY_IN_PLAINTEXT = "key-in-plaintext"
"""A credential sent without TLS to a server that asks for none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """A message that a bot is still writing, as its reader sees it (methods/sendmessagedraft.md)."""

    draft_id: int
    chat_id: int
    text: str
    """After entity parsing."""
    can_stop: bool
    """Whether the reader has a button to stop it."""
    stopped: bool
    """Whether the reader has pressed it."""
    received: float
    """When its last call had arrived: monotonic seconds of this machine."""
    message_thread_id: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Ports:
    """``ports.json``."""

    telegram: int
    openai: int
    anthropic: int = 0
    google: int = 0
    ollama: int = 0
    addresses: Mapping[Service, str] = field(default_factory=dict)
    """Where a service listens that is not to be found on 127.0.0.1: in a network of a trial's own."""

    def of(self, service: Service) -> int:
        """The port of a service."""
        port: int = getattr(self, service.value)
        return port


@dataclass(frozen=True, slots=True, kw_only=True)
class Status:
    """Counts since the start or the last reset."""

    bots: int
    connections: int
    """Open connections of all services."""
    stored: int
    """Requests to OpenAI and Google that did not say ``store: false``."""
    last_telegram: int
    """The number of the newest call."""
    last_openai: int
    last: Mapping[Service, int] = field(default_factory=dict)
    """The number of the newest call of every service."""
