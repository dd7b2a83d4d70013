"""``python -I -m clawmates.vault --config FILE``."""

from __future__ import annotations

import gc
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence


def main(arguments: Sequence[str] | None = None) -> int:
    """Serves until a signal; the exit code is 0, or 69 or 78 with one sentence on stderr.

    The collector rests while modules are loaded, none of which is garbage: it was a sixth of the start.
    """
    gc.disable()
    from clawmates.vault import process  # noqa: PLC0415 - after the line above

    gc.freeze()
    gc.enable()
    return process.main(arguments)


if __name__ == "__main__":
    sys.exit(main())
