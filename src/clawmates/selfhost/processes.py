"""Which processes of this host are a platform's own, whoever started them: ``clawmates up``, systemd or Podman."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from clawmates.selfhost.accounts import HOSTED, SERVICES

if TYPE_CHECKING:
    from clawmates.base.paths import Run, State


def running(state: State, proc: Path = Path("/proc")) -> dict[str, int]:
    """Process ids by service: those whose command line runs the service with this platform's configuration."""
    config = os.fsencode(state.config)
    found: dict[str, int] = {}
    for folder in proc.iterdir():
        if not folder.name.isdecimal():
            continue
        with suppress(OSError):
            service = service_of((folder / "cmdline").read_bytes().split(b"\0"), config)
            if service is not None:
                found[service] = int(folder.name)
    return found


def helpers(run: Run, proc: Path = Path("/proc")) -> tuple[int, ...]:
    """The engine's processes beside this platform's containers: monitors, and what cleans up behind a container."""
    mark = os.fsencode(run.engine)
    found = []
    for folder in proc.glob("[0-9]*"):
        with suppress(OSError):
            if mark in (folder / "cmdline").read_bytes():
                found.append(int(folder.name))
    return tuple(found)


def service_of(arguments: list[bytes], config: bytes) -> str | None:
    """``python -I -m clawmates.SERVICE --config FILE``; its launcher has the same words behind its own."""
    for service in (*SERVICES, HOSTED):
        line = [b"-I", b"-m", f"clawmates.{service}".encode(), b"--config", config]
        if arguments[1 : 1 + len(line)] == line:
            return service
    return None
