"""How node drives the gateway, over ``/run/clawmates/gateway/gateway.sock``.

======================= ===================================================================================
``PUT /bots/{bot}``     :class:`~clawmates.wire.door.DoorSpec` → 204; opens or updates the bot's door
``PUT /leases``         :class:`DoorLeases` → 204; until when doors stay open, those that are there
``DELETE /bots/{bot}``  closes the door and its tunnels, forgets the bot → 204
``GET /events``         ``?after=N&instance=ID`` → :class:`Events`, at once when there are any, else after ≤ 50 s
``GET /status``         :class:`GatewayStatus`
======================= ===================================================================================
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from clawmates.wire.codes import Event
from clawmates.wire.door import Refusal

EVENTS_WAIT_SECONDS = 50.0
LEASE_GRACE_SECONDS = 15.0
"""Node gives a container 10 s to end when its lease does; then its door closes, whether there is a node or not."""
MAX_LEASES = 2000
"""Doors in one call."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BotEvent:
    """A mate's word, as the gateway heard it."""

    number: int
    """Counts up within one gateway instance."""
    at: str
    bot: str
    event: Event


@dataclass(frozen=True, slots=True, kw_only=True)
class Events:
    """Events newer than asked for. A new ``instance`` is a restarted gateway: put every bot again."""

    instance: str
    events: tuple[BotEvent, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class DoorLeases:
    """By bot, as :attr:`clawmates.wire.door.DoorSpec.until`."""

    until: Mapping[str, float | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class DoorStatus:
    """Counts of one door since it was opened."""

    bot: str
    tunnels: int
    bytes_out: int
    bytes_in: int
    turns: int
    input_tokens: int
    output_tokens: int
    refused: int
    reasons: Mapping[Refusal, int] = field(default_factory=dict)
    """Why tunnels were refused or cut, and how often."""
    parked: int = 0
    """Connections that wait to be called."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Flow:
    """Where one bot's bytes went: a host and how many."""

    bot: str
    host: str
    connections: int
    bytes_out: int
    bytes_in: int


@dataclass(frozen=True, slots=True, kw_only=True)
class IngressStatus:
    """Who called from outside since the gateway began."""

    open: int
    """Callers connected now."""
    calls: int
    """Callers that were handed to a mate."""
    passed: int
    """Callers that were passed to control."""
    reasons: Mapping[Refusal, int] = field(default_factory=dict)
    """Why callers were refused or cut, and how often."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GatewayStatus:
    """All doors."""

    instance: str
    doors: tuple[DoorStatus, ...]
    flows: tuple[Flow, ...]
    ingress: IngressStatus | None = None
    """``None``: nobody can call in."""
