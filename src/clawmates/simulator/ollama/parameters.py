"""The body of ``POST /api/chat``, checked against the reference, field by field.

docs.ollama.com/api/chat (its schema is ``ChatRequest`` of docs/openapi.yaml in github.com/ollama/ollama); the options
are those of ``ModelOptions`` and of docs.ollama.com/modelfile, "Valid parameters and values".
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

from clawmates.simulator.ollama.errors import ApiError, unknown, wrong_type

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_BODY: dict[str, tuple[type, ...]] = {
    "model": (str,),
    "messages": (list,),
    "tools": (list,),
    "format": (str, dict),
    "options": (dict,),
    "stream": (bool,),
    "think": (bool, str),
    "keep_alive": (str, int, float),
    "logprobs": (bool,),
    "top_logprobs": (int,),
}
_MESSAGE: dict[str, tuple[type, ...]] = {
    "role": (str,),
    "content": (str,),
    "images": (list,),
    "thinking": (str,),
    "tool_calls": (list,),
    "tool_name": (str,),
}
_OPTIONS: dict[str, tuple[type, ...]] = {
    "min_p": (int, float),
    "num_ctx": (int,),
    "num_predict": (int,),
    "repeat_last_n": (int,),
    "repeat_penalty": (int, float),
    "seed": (int,),
    "stop": (str, list),
    "temperature": (int, float),
    "top_k": (int,),
    "top_p": (int, float),
}
_ROLES = frozenset({"system", "user", "assistant", "tool"})
_LEVELS = frozenset({"high", "medium", "low"})
_NAMES: dict[type, str] = {str: "string", list: "[]", dict: "map", bool: "bool", int: "int", float: "float64"}
MAX_LOGPROBS = 20


@dataclass(frozen=True, slots=True)
class Asked:
    """A checked request."""

    model: str
    stream: bool
    thinks: bool
    """Unless it says ``think: false``."""
    limit: int | None
    """``num_predict``; ``None`` when there is none, or it is negative."""
    last_text: str
    """The text of the last user message."""
    messages: int
    """User and assistant messages."""
    characters: int
    """Of all text, for the token estimate."""


def parse(body: bytes) -> Asked:
    """Raises :class:`~clawmates.simulator.ollama.errors.ApiError`."""
    if not body:
        raise ApiError(400, "missing request body")
    try:
        fields = json.loads(body)
    except (ValueError, RecursionError):
        raise ApiError(400, "invalid character looking for beginning of value") from None
    if not isinstance(fields, dict):
        raise wrong_type("", "api.ChatRequest")
    _check(fields, _BODY, "")
    if not fields.get("model"):
        raise ApiError(400, "model is required")
    if isinstance(fields.get("think"), str) and fields["think"] not in _LEVELS:
        raise ApiError(400, 'invalid think value: must be "high", "medium", "low", true, or false')
    if isinstance(fields.get("format"), str) and fields["format"] not in {"", "json"}:
        raise ApiError(400, 'invalid format: expected "json" or a JSON schema')
    if not 0 <= fields.get("top_logprobs", 0) <= MAX_LOGPROBS:
        raise ApiError(400, f"top_logprobs must be between 0 and {MAX_LOGPROBS}")
    options = fields.get("options", {})
    _check(options, _OPTIONS, "options.")
    said = _messages(fields.get("messages", []))
    limit = options.get("num_predict", -1)
    return Asked(
        model=fields["model"],
        stream=fields.get("stream") is not False,
        thinks=fields.get("think") is not False,
        limit=limit if limit >= 0 else None,
        last_text=next((text for role, text in reversed(said) if role == "user"), ""),
        messages=sum(role in {"user", "assistant"} for role, _ in said),
        characters=sum(len(text) for _, text in said),
    )


def _messages(value: Sequence[object]) -> list[tuple[str, str]]:
    """(role, text) of every message."""
    said = []
    for item in value:
        if not isinstance(item, dict):
            raise wrong_type("messages", "api.Message")
        _check(item, _MESSAGE, "messages.")
        for name in ("role", "content"):
            if name not in item:
                raise ApiError(400, f"messages.{name} is required")
        if item["role"] not in _ROLES:
            raise ApiError(400, 'invalid role: must be one of "system", "user", "assistant", or "tool"')
        said.append((item["role"], item["content"]))
    return said


def _check(fields: Mapping[str, object], known: Mapping[str, tuple[type, ...]], where: str) -> None:
    for name, value in fields.items():
        if name not in known:
            raise unknown(where + name)
        if not isinstance(value, known[name]) or (isinstance(value, bool) and bool not in known[name]):
            raise wrong_type(where + name, _NAMES[known[name][-1]])
