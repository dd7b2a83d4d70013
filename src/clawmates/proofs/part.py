"""One part of a trial that has several: what it adds to the evidence."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from clawmates.proofs.result import Table


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """See :class:`~clawmates.proofs.result.Evidence`, whose fields these are."""

    table: Table
    figures: Mapping[str, int | float | str] = field(default_factory=dict)
    controls: tuple[str, ...] = ()
    found: tuple[str, ...] = ()
    not_looked_at: tuple[str, ...] = ()


def figures_of(parts: Iterable[Part]) -> dict[str, int | float | str]:
    """All figures side by side."""
    return {name: value for part in parts for name, value in part.figures.items()}
