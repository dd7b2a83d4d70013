"""The body of ``models.generateContent``, checked against the reference, field by field.

ai.google.dev/api/generate-content, "Request body", "Content", "Part", "GenerationConfig", "ThinkingConfig",
"SafetySetting"; in the spelling of its JSON representations. Text is read in full; other documented kinds of data are
let through by their names.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

from clawmates.simulator.google.errors import invalid, unknown, wrong_value

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_BODY = {
    "cachedContent": "string",
    "contents": "list",
    "generationConfig": "object",
    "safetySettings": "list",
    "serviceTier": "string",
    "store": "bool",
    "systemInstruction": "object",
    "toolConfig": "object",
    "tools": "list",
}
_CONFIG = {
    "_responseJsonSchema": "any",
    "audioTranscriptionConfig": "object",
    "candidateCount": "int32",
    "enableAffectiveDialog": "bool",
    "enableEnhancedCivicAnswers": "bool",
    "frequencyPenalty": "float",
    "imageConfig": "object",
    "logprobs": "int32",
    "maxOutputTokens": "int32",
    "mediaResolution": "string",
    "presencePenalty": "float",
    "responseFormat": "object",
    "responseJsonSchema": "any",
    "responseLogprobs": "bool",
    "responseMimeType": "string",
    "responseModalities": "list",
    "responseSchema": "object",
    "seed": "int32",
    "speechConfig": "object",
    "stopSequences": "list",
    "temperature": "float",
    "thinkingConfig": "object",
    "topK": "int32",
    "topP": "float",
    "translationConfig": "object",
}
_THINKING = {"includeThoughts": "bool", "thinkingBudget": "int32", "thinkingLevel": "string"}
_SAFETY = {"category": "string", "threshold": "string"}
_VALUES = {
    "serviceTier": frozenset({"unspecified", "standard", "flex", "priority"}),
    "thinkingLevel": frozenset({"THINKING_LEVEL_UNSPECIFIED", "MINIMAL", "LOW", "MEDIUM", "HIGH"}),
    "threshold": frozenset(
        {
            "HARM_BLOCK_THRESHOLD_UNSPECIFIED",
            "BLOCK_LOW_AND_ABOVE",
            "BLOCK_MEDIUM_AND_ABOVE",
            "BLOCK_ONLY_HIGH",
            "BLOCK_NONE",
            "OFF",
        }
    ),
    "category": frozenset(
        {
            "HARM_CATEGORY_HARASSMENT",
            "HARM_CATEGORY_HATE_SPEECH",
            "HARM_CATEGORY_SEXUALLY_EXPLICIT",
            "HARM_CATEGORY_DANGEROUS_CONTENT",
            "HARM_CATEGORY_CIVIC_INTEGRITY",
            "HARM_CATEGORY_JAILBREAK",
        }
    ),
}
_RANGES = {
    "temperature": (0.0, 2.0),
    "topP": (0.0, 1.0),
    "maxOutputTokens": (1, 2**31 - 1),
    "candidateCount": (1, 8),
    "logprobs": (0, 20),
}
_CONTENT = {"parts": "list", "role": "string"}
_DATA = {
    "text": "string",
    "inlineData": "object",
    "functionCall": "object",
    "functionResponse": "object",
    "fileData": "object",
    "executableCode": "object",
    "codeExecutionResult": "object",
    "toolCall": "object",
    "toolResponse": "object",
}
_PART = _DATA | {
    "thought": "bool",
    "thoughtSignature": "string",
    "partMetadata": "object",
    "mediaResolution": "object",
    "mediaProcessing": "string",
    "videoMetadata": "object",
}
_TYPES: dict[str, tuple[type, ...]] = {
    "string": (str,),
    "bool": (bool,),
    "int32": (int,),
    "float": (int, float),
    "list": (list,),
    "object": (dict,),
    "any": (object,),
}


@dataclass(frozen=True, slots=True)
class Asked:
    """A checked request."""

    model: str
    stored: bool
    """Whether a project made since 26 October 2026 would keep it: unless ``store`` says false."""
    max_output_tokens: int | None
    include_thoughts: bool
    last_text: str
    """The text of the last user content."""
    messages: int
    """Contents of users and models."""
    characters: int
    """Of all text, for the token estimate."""


def parse(model: str, body: bytes) -> Asked:
    """Raises :class:`~clawmates.simulator.google.errors.ApiError`."""
    try:
        fields = json.loads(body)
    except (ValueError, RecursionError):
        fields = None
    if not isinstance(fields, dict):
        raise invalid("Invalid JSON payload received. Expected an object.")
    _check(fields, _BODY, "")
    config = fields.get("generationConfig", {})
    _check(config, _CONFIG, "generation_config")
    _strings(config.get("stopSequences", []), "generation_config.stop_sequences")
    thinking = config.get("thinkingConfig", {})
    _check(thinking, _THINKING, "generation_config.thinking_config")
    for index, one in enumerate(fields.get("safetySettings", [])):
        _object(one, _SAFETY, f"safety_settings[{index}]")
    said = _contents(fields.get("contents"))
    system = _parts(fields["systemInstruction"], "system_instruction") if "systemInstruction" in fields else ""
    return Asked(
        model=model,
        stored=fields.get("store") is not False,
        max_output_tokens=config.get("maxOutputTokens"),
        include_thoughts=thinking.get("includeThoughts") is True,
        last_text=next((text for role, text in reversed(said) if role == "user"), ""),
        messages=len(said),
        characters=sum(len(text) for _, text in said) + len(system),
    )


def _contents(value: Sequence[object] | None) -> list[tuple[str, str]]:
    """(role, text) of every content."""
    if not value:
        raise invalid("* GenerateContentRequest.contents: contents is not specified\n", "contents")
    said = []
    for index, one in enumerate(value):
        where = f"contents[{index}]"
        content = _object(one, _CONTENT, where)
        role = str(content.get("role", "user"))
        if role not in {"user", "model"}:
            raise invalid("Please use a valid role: user, model.")
        said.append((role, _parts(content, where)))
    return said


def _parts(content: Mapping[str, object], where: str) -> str:
    _check(content, _CONTENT, where)
    parts = content.get("parts")
    if not isinstance(parts, list) or not parts:
        raise invalid(f"* GenerateContentRequest.{where}.parts: contents.parts must not be empty.\n", f"{where}.parts")
    text = ""
    for index, one in enumerate(parts):
        here = f"{where}.parts[{index}]"
        part = _object(one, _PART, here)
        if sum(name in _DATA for name in part) != 1:
            problem = "required oneof field 'data' must have one initialized field"
            raise invalid(f"* GenerateContentRequest.{here}.data: {problem}\n", here)
        if part.get("thought") is not True:
            text += str(part.get("text", ""))
    return text


def _object(value: object, known: Mapping[str, str], where: str) -> Mapping[str, object]:
    if not isinstance(value, dict):
        raise wrong_value(where, "TYPE_MESSAGE")
    _check(value, known, where)
    return value


def _check(fields: Mapping[str, object], known: Mapping[str, str], where: str) -> None:
    for name, value in fields.items():
        if name not in known:
            raise unknown(name[:80], where)
        kind = known[name]
        here = f"{where}.{name}" if where else name
        numeric = kind in {"int32", "float"}
        if not isinstance(value, _TYPES[kind]) or (numeric and isinstance(value, bool)):
            raise wrong_value(here, f"TYPE_{kind.upper()}")
        if isinstance(value, str) and name in _VALUES and value not in _VALUES[name]:
            raise wrong_value(here, "TYPE_ENUM")
        if isinstance(value, int | float) and name in _RANGES:
            low, high = _RANGES[name]
            if not low <= value <= high:
                raise invalid(f"* GenerateContentRequest.{here}: must be in the range [{low}, {high}]\n", here)


def _strings(values: Sequence[object], where: str) -> None:
    for index, one in enumerate(values):
        if not isinstance(one, str):
            raise wrong_value(f"{where}[{index}]", "TYPE_STRING")
