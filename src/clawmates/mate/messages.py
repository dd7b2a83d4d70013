"""What is said: messages, their parts, and what arrives from a channel."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Author(StrEnum):
    """Who said it."""

    PERSON = "person"
    ASSISTANT = "assistant"


class MediaKind(StrEnum):
    """What kind of thing a part is that is not text."""

    IMAGE = "image"
    AUDIO = "audio"
    VIDEO = "video"
    DOCUMENT = "document"
    OTHER = "other"


@dataclass(frozen=True, slots=True)
class Text:
    """Plain text."""

    text: str


@dataclass(frozen=True, slots=True)
class Media:
    """Something the messenger keeps: its id there, never its bytes. Fetched again whenever it is needed."""

    kind: MediaKind
    file_id: str


Part = Text | Media


@dataclass(frozen=True, slots=True)
class Message:
    """One thing said in a conversation."""

    author: Author
    parts: tuple[Part, ...]

    @property
    def text(self) -> str:
        """All text parts, a line each."""
        return "\n".join(part.text for part in self.parts if isinstance(part, Text))

    @property
    def weight(self) -> int:
        """Bytes it takes in memory, about."""
        return 200 + sum(len(part.text.encode()) if isinstance(part, Text) else 300 for part in self.parts)


@dataclass(frozen=True, slots=True)
class Inbound:
    """A message from a person that wants an answer.

    ``turn`` names it to the gateway, the same after a crash; ``chat`` and ``key`` mean something to the channel only.
    """

    turn: str
    chat: str
    key: int
    parts: tuple[Part, ...]
    private: bool = True

    @property
    def message(self) -> Message:
        """What was said."""
        return Message(Author.PERSON, self.parts)
