"""Foreign JSON and TOML into frozen dataclasses, strictly, and back.

A dataclass is the schema: unknown keys, missing keys and wrong types are refused. Errors name the place
and what was expected, never the value that was found, which may be anybody's secret.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import MISSING, Field, fields, is_dataclass
from enum import Enum
from functools import cache
from types import MappingProxyType, NoneType, UnionType
from typing import Any, TypeVar, Union, get_args, get_origin, get_type_hints

from clawmates.base.secret import Secret

T = TypeVar("T")

_PRINTABLE_KEY = re.compile(r"[A-Za-z_][A-Za-z0-9_-]{0,39}")
_SCALARS = {str: "a string", int: "a whole number", float: "a number", bool: "true or false"}


class ShapeError(ValueError):
    """The document does not have the expected shape."""

    def __init__(self, path: str, problem: str) -> None:
        self.path = path or "document"
        self.problem = problem
        super().__init__(f"{self.path}: {problem}")


def decode(cls: type[T], data: object, path: str = "") -> T:
    """Builds a ``cls`` from parsed JSON or TOML; raises :class:`ShapeError`.

    Understands str, int, float, bool, enums, ``Secret[str]``, ``tuple[T, ...]``, ``Mapping[K, V]``,
    ``T | None``, and nested dataclasses. A ``ValueError`` from ``__post_init__`` becomes a ShapeError.
    """
    value: T = _decode(cls, data, path)
    return value


def decode_json(cls: type[T], text: bytes, limit: int = 1 << 20) -> T:
    """:func:`decode` for JSON bytes of at most ``limit`` bytes."""
    if len(text) > limit:
        raise ShapeError("", f"larger than {limit} bytes")
    try:
        data = json.loads(text)
    except (ValueError, RecursionError):
        raise ShapeError("", "not valid JSON") from None
    return decode(cls, data)


_PLAIN = frozenset({str, int, float, bool, NoneType})
"""What most values of a message are; asked first, because a host's status has thousands."""


def encode(value: object) -> Any:
    """The plain JSON-able form of a dataclass; a :class:`Secret` raises ``TypeError``.

    The few messages that carry a secret open it themselves (grep for ``reveal``).
    """
    kind = type(value)
    if kind in _PLAIN:
        return value
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, tuple | list):
        return [encode(item) for item in value]
    if is_dataclass(kind):
        return {name: encode(getattr(value, name)) for name in _names(kind)}
    if isinstance(value, Mapping):
        return {encode(key): encode(item) for key, item in value.items()}
    if isinstance(value, str | int | float):
        return value
    raise TypeError(f"a {type(value).__name__} has no plain form")


def encode_json(value: object) -> bytes:
    """:func:`encode` as canonical JSON bytes: sorted keys, no spaces, UTF-8."""
    return json.dumps(encode(value), sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


@cache
def _names(cls: type) -> tuple[str, ...]:
    return tuple(field.name for field in fields(cls))


@cache
def _schema(cls: type) -> Mapping[str, tuple[Field[Any], Any]]:
    hints = get_type_hints(cls)
    return MappingProxyType({field.name: (field, hints[field.name]) for field in fields(cls)})


def _decode(hint: Any, data: object, path: str) -> Any:  # noqa: C901, PLR0911 - one branch a kind of type
    if hint in _SCALARS:
        return _scalar(hint, data, path)
    origin = get_origin(hint)
    if origin is Secret:
        return Secret(_scalar(str, data, path))
    if origin in (Union, UnionType):
        return _optional(hint, data, path)
    if origin is tuple:
        if not isinstance(data, list):
            raise ShapeError(path, "expected a list")
        item = get_args(hint)[0]
        return tuple(_decode(item, one, f"{path}[{index}]") for index, one in enumerate(data))
    if origin is not None and issubclass(origin, Mapping):
        if not isinstance(data, dict):
            raise ShapeError(path, "expected an object")
        key_hint, item = get_args(hint)
        return MappingProxyType(
            {_decode(key_hint, key, f"{path} key"): _decode(item, one, f"{path}.…") for key, one in data.items()}
        )
    if isinstance(hint, type) and issubclass(hint, Enum):
        try:
            return hint(data)
        except ValueError:
            known = ", ".join(str(member.value) for member in hint)
            raise ShapeError(path, f"expected one of: {known}") from None
    if is_dataclass(hint):
        return _dataclass(hint, data, path)
    if getattr(hint, "__supertype__", None) is not None:
        return _decode(hint.__supertype__, data, path)
    raise TypeError(f"{hint!r} is not a type that a document can hold")


def _scalar(hint: type, data: object, path: str) -> object:
    if hint is float and isinstance(data, int) and not isinstance(data, bool):
        return float(data)
    if not isinstance(data, hint) or (hint is int and isinstance(data, bool)):
        raise ShapeError(path, f"expected {_SCALARS[hint]}")
    return data


def _optional(hint: Any, data: object, path: str) -> object:
    rest = [one for one in get_args(hint) if one is not NoneType]
    if data is None:
        if len(rest) < len(get_args(hint)):
            return None
        raise ShapeError(path, "must not be null")
    if len(rest) != 1:
        raise TypeError(f"{hint!r} is not a type that a document can hold")
    return _decode(rest[0], data, path)


def _dataclass(cls: Any, data: object, path: str) -> object:
    if not isinstance(data, dict):
        raise ShapeError(path, "expected an object")
    schema = _schema(cls)
    for key in data:
        if key not in schema:
            shown = f"unknown key {key!r}" if isinstance(key, str) and _PRINTABLE_KEY.fullmatch(key) else "unknown key"
            raise ShapeError(path, shown)
    values = {}
    for name, (field, hint) in schema.items():
        here = f"{path}.{name}" if path else name
        if name in data:
            values[name] = _decode(hint, data[name], here)
        elif field.default is MISSING and field.default_factory is MISSING:
            raise ShapeError(here, "is missing")
    try:
        return cls(**values)
    except ShapeError:
        raise
    except ValueError as error:
        raise ShapeError(path, str(error)) from None
