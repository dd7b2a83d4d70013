"""``python -I -S -OO -m clawmates.mate``: the program of a bot's container."""

from __future__ import annotations

import logging
import os
import sys

from clawmates.mate.lean import slim

slim()

import asyncio  # noqa: E402 - after what keeps it small

from clawmates.base.hardening import harden  # noqa: E402
from clawmates.mate.boot import BootFolder  # noqa: E402
from clawmates.mate.door import Door  # noqa: E402
from clawmates.mate.main import run  # noqa: E402

if __name__ == "__main__":
    harden()
    logging.disable(logging.CRITICAL)
    os.environ.clear()
    sys.exit(asyncio.run(run(Door(), BootFolder())))
