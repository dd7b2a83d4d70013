"""Values of rows as they stand in a backup, and back: by their column's type, so that either database can read them."""

from __future__ import annotations

from base64 import b64decode, b64encode
from datetime import date, datetime
from typing import TYPE_CHECKING, assert_never, cast

from clawmates.control.store.base import Moment

if TYPE_CHECKING:
    from sqlalchemy import Column

    from clawmates.wire.backups import Cell

Value = str | bytes | int | float | bool | datetime | date | None


def cell(value: Value) -> Cell:
    """A value as text."""
    match value:
        case None | str():
            return value
        case bytes():
            return b64encode(value).decode()
        case bool():
            return "1" if value else "0"
        case int() | float():
            return repr(value)
        case date():
            return value.isoformat()
        case _:
            assert_never(value)


def value(column: Column[object], text: Cell) -> Value:  # noqa: PLR0911 - one a type
    """The other way; raises ``ValueError`` for a text that is none of this column's."""
    if text is None:
        if not column.nullable:
            raise ValueError(column.name)
        return None
    kind = datetime if isinstance(column.type, Moment) else cast("type", column.type.python_type)
    if kind is str:
        return text
    if kind is bytes:
        return b64decode(text, validate=True)
    if kind is bool:
        if text not in {"0", "1"}:
            raise ValueError(column.name)
        return text == "1"
    if kind is datetime:
        return datetime.fromisoformat(text)
    if kind is date:
        return date.fromisoformat(text)
    if kind in {int, float}:
        return int(text) if kind is int else float(text)
    raise ValueError(column.name)
