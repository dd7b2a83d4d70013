"""The body of ``POST /v1/responses``, checked against the reference, field by field.

platform.openai.com/docs/api-reference/responses/create. Text messages are read in full; other documented input items
(tool calls, reasoning, …) and other documented objects are let through by the name of their type.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from clawmates.simulator.openai.errors import ApiError, missing, unknown, wrong_type, wrong_value

if TYPE_CHECKING:
    from collections.abc import Sequence

_BODY: dict[str, tuple[str, ...]] = {
    "background": ("boolean", "null"),
    "context_management": ("array", "null"),
    "conversation": ("string", "object", "null"),
    "include": ("array", "null"),
    "input": ("string", "array"),
    "instructions": ("string", "array", "null"),
    "max_output_tokens": ("integer", "null"),
    "max_tool_calls": ("integer", "null"),
    "metadata": ("object", "null"),
    "model": ("string",),
    "parallel_tool_calls": ("boolean", "null"),
    "previous_response_id": ("string", "null"),
    "prompt": ("object", "null"),
    "prompt_cache_key": ("string", "null"),
    "prompt_cache_retention": ("string", "null"),
    "reasoning": ("object", "null"),
    "safety_identifier": ("string", "null"),
    "service_tier": ("string", "null"),
    "store": ("boolean", "null"),
    "stream": ("boolean", "null"),
    "stream_options": ("object", "null"),
    "temperature": ("decimal", "null"),
    "text": ("object",),
    "tool_choice": ("string", "object"),
    "tools": ("array",),
    "top_logprobs": ("integer", "null"),
    "top_p": ("decimal", "null"),
    "truncation": ("string", "null"),
    "user": ("string", "null"),
}
_VALUES: dict[str, tuple[str, ...]] = {
    "service_tier": ("auto", "default", "flex", "scale", "priority"),
    "truncation": ("auto", "disabled"),
    "prompt_cache_retention": ("in-memory", "24h"),
}
_RANGES: dict[str, tuple[str, float, float]] = {
    "temperature": ("decimal", 0, 2),
    "top_p": ("decimal", 0, 1),
    "top_logprobs": ("integer", 0, 20),
    "max_output_tokens": ("integer", 16, float("inf")),
}
_OBJECTS: dict[str, frozenset[str]] = {
    "stream_options": frozenset({"include_obfuscation"}),
    "reasoning": frozenset({"effort", "summary", "generate_summary", "context"}),
    "text": frozenset({"format", "verbosity"}),
}
_ITEMS = frozenset(
    [
        "message",
        "reasoning",
        "item_reference",
        "function_call",
        "function_call_output",
        "file_search_call",
        "computer_call",
        "computer_call_output",
        "web_search_call",
        "image_generation_call",
        "code_interpreter_call",
        "local_shell_call",
        "local_shell_call_output",
        "shell_call",
        "shell_call_output",
        "apply_patch_call",
        "apply_patch_call_output",
        "mcp_list_tools",
        "mcp_approval_request",
        "mcp_approval_response",
        "mcp_call",
        "custom_tool_call",
        "custom_tool_call_output",
        "compaction",
    ]
)
_MESSAGE = frozenset({"type", "role", "content", "id", "status", "phase"})
_ROLES = ("assistant", "system", "developer", "user")
_INPUT_PARTS: dict[str, frozenset[str]] = {
    "input_text": frozenset({"type", "text"}),
    "input_image": frozenset({"type", "image_url", "file_id", "detail"}),
    "input_file": frozenset({"type", "file_id", "file_data", "file_url", "filename", "detail"}),
}
_OUTPUT_PARTS: dict[str, frozenset[str]] = {
    "output_text": frozenset({"type", "text", "annotations", "logprobs"}),
    "refusal": frozenset({"type", "refusal"}),
}
_KINDS = {
    type(None): "null",
    bool: "boolean",
    int: "integer",
    float: "decimal",
    str: "string",
    list: "array",
    dict: "object",
}
MAX_METADATA = 16


@dataclass(frozen=True, slots=True)
class Asked:
    """A checked request."""

    model: str
    stream: bool
    stored: bool
    """Whether the real service would keep it: ``store`` is true unless it says false."""
    obfuscation: bool
    instructions: str | None
    last_text: str
    """The text of the last user message."""
    messages: int
    """User and assistant messages in the input."""
    characters: int
    """Of all text, for the token estimate."""
    max_output_tokens: int | None
    temperature: float
    top_p: float
    metadata: Mapping[str, str]


def parse(body: bytes) -> Asked:
    """Raises :class:`~clawmates.simulator.openai.errors.ApiError`."""
    try:
        fields = json.loads(body)
    except (ValueError, RecursionError):
        fields = None
    if not isinstance(fields, dict):
        raise ApiError(400, "We could not parse the JSON body of your request.")
    for name, value in fields.items():
        _field(name, value)
    for name in ("model", "input"):
        if name not in fields:
            raise missing(name)
    stream = fields.get("stream") is True
    options = fields.get("stream_options")
    if options is not None and not stream:
        raise ApiError(
            400,
            "The 'stream_options' parameter is only allowed when 'stream' is enabled.",
            param="stream_options",
            code="invalid_stream_options",
        )
    said = _input(fields["input"])
    instructions = fields.get("instructions")
    return Asked(
        model=fields["model"],
        stream=stream,
        stored=fields.get("store") is not False,
        obfuscation=not options or options.get("include_obfuscation") is not False,
        instructions=instructions if isinstance(instructions, str) else None,
        last_text=next((text for role, text in reversed(said) if role == "user"), ""),
        messages=sum(role in {"user", "assistant"} for role, _ in said),
        characters=sum(len(text) for _, text in said) + len(instructions or ""),
        max_output_tokens=fields.get("max_output_tokens"),
        temperature=1.0 if fields.get("temperature") is None else fields["temperature"],
        top_p=1.0 if fields.get("top_p") is None else fields["top_p"],
        metadata=fields.get("metadata") or {},
    )


def _field(name: str, value: object) -> None:
    allowed = _BODY.get(name)
    if allowed is None:
        raise unknown(name)
    got = _kind(value)
    if got not in allowed and not (got == "integer" and "decimal" in allowed):
        raise wrong_type(name, _listed([kind for kind in allowed if kind != "null"]), _article(got))
    if isinstance(value, str) and name in _VALUES and value not in _VALUES[name]:
        raise wrong_value(name, _VALUES[name])
    if isinstance(value, int | float) and not isinstance(value, bool) and name in _RANGES:
        _range(name, value)
    if isinstance(value, dict) and name in _OBJECTS:
        for key in value:
            if key not in _OBJECTS[name]:
                raise unknown(f"{name}.{key}")
    if isinstance(value, dict) and name == "metadata":
        _metadata(value)


def _range(name: str, value: float) -> None:
    kind, low, high = _RANGES[name]
    if value < low:
        raise ApiError(
            400,
            f"Invalid '{name}': {kind} below minimum value. Expected a value >= {low}, but got {value} instead.",
            param=name,
            code=f"{kind}_below_min_value",
        )
    if value > high:
        raise ApiError(
            400,
            f"Invalid '{name}': {kind} above maximum value. Expected a value <= {high}, but got {value} instead.",
            param=name,
            code=f"{kind}_above_max_value",
        )


def _metadata(value: Mapping[str, object]) -> None:
    if len(value) > MAX_METADATA:
        message = "Invalid 'metadata': too many properties."
        raise ApiError(400, message, param="metadata", code="object_above_max_properties")
    for one in value.values():
        if not isinstance(one, str):
            raise wrong_type("metadata", "a string", _article(_kind(one)))


def _input(value: str | Sequence[object]) -> list[tuple[str, str]]:
    """(role, text) of every message."""
    if isinstance(value, str):
        return [("user", value)]
    said = []
    for index, item in enumerate(value):
        where = f"input[{index}]"
        if not isinstance(item, dict):
            raise wrong_type(where, "an object", _article(_kind(item)))
        kind = item.get("type", "message")
        if not isinstance(kind, str) or kind not in _ITEMS:
            raise wrong_value(f"{where}.type", tuple(sorted(_ITEMS)))
        if kind == "message":
            said.append(_message(item, where))
    return said


def _message(item: Mapping[str, object], where: str) -> tuple[str, str]:
    for key in item:
        if key not in _MESSAGE:
            raise unknown(f"{where}.{key}")
    role = item.get("role")
    if role is None:
        raise missing(f"{where}.role")
    if role not in _ROLES:
        raise wrong_value(f"{where}.role", _ROLES)
    if "content" not in item:
        raise missing(f"{where}.content")
    content = item["content"]
    if isinstance(content, str):
        return str(role), content
    if not isinstance(content, list):
        raise wrong_type(f"{where}.content", "one of an array of objects or string", _article(_kind(content)))
    parts = _OUTPUT_PARTS if role == "assistant" else _INPUT_PARTS
    return str(role), "".join(_part(part, f"{where}.content[{index}]", parts) for index, part in enumerate(content))


def _part(part: object, where: str, known: Mapping[str, frozenset[str]]) -> str:
    if not isinstance(part, dict):
        raise wrong_type(where, "an object", _article(_kind(part)))
    kind = part.get("type")
    if kind is None:
        raise missing(f"{where}.type")
    if not isinstance(kind, str) or kind not in known:
        raise wrong_value(where, tuple(known))
    for key in part:
        if key not in known[kind]:
            raise unknown(f"{where}.{key}")
    for name in ("text", "refusal"):
        if name in known[kind] and name not in part:
            raise missing(f"{where}.{name}")
        if name in part and not isinstance(part[name], str):
            raise wrong_type(f"{where}.{name}", "a string", _article(_kind(part[name])))
    return str(part.get("text", ""))


def _kind(value: object) -> str:
    """What JSON calls it."""
    return _KINDS[type(value)]


def _article(kind: str) -> str:
    return kind if kind == "null" else f"a{'n' if kind[0] in 'aeiou' else ''} {kind}"


def _listed(kinds: Sequence[str]) -> str:
    return _article(kinds[0]) if len(kinds) == 1 else "one of " + " or ".join(_article(kind) for kind in kinds)
