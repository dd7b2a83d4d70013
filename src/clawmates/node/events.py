"""What node writes to its log: a closed schema, no text."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Happening(StrEnum):
    """The kinds of lines there are."""

    NODE_STARTED = "node-started"
    NODE_STOPPED = "node-stopped"
    ADOPTED = "adopted"
    STARTED = "started"
    STOPPED = "stopped"
    DIED = "died"
    TICKETED = "ticketed"
    TROUBLE = "trouble"
    DESIRED = "desired"
    RELEASE = "release"
    GATEWAY = "gateway"


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeEvent:
    """``number`` is a generation, a revision or a release number; ``code`` a Trouble or nothing."""

    happening: Happening
    number: int = 0
    code: str = ""
    milliseconds: int = 0
    """How long it took, where that says something."""
