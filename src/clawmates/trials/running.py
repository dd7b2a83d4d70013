"""How every trial ends: one sentence for what is missing, and nothing left behind by a Ctrl-C."""

from __future__ import annotations

import asyncio
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
INTERRUPTED = 130
EXPECTED = (InstallError, LayoutError, TrialError, NoDiskError, ProofError, SimulatorError, StillRunningError)


def run(trial: Coroutine[object, object, int]) -> int:
    """Runs a trial and gives its exit code; 4 when this machine lacks something, 130 after a Ctrl-C."""
    harden(new_privileges=True)
    try:
        return asyncio.run(trial)
    except KeyboardInterrupt:
        sys.stderr.write("stopped; everything was removed\n")
        return INTERRUPTED
    except EXPECTED as problem:
        sys.stderr.write(f"error: {problem}\n")
        return MISSING
