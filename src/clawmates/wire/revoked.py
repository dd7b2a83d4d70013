"""Revoked service names: the list that the issuer of certificates writes and their readers honour."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from clawmates.base.shape import decode_json

if TYPE_CHECKING:
    from pathlib import Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Revoked:
    """``least`` is the first generation that still counts, by :attr:`~clawmates.wire.names.ServiceName.base`."""

    least: Mapping[str, int] = field(default_factory=dict)


def read_revoked(path: Path) -> Revoked:
    """The list; a missing file revokes nobody. Raises ``OSError`` and ``ValueError``."""
    try:
        return decode_json(Revoked, path.read_bytes())
    except FileNotFoundError:
        return Revoked()
