"""The console of a bot on this host, started by the container runtime itself.

``podman exec`` would put a monitor process between the console and whoever talks, and that process keeps the text in
its memory for as long as the conversation lasts (`prove` found it there). The runtime's own ``exec --detach`` hands
our pipes to the console and is gone, so the text passes through no other process (runc(8), crun(1)).
"""

from __future__ import annotations

import tomllib
from typing import TYPE_CHECKING

from clawmates.node.engines.base import EngineError
from clawmates.selfhost.console import Console, ConsoleError
from clawmates.selfhost.containers import podman_of
from clawmates.wire.terminal import CONSOLE

if TYPE_CHECKING:
    from clawmates.base.paths import State
    from clawmates.base.settings import Settings

PYTHON = ("/usr/bin/python3", "-I", "-OO", "-m", CONSOLE)
USER = "1000:1000"


async def console_of(state: State, settings: Settings, container: str) -> Console:
    """The console inside the container of that name, not yet started; raises :class:`ConsoleError`."""
    engine = podman_of(state, settings)
    try:
        runtime = tomllib.loads(engine.files.containers_conf.read_text())["engine"]["runtime"]
        running = next(one for one in await engine.list() if one.name == container and one.pid)
    except (EngineError, OSError, KeyError, ValueError, StopIteration):
        raise ConsoleError(ConsoleError.__doc__) from None
    finally:
        engine.close()
    command = (str(engine.files.storage / runtime), "exec", "--detach", "--user", USER, running.id, *PYTHON)
    return Console(command, engine.files.environment)
