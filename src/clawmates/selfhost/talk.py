"""The console of a bot on this host."""

from __future__ import annotations

from typing import TYPE_CHECKING

from clawmates.node.engines.podman_files import PodmanFiles, console
from clawmates.selfhost.console import Console
from clawmates.wire.terminal import CONSOLE

if TYPE_CHECKING:
    from clawmates.base.paths import State
    from clawmates.base.settings import Settings

PYTHON = ("/usr/bin/python3", "-I", "-OO", "-m", CONSOLE)


def console_of(state: State, settings: Settings, container: str) -> Console:
    """The console inside ``container``, not yet started."""
    command, environment = console(PodmanFiles(state.engine, settings.run.engine), container, PYTHON)
    return Console(command, environment)
