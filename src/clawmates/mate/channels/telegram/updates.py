"""What an update means (https://core.telegram.org/bots/api#update): parsed by hand, bounded, nothing trusted.

Of all kinds of updates the mate asks for four (:data:`WANTED`). Others can still come for a while after a change, and
are passed over on purpose, as are service messages, messages of bots and channels, and what is said in a group to
somebody else.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, NamedTuple

from clawmates.mate.channels.telegram.outbox import Place
from clawmates.mate.channels.telegram.styled import visible, whole_characters
from clawmates.mate.commands import command
from clawmates.mate.messages import Farewell, Halt, Inbound, Media, MediaKind, Part, Text

WANTED = ("message", "edited_message", "stopped_message_generation", "my_chat_member")
MAX_TEXT = 32 * 1024
"""Characters of a message; Telegram's own limit is 4096."""
MAX_QUOTE = 1000
_LANGUAGE = re.compile(r"[A-Za-z]{2,3}(-[A-Za-z0-9]{2,8}){0,3}")
_MEDIA = {
    "photo": MediaKind.IMAGE,
    "live_photo": MediaKind.IMAGE,
    "sticker": MediaKind.IMAGE,
    "animation": MediaKind.VIDEO,
    "video": MediaKind.VIDEO,
    "video_note": MediaKind.VIDEO,
    "voice": MediaKind.AUDIO,
    "audio": MediaKind.AUDIO,
    "document": MediaKind.DOCUMENT,
}
_OTHER = ("contact", "location", "venue", "poll", "dice", "story", "checklist", "game", "paid_media")
_GONE = {"kicked", "left"}


class Me(NamedTuple):
    """The bot as others see it (https://core.telegram.org/bots/api#getme)."""

    id: int = 0
    username: str = ""


@dataclass(frozen=True, slots=True)
class Heard:
    """A person's message that wants an answer; ``number`` is its own among those of the chat."""

    inbound: Inbound
    place: Place
    number: int
    edited: bool = False


def update_id(update: Any) -> int | None:
    """The update's number, or ``None`` for something that is no update."""
    return _integer(update.get("update_id")) if isinstance(update, dict) else None


def heard(update: dict[str, Any], me: Me) -> Heard | Halt | Farewell | None:
    """What the update means; ``None`` for everything that is passed over on purpose.

    A :class:`Halt` names the draft and leaves it to the caller to know in which topic it is.
    """
    number = update_id(update)
    if number is None:
        return None
    if (message := _object(update, "message")) is not None:
        return _message(number, message, me, edited=False)
    if (message := _object(update, "edited_message")) is not None:
        return _message(number, message, me, edited=True)
    if (stopped := _object(update, "stopped_message_generation")) is not None:
        draft, chat = _integer(stopped.get("draft_id")), _chat_id(stopped)
        return Halt(str(chat), draft) if draft and chat is not None else None
    if (member := _object(update, "my_chat_member")) is not None:
        status, chat = (_object(member, "new_chat_member") or {}).get("status"), _chat_id(member)
        return Farewell(str(chat)) if chat is not None and status in _GONE else None
    return None


def _message(number: int, message: dict[str, Any], me: Me, *, edited: bool) -> Heard | None:
    chat_id, sender = _chat_id(message), _object(message, "from")
    if chat_id is None or sender is None or sender.get("is_bot") is not False or "is_automatic_forward" in message:
        return None
    private = (_object(message, "chat") or {}).get("type") == "private"
    if not private and not edited and not _addressed(message, me):
        return None
    parts = _parts(message, me)
    if not parts:
        return None
    thread = (_integer(message.get("message_thread_id")) or 0) if message.get("is_topic_message") is True else 0
    message_id = _integer(message.get("message_id")) or 0
    language = sender.get("language_code")
    inbound = Inbound(
        f"telegram:{number}",
        f"{chat_id}/{thread}" if thread else str(chat_id),
        number,
        parts,
        private=private,
        person=str(_integer(sender.get("id")) or ""),
        language=language if isinstance(language, str) and _LANGUAGE.fullmatch(language) else "",
        quote=_quote(message),
    )
    return Heard(inbound, Place(chat_id, thread, 0 if private else message_id), message_id, edited)


def place_of(chat: str) -> Place:
    """Where a chat is, by the name that :class:`~clawmates.mate.messages.Inbound` gives it."""
    chat_id, _slash, thread = chat.partition("/")
    return Place(int(chat_id), int(thread or 0))


def _addressed(message: dict[str, Any], me: Me) -> bool:
    """In a group: whether it is said to this bot, by a reply, a mention or a command."""
    replied = _replied(message)
    if replied is not None and me.id and (_object(replied, "from") or {}).get("id") == me.id:
        return True
    text, entities = _text(message), message.get("entities", message.get("caption_entities"))
    for entity in entities if isinstance(entities, list) else ():
        if isinstance(entity, dict) and _points_at(entity, text, me):
            return True
    return False


def _points_at(entity: dict[str, Any], text: str, me: Me) -> bool:
    """https://core.telegram.org/bots/api#messageentity."""
    match entity.get("type"):
        case "mention":
            return bool(me.username) and _slice(text, entity).lower() == f"@{me.username}".lower()
        case "text_mention":
            return bool(me.id) and (_object(entity, "user") or {}).get("id") == me.id
        case "bot_command":
            name, at, target = _slice(text, entity).partition("@")
            return entity.get("offset") == 0 and (
                target.lower() == me.username.lower() if at else command(name) is not None
            )
        case _:
            return False


def _parts(message: dict[str, Any], me: Me) -> tuple[Part, ...]:
    if isinstance(message.get("text"), str):
        return (Text(_cleaned(message["text"], me)),)
    for name, kind in _MEDIA.items():
        if name in message:
            caption = message.get("caption")
            words = (Text(_cleaned(caption, me)),) if isinstance(caption, str) else ()
            return (Media(kind, _file_id(message[name])), *words)
    return (Media(MediaKind.OTHER, ""),) if any(name in message for name in _OTHER) else ()


def _cleaned(text: str, me: Me) -> str:
    """Bounded, every character whole, without a greeting of this bot before it; empty when nobody could see it."""
    text = whole_characters(text[:MAX_TEXT])
    mention = f"@{me.username}"
    if me.username and text[: len(mention)].lower() == mention.lower() and not text[len(mention) :][:1].isalnum():
        text = text[len(mention) :].lstrip(" ,:\n") or text
    return text if visible(text) else ""


def _quote(message: dict[str, Any]) -> str:
    """What is replied to: the part that the person chose, else the beginning of it."""
    chosen = _object(message, "quote")
    source = chosen.get("text") if chosen is not None else _text(_replied(message) or {})
    if not isinstance(source, str) or not visible(source):
        return ""
    text = whole_characters(source[:MAX_QUOTE]).strip()
    return f"{text}…" if len(source) > MAX_QUOTE else text


def _replied(message: dict[str, Any]) -> dict[str, Any] | None:
    """The message that this one replies to; in a forum everything replies to the topic's beginning, which is none."""
    replied = _object(message, "reply_to_message")
    return replied if replied is not None and "forum_topic_created" not in replied else None


def _text(message: dict[str, Any]) -> str:
    text = message.get("text", message.get("caption"))
    return text if isinstance(text, str) else ""


def _slice(text: str, entity: dict[str, Any]) -> str:
    """The text of an entity, whose place is in UTF-16 code units; empty when it lies outside."""
    offset, length = _integer(entity.get("offset")), _integer(entity.get("length"))
    if offset is None or length is None or offset < 0 or not 0 < length <= MAX_TEXT:
        return ""
    encoded = text[: offset + length].encode("utf-16-le", "surrogatepass")
    return encoded[offset * 2 : (offset + length) * 2].decode("utf-16-le", "replace")


def _file_id(media: Any) -> str:
    """The id of a file, of the largest size where there are several."""
    one = media[-1] if isinstance(media, list) and media else media
    file_id = one.get("file_id") if isinstance(one, dict) else None
    return file_id if isinstance(file_id, str) else ""


def _chat_id(holder: dict[str, Any]) -> int | None:
    return _integer((_object(holder, "chat") or {}).get("id"))


def _object(holder: dict[str, Any], name: str) -> dict[str, Any] | None:
    value = holder.get(name)
    return value if isinstance(value, dict) else None


def _integer(value: Any) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) and abs(value) < 1 << 62 else None
