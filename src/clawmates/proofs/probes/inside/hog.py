"""A hog: all the processor time and all the memory that its container is given, until it is told to stop."""

from __future__ import annotations

import os
import signal
import sys
from typing import TYPE_CHECKING, Any

from clawmates.proofs.probes.inside.kernel import die_with_the_parent

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

SPINNERS = 4
MOST_MIB = 96
PAGE = 4096


def main(_parcel: Mapping[str, Any], _names: Iterable[str]) -> None:
    """Spins in some processes and rewrites memory in one more; ends when standard input does."""
    children = []
    for turn in (_spin,) * SPINNERS + (_churn,):
        child = os.fork()
        if child == 0:
            die_with_the_parent()
            # When memory runs out, whoever took it should go; a mate that is ended would be a finding.
            with open("/proc/self/oom_score_adj", "w") as file:
                file.write("1000")
            turn()
        children.append(child)
    sys.stdout.write("running\n")
    sys.stdout.flush()
    os.read(0, 1)
    for child in children:
        os.kill(child, signal.SIGKILL)
    for child in children:
        os.waitpid(child, 0)


def _spin() -> None:
    number = 1
    while True:
        number = number * 1103515245 + 12345 & 0xFFFFFFFF


def _churn() -> None:
    held = bytearray(MOST_MIB << 20)
    while True:
        for at in range(0, len(held), PAGE):
            held[at] = (held[at] + 1) & 0xFF
