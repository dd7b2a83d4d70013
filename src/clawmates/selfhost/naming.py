"""What a bot is called elsewhere, as a name on this host may be written."""

from __future__ import annotations

import re

from clawmates.wire.names import BOT_ID

_UNFIT = re.compile(r"[^a-z0-9]+")


def fitting(name: str) -> str | None:
    """The name in ``a-z``, ``0-9`` and ``-``; ``None`` where nothing is left of it."""
    if BOT_ID.fullmatch(name):
        return name
    fit = _UNFIT.sub("-", name.lower()).strip("-")[:40].strip("-")
    return fit if BOT_ID.fullmatch(fit) else None


class Names:
    """Gives each name once."""

    def __init__(self) -> None:
        self._given: set[str] = set()

    def give(self, wanted: str) -> str:
        """That name as it fits; with a number where it is given already."""
        base = fitting(wanted) or "bot"
        tries = (base, *(f"{base[:36]}-{number}" for number in range(2, len(self._given) + 3)))
        name = next(one for one in tries if one not in self._given)
        self._given.add(name)
        return name
