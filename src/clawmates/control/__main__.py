"""``python -I -m clawmates.control --config FILE``."""

from __future__ import annotations

import gc
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence


def main(arguments: Sequence[str] | None = None) -> int:
    """Serves until a signal; the exit code is 0, or 69 or 78 with one sentence on stderr.

    The collector rests while a thousand modules are loaded, none of which is garbage: searching them again and again
    takes a fifth of the start. Frozen, they are not searched while people wait for a page either (``gc.freeze``).
    """
    gc.disable()
    from clawmates.control import process  # noqa: PLC0415 - after the line above

    gc.freeze()
    gc.enable()
    return process.main(arguments)


if __name__ == "__main__":
    sys.exit(main())
