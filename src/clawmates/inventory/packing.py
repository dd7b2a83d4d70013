"""What an export looks like: one JSON file a datum, and the JSON schema (2020-12) of all of them. Pure, in memory."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import IO, TYPE_CHECKING, Any, cast

from clawmates.inventory.words import end

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    from clawmates.inventory.datum import Datum

FORMAT = 1
SCHEMA_FILE = "schema.json"
ABOUT_FILE = "about.json"
DIALECT = "https://json-schema.org/draft/2020-12/schema"
Shape = Mapping[str, Any]
"""A JSON schema of one value."""

TEXT: Shape = {"type": "string"}
DOCUMENT: Mapping[str, Shape] = {"bot": TEXT, "version": {"type": "integer"}, "text": TEXT}
"""Of what lay encrypted at the vault and was opened by its owner."""
ENTRY: Mapping[str, Shape] = {
    "number": {"type": "integer"},
    "at": {"type": "string", "format": "date-time"},
    "tag": TEXT,
    "detail": {"type": "string", "contentMediaType": "application/json"},
    "hash": TEXT,
}
"""Of an entry of the vault's audit chain."""


def file_of(datum: Datum) -> str:
    """Where a datum stands in an export."""
    return f"{datum.id}.json"


def schema(data: Iterable[tuple[Datum, Mapping[str, Mapping[str, Shape]]]]) -> dict[str, Any]:
    """Of every file, by its name: a datum's tables, and their columns."""
    files = {
        file_of(datum): {
            "title": datum.what.en,
            "description": f"{datum.why.en}. Kept: {end(datum).en}.",
            **_object({table: {"type": "array", "items": _object(columns)} for table, columns in tables.items()}),
        }
        for datum, tables in data
    }
    about = _object({"format": {"const": FORMAT}, "made": {"type": "string", "format": "date-time"}, "software": TEXT})
    return {
        "$schema": DIALECT,
        "title": "ClawMates export",
        "type": "object",
        "properties": {ABOUT_FILE: about, **files},
    }


def _object(properties: Mapping[str, Shape]) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": dict(properties),
        "required": sorted(properties),
        "additionalProperties": False,
    }


@dataclass(slots=True)
class _Sink:
    """A file that can only be written to, as :mod:`zipfile` allows: it never asks to go back."""

    pieces: list[bytes] = field(default_factory=list)

    def write(self, data: bytes) -> int:
        self.pieces.append(bytes(data))
        return len(data)

    def flush(self) -> None:
        """Nothing is held back."""


class Package:
    """A zip that grows in memory and touches no disk; ``pieces`` is whole after :meth:`close`."""

    def __init__(self, made: datetime) -> None:
        self._sink = _Sink()
        self._zip = zipfile.ZipFile(cast("IO[bytes]", self._sink), "w", zipfile.ZIP_DEFLATED)
        self._made = made.timetuple()[:6]

    def open(self, name: str) -> IO[bytes]:
        """A new file; closed before the next is opened."""
        info = zipfile.ZipInfo(name, self._made)
        info.compress_type = zipfile.ZIP_DEFLATED
        info.external_attr = 0o600 << 16
        return self._zip.open(info, "w")

    def add(self, name: str, value: object) -> None:
        """A whole JSON file."""
        with self.open(name) as stream:
            stream.write(json.dumps(value, ensure_ascii=False, indent=1).encode() + b"\n")

    def close(self) -> list[bytes]:
        """The zip, in pieces."""
        self._zip.close()
        return self._sink.pieces
