"""What node writes to its log: a closed schema, no text, and the same key ``code`` as in everybody's log."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from clawmates.wire.codes import Trouble


class Happening(StrEnum):
    """What can happen when nothing is wrong."""

    NODE_STARTED = "node-started"
    NODE_STOPPED = "node-stopped"
    ADOPTED = "adopted"
    STARTED = "started"
    STOPPED = "stopped"
    DIED = "died"
    TICKETED = "ticketed"
    REPLACING = "replacing"
    REPLACED = "replaced"
    RELEASE_TRIED = "release-tried"
    RELEASE_GOOD = "release-good"
    DESIRED = "desired"
    RELEASE = "release"
    GATEWAY = "gateway"


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeEvent:
    """``number`` is a generation, a revision or a release number."""

    code: Happening | Trouble
    number: int = 0
    milliseconds: int = 0
    """How long it took, where that says something."""
