"""``contents.toml``: what goes into the image, as values."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from clawmates.base.shape import decode

CONTENTS = Path(__file__).with_name("contents.toml")


@dataclass(frozen=True, slots=True, kw_only=True)
class Keep:
    """``[keep]``: shell patterns of file names; ``programs`` are whole paths without the leading slash."""

    programs: tuple[str, ...]
    libraries: tuple[str, ...]
    extensions: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Drop:
    """``[drop]``: shell patterns of dotted module names."""

    modules: tuple[str, ...]
    submodules: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Wheels:
    """``[wheels]``: what is kept of them; shell patterns of dotted module names, and of names within the archives."""

    modules: tuple[str, ...]
    extensions: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Contents:
    """The whole file."""

    suite: str
    created: int
    """Seconds since 1970, the time stamp of every file."""
    packages: Mapping[str, str]
    """Debian package → why it is there."""
    tools: Mapping[str, str]
    keep: Keep
    drop: Drop
    wheels: Wheels

    @property
    def wanted(self) -> tuple[str, ...]:
        """Every package that is fetched, sorted."""
        return tuple(sorted({*self.packages, *self.tools}))


def load(path: Path = CONTENTS) -> Contents:
    """Raises ``ShapeError`` when the file is not what it should be."""
    return decode(Contents, tomllib.loads(path.read_text()))
