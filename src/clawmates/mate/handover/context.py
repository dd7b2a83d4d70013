"""What a bot hands to its next life, as JSON with bounds: what it remembers, what was used, where the messenger is.

Read with the same distrust as anything foreign: a life that was taken over hands over too.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from clawmates.base.shape import decode_json, encode_json
from clawmates.mate.channels.base import Position
from clawmates.mate.commands import Spent
from clawmates.mate.messages import Author, Media, MediaKind, Message, Part, Text
from clawmates.mate.people import Handed

if TYPE_CHECKING:
    from collections.abc import Iterable

    from clawmates.mate.relay import Relay

FORMAT = 1
MOST_BYTES = 3 << 20
"""Of the whole; the windows weigh 2 MiB at most, and JSON may write a character as six."""
MOST_CHATS = 4_000
MOST_MESSAGES = 40_000
MOST_NAME = 128
"""Characters of a chat's name, or of a file's id and a bit."""
MOST_COUNT = 1 << 50


@dataclass(frozen=True, slots=True, kw_only=True)
class KeptPart:
    """A text, or (``kind`` is given) something that the messenger keeps."""

    text: str
    """Or the file's id."""
    kind: MediaKind | None = None

    def __post_init__(self) -> None:
        if self.kind is not None and len(self.text) > 8 * MOST_NAME:
            raise ValueError("a file's id is too long")


@dataclass(frozen=True, slots=True, kw_only=True)
class KeptMessage:
    """One thing said."""

    author: Author
    parts: tuple[KeptPart, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class KeptWindow:
    """What is remembered of one chat."""

    chat: str
    idle: float
    """Seconds since it was touched."""
    messages: tuple[KeptMessage, ...]

    def __post_init__(self) -> None:
        _check_name(self.chat)
        if not 0 <= self.idle < MOST_COUNT:
            raise ValueError("idle is out of range")


@dataclass(frozen=True, slots=True, kw_only=True)
class KeptUsage:
    """What one chat has used."""

    chat: str
    messages: int
    input_tokens: int
    output_tokens: int

    def __post_init__(self) -> None:
        _check_name(self.chat)
        counts = (self.messages, self.input_tokens, self.output_tokens)
        if min(counts) < 0 or max(counts) > MOST_COUNT:
            raise ValueError("a count is out of range")


@dataclass(frozen=True, slots=True, kw_only=True)
class Context:
    """All of it; windows and usage with the longest unused first."""

    format: int = FORMAT
    windows: tuple[KeptWindow, ...] = ()
    known: tuple[str, ...] = ()
    """Chats that this bot has met, whatever it remembers of them."""
    usage: tuple[KeptUsage, ...] = ()
    position: Position = Position()  # noqa: RUF009 - frozen
    people: Handed = Handed()  # noqa: RUF009 - frozen

    def __post_init__(self) -> None:
        if self.format != FORMAT:
            raise ValueError("another format")
        if max(len(self.windows), len(self.known), len(self.usage)) > MOST_CHATS:
            raise ValueError("too many chats")
        if sum(len(window.messages) for window in self.windows) > MOST_MESSAGES:
            raise ValueError("too many messages")
        for chat in self.known:
            _check_name(chat)


def gather(relay: Relay) -> bytes:
    """What this life has to hand over: where it is too much, the longest unused windows stay behind."""
    windows = [
        KeptWindow(chat=chat, idle=idle, messages=tuple(_kept(message) for message in messages))
        for chat, idle, messages in relay.memory.windows()
    ]
    rest = Context(
        known=relay.memory.known(),
        usage=tuple(
            KeptUsage(
                chat=chat,
                messages=spent.messages,
                input_tokens=spent.input_tokens,
                output_tokens=spent.output_tokens,
            )
            for chat, spent in relay.usage.all()
        ),
        position=relay.channel.position(),
        people=relay.guard.hand() if relay.guard is not None else Handed(),
    )
    room = MOST_BYTES - len(encode_json(rest))
    taken: list[KeptWindow] = []
    for window in reversed(windows):
        room -= len(encode_json(window)) + 1
        if room < 0 or len(taken) == MOST_CHATS:
            break
        taken.append(window)
    return encode_json(replace(rest, windows=tuple(reversed(taken))))


def read(raw: bytes) -> Context:
    """Raises :class:`~clawmates.base.shape.ShapeError`."""
    return decode_json(Context, raw, MOST_BYTES)


def take_in(context: Context, relay: Relay) -> None:
    """Begins where the life before ended; the memory's own bounds hold for what is taken in."""
    for chat in context.known:
        relay.memory.meet(chat)
    for window in context.windows:
        relay.memory.inherit(window.chat, window.idle, *(_message(message) for message in window.messages))
    for usage in context.usage:
        spent = Spent(usage.messages, usage.input_tokens, usage.output_tokens)
        relay.usage.inherit(usage.chat, spent)
    if relay.guard is not None:
        relay.guard.inherit(context.people)
    relay.channel.resume(context.position)


def _kept(message: Message) -> KeptMessage:
    return KeptMessage(author=message.author, parts=tuple(_kept_parts(message.parts)))


def _kept_parts(parts: Iterable[Part]) -> Iterable[KeptPart]:
    for part in parts:
        if isinstance(part, Text):
            yield KeptPart(text=part.text)
        else:
            yield KeptPart(text=part.file_id, kind=part.kind)


def _message(kept: KeptMessage) -> Message:
    return Message(kept.author, tuple(_part(part) for part in kept.parts))


def _part(kept: KeptPart) -> Part:
    return Text(kept.text) if kept.kind is None else Media(kept.kind, kept.text)


def _check_name(chat: str) -> None:
    if len(chat) > MOST_NAME:
        raise ValueError("a chat's name is too long")
