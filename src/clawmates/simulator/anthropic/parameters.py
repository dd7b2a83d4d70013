"""The body of ``POST /v1/messages``, checked against the reference, field by field.

platform.claude.com/docs/en/api/messages/create. Text is read in full; other documented content blocks are let through
by the name of their type, other documented objects unseen.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

from clawmates.simulator.anthropic.errors import ApiError, invalid
from clawmates.simulator.anthropic.models import takes_prefill, takes_sampling, takes_system

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_BODY: dict[str, tuple[str, ...]] = {
    "cache_control": ("dictionary", "none"),
    "container": ("string", "dictionary", "none"),
    "inference_geo": ("string", "none"),
    "max_tokens": ("integer",),
    "messages": ("list",),
    "metadata": ("dictionary",),
    "model": ("string",),
    "output_config": ("dictionary",),
    "service_tier": ("string",),
    "stop_sequences": ("list",),
    "stream": ("boolean",),
    "system": ("string", "list"),
    "temperature": ("number",),
    "thinking": ("dictionary",),
    "tool_choice": ("dictionary",),
    "tools": ("list",),
    "top_k": ("integer",),
    "top_p": ("number",),
}
_REQUIRED = ("model", "messages", "max_tokens")
_VALUES: dict[str, tuple[str, ...]] = {
    "service_tier": ("auto", "standard_only"),
    "inference_geo": ("global", "us"),
}
_RANGES: dict[str, tuple[float, float]] = {
    "max_tokens": (0, float("inf")),
    "temperature": (0, 1),
    "top_k": (0, float("inf")),
    "top_p": (0, 1),
}
_OBJECTS: dict[str, frozenset[str]] = {
    "metadata": frozenset({"user_id"}),
    "cache_control": frozenset({"type", "ttl"}),
    "output_config": frozenset({"effort", "format"}),
    "thinking": frozenset({"type", "budget_tokens", "display"}),
}
_DEFAULTS = {"temperature": 1, "top_p": 1, "top_k": 0}
"""Sampling parameters that a newer model takes only as they are anyway; absent otherwise."""
_MESSAGE = frozenset({"role", "content"})
_TEXT = frozenset({"type", "text", "cache_control", "citations"})
_BLOCKS = frozenset(
    [
        "image",
        "document",
        "search_result",
        "thinking",
        "redacted_thinking",
        "tool_use",
        "tool_result",
        "server_tool_use",
        "web_search_tool_result",
        "web_fetch_tool_result",
        "code_execution_tool_result",
        "bash_code_execution_tool_result",
        "text_editor_code_execution_tool_result",
        "tool_search_tool_result",
        "container_upload",
    ]
)
_KINDS = {
    type(None): "none",
    bool: "boolean",
    int: "integer",
    float: "number",
    str: "string",
    list: "list",
    dict: "dictionary",
}
MAX_MESSAGES = 100_000


@dataclass(frozen=True, slots=True)
class Asked:
    """A checked request."""

    model: str
    stream: bool
    max_tokens: int
    last_text: str
    """The text of the last user message."""
    messages: int
    """User and assistant messages."""
    characters: int
    """Of all text, for the token estimate."""


@dataclass(frozen=True, slots=True)
class _Said:
    role: str
    text: str
    empty: bool


def parse(body: bytes) -> Asked:
    """Raises :class:`~clawmates.simulator.anthropic.errors.ApiError`."""
    try:
        fields = json.loads(body)
    except (ValueError, RecursionError):
        fields = None
    if not isinstance(fields, dict):
        raise ApiError(400, "The request body is not valid JSON")
    for name, value in fields.items():
        _field(name, value)
    for name in _REQUIRED:
        if name not in fields:
            raise invalid(name, "Field required")
    model = fields["model"]
    for name, default in _DEFAULTS.items():
        if fields.get(name, default) != default and not takes_sampling(model):
            raise ApiError(400, f"`{name}` is deprecated for this model.")
    system = _texts(fields.get("system", ""), "system", frozenset())
    said = _messages(fields["messages"], model)
    return Asked(
        model=model,
        stream=fields.get("stream") is True,
        max_tokens=fields["max_tokens"],
        last_text=next((one.text for one in reversed(said) if one.role == "user"), ""),
        messages=sum(one.role != "system" for one in said),
        characters=sum(len(one.text) for one in said) + len(system.text),
    )


def _field(name: str, value: object) -> None:
    allowed = _BODY.get(name)
    if allowed is None:
        raise invalid(name, "Extra inputs are not permitted")
    got = _KINDS[type(value)]
    if got not in allowed and not (got == "integer" and "number" in allowed):
        raise invalid(name, f"Input should be a valid {allowed[0]}")
    match value:
        case str() if name in _VALUES and value not in _VALUES[name]:
            raise invalid(name, "Input should be " + " or ".join(f"'{one}'" for one in _VALUES[name]))
        case int() | float() if name in _RANGES:
            _range(name, value)
        case dict() if name in _OBJECTS:
            _known(value, _OBJECTS[name], name)
        case list() if name == "stop_sequences":
            for index, one in enumerate(value):
                if not isinstance(one, str):
                    raise invalid(f"{name}.{index}", "Input should be a valid string")
        case _:
            pass


def _range(name: str, value: float) -> None:
    low, high = _RANGES[name]
    if value < low:
        raise invalid(name, f"Input should be greater than or equal to {low}")
    if value > high:
        raise invalid(name, f"Input should be less than or equal to {high}")


def _known(fields: Mapping[str, object], known: frozenset[str], where: str) -> None:
    for key in fields:
        if key not in known:
            raise invalid(f"{where}.{key}", "Extra inputs are not permitted")


def _messages(value: Sequence[object], model: str) -> list[_Said]:
    if not value:
        raise invalid("messages", "at least one message is required")
    if len(value) > MAX_MESSAGES:
        raise invalid("messages", f"List should have at most {MAX_MESSAGES} items")
    said = [_message(one, f"messages.{index}") for index, one in enumerate(value)]
    if said[0].role != "user":
        raise invalid("messages", 'first message must use the "user" role')
    for index, one in enumerate(said):
        if one.empty and not (one.role == "assistant" and index == len(said) - 1):
            problem = "all messages must have non-empty content except for the optional final assistant message"
            raise invalid(f"messages.{index}", problem)
        if one.role == "system":
            _system(said, index, model)
    if said[-1].role == "assistant":
        if not takes_prefill(model):
            raise ApiError(400, "Prefilling assistant messages is not supported for this model.")
        if said[-1].text != said[-1].text.rstrip():
            raise invalid("messages", "final assistant content cannot end with trailing whitespace")
    return said


def _system(said: Sequence[_Said], index: int, model: str) -> None:
    """platform.claude.com/docs/en/build-with-claude/mid-conversation-system-messages."""
    if not takes_system(model):
        raise invalid(f"messages.{index}", "role 'system' is not supported on this model")
    if said[index - 1].role != "user":
        raise invalid(f"messages.{index}", "a system message must follow a user message")


def _message(item: object, where: str) -> _Said:
    if not isinstance(item, dict):
        raise invalid(where, "Input should be a valid dictionary")
    _known(item, _MESSAGE, where)
    for key in ("role", "content"):
        if key not in item:
            raise invalid(f"{where}.{key}", "Field required")
    role = item["role"]
    if not isinstance(role, str) or role not in {"user", "assistant", "system"}:
        raise invalid(f"{where}.role", "Input should be 'user', 'assistant' or 'system'")
    read = _texts(item["content"], f"{where}.content", _BLOCKS)
    return _Said(role, read.text, read.empty)


def _texts(content: object, where: str, others: frozenset[str]) -> _Said:
    """A string, or blocks of which ``others`` are let through."""
    if isinstance(content, str):
        return _Said("", content, not content)
    if not isinstance(content, list):
        raise invalid(where, "Input should be a valid string or list")
    text = ""
    for index, block in enumerate(content):
        here = f"{where}.{index}"
        if not isinstance(block, dict):
            raise invalid(here, "Input should be a valid dictionary")
        kind = block.get("type")
        if kind is None:
            raise invalid(f"{here}.type", "Field required")
        if kind == "text":
            text += _text(block, here)
        elif not isinstance(kind, str) or kind not in others:
            raise invalid(here, f"Input tag '{str(kind)[:40]}' does not match any of the expected tags")
    return _Said("", text, not content)


def _text(block: Mapping[str, object], where: str) -> str:
    _known(block, _TEXT, f"{where}.text")
    if "text" not in block:
        raise invalid(f"{where}.text.text", "Field required")
    text = block["text"]
    if not isinstance(text, str):
        raise invalid(f"{where}.text.text", "Input should be a valid string")
    if not text:
        raise invalid("messages", "text content blocks must be non-empty")
    if not text.strip():
        raise invalid("messages", "text content blocks must contain non-whitespace text")
    return text
