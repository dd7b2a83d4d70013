"""``parse_mode`` MarkdownV2 (core.telegram.org/bots/api/formatting.md, "MarkdownV2 style").

Legacy ``Markdown`` is documented too, but nothing of ours may use it: it is refused like an unknown mode.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from clawmates.simulator.telegram.entities import Entity, units
from clawmates.simulator.telegram.errors import CantParseError

RESERVED = frozenset("_*[]()~`>#+-=|{}.!")
_MARKS = (
    ("```", "pre"),
    ("||", "spoiler"),
    ("__", "underline"),
    ("*", "bold"),
    ("_", "italic"),
    ("~", "strikethrough"),
    ("`", "code"),
)
_NAMES = {
    "pre": "Pre",
    "spoiler": "Spoiler",
    "underline": "Underline",
    "bold": "Bold",
    "italic": "Italic",
    "strikethrough": "Strikethrough",
    "code": "Code",
    "text_link": "TextUrl",
}


@dataclass(slots=True)
class _Reader:
    source: str
    at: int = 0
    text: str = ""
    entities: list[Entity] = field(default_factory=list)
    stack: list[tuple[str, int, int]] = field(default_factory=list)
    """(type, offset in units, byte offset of the mark) of what is open."""

    @property
    def byte(self) -> int:
        return len(self.source[: self.at].encode())

    def inside(self, *kinds: str) -> bool:
        return bool(self.stack) and self.stack[-1][0] in kinds

    def finish(self, kind: str, *, url: str = "", language: str = "") -> None:
        _, offset, _ = self.stack.pop()
        if length := units(self.text) - offset:
            self.entities.append(Entity(kind, offset, length, url, language))

    def take(self, count: int = 1) -> None:
        self.text += self.source[self.at : self.at + count]
        self.at += count


def parse(source: str) -> tuple[str, tuple[Entity, ...]]:
    """The text and its entities; raises :class:`CantParseError`."""
    reader = _Reader(source)
    while reader.at < len(source):
        _step(reader)
    quote = next((index for index, one in enumerate(reader.stack) if one[0] == "blockquote"), None)
    if quote is not None and quote == len(reader.stack) - 1:
        reader.finish("blockquote")
    if reader.stack:
        kind, _, byte = reader.stack[-1]
        raise CantParseError(f"Can't find end of {_NAMES.get(kind, kind)} entity at byte offset {byte}")
    return reader.text, tuple(reader.entities)


def _step(reader: _Reader) -> None:
    here = reader.source[reader.at]
    following = reader.source[reader.at + 1 : reader.at + 2]
    if here == "\\" and following and following.isascii() and 1 <= ord(following) <= 126:
        reader.at += 1
        reader.take()
    elif reader.inside("code", "pre"):
        _in_code(reader)
    elif here == ">" and _line_begins(reader):
        _quote(reader)
    elif reader.inside("blockquote") and reader.source[reader.at : reader.at + 3] in {"||", "||\n"}:
        reader.at += 2
        reader.finish("expandable_blockquote")
    elif here == "\n":
        reader.take()
        if reader.inside("blockquote") and reader.source[reader.at : reader.at + 1] != ">":
            reader.finish("blockquote")
    elif here in RESERVED:
        _mark(reader)
    else:
        reader.take()


def _line_begins(reader: _Reader) -> bool:
    return reader.at == 0 or reader.source[reader.at - 1] == "\n" or reader.source[reader.at - 2 : reader.at] == "**"


def _quote(reader: _Reader) -> None:
    reader.at += 1
    if not reader.inside("blockquote"):
        reader.stack.append(("blockquote", units(reader.text), reader.byte))


def _in_code(reader: _Reader) -> None:
    kind, _, _ = reader.stack[-1]
    closing = "```" if kind == "pre" else "`"
    if not reader.source.startswith(closing, reader.at):
        reader.take()
        return
    reader.at += len(closing)
    reader.finish(kind)


def _mark(reader: _Reader) -> None:
    if reader.source.startswith("[", reader.at):
        reader.stack.append(("text_link", units(reader.text), reader.byte))
        reader.at += 1
        return
    if reader.source.startswith("]", reader.at) and reader.inside("text_link"):
        _link_end(reader)
        return
    for mark, kind in _MARKS:
        if not reader.source.startswith(mark, reader.at):
            continue
        byte = reader.byte
        reader.at += len(mark)
        if reader.inside(kind):
            reader.finish(kind)
        elif any(one[0] == kind for one in reader.stack):
            inner, _, opened = reader.stack[-1]
            raise CantParseError(f"Can't find end of {_NAMES.get(inner, inner)} entity at byte offset {opened}")
        else:
            reader.stack.append((kind, units(reader.text), byte))
            if kind == "pre":
                _language(reader)
        return
    here = reader.source[reader.at]
    raise CantParseError(f"Character '{here}' is reserved and must be escaped with the preceding '\\'")


def _language(reader: _Reader) -> None:
    """The word behind an opening fence names the language; it and the line end are no text."""
    line, newline, _ = reader.source[reader.at :].partition("\n")
    if newline and (not line or line.replace("-", "").replace("+", "").replace("#", "").isalnum()):
        reader.at += len(line) + 1


def _link_end(reader: _Reader) -> None:
    _, _, opened = reader.stack[-1]
    if not reader.source.startswith("](", reader.at):
        raise CantParseError(f"Can't find end of TextUrl entity at byte offset {opened}")
    end = reader.source.find(")", reader.at)
    while end > 0 and reader.source[end - 1] == "\\":
        end = reader.source.find(")", end + 1)
    if end < 0:
        raise CantParseError(f"Can't find end of a URL at byte offset {reader.byte + 1}")
    url = reader.source[reader.at + 2 : end].replace("\\", "")
    reader.at = end + 1
    if url:
        reader.finish("text_link", url=url)
    else:
        reader.stack.pop()
