"""What an update means (https://core.telegram.org/bots/api#update): parsed by hand, bounded, nothing trusted."""

from __future__ import annotations

from typing import Any

from clawmates.mate.messages import Inbound, Media, MediaKind, Part, Text

_MEDIA = {
    "photo": MediaKind.IMAGE,
    "sticker": MediaKind.IMAGE,
    "animation": MediaKind.VIDEO,
    "video": MediaKind.VIDEO,
    "video_note": MediaKind.VIDEO,
    "voice": MediaKind.AUDIO,
    "audio": MediaKind.AUDIO,
    "document": MediaKind.DOCUMENT,
}
_OTHER = ("contact", "location", "venue", "poll", "dice", "story", "checklist", "game", "paid_media")


def update_id(update: Any) -> int | None:
    """The update's number, or ``None`` for something that is no update."""
    number = update.get("update_id") if isinstance(update, dict) else None
    return number if isinstance(number, int) and not isinstance(number, bool) else None


def inbound(update: dict[str, Any]) -> Inbound | None:
    """A person's message that wants an answer; ``None`` for everything that is passed over on purpose.

    Passed over: service messages, messages of bots and channels, and all update types but ``message``.
    """
    number = update_id(update)
    message = update.get("message")
    if number is None or not isinstance(message, dict):
        return None
    chat, sender = message.get("chat"), message.get("from")
    if not isinstance(chat, dict) or not isinstance(chat.get("id"), int):
        return None
    if not isinstance(sender, dict) or sender.get("is_bot") is not False:
        return None
    parts = _parts(message)
    if not parts:
        return None
    return Inbound(f"telegram:{number}", str(chat["id"]), number, parts, private=chat.get("type") == "private")


def _parts(message: dict[str, Any]) -> tuple[Part, ...]:
    text = message.get("text")
    if isinstance(text, str):
        return (Text(text),)
    for name, kind in _MEDIA.items():
        if name in message:
            return (Media(kind, _file_id(message[name])), *_caption(message))
    return (Media(MediaKind.OTHER, ""),) if any(name in message for name in _OTHER) else ()


def _file_id(media: Any) -> str:
    """The id of a file, of the largest size where there are several."""
    one = media[-1] if isinstance(media, list) and media else media
    file_id = one.get("file_id") if isinstance(one, dict) else None
    return file_id if isinstance(file_id, str) else ""


def _caption(message: dict[str, Any]) -> tuple[Text, ...]:
    caption = message.get("caption")
    return (Text(caption),) if isinstance(caption, str) else ()
