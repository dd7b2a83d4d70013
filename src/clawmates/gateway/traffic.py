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
    inbound: bool = False
    """The host called the mate: who speaks first, as :meth:`count` has it, is then the host."""

    def count(self, size: int, *, outward: bool) -> None:
        """``outward`` bytes are those of the side that speaks first."""
        if outward is self.inbound:
            self.bytes_in += size
        else:
            self.bytes_out += size
