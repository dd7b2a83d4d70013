"""Node's side of control, in one: what should run comes from there, and how it goes is told there."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from clawmates.base.identity import ClientIdentity
from clawmates.base.settings import Settings
from clawmates.node.following import ControlLine, Follower, Pauses
from clawmates.node.reporting import Reporter, capacity, told_file
from clawmates.node.telling import Teller

if TYPE_CHECKING:
    from clawmates.node.keeper import Keeper

DESIRED_FILE = "desired.json"


@dataclass(slots=True, kw_only=True)
class Hosted:
    """``jitter`` gives numbers in [0, 1), ``random`` so many bytes."""

    settings: Settings
    identity: ClientIdentity
    jitter: Callable[[], float]
    random: Callable[[int], bytes]
    meminfo: Path = Path("/proc/meminfo")

    async def serve(self, keeper: Keeper, release: Callable[[], str]) -> None:
        """Until it is cancelled; ``release`` gives the digest of the image that bots run."""
        folder = self.settings.run.node.parent
        follower = Follower(
            # Two lines: a poll must not keep a report waiting.
            line=ControlLine(self.settings, self.identity),
            keeper=keeper,
            path=folder / DESIRED_FILE,
            pauses=Pauses(self.jitter),
        )
        reporter = Reporter(
            line=ControlLine(self.settings, self.identity),
            keeper=keeper,
            follower=follower,
            teller=Teller.open(told_file(folder), self.random),
            pauses=Pauses(self.jitter),
            capacity=capacity(self.settings.node.most_bots, self.meminfo.read_text()),
            release=release,
        )
        async with asyncio.TaskGroup() as group:
            group.create_task(follower.follow())
            group.create_task(reporter.tell())
