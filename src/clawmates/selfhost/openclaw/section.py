"""A piece of somebody else's configuration that remembers what was asked of it, so that the rest can be told.

Nothing that is told quotes a value, and a key only where it looks like a word: keys, too, may be anybody's secret.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from clawmates.selfhost.draft import KEYS_BEGIN

if TYPE_CHECKING:
    from collections.abc import Iterator

_WORD = re.compile(r"[A-Za-z0-9$_][A-Za-z0-9_ -]{0,39}")


class Section:
    """An object of it; one that is not there, or is no object, is empty. Types that do not fit stay unasked."""

    def __init__(self, value: object, path: str = "") -> None:
        self.path = path
        self._value: Mapping[str, Any] = value if isinstance(value, Mapping) else {}
        self._asked: set[str] = set()
        self._inner: dict[str, Section] = {}
        self._rows: dict[str, tuple[Section, ...]] = {}

    def __contains__(self, name: str) -> bool:
        return name in self._value

    def __bool__(self) -> bool:
        return bool(self._value)

    def names(self) -> tuple[str, ...]:
        """In the file's order."""
        return tuple(self._value)

    def inner(self, name: str) -> Section:
        """The object of that name; the same one, however often it is asked for."""
        value = self._value.get(name)
        if not isinstance(value, Mapping):
            return Section({}, self.at(name))
        return self._inner.setdefault(name, Section(value, self.at(name)))

    def rows(self, name: str) -> tuple[Section, ...]:
        """The objects of a list."""
        value = self._value.get(name)
        if not isinstance(value, list) or not all(isinstance(one, Mapping) for one in value):
            return ()
        made = (Section(one, f"{self.at(name)}[{number}]") for number, one in enumerate(value))
        return self._rows.setdefault(name, tuple(made))

    def text(self, name: str) -> str | None:
        """A string."""
        found: str | None = self._of(name, str)
        return found

    def flag(self, name: str) -> bool | None:
        """True or false."""
        found: bool | None = self._of(name, bool)
        return found

    def number(self, name: str) -> float | None:
        """A finite number, whole or not."""
        value = self._value.get(name)
        fits = isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
        return self._of(name, int, float) if fits else None

    def listed(self, name: str) -> tuple[str | int, ...] | None:
        """A list of strings and whole numbers."""
        value = self._value.get(name)
        fits = isinstance(value, list) and all(
            isinstance(one, str | int) and not isinstance(one, bool) for one in value
        )
        if not fits or value is None:
            return None
        self._asked.add(name)
        return tuple(value)

    def is_ours(self, name: str, value: object) -> None:
        """What stands there is taken over when it is exactly this, because bots here are so anyway."""
        if self._value.get(name) == value:
            self._asked.add(name)

    def pass_over(self, *names: str) -> None:
        """What is nobody's loss, or is told in other words, with all that is in it."""
        self._asked.update(names)

    def unasked(self) -> Iterator[str]:
        """The paths of what nobody has asked for; of what lies deeper, its beginning alone."""
        for name in (one for one in self._value if one not in self._asked):
            below = [self._inner[name]] if name in self._inner else self._rows.get(name)
            if below is None:
                yield self.at(name)
            for section in below or ():
                yield from section.unasked()

    def at(self, name: str) -> str:
        """The path of something in it."""
        shown = name if _WORD.fullmatch(name) and not name.startswith(tuple(KEYS_BEGIN)) else "…"
        return f"{self.path}.{shown}" if self.path else shown

    def _of(self, name: str, *kinds: type) -> Any:
        value = self._value.get(name)
        if not isinstance(value, kinds):
            return None
        self._asked.add(name)
        return value
