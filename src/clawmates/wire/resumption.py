"""Root's order to begin countersigning anew: ``Run.resumed``, in RAM, for it is followed within minutes."""

from __future__ import annotations

import os
import stat
from typing import TYPE_CHECKING

from clawmates.base.shape import ShapeError, decode_json
from clawmates.wire.vault_deeds import Resumed

if TYPE_CHECKING:
    from pathlib import Path

MAX_BYTES = 256 * 1024


def read_resumed(path: Path, owner: int = 0) -> Resumed | None:
    """The order; ``None`` where there is none, where it is not ``owner``'s alone to write, or not to be understood."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
    except OSError:
        return None
    with os.fdopen(descriptor, "rb") as file:
        found = os.fstat(descriptor)
        if found.st_uid != owner or found.st_mode & (stat.S_IWGRP | stat.S_IWOTH) or not stat.S_ISREG(found.st_mode):
            return None
        try:
            return decode_json(Resumed, file.read(MAX_BYTES), MAX_BYTES)
        except (OSError, ShapeError):
            return None
