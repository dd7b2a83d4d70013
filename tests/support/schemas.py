"""JSON held against its schema (2020-12), formats too; and a list of parts against CycloneDX's.

Both libraries are loaded where they are used: what they check addresses with takes two seconds of a processor to load,
and every worker loads every test.
"""

from __future__ import annotations

from typing import Any


def check(schema: dict[str, Any], value: object) -> None:
    """Raises for a schema that is none, and for a value that does not fit."""
    from jsonschema import Draft202012Validator  # type: ignore[import-untyped]  # noqa: PLC0415 - see above

    Draft202012Validator.check_schema(schema)
    Draft202012Validator(schema, format_checker=Draft202012Validator.FORMAT_CHECKER).validate(value)


def sbom_complaint(document: str) -> object:
    """What is wrong with a list of parts by the published schema of CycloneDX 1.6, or ``None``."""
    from cyclonedx.schema import SchemaVersion  # noqa: PLC0415 - see above
    from cyclonedx.validation.json import JsonStrictValidator  # noqa: PLC0415 - see above

    return JsonStrictValidator(SchemaVersion.V1_6).validate_str(document)
