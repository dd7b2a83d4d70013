"""Message entities: their offsets, their fields, and how they may nest.

core.telegram.org/bots/api/types/messageentity.md and /bots/api/formatting.md ("Message entities can be nested").
The real server repairs some of what these pages forbid without a word; the stand-in refuses it, to show the mistake.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from clawmates.simulator.telegram.errors import BadRequestError
from clawmates.simulator.telegram.parameters import Parameters
from clawmates.simulator.telegram.reference import ENTITY

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

_STYLES = frozenset({"bold", "italic", "underline", "strikethrough", "spoiler"})
_CODE = frozenset({"pre", "code"})
_QUOTES = frozenset({"blockquote", "expandable_blockquote"})
_FOUND_BY_ITSELF = frozenset({"mention", "hashtag", "cashtag", "bot_command", "url", "email", "phone_number"})
TYPES = _STYLES | _CODE | _QUOTES | _FOUND_BY_ITSELF | {"text_link", "text_mention", "custom_emoji", "date_time"}
_REQUIRED = {
    "text_link": "url",
    "text_mention": "user",
    "custom_emoji": "custom_emoji_id",
    "date_time": "unix_time",
}
MAX_ENTITIES = 100


def units(text: str) -> int:
    """Its length in UTF-16 code units."""
    return len(text.encode("utf-16-le")) // 2


@dataclass(frozen=True, slots=True)
class Entity:
    """A checked MessageEntity; offsets in UTF-16 code units."""

    type: str
    offset: int
    length: int
    url: str = ""
    language: str = ""
    custom_emoji_id: str = ""

    @property
    def end(self) -> int:
        """The offset behind it."""
        return self.offset + self.length

    def plain(self) -> dict[str, object]:
        """As an answer shows it."""
        shown: dict[str, object] = {"type": self.type, "offset": self.offset, "length": self.length}
        extra = {"url": self.url, "language": self.language, "custom_emoji_id": self.custom_emoji_id}
        return shown | {name: value for name, value in extra.items() if value}


def read(raw: Sequence[object], text: str) -> tuple[Entity, ...]:
    """The *entities* of a call, checked against ``text``; raises :class:`BadRequestError`."""
    if len(raw) > MAX_ENTITIES:
        raise BadRequestError("too many entities")
    found = []
    for one in raw:
        if not isinstance(one, dict):
            raise BadRequestError("can't parse MessageEntity: expected an Object")
        fields = Parameters.check(one, ENTITY, where="entities.")
        kind = fields.text("type")
        if kind not in TYPES:
            raise BadRequestError("can't parse MessageEntity: unknown type")
        if not fields.has("offset") or not fields.has("length"):
            raise BadRequestError("can't parse MessageEntity: offset and length are required")
        if kind in _REQUIRED and not fields.has(_REQUIRED[kind]):
            raise BadRequestError(f"can't parse MessageEntity: {kind} needs {_REQUIRED[kind]}")
        found.append(
            Entity(
                kind,
                fields.integer("offset"),
                fields.integer("length"),
                fields.text("url"),
                fields.text("language"),
                fields.text("custom_emoji_id"),
            )
        )
    return checked(found, text)


def checked(entities: Iterable[Entity], text: str) -> tuple[Entity, ...]:
    """The entities in order of their offsets; raises :class:`BadRequestError` when they cannot be."""
    ordered = tuple(sorted(entities, key=lambda one: (one.offset, -one.length)))
    encoded = text.encode("utf-16-le")
    for entity in ordered:
        if entity.offset < 0 or entity.length <= 0 or entity.end * 2 > len(encoded):
            raise BadRequestError("entity bounds are invalid: outside of the text")
        if any(_inside_pair(encoded, at) for at in (entity.offset, entity.end)):
            raise BadRequestError("entity bounds are invalid: in the middle of a surrogate pair")
    open_entities: list[Entity] = []
    for entity in ordered:
        while open_entities and open_entities[-1].end <= entity.offset:
            open_entities.pop()
        for outer in open_entities:
            if entity.end > outer.end:
                raise BadRequestError("entities overlap without one being inside the other")
            if not _may_contain(outer.type, entity.type):
                raise BadRequestError(f"a {entity.type} entity can't be inside a {outer.type} entity")
        open_entities.append(entity)
    return ordered


def _inside_pair(encoded: bytes, at: int) -> bool:
    """Whether the code unit at ``at`` is the second half of a surrogate pair."""
    return at * 2 < len(encoded) and 0xDC <= encoded[at * 2 + 1] <= 0xDF


def _may_contain(outer: str, inner: str) -> bool:
    if outer in _FOUND_BY_ITSELF or inner in _FOUND_BY_ITSELF:
        return True
    if outer in _CODE:
        return False
    if inner in _CODE:
        return outer in _QUOTES
    if outer in _QUOTES and inner in _QUOTES:
        return False
    return outer in _STYLES | _QUOTES or inner in _STYLES
