"""The containers of this host's platform, when node is not there to ask."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from clawmates.node.engines.base import EngineError
from clawmates.node.engines.podman import PodmanEngine
from clawmates.node.engines.podman_files import PodmanFiles

if TYPE_CHECKING:
    from clawmates.base.paths import State
    from clawmates.base.settings import Settings

GRACE_SECONDS = 10


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
    return len(found)
