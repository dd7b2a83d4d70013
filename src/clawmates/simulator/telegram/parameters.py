"""The parameters of a call: from a query, a form or JSON, checked against the reference.

The real server reads every parameter as text and ignores those it does not know. The stand-in is stricter on
purpose: what the reference does not name, or names with another type, is a mistake of ours and is refused.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl

from clawmates.simulator.telegram.errors import BadRequestError
from clawmates.simulator.telegram.reference import Kind

if TYPE_CHECKING:
    from collections.abc import Sequence

    from clawmates.simulator.web import Request

_WORDS = {
    Kind.INTEGER: "an Integer",
    Kind.STRING: "a String",
    Kind.BOOLEAN: "a Boolean",
    Kind.CHAT: "an Integer or a String",
    Kind.ARRAY: "an Array",
    Kind.OBJECT: "an Object",
}
_TYPES: dict[Kind, type | tuple[type, ...]] = {
    Kind.INTEGER: int,
    Kind.STRING: str,
    Kind.BOOLEAN: bool,
    Kind.CHAT: (int, str),
    Kind.ARRAY: list,
    Kind.OBJECT: dict,
}
_NUMBER = re.compile(r"-?[0-9]{1,19}")
_TRUE = {"true", "yes", "1"}
_FALSE = {"false", "no", "0"}


def collect(request: Request) -> dict[str, object]:
    """The raw parameters of a request; raises :class:`BadRequestError`.

    Query and form values stay text, JSON values keep their types.
    """
    raw: dict[str, object] = dict(parse_qsl(request.target.partition("?")[2], keep_blank_values=True))
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if not request.body:
        return raw
    if kind == "application/json":
        try:
            fields = json.loads(request.body)
        except (ValueError, RecursionError):
            raise BadRequestError("can't parse request body as JSON object") from None
        if not isinstance(fields, dict):
            raise BadRequestError("request body must be a JSON object")
        return raw | fields
    if kind == "application/x-www-form-urlencoded":
        try:
            return raw | dict(parse_qsl(request.body.decode(), keep_blank_values=True))
        except UnicodeDecodeError:
            raise BadRequestError("strings must be encoded in UTF-8") from None
    raise BadRequestError(f"the stand-in does not read request bodies of type {kind or 'nothing'}")


@dataclass(frozen=True, slots=True)
class Parameters:
    """Checked parameters; absent ones read as ``None``, 0, false or empty."""

    values: Mapping[str, object]

    @classmethod
    def check(cls, raw: Mapping[str, object], known: Mapping[str, Kind], *, where: str = "") -> Parameters:
        """Raises :class:`BadRequestError` for anything that ``known`` does not have, or has with another type."""
        values: dict[str, object] = {}
        for name, value in raw.items():
            kind = known.get(name)
            if kind is None:
                raise BadRequestError(f'the reference has no parameter "{where}{name}"')
            if value is not None:
                values[name] = _typed(kind, value, where + name)
        return cls(values)

    def has(self, name: str) -> bool:
        """Whether it was given."""
        return name in self.values

    def integer(self, name: str, default: int = 0) -> int:
        """An Integer."""
        value = self.values.get(name, default)
        return value if isinstance(value, int) else default

    def text(self, name: str) -> str:
        """A String."""
        value = self.values.get(name, "")
        return value if isinstance(value, str) else str(value)

    def flag(self, name: str) -> bool:
        """A Boolean."""
        return self.values.get(name) is True

    def items(self, name: str) -> Sequence[object]:
        """An Array."""
        value = self.values.get(name, ())
        return value if isinstance(value, list) else ()

    def inner(self, name: str, known: Mapping[str, Kind]) -> Parameters:
        """An Object, checked against its own page of the reference."""
        value = self.values.get(name, {})
        return Parameters.check(value if isinstance(value, dict) else {}, known, where=f"{name}.")


def _typed(kind: Kind, value: object, name: str) -> object:
    if isinstance(value, str):
        _check_text(value)
        value = _from_text(kind, value, name)
    if isinstance(value, _TYPES[kind]) and not (isinstance(value, bool) and kind in {Kind.INTEGER, Kind.CHAT}):
        return value
    raise BadRequestError(f'parameter "{name}" must be {_WORDS[kind]}')


def _from_text(kind: Kind, value: str, name: str) -> object:
    """What a query or form, and the real server in JSON too, can only say as text."""
    if kind in {Kind.INTEGER, Kind.CHAT} and _NUMBER.fullmatch(value):
        return int(value)
    if kind is Kind.BOOLEAN and value.lower() in _TRUE | _FALSE:
        return value.lower() in _TRUE
    if kind in {Kind.ARRAY, Kind.OBJECT}:
        return _serialized(value, name)
    return value


def _serialized(value: str, name: str) -> object:
    """Arrays and objects may come as JSON text ("JSON-serialized" in the reference)."""
    try:
        parsed: object = json.loads(value)
    except (ValueError, RecursionError):
        raise BadRequestError(f"can't parse {name} JSON object") from None
    return parsed


def _check_text(value: str) -> None:
    try:
        value.encode()
    except UnicodeEncodeError:
        raise BadRequestError("strings must be encoded in UTF-8") from None
