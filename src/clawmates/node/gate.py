"""Lets a new image in by one bot first, and back out when that bot does not come to life: pure, and told the time.

While a new release is tried all other bots run the last good one, and do not notice. A release whose image is the one
that runs already changes nothing but the catalogue, and is taken at once.
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
"""How long it may take to live once it alone has the messenger's line."""
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Refused:
    """A release that did not come to life."""

    config: str
    """Its image's."""
    number: int


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


@dataclass(slots=True)
class Gate:
    """The last good release, and maybe one that is tried."""

    good: Release | None = None
    fresh: Release | None = None
    refused: Refused | None = None
    first: str = ""
    """The bot that tries."""
    _chosen: set[str] = field(default_factory=set)
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
        if self.fresh is None or self.fresh.image.config != config:
            self._drop()
        self.fresh = release
        return None

    def step(self, seen: Sequence[Seen]) -> News | None:
        """One look at all bots that should run. Chooses who is next, and says when something is decided."""
        if self.fresh is None or not seen:
            return None
        known = {one.bot: one for one in seen}
        self._chosen &= known.keys()
        if self._passed:
            return self._roll(self.fresh, seen)
        first = known.get(self.first)
        if first is None:
            self.first = min(seen, key=lambda one: self._rank(one, self.fresh)).bot
            self._chosen = {self.first}
            return News.TRIED
        if first.failures >= FAILURES or self._too_late(first, self.fresh):
            self.refused = Refused(config=self.fresh.image.config, number=self.fresh.number)
            self._drop()
            return News.REFUSED
        if _lives(first, self.fresh):
            self._passed = True
            return self._roll(self.fresh, seen)
        return None

    def _roll(self, fresh: Release, seen: Sequence[Seen]) -> News | None:
        """The rest follow, a few at a time; one that does not come up keeps its old container and holds nobody up."""
        moving = sum(one.bot in self._chosen and not (_lives(one, fresh) or one.failures >= FAILURES) for one in seen)
        for one in sorted(seen, key=lambda one: one.bot):
            if moving < AT_ONCE and one.bot not in self._chosen:
                self._chosen.add(one.bot)
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
        self.fresh, self.first, self._chosen, self._passed = None, "", set(), False

    @staticmethod
    def _rank(one: Seen, fresh: Release | None) -> tuple[bool, bool, bool, str]:
        """Who runs it already comes first (node was restarted meanwhile), then who lives, then who runs at all."""
        runs = fresh is not None and one.image == fresh.image.config
        return not runs, one.lived is None, not one.image, one.bot

    @staticmethod
    def _too_late(first: Seen, fresh: Release) -> bool:
        return first.image == fresh.image.config and first.lived is None and first.ran >= TRIAL_SECONDS


def _lives(one: Seen, release: Release) -> bool:
    return one.image == release.image.config and one.lived is not None and one.lived >= LIVED_SECONDS
