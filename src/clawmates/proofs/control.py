"""The search tried on what is certainly there, so that finding nothing means something."""

from __future__ import annotations

import os
from contextlib import contextmanager
from typing import TYPE_CHECKING

from clawmates.base.files import write_atomic
from clawmates.proofs.encodings import ENCODINGS
from clawmates.proofs.packings import PACKINGS
from clawmates.proofs.search import Found, Patterns, search
from clawmates.proofs.sources import Piece, open_memory

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from clawmates.proofs.canary import Canary
    from clawmates.proofs.sources import Source

_AROUND = b"\x00before "


class SearchBrokenError(Exception):
    """The search misses what is certainly there; its silence would prove nothing."""


def check_encodings(canary: Canary) -> int:
    """Plants the canary in RAM in every encoding, bare and compressed, and finds each by its name.

    Returns how many were tried. Raises :class:`SearchBrokenError`.
    """
    patterns = Patterns.of(canary)
    tried = 0
    for encoding in ENCODINGS:
        planted = _AROUND + encoding.plant(canary.mark) + _AROUND
        for name, data in (
            (encoding.name, planted),
            *((f"{packing.name} > {encoding.name}", _AROUND + packing.pack(planted)) for packing in PACKINGS),
        ):
            if name not in names(Piece(data), patterns):
                raise SearchBrokenError(f"a planted canary was not found as {name}")
            tried += 1
    return tried


def check_memory(patterns: Patterns) -> None:
    """Finds the canary in this very process, which holds it. Raises :class:`SearchBrokenError`, ``SourceError``."""
    with open_memory(os.getpid()) as memory:
        if not any(isinstance(event, Found) for event in search(memory, patterns)):
            raise SearchBrokenError("the canary was not found in the memory of the process that holds it")


def names(source: Source, patterns: Patterns) -> set[str]:
    """The encodings in which the canary stands in ``source``."""
    return {event.encoding for event in search(source, patterns) if isinstance(event, Found)}


@contextmanager
def control_file(folder: Path, control: Canary) -> Iterator[Path]:
    """A file with a text that no bot ever saw, on disk for as long as the search runs. Raises ``OSError``."""
    path = folder / f".prove-{os.getpid()}"
    write_atomic(path, f"control text of clawmates prove: {control.stem}\n".encode())
    try:
        yield path
    finally:
        path.unlink(missing_ok=True)
