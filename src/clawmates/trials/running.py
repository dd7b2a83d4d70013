"""How every trial ends: one sentence for what is missing, and nothing left behind by a Ctrl-C or a SIGTERM."""

from __future__ import annotations

import asyncio
import signal
import sys
from typing import TYPE_CHECKING

from clawmates.base.hardening import harden
from clawmates.proofs.errors import ProofError
from clawmates.selfhost.containers import StillRunningError
from clawmates.selfhost.install import InstallError
from clawmates.selfhost.layout import LayoutError
from clawmates.simulator.client import SimulatorError
from clawmates.trials.disk import NoDiskError
from clawmates.trials.throwaway import TrialError

if TYPE_CHECKING:
    from collections.abc import Coroutine

MISSING = 4
INTERRUPTED, TERMINATED = 128 + signal.SIGINT, 128 + signal.SIGTERM
EXPECTED = (InstallError, LayoutError, TrialError, NoDiskError, ProofError, SimulatorError, StillRunningError)


def run(trial: Coroutine[object, object, int]) -> int:
    """Runs a trial and gives its exit code; 4 when this machine lacks something, 130 after a Ctrl-C, 143 after SIGTERM.

    However it is stopped, it takes down first what it set up; a second SIGTERM meanwhile changes nothing.
    """
    harden(new_privileges=True)
    try:
        return asyncio.run(_stoppable(trial))
    except (KeyboardInterrupt, asyncio.CancelledError) as stopped:
        sys.stderr.write("stopped; everything was removed\n")
        return INTERRUPTED if isinstance(stopped, KeyboardInterrupt) else TERMINATED
    except EXPECTED as problem:
        sys.stderr.write(f"error: {problem}\n")
        return MISSING


async def _stoppable(trial: Coroutine[object, object, int]) -> int:
    loop, task = asyncio.get_running_loop(), asyncio.current_task()

    def stop() -> None:
        if task is not None and not task.cancelling():
            task.cancel()

    loop.add_signal_handler(signal.SIGTERM, stop)
    return await trial
