"""Where a platform's bytes went, compared with where they may go. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from clawmates.proofs.net.packets import End
from clawmates.wire.door import OLLAMA_HOST

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from clawmates.proofs.net.flows import Flow
    from clawmates.proofs.net.wire import Wire
    from clawmates.wire.desired import BotSpec
    from clawmates.wire.release import Release

UNKNOWN = "an address that nobody named"


@dataclass(frozen=True, slots=True)
class Destination:
    """One place outside this host, by the name it goes by and the name that was asked for there."""

    end: End
    name: str
    asked: str
    connections: int
    up: int
    down: int

    @property
    def known(self) -> str:
        """What it counts as: one name, when address and handshake agree."""
        return self.name if self.asked in {"", self.name} else f"{self.name}, asked for {self.asked}"


def may(bots: Iterable[BotSpec], release: Release, resolver: str) -> frozenset[str]:
    """The hosts of the channels and providers of these bots, and the resolver's name; none for a local model."""
    hosts = {resolver} if resolver else set()
    for bot in bots:
        channel = release.channel(bot.channel)
        hosts |= set(channel.hosts if channel else ())
        for one in (bot.provider, bot.fallback.provider if bot.fallback else ""):
            provider = release.provider(one)
            hosts |= set(provider.hosts if provider else ())
    return frozenset(hosts - {OLLAMA_HOST})


def destinations(judged: Iterable[tuple[Flow, Wire]], places: Mapping[End, str]) -> tuple[Destination, ...]:
    """Everything that left this host, put together by place and name."""
    rows: dict[tuple[End, str], list[int]] = {}
    for flow, wire in judged:
        # The last packet of a connection from before the capture carries nothing anywhere.
        over = not flow.begun and flow.size == (0, 0)
        if not flow.called.address.is_loopback and not over:
            row = rows.setdefault((flow.called, wire.name), [0, 0, 0])
            for at, value in enumerate((1, *flow.size)):
                row[at] += value
    named = {end for end, name in rows if name}
    return tuple(
        Destination(end, places.get(end, UNKNOWN if places else name or UNKNOWN), name, *counts)
        for (end, name), counts in sorted(rows.items())
        # A connection that said nothing, or began before, goes by what others to the same place said.
        if name or end not in named or end not in places
    )


def compare(found: Iterable[str], wanted: frozenset[str], *, exactly: bool) -> tuple[str, ...]:
    """What is wrong: a place too many and, where it must be ``exactly`` these, one too few."""
    seen = frozenset(found)
    extra = [f"bytes went to {name}" for name in sorted(seen - wanted)]
    missing = [f"no bytes went to {name}, so the trial did not try it" for name in sorted(wanted - seen)]
    return (*extra, *(missing if exactly else ()))
