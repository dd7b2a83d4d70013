"""The catalogue: ``en.toml`` and ``de.toml`` with the same keys. A missing key is a defect that a test finds."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

LANGUAGES = ("en", "de")
DEFAULT = "en"


@dataclass(frozen=True, slots=True)
class Words:
    """One language: ``words("sign-in.title")``, ``words("launch.step", number=2, of=5)``."""

    language: str
    _lines: Mapping[str, str]

    def __call__(self, key: str, **fields: object) -> str:
        """The text of ``key`` with its fields filled in; raises ``KeyError`` for one that is not there."""
        return self._lines[key].format(**fields) if fields else self._lines[key]

    def has(self, key: str) -> bool:
        """Whether there is such a text."""
        return key in self._lines

    def keys(self) -> frozenset[str]:
        """All keys."""
        return frozenset(self._lines)


@cache
def words(language: str) -> Words:
    """The words of a language; of an unknown one, English."""
    chosen = language if language in LANGUAGES else DEFAULT
    found = tomllib.loads((Path(__file__).parent / f"{chosen}.toml").read_text())
    return Words(chosen, dict(_flat(found, "")))


def choose(accepted: str) -> str:
    """The language of an ``Accept-Language`` header (RFC 9110, section 12.5.4): the first of ours by its weights."""
    weighed: list[tuple[float, str]] = []
    for part in accepted.split(",")[:20]:
        tag, _, parameter = part.strip().partition(";")
        try:
            weight = float(parameter.strip().removeprefix("q=")) if parameter else 1.0
        except ValueError:
            continue
        weighed.append((weight, tag.partition("-")[0].strip().lower()))
    known = [(weight, tag) for weight, tag in weighed if tag in LANGUAGES and weight > 0]
    return max(known, key=lambda one: one[0])[1] if known else DEFAULT


def _flat(table: Mapping[str, object], prefix: str) -> Iterator[tuple[str, str]]:
    for key, value in table.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", str(value)
