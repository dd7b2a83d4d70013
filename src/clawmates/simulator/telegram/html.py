"""``parse_mode`` HTML (core.telegram.org/bots/api/formatting.md, "HTML style")."""

from __future__ import annotations

import re
from dataclasses import dataclass

from clawmates.simulator.telegram.entities import Entity, units
from clawmates.simulator.telegram.errors import CantParseError

_TAGS = {
    "b": "bold",
    "strong": "bold",
    "i": "italic",
    "em": "italic",
    "u": "underline",
    "ins": "underline",
    "s": "strikethrough",
    "strike": "strikethrough",
    "del": "strikethrough",
    "span": "spoiler",
    "tg-spoiler": "spoiler",
    "a": "text_link",
    "tg-emoji": "custom_emoji",
    "code": "code",
    "pre": "pre",
    "blockquote": "blockquote",
    "tg-time": "date_time",
}
_TAG = re.compile(r"<(?P<close>/?)(?P<name>[A-Za-z][A-Za-z0-9-]*)(?P<rest>[^<>]*)>")
_ATTRIBUTE = re.compile(r"""\s+([A-Za-z-]+)(?:\s*=\s*(?:"([^"]*)"|'([^']*)'|([^\s"'>]+)))?""")
_REFERENCE = re.compile(r"&(?:#(\d{1,7})|#[xX]([0-9A-Fa-f]{1,6})|(lt|gt|amp|quot));")
_NAMED = {"lt": "<", "gt": ">", "amp": "&", "quot": '"'}


@dataclass(frozen=True, slots=True)
class _Open:
    name: str
    offset: int
    attributes: dict[str, str]


def parse(source: str) -> tuple[str, tuple[Entity, ...]]:
    """The text and its entities; raises :class:`CantParseError`."""
    text = ""
    entities: list[Entity] = []
    stack: list[_Open] = []
    at = 0
    while (start := source.find("<", at)) >= 0:
        text += _decoded(source[at:start])
        byte = len(source[:start].encode())
        tag = _TAG.match(source, start)
        if tag is None:
            raise CantParseError(f"Unclosed or invalid tag at byte offset {byte}")
        name = tag["name"].lower()
        if tag["close"]:
            entities += _close(stack, name, text, byte)
        else:
            stack.append(_Open(name, units(text), _attributes(name, tag["rest"], byte)))
        at = tag.end()
    if stack:
        raise CantParseError(f'Can\'t find end tag corresponding to start tag "{stack[-1].name}"')
    return text + _decoded(source[at:]), tuple(entities)


def _attributes(name: str, rest: str, byte: int) -> dict[str, str]:
    if name not in _TAGS:
        raise CantParseError(f'Unsupported start tag "{name}" at byte offset {byte}')
    found = {key.lower(): a or b or c for key, a, b, c in _ATTRIBUTE.findall(rest)}
    if name == "span" and found.get("class") != "tg-spoiler":
        raise CantParseError(f'Tag "span" must have class "tg-spoiler" at byte offset {byte}')
    return found


def _close(stack: list[_Open], name: str, text: str, byte: int) -> list[Entity]:
    if not stack:
        raise CantParseError(f"Unexpected end tag at byte offset {byte}")
    opened = stack.pop()
    if opened.name != name:
        raise CantParseError(f'Unmatched end tag at byte offset {byte}, expected "</{opened.name}>", found "</{name}>"')
    length = units(text) - opened.offset
    if not length:
        return []
    kind = _TAGS[name]
    if name == "code" and stack and stack[-1].name == "pre":
        # <pre><code class="language-…"> is one entity; the inner tag only names the language.
        language = opened.attributes.get("class", "").removeprefix("language-")
        stack[-1] = _Open("pre", stack[-1].offset, {"language": language})
        return []
    if name == "blockquote" and "expandable" in opened.attributes:
        kind = "expandable_blockquote"
    if name == "a" and not opened.attributes.get("href"):
        return []
    return [
        Entity(
            kind,
            opened.offset,
            length,
            opened.attributes.get("href", ""),
            opened.attributes.get("language", ""),
            opened.attributes.get("emoji-id", ""),
        )
    ]


def _decoded(source: str) -> str:
    def one(found: re.Match[str]) -> str:
        if found[3]:
            return _NAMED[found[3]]
        code = int(found[1]) if found[1] else int(found[2], 16)
        return chr(code) if 0 < code <= 0x10FFFF and not 0xD800 <= code <= 0xDFFF else found[0]

    return _REFERENCE.sub(one, source)
