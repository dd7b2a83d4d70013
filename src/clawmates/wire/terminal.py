"""The terminal channel: one JSON object a line, between the image's console and the mate.

Both stand in the bot's own container and meet on its loopback, so no other process sees the text. The console's
standard streams belong to whoever ran it there (``clawmates chat``, ``prove``).
"""

from __future__ import annotations

from dataclasses import dataclass

HOST = "127.0.0.1"
PORT = 7460
"""Inside the container's own network namespace."""
MAX_LINE = 1 << 20
CONSOLE = "clawmates.mate.console"
"""The module to run inside the container."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """The person's line."""

    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Heard:
    """A piece of the answer in ``delta``, or the whole answer in ``reply``, which ends it.

    A ``notice`` belongs to no answer and may come at any time.
    """

    delta: str = ""
    reply: str | None = None
    notice: str = ""
