"""``python -I -m clawmates.node --config FILE``."""

from __future__ import annotations

import argparse
import asyncio
import os
import random
import signal
import sys
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from clawmates.base.clock import SystemClock
from clawmates.base.eventlog import EventLog
from clawmates.base.hardening import HardeningError, harden, quiet_loop
from clawmates.base.identity import ClientIdentity
from clawmates.base.settings import Settings, SettingsError, load, state_of
from clawmates.node.hosted import Hosted
from clawmates.node.node import Node, PrerequisiteError, podman
from clawmates.node.standing import here, judge
from clawmates.node.tickets import VaultOffice
from clawmates.node.witness import Counterpart
from clawmates.wire.gateway_client import GatewayClient

if TYPE_CHECKING:
    from collections.abc import Sequence

    from clawmates.base.paths import State

EXIT_PREREQUISITE = 4
EXIT_CONFIGURATION = 78


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs node until SIGTERM; the exit code is 0, or 4 or 78 with one sentence on stderr."""
    parser = argparse.ArgumentParser(prog="clawmates.node")
    parser.add_argument("--config", type=Path, required=True)
    config: Path = parser.parse_args(arguments).config
    try:
        harden()
        os.umask(0o077)
        _check_standing()
        asyncio.run(_run(load(config), state_of(config)))
    except (SettingsError, HardeningError) as error:
        sys.stderr.write(f"node: {error}\n")
        return EXIT_CONFIGURATION
    except PrerequisiteError as error:
        sys.stderr.write(f"node: {error}\n")
        return EXIT_PREREQUISITE
    return 0


def _check_standing() -> None:
    decision = judge(here())
    if decision.reason is not None:
        raise PrerequisiteError(decision.reason.value)


async def _run(settings: Settings, state: State) -> None:
    loop = asyncio.get_running_loop()
    quiet_loop(loop)
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    clock = SystemClock(timedelta(seconds=settings.platform.unsafe_clock_offset))
    identity, log = ClientIdentity(state, "node"), EventLog(state.log, "node", clock)
    node = Node(
        settings=settings,
        state=state,
        clock=clock,
        jitter=random.random,
        log=log,
        gateway=GatewayClient(settings.run.gateway),
        vault=VaultOffice(settings, identity),
        counterpart=Counterpart(settings, state, identity, clock, log),
        open_engine=podman(settings, state),
        hosted=(
            Hosted(settings=settings, identity=identity, jitter=random.random, random=os.urandom)
            if settings.hosted
            else None
        ),
    )
    await node.run(stop)


if __name__ == "__main__":
    sys.exit(main())
