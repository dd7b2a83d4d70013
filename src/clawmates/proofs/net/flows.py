"""Packets put together to connections again."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from clawmates.proofs.net.packets import ACK, RST, SYN, Datagram, End, MalformedError, Segment, parse
from clawmates.proofs.net.wire import Speech, Wire, judge, judge_midway

if TYPE_CHECKING:
    from collections.abc import Iterable

_WRAP = 1 << 32
_HALF = 1 << 31


@dataclass(slots=True)
class Half:
    """One direction of a connection."""

    first: int | None = None
    """The sequence number of its first byte; ``None`` until it is known."""
    pieces: dict[int, bytes] = field(default_factory=dict)
    """Offset → the longest piece seen there."""

    def add(self, sequence: int, data: bytes) -> None:
        """One more piece; the same again changes nothing."""
        if self.first is None:
            self.first = sequence
        offset = (sequence - self.first) % _WRAP
        if offset >= _HALF or not data:
            return
        if len(data) > len(self.pieces.get(offset, b"")):
            self.pieces[offset] = data

    def joined(self) -> tuple[bytes, bool]:
        """All bytes up to the first gap, and whether there is one."""
        whole = bytearray()
        for offset in sorted(self.pieces):
            if offset > len(whole):
                return bytes(whole), True
            whole += self.pieces[offset][len(whole) - offset :]
        return bytes(whole), False


@dataclass(slots=True)
class Flow:
    """One TCP connection; ``caller`` is who began it."""

    caller: End
    called: End
    begun: bool
    """Whether its beginning was seen; else who called whom is a guess by the port."""
    answered: bool = False
    up: Half = field(default_factory=Half)
    down: Half = field(default_factory=Half)

    @property
    def size(self) -> tuple[int, int]:
        """Bytes (up, down)."""
        return len(self.up.joined()[0]), len(self.down.joined()[0])

    def judge(self) -> Wire:
        """What it spoke."""
        (up, up_gap), (down, down_gap) = self.up.joined(), self.down.joined()
        if up_gap or down_gap:
            return Wire(Speech.GAPPED)
        return judge(up, down) if self.begun else judge_midway(up, down)


@dataclass(slots=True)
class Flows:
    """All connections of a capture, and the packets that belong to none."""

    flows: list[Flow] = field(default_factory=list)
    datagrams: list[Datagram] = field(default_factory=list)
    malformed: int = 0
    """IP packets that cannot be told: fragments, or broken."""
    _open: dict[tuple[End, End], Flow] = field(default_factory=dict)

    @classmethod
    def of(cls, packets: Iterable[bytes]) -> Flows:
        """All packets at once."""
        flows = cls()
        for packet in packets:
            flows.add(packet)
        return flows

    def add(self, packet: bytes) -> None:
        """One IP packet."""
        try:
            found = parse(packet)
        except MalformedError:
            self.malformed += 1
            return
        if isinstance(found, Datagram):
            self.datagrams.append(found)
        else:
            self._segment(found)

    def _segment(self, segment: Segment) -> None:
        if segment.flags & SYN and not segment.flags & ACK:
            self._begin(segment)
            return
        flow = self._open.get((segment.source, segment.target))
        if flow is not None:
            half = flow.up
        else:
            flow = self._open.get((segment.target, segment.source)) or self._midway(segment)
            half = flow.up if flow.caller == segment.source else flow.down
        if segment.flags & SYN:
            flow.answered = True
            half.first = (segment.sequence + 1) % _WRAP
        elif not segment.flags & RST:
            half.add(segment.sequence, segment.data)

    def _begin(self, segment: Segment) -> None:
        first = (segment.sequence + 1) % _WRAP
        known = self._open.get((segment.source, segment.target))
        if known is not None and known.begun and known.up.first == first:
            return
        flow = Flow(segment.source, segment.target, begun=True)
        flow.up.first = first
        # What data may come with the first packet (RFC 7413) is no different from any other.
        flow.up.add(first, segment.data)
        self._open[segment.source, segment.target] = flow
        self.flows.append(flow)

    def _midway(self, segment: Segment) -> Flow:
        """A connection older than the capture: the lower port is taken for the one that was called."""
        ends = sorted((segment.source, segment.target), key=lambda end: end.port)
        flow = Flow(ends[1], ends[0], begun=False, answered=True)
        self._open[flow.caller, flow.called] = flow
        self.flows.append(flow)
        return flow
