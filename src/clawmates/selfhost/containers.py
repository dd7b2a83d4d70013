"""The containers of this host's platform, when node is not there to ask."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from clawmates.node.engines.base import EngineError
from clawmates.node.engines.podman import PodmanEngine
from clawmates.node.engines.podman_files import PodmanFiles
from clawmates.selfhost.processes import helpers

if TYPE_CHECKING:
    from clawmates.base.paths import Run, State
    from clawmates.base.settings import Settings

GRACE_SECONDS = 10
TIDY_SECONDS = 10.0
LOOK_SECONDS = 0.05


class StillRunningError(Exception):
    """A container would not stop: look at it with the engine's own tools before you remove anything."""


def podman_of(state: State, settings: Settings) -> PodmanEngine:
    """The engine as node has set it up; nothing is written."""
    return PodmanEngine(PodmanFiles(state.engine, settings.run.engine), "")


async def stop_all(state: State, settings: Settings) -> int:
    """Stops every container and says how many there were; raises :class:`StillRunningError`.

    A platform whose engine was never set up has none.
    """
    engine = podman_of(state, settings)
    if not engine.files.containers_conf.exists():
        return 0
    try:
        found = await engine.list()
        await asyncio.gather(*(engine.stop(one.name, GRACE_SECONDS) for one in found))
        left = await engine.list()
    except EngineError:
        raise StillRunningError(StillRunningError.__doc__) from None
    finally:
        engine.close()
    if left:
        raise StillRunningError(StillRunningError.__doc__)
    await _tidied(settings.run)
    return len(found)


async def _tidied(run: Run) -> None:
    """Waits, within bounds, for what the engine still does behind a container: it would write where we take away."""
    for _ in range(round(TIDY_SECONDS / LOOK_SECONDS)):
        if not helpers(run):
            return
        await asyncio.sleep(LOOK_SECONDS)
