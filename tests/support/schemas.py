"""JSON held against its schema (2020-12), formats too."""

from __future__ import annotations

from typing import Any

from jsonschema import Draft202012Validator  # type: ignore[import-untyped]


def check(schema: dict[str, Any], value: object) -> None:
    """Raises for a schema that is none, and for a value that does not fit."""
    Draft202012Validator.check_schema(schema)
    Draft202012Validator(schema, format_checker=Draft202012Validator.FORMAT_CHECKER).validate(value)
