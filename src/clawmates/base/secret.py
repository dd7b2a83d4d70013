"""A value that refuses to print."""

from __future__ import annotations

from hmac import compare_digest
from typing import Generic, NoReturn, TypeVar

S = TypeVar("S", str, bytes)


class Secret(Generic[S]):
    """Holds a credential so that no log line, traceback or JSON can show it by accident.

    Only :meth:`reveal` opens it, a word that is easy to grep.
    """

    __slots__ = ("_value",)

    def __init__(self, value: S) -> None:
        self._value: S = value

    def reveal(self) -> S:
        """The value itself, for the one place that needs it."""
        return self._value

    def __repr__(self) -> str:
        return "***"

    __str__ = __repr__

    def __format__(self, _spec: str) -> str:
        return "***"

    def __bool__(self) -> bool:
        return bool(self._value)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Secret):
            return NotImplemented
        mine, theirs = self._value, other.reveal()
        return compare_digest(
            mine if isinstance(mine, bytes) else mine.encode(),
            theirs if isinstance(theirs, bytes) else theirs.encode(),
        )

    __hash__ = None  # type: ignore[assignment]  # a hash would be an oracle for the value

    def __reduce__(self) -> NoReturn:
        raise TypeError("a Secret is never pickled or copied")
