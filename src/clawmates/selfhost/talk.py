"""The console of a bot on this host, started by the container runtime itself.

``podman exec`` would put a monitor process between the console and whoever talks, and that process keeps the text in
its memory for as long as the conversation lasts (`prove` found it there). The runtime's own ``exec --detach`` hands
our pipes to the console and is gone, so the text passes through no other process (runc(8), crun(1)).
"""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING

from clawmates.node.engines.podman_files import PodmanFiles
from clawmates.selfhost.console import Console, ConsoleError
from clawmates.wire.terminal import CONSOLE

if TYPE_CHECKING:
    from clawmates.base.paths import State
    from clawmates.base.settings import Settings
    from clawmates.wire.status import BotStatus

PYTHON = ("/usr/bin/python3", "-I", "-OO", "-m", CONSOLE)
USER = "1000:1000"
CONTAINER = re.compile(r"[0-9a-f]{64}")


def console_of(state: State, settings: Settings, bot: BotStatus) -> Console:
    """The console inside the bot's container, not yet started; raises :class:`ConsoleError`.

    Podman is not asked: its database lies on a disk that may be full or broken, and the runtime's state is in RAM.
    """
    files = PodmanFiles(state.engine, settings.run.engine)
    try:
        runtime = tomllib.loads(files.containers_conf.read_text())["engine"]["runtime"]
        container = CONTAINER.search(Path(f"/proc/{bot.pid}/cgroup").read_text())
    except (OSError, KeyError, ValueError):
        raise ConsoleError(ConsoleError.__doc__) from None
    if container is None or not bot.pid:
        raise ConsoleError(ConsoleError.__doc__)
    command = (str(files.storage / runtime), "exec", "--detach", "--user", USER, container[0], *PYTHON)
    return Console(command, files.environment)
