"""``python -I -OO -m clawmates.mate``: the program of a bot's container."""

from __future__ import annotations

import asyncio
import os
import sys

from clawmates.base.hardening import harden
from clawmates.mate.boot import BootFolder
from clawmates.mate.door import Door
from clawmates.mate.main import run

if __name__ == "__main__":
    harden()
    os.environ.clear()
    sys.exit(asyncio.run(run(Door(), BootFolder())))
