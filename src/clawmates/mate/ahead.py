"""What the decorator of dataclasses writes, compiled when the image was built and not at every start.

A quarter of the work of a mate's imports was compiling methods that are the same each time. The image keeps their code
beside this module (`image/ahead.py`), found by the text that it was compiled from: what is not there, or was written
otherwise, is compiled as ever. Outside the image there is no such file, and nothing changes.
"""

from __future__ import annotations

import dataclasses
import hashlib
import marshal
import struct
from contextlib import suppress
from os.path import dirname, join
from typing import Any

FILE = join(dirname(__file__), "ahead.bin")
_COUNT = 4
_ROW = struct.Struct("<32sII")
"""SHA-256 of the text, where its code begins behind the rows, its length in bytes."""


def take(file: str = FILE) -> None:
    """Lets dataclasses find what was compiled ahead, until :func:`drop`."""
    with suppress(FileNotFoundError), open(file, "rb") as stream:
        dataclasses.exec = Table(stream.read())  # type: ignore[attr-defined] # instead of the built-in one


def drop() -> None:
    """Frees it: what is imported later is compiled then."""
    dataclasses.__dict__.pop("exec", None)


class Table:
    """In place of the built-in ``exec``, as :mod:`dataclasses` calls it."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._codes = _COUNT + int.from_bytes(data[:_COUNT], "little") * _ROW.size
        rows = _ROW.iter_unpack(data[_COUNT : self._codes])
        self._places = {digest: (start, length) for digest, start, length in rows}

    def __call__(self, text: str, names: dict[str, Any], into: dict[str, Any]) -> None:
        """Runs the text."""
        start, length = self._places.get(hashlib.sha256(text.encode()).digest(), (0, 0))
        start += self._codes
        # Of our own signed and read-only image, as every module is.
        exec(marshal.loads(self._data[start : start + length]) if length else text, names, into)  # noqa: S102, S302
