"""Lets a new image in by one bot first, and back out when that bot does not come to life: pure, and told the time.

While a new release is tried all other bots run the last good one, and do not notice. When a later bot does not come to
life with it, that one goes back, nobody follows any more, and who lives with it stays: the operator decides. A release
whose image is the one that runs already changes nothing but the catalogue, and is taken at once.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING

from clawmates.wire.release import Release

if TYPE_CHECKING:
    from collections.abc import Sequence

LIVED_SECONDS = 3.0
"""How long the first bot must have lived with the new image."""
TRIAL_SECONDS = 120.0
"""How long a bot may take to live once it alone has the messenger's line."""
FAILURES = 2
"""Containers of the new image that ended, or did not come up, by their own fault."""
AT_ONCE = 4
"""How many bots are replaced at the same time, once the first lives."""


class News(StrEnum):
    """What has become of a new release."""

    TRIED = "tried"
    """One bot begins to run it."""
    GOOD = "good"
    """It is the last good one now; all bots run it, or will at their next start."""
    REFUSED = "refused"
    """It is not tried again."""
    STOPPED = "stopped"
    """A later bot did not come to life with it, and nobody follows."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Refused:
    """A release that did not come to life."""

    config: str
    """Its image's."""
    number: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Stopped:
    """Who stopped a roll-out."""

    bot: str
    why: str
    """The last code of its container with the new image; may be empty."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """What there is to know of a bot that should run."""

    bot: str
    image: str
    """Config digest of the container that runs; empty when none does."""
    lived: float | None = None
    """Seconds since this life of it said that it lives."""
    ran: float = 0.0
    """Seconds since it has run alone."""
    failures: int = 0
    """Of the image that is tried, by its own fault."""
    excused: bool = False
    """It says what keeps it from living, and no other image would live with that either."""
    why: str = ""
    """What was wrong with it last, with the image that is tried."""


@dataclass(slots=True)
class Gate:
    """The last good release, and maybe one that is tried."""

    good: Release | None = None
    fresh: Release | None = None
    refused: Refused | None = None
    first: str = ""
    """The bot that tries."""
    stopped: Stopped | None = None
    """Not kept over node's restart: then it is tried once more, by those who run it already."""
    _chosen: dict[str, bool] = field(default_factory=dict)
    """Who runs the fresh one, and whether it lived when it was chosen; one that did not says nothing about an image."""
    _passed: bool = False

    def release_for(self, bot: str) -> Release | None:
        """What a bot is to run."""
        return self.fresh if self.fresh is not None and bot in self._chosen else self.good

    def offer(self, release: Release) -> News | None:
        """A release that is signed, and whose image is there."""
        config = release.image.config
        if self.good == release and self.fresh is None:
            return None
        if self.good is None or self.good.image.config == config:
            self._take(release)
            return News.GOOD
        if self.refused is not None and config == self.refused.config and release.number <= self.refused.number:
            self._drop()
            return None
        other_wish = self.stopped is not None and self.fresh != release
        if self.fresh is None or self.fresh.image.config != config or other_wish:
            self._drop()
        self.fresh = release
        return None

    def step(self, seen: Sequence[Seen]) -> News | None:
        """One look at all bots that should run. Chooses who is next, and says when something is decided."""
        if self.fresh is None or not seen:
            return None
        known = {one.bot: one for one in seen}
        self._chosen = {bot: lived for bot, lived in self._chosen.items() if bot in known}
        if self.stopped is not None and self.stopped.bot not in known:
            self.stopped = None
        if self._passed:
            return self._roll(self.fresh, seen)
        first = known.get(self.first)
        if first is None:
            self.first = min(seen, key=lambda one: self._rank(one, self.fresh)).bot
            runs_it = [one for one in seen if one.bot == self.first or one.image == self.fresh.image.config]
            self._chosen = {one.bot: one.lived is not None for one in runs_it}
            return News.TRIED
        if _fails(first, self.fresh):
            self.refused = Refused(config=self.fresh.image.config, number=self.fresh.number)
            self._drop()
            return News.REFUSED
        if _lives(first, self.fresh):
            self._passed = True
            return self._roll(self.fresh, seen)
        return None

    def _roll(self, fresh: Release, seen: Sequence[Seen]) -> News | None:
        """The rest follow, a few at a time, until one does not come to life."""
        stuck = [one for one in seen if self._chosen.get(one.bot, one.lived is not None) and _fails(one, fresh)]
        for one in stuck:
            self._chosen.pop(one.bot, None)
        if self.stopped is None and stuck:
            self.stopped = Stopped(bot=stuck[0].bot, why=stuck[0].why)
            return News.STOPPED
        if self.stopped is not None:
            return None
        moving = sum(self._chosen.get(one.bot, False) and not _settled(one, fresh) for one in seen)
        for one in sorted(seen, key=lambda one: one.bot):
            if moving < AT_ONCE and one.bot not in self._chosen:
                self._chosen[one.bot] = one.lived is not None
                moving += 1
        if len(self._chosen) < len(seen) or moving:
            return None
        self._take(fresh)
        return News.GOOD

    def _take(self, release: Release) -> None:
        self._drop()
        self.good = release
        if self.refused is not None and self.refused.number < release.number:
            self.refused = None

    def _drop(self) -> None:
        self.fresh, self.first, self.stopped, self._chosen, self._passed = None, "", None, {}, False

    @staticmethod
    def _rank(one: Seen, fresh: Release | None) -> tuple[bool, bool, bool, str]:
        """Who runs it already comes first (node was restarted meanwhile), then who lives, then who runs at all."""
        runs = fresh is not None and one.image == fresh.image.config
        return not runs, one.lived is None, not one.image, one.bot


def _lives(one: Seen, release: Release) -> bool:
    return one.image == release.image.config and one.lived is not None and one.lived >= LIVED_SECONDS


def _late(one: Seen, release: Release) -> bool:
    return one.image == release.image.config and one.lived is None and one.ran >= TRIAL_SECONDS


def _fails(one: Seen, release: Release) -> bool:
    return one.failures >= FAILURES or (_late(one, release) and not one.excused)


def _settled(one: Seen, release: Release) -> bool:
    return _lives(one, release) or (_late(one, release) and one.excused)
