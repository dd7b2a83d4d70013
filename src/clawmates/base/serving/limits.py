"""What one listening socket puts up with. The numbers are the caller's own: each process knows whom it serves."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Seconds, bytes and counts of one listener."""

    head_seconds: float
    """For a request's head, counted from the connection's or the last answer's."""
    max_head: int
    max_connections: int
    kept: int = 0
    """Of these, so many are for callers whom ``known`` knows."""
    max_shaking: int
    """Handshakes at a time; whoever stalls in one holds a descriptor, and is not yet among the connections."""
    handshake_seconds: int = 10
    connection_seconds: float
    """A connection ends with the answer it gives then: its certificate was looked at when it began."""
    keep_alive_seconds: int
    grace_seconds: int
    malformed: bytes
    """The JSON that answers what is not HTTP."""


@dataclass(frozen=True, slots=True)
class Callers:
    """Who a caller is, by what ``SSLObject.getpeercert()`` returned, and whether it is one of those with kept room."""

    identify: Callable[[object], object]
    known: Callable[[object], bool]
