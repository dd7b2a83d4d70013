"""What must be there before the first process starts: folders, RAM, certificates."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from clawmates.base.clock import SystemClock
from clawmates.selfhost import layout, pki

if TYPE_CHECKING:
    from clawmates.base.paths import State
    from clawmates.base.settings import Settings


def prepare(state: State, settings: Settings) -> tuple[str, ...]:
    """Makes or corrects it all and says which certificates were renewed; raises ``LayoutError`` and ``OSError``."""
    layout.ensure_tmpfs(settings.run)
    layout.make(layout.state_folders(state, hosted=settings.hosted))
    layout.make(layout.run_folders(settings.run, hosted=settings.hosted))
    return renew(state, settings)


def renew(state: State, settings: Settings) -> tuple[str, ...]:
    """Renews certificates that are due; services notice by themselves."""
    platform = settings.platform
    clock = SystemClock(timedelta(seconds=platform.unsafe_clock_offset))
    return pki.ensure(state, platform.region, settings.node.name, clock.now(), hosted=settings.hosted)
