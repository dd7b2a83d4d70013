"""Searches a list of places and says what was found, how much was looked at, and what was not."""

from __future__ import annotations

import asyncio
import os
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from clawmates.base.clock import Clock
from clawmates.proofs.places import Folder, Kind, Place, SourceError, Survey, Target
from clawmates.proofs.search import CONTROL, GONE, SECRET, Found, Patterns, search
from clawmates.proofs.sources import Piece

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable


HITS_KEPT = 50
"""Hits named one by one; the rest is counted."""
NAME_WITHHELD = "(a name that holds the canary)"


@dataclass(frozen=True, slots=True)
class Hit:
    """The canary was found. The text itself is nowhere in here."""

    kind: Kind
    place: str
    """Path, device or process."""
    encoding: str
    offset: int


@dataclass(frozen=True, slots=True)
class Row:
    """How much was looked at in one kind of place."""

    kind: Kind
    places: int
    things: int
    """Files, devices, processes."""
    size: int
    """Bytes, those inside compressed streams included."""
    streams: int
    """Compressed streams opened."""
    seconds: float


@dataclass(frozen=True, slots=True)
class Refused:
    """Something could not be opened."""

    kind: Kind
    place: str
    reason: str


@dataclass(frozen=True, slots=True)
class Findings:
    """One search of all places."""

    hits: tuple[Hit, ...]
    count: int
    """Of all hits, also those not kept one by one."""
    rows: tuple[Row, ...]
    not_looked_at: tuple[str, ...]
    seconds: float
    counts: Mapping[Kind, int] = field(default_factory=dict)
    """Of all hits, by kind of place."""
    controls: frozenset[Kind] = frozenset()
    """Kinds of places in which the control text was found."""
    gone: frozenset[Kind] = frozenset()
    """The same, of a text whose file had been deleted by then."""
    declared: int = 0
    """Credentials and prompts found in the memory of a process that holds them by design."""
    refused: tuple[Refused, ...] = ()
    """The first few of what could not be opened; all are counted in ``not_looked_at``."""


@dataclass(slots=True)
class _Tally:
    places: int = 0
    things: int = 0
    size: int = 0
    streams: int = 0
    seconds: float = 0.0
    looked: bool = False
    """Whether anything of the place at hand could be searched."""


@dataclass(slots=True)
class _Desk:
    """The books of a running search."""

    patterns: Patterns
    clock: Clock
    survey: Survey
    holders: frozenset[str]
    rows: dict[Kind, _Tally] = field(default_factory=dict)
    hits: list[Hit] = field(default_factory=list)
    counts: Counter[Kind] = field(default_factory=Counter)
    controls: set[Kind] = field(default_factory=set)
    gone: set[Kind] = field(default_factory=set)
    refused: list[Refused] = field(default_factory=list)
    declared: int = 0

    def hit(self, kind: Kind, label: str, found: Found) -> None:
        if found.encoding.endswith(CONTROL):
            self.controls.add(kind)
            return
        if found.encoding.endswith(GONE):
            self.gone.add(kind)
            return
        if SECRET in found.encoding and kind is Kind.MEMORY and label.partition(" ")[0] in self.holders:
            self.declared += 1
            return
        self.counts[kind] += 1
        if len(self.hits) < HITS_KEPT:
            self.hits.append(Hit(kind, self.nameable(label), found.encoding, found.offset))

    def nameable(self, label: str) -> str:
        """The label, unless it holds what is looked for."""
        found = any(isinstance(event, Found) for event in search(Piece(os.fsencode(label)), self.patterns))
        return NAME_WITHHELD if found else label


async def look(
    places: Iterable[Place],
    patterns: Patterns,
    *,
    clock: Clock,
    since: float = 0.0,
    holders: frozenset[str] = frozenset(),
    progress: Callable[[str, int], None] = lambda _label, _size: None,
) -> Findings:
    """Searches every place; ``progress`` hears the kind of place and the bytes just done, often.

    ``since`` is the kernel's time, in seconds since the epoch, before which no text looked for existed. In the memory
    of ``holders``, processes by name, credentials and prompts are expected and only counted. The loop is given a turn
    after every window (about 5 ms), so the search can be cancelled.
    """
    places = tuple(places)
    began = clock.monotonic()
    desk = _Desk(patterns, clock, Survey(since=since, holders=holders), holders)
    for place in places:
        if isinstance(place, Folder):
            try:
                found = place.path.stat()
            except OSError:
                continue
            desk.survey.roots.add((found.st_dev, found.st_ino))
    for place in places:
        start = clock.monotonic()
        tally = desk.rows.setdefault(place.kind, _Tally())
        tally.looked = False
        for target in place.targets(desk.survey):
            await _one(place.kind, target, desk, progress)
        tally.places += tally.looked
        tally.seconds += clock.monotonic() - start
    return Findings(
        hits=tuple(desk.hits),
        count=desk.counts.total(),
        counts=dict(desk.counts),
        rows=tuple(
            Row(kind, tally.places, tally.things, tally.size, tally.streams, round(tally.seconds, 3))
            for kind, tally in sorted(desk.rows.items(), key=lambda row: list(Kind).index(row[0]))
        ),
        not_looked_at=_sentences(desk.survey.skipped),
        seconds=round(clock.monotonic() - began, 3),
        controls=frozenset(desk.controls),
        gone=frozenset(desk.gone),
        refused=tuple(desk.refused),
        declared=desk.declared,
    )


async def _one(kind: Kind, target: Target, desk: _Desk, progress: Callable[[str, int], None]) -> None:
    tally = desk.rows[kind]
    try:
        with target.open() as source:
            for event in search(source, desk.patterns):
                if isinstance(event, Found):
                    desk.hit(kind, target.label, event)
                    continue
                tally.size += event.size
                tally.streams += event.streams
                if event.cut:
                    desk.survey.skipped[f"{kind}: rest of very long compressed streams"] += event.cut
                if event.size:
                    progress(kind.value, event.size)
                await asyncio.sleep(0)
            if source.unread:
                desk.survey.skipped[f"{kind}: bytes the kernel would not give"] += source.unread
            tally.things += target.counted
            tally.looked = True
    except SourceError as error:
        if len(desk.refused) < HITS_KEPT:
            desk.refused.append(Refused(kind, desk.nameable(target.label), str(error)))
        desk.survey.skipped[f"{kind}: not readable ({error})"] += 1


def _sentences(skipped: Counter[str]) -> tuple[str, ...]:
    return tuple(f"{reason}: {count}" for reason, count in sorted(skipped.items()))
