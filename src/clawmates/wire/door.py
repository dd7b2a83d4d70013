"""The door: what a mate can ask of the gateway, over ``/run/door/door.sock``.

==================== ==============================================================================
``CONNECT host:443`` 200 and opaque bytes, or 403/410/502/504 with ``{"error": {"code": Refusal}}``
``POST /turn/begin`` :class:`TurnBegin` → :class:`TurnAnswer`
``POST /turn/end``   :class:`TurnEnd` → 204
``POST /event``      :class:`~clawmates.wire.codes.Event` → 204, or 429 when there are too many
``GET /config``      ``?after=REVISION`` → :class:`MateConfig` at once when newer, else 204 after at most 50 s
``/handover/…``      from one life of the bot to the next: :mod:`clawmates.wire.handover`
``POST /park``       with ``Upgrade: clawmates-call``: 101 once somebody calls, else 204 after at most 50 s. The mate
                     says :data:`PARK_READY` when it is ready for the caller's ClientHello, and then TLS. 502 when
                     enough are parked, 404 for a bot that nobody can call
anything             410 once the bot's lease has ended: :data:`GONE`
==================== ==============================================================================
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from clawmates.wire.desired import Access, Limits, Pairing
from clawmates.wire.names import ChannelKind, ItemName, check_bot_id, check_host

SOCKET = "/run/door/door.sock"
CONFIG_WAIT_SECONDS = 50.0
GONE = 410
"""There will be no more: the mate forgets everything and ends, whether or not there is a node left to end it."""
MAX_TURN_ID = 128
MAX_CHAT_NAME = 128
MAX_TOKENS = 1 << 40
PARK_WAIT_SECONDS = 50.0
PARK_PROTOCOL = "clawmates-call"
PARK_READY = b"\n"
"""So that no byte of TLS comes together with the 101, where a stream would swallow it."""
HOOK = re.compile(r"[a-z0-9]{16,63}")
"""The random label of ``<label>.hooks.<domain>``."""
VAULT_HOST = "vault"
OLLAMA_HOST = "ollama"


class Refusal(StrEnum):
    """Why a tunnel was not made, or was cut."""

    HOST_NOT_LISTED = "host-not-listed"
    PORT_NOT_ALLOWED = "port-not-allowed"
    MALFORMED_TARGET = "malformed-target"
    NAME_UNKNOWN = "name-unknown"
    ADDRESS_FORBIDDEN = "address-forbidden"
    UNREACHABLE = "unreachable"
    NOT_TLS = "not-tls"
    SNI_MISMATCH = "sni-mismatch"
    TLS_TOO_OLD = "tls-too-old"
    TOO_MANY = "too-many"
    NOBODY_WAITS = "nobody-waits"
    """A caller from outside named a bot that has no connection parked."""
    DRAINING = "draining"
    LEASE_ENDED = "lease-ended"
    """The node's time with this bot is over; whoever still runs it should end."""


class Verdict(StrEnum):
    """What to do with a turn."""

    GO = "go"
    DONE = "done"
    OVER = "over"
    GIVE_UP = "give-up"


@dataclass(frozen=True, slots=True, kw_only=True)
class TurnBegin:
    """A message is about to be answered. ``turn`` is opaque, at most 128 characters, the same after a crash."""

    turn: str
    tokens: int = 0
    """What it may cost: set aside until its end. 0 is the longest answer that the configuration allows."""
    chat: str = ""
    """Where it was said: a name of at most 128 characters, the same after a crash, that tells nobody who it is."""

    def __post_init__(self) -> None:
        if not 1 <= len(self.turn) <= MAX_TURN_ID:
            raise ValueError("a turn id has 1 to 128 characters")
        if len(self.chat) > MAX_CHAT_NAME:
            raise ValueError("a chat's name has at most 128 characters")
        if not 0 <= self.tokens <= MAX_TOKENS:
            raise ValueError("token counts are out of range")


@dataclass(frozen=True, slots=True, kw_only=True)
class TurnAnswer:
    """The gateway's verdict on a turn."""

    verdict: Verdict
    met: bool = False
    """Whether a turn of this chat has ended within the last 24 h, maybe by a mate before this one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TurnEnd:
    """A reply was sent. Token counts are the mate's own report of the provider's numbers."""

    turn: str
    input_tokens: int = 0
    output_tokens: int = 0

    def __post_init__(self) -> None:
        if not 1 <= len(self.turn) <= MAX_TURN_ID:
            raise ValueError("a turn id has 1 to 128 characters")
        if min(self.input_tokens, self.output_tokens) < 0 or max(self.input_tokens, self.output_tokens) > MAX_TOKENS:
            raise ValueError("token counts are out of range")


@dataclass(frozen=True, slots=True, kw_only=True)
class FallbackConfig:
    """The second model to ask, and its limits."""

    provider: str
    provider_hosts: tuple[str, ...]
    model: str
    context_tokens: int
    output_tokens: int
    temperature: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class MateConfig:
    """All that a mate is told, none of it secret. A new item version means: a new ticket is in the boot folder."""

    revision: int
    """Starts at 1, so that ``after=0`` asks for whatever there is."""
    channel: ChannelKind
    channel_hosts: tuple[str, ...]
    provider: str
    provider_hosts: tuple[str, ...]
    model: str
    context_tokens: int
    output_tokens: int
    temperature: float | None = None
    items: Mapping[ItemName, int] = field(default_factory=dict)
    fallback: FallbackConfig | None = None
    access: Access = Access.PAIRED
    pairings: tuple[Pairing, ...] = ()
    limits: Limits = field(default_factory=Limits)
    """Kept by the gateway; a mate only tells its owner that they have changed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DoorSpec:
    """What node tells the gateway of one bot."""

    bot: str
    uid_first: int
    uid_count: int
    hosts: tuple[str, ...]
    """The allow-list; ``vault`` is always on it, ``ollama`` only when it stands here."""
    config: MateConfig
    limits: Limits = field(default_factory=Limits)
    hook: str = ""
    """The random label under which the bot can be called from outside; empty: it cannot."""
    until: float | None = field(default=None, compare=False)
    """When the bot's lease ends, in seconds since this machine booted; ``None`` is never. No part of what it is."""

    def __post_init__(self) -> None:
        check_bot_id(self.bot)
        for host in self.hosts:
            check_host(host)
        if self.uid_first < 1 or self.uid_count < 1:
            raise ValueError("the uid range is empty or holds the host's root")
        if self.hook and not HOOK.fullmatch(self.hook):
            raise ValueError("a hook's label has 16 to 63 of a-z and 0-9")
