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
    """Plain text: what cannot be encoded (half of a surrogate pair) is joined with its other half or replaced."""

    text: str

    def __post_init__(self) -> None:
        if any("\ud800" <= character <= "\udfff" for character in self.text):
            whole = self.text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
            object.__setattr__(self, "text", whole)


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
    person: str = ""
    """Who said it, as the messenger names them; empty where a chat has one person only."""
    language: str = ""
    """The person's language as an IETF tag (``de``, ``pt-BR``), where the messenger says it."""
    quote: str = ""
    """What the person replies to, where they do: context, never a command."""

    @property
    def text(self) -> str:
        """The person's own words, without what they quote."""
        return Message(Author.PERSON, self.parts).text

    @property
    def message(self) -> Message:
        """What was said, with what it replies to as a Markdown quote before it."""
        if not self.quote:
            return Message(Author.PERSON, self.parts)
        quoted = "\n".join(f"> {line}" for line in self.quote.splitlines())
        return Message(Author.PERSON, (Text(f"{quoted}\n"), *self.parts))


@dataclass(frozen=True, slots=True)
class Rewrite:
    """A person has changed a message that was delivered: ``inbound`` replaces the one with its key, if unanswered."""

    inbound: Inbound


@dataclass(frozen=True, slots=True)
class Halt:
    """A person wants no more of the answer that is being written; ``key`` names its message, 0 any."""

    chat: str
    key: int = 0


@dataclass(frozen=True, slots=True)
class Farewell:
    """A person has blocked the bot or left: nothing of the chat is remembered."""

    chat: str


Arrival = Inbound | Rewrite | Halt | Farewell
