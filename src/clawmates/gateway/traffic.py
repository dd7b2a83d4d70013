"""What one bot has moved, by host: numbers only."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(slots=True)
class Traffic:
    """One bot, one host. Bytes are those on the wire, the hellos included."""

    connections: int = 0
    bytes_out: int = 0
    """From the mate to the host."""
    bytes_in: int = 0
