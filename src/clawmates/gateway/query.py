"""What a long poll's address may say."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from clawmates.base.shape import ShapeError

if TYPE_CHECKING:
    from clawmates.base.http.server import Request

_NUMBER = re.compile(r"[0-9]{1,18}")


def whole_number(request: Request, name: str) -> int:
    """A parameter's value, -1 without one; raises :class:`~clawmates.base.shape.ShapeError`."""
    text = request.query(name)
    if not text:
        return -1
    if not _NUMBER.fullmatch(text):
        raise ShapeError(name, "expected a whole number")
    return int(text)
