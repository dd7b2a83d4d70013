"""What a build leaves, and where."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from clawmates.wire.release import Image, Sbom


@dataclass(frozen=True, slots=True, kw_only=True)
class Built:
    """What is remembered of a finished build."""

    inputs: str
    """Hash over everything that went in."""
    image: Image
    sbom: Sbom
    packages: tuple[str, ...]
    """``name version`` of every package."""


@dataclass(frozen=True, slots=True)
class Places:
    """Where the command writes."""

    out: Path
    cache: Path
    key: Path
