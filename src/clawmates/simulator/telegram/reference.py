"""The methods that the stand-in knows, with every parameter the reference gives them.

Each method's page is ``core.telegram.org/bots/api/methods/<name in lower case>.md``; as of Bot API 10.3.
"""

from __future__ import annotations

from enum import Enum, auto


class Kind(Enum):
    """The types of the reference."""

    INTEGER = auto()
    STRING = auto()
    BOOLEAN = auto()
    CHAT = auto()
    """Integer or String."""
    ARRAY = auto()
    OBJECT = auto()


UPDATE_KINDS = frozenset(
    [
        "message",
        "edited_message",
        "channel_post",
        "edited_channel_post",
        "business_connection",
        "business_message",
        "edited_business_message",
        "deleted_business_messages",
        "guest_message",
        "message_reaction",
        "message_reaction_count",
        "inline_query",
        "chosen_inline_result",
        "callback_query",
        "shipping_query",
        "pre_checkout_query",
        "purchased_paid_media",
        "poll",
        "poll_answer",
        "my_chat_member",
        "chat_member",
        "chat_join_request",
        "chat_boost",
        "removed_chat_boost",
        "managed_bot",
        "subscription",
        "stopped_message_generation",
    ]
)
NOT_BY_DEFAULT = frozenset({"chat_member", "message_reaction", "message_reaction_count"})
"""Kinds of updates that come only to those who name them (getupdates.md, *allowed_updates*)."""

CHAT_ACTIONS = frozenset(
    [
        "typing",
        "upload_photo",
        "record_video",
        "upload_video",
        "record_voice",
        "upload_voice",
        "upload_document",
        "choose_sticker",
        "find_location",
        "record_video_note",
        "upload_video_note",
    ]
)

_SEND = {
    "business_connection_id": Kind.STRING,
    "chat_id": Kind.CHAT,
    "message_thread_id": Kind.INTEGER,
}
_TEXT = {
    "text": Kind.STRING,
    "parse_mode": Kind.STRING,
    "entities": Kind.ARRAY,
}
_MENU = {"scope": Kind.OBJECT, "language_code": Kind.STRING}

METHODS: dict[str, dict[str, Kind]] = {
    "getMe": {},
    "getUpdates": {
        "offset": Kind.INTEGER,
        "limit": Kind.INTEGER,
        "timeout": Kind.INTEGER,
        "allowed_updates": Kind.ARRAY,
    },
    "sendMessage": _SEND
    | _TEXT
    | {
        "direct_messages_topic_id": Kind.INTEGER,
        "ephemeral_message_parameters": Kind.OBJECT,
        "link_preview_options": Kind.OBJECT,
        "disable_notification": Kind.BOOLEAN,
        "protect_content": Kind.BOOLEAN,
        "allow_paid_broadcast": Kind.BOOLEAN,
        "message_effect_id": Kind.STRING,
        "suggested_post_parameters": Kind.OBJECT,
        "reply_parameters": Kind.OBJECT,
        "reply_markup": Kind.OBJECT,
    },
    "sendMessageDraft": _TEXT
    | {
        "chat_id": Kind.INTEGER,
        "message_thread_id": Kind.INTEGER,
        "draft_id": Kind.INTEGER,
        "can_stop": Kind.BOOLEAN,
        "keep_on_stop": Kind.BOOLEAN,
    },
    "sendChatAction": _SEND | {"action": Kind.STRING},
    "editMessageText": _TEXT
    | {
        "business_connection_id": Kind.STRING,
        "chat_id": Kind.CHAT,
        "message_id": Kind.INTEGER,
        "inline_message_id": Kind.STRING,
        "rich_message": Kind.OBJECT,
        "link_preview_options": Kind.OBJECT,
        "reply_markup": Kind.OBJECT,
    },
    "setMyCommands": {"commands": Kind.ARRAY} | _MENU,
    "getMyCommands": _MENU,
    "deleteMyCommands": _MENU,
    "setMyDescription": {"description": Kind.STRING, "language_code": Kind.STRING},
    "getMyDescription": {"language_code": Kind.STRING},
    "setMyShortDescription": {"short_description": Kind.STRING, "language_code": Kind.STRING},
    "getMyShortDescription": {"language_code": Kind.STRING},
    "deleteWebhook": {"drop_pending_updates": Kind.BOOLEAN},
}

NAMES = {name.lower(): name for name in METHODS}
"""Method names compare without regard to case ("Making requests")."""

ENTITY = {
    "type": Kind.STRING,
    "offset": Kind.INTEGER,
    "length": Kind.INTEGER,
    "url": Kind.STRING,
    "user": Kind.OBJECT,
    "language": Kind.STRING,
    "custom_emoji_id": Kind.STRING,
    "unix_time": Kind.INTEGER,
    "date_time_format": Kind.STRING,
}
"""types/messageentity.md."""

LINK_PREVIEW_OPTIONS = {
    "is_disabled": Kind.BOOLEAN,
    "url": Kind.STRING,
    "prefer_small_media": Kind.BOOLEAN,
    "prefer_large_media": Kind.BOOLEAN,
    "show_above_text": Kind.BOOLEAN,
}
"""types/linkpreviewoptions.md."""

REPLY_PARAMETERS = {
    "message_id": Kind.INTEGER,
    "chat_id": Kind.CHAT,
    "ephemeral_message_id": Kind.INTEGER,
    "allow_sending_without_reply": Kind.BOOLEAN,
    "quote": Kind.STRING,
    "quote_parse_mode": Kind.STRING,
    "quote_entities": Kind.ARRAY,
    "quote_position": Kind.INTEGER,
    "checklist_task_id": Kind.INTEGER,
    "poll_option_id": Kind.STRING,
}
"""types/replyparameters.md."""

REPLY_MARKUP = {
    "inline_keyboard": Kind.ARRAY,
    "keyboard": Kind.ARRAY,
    "is_persistent": Kind.BOOLEAN,
    "resize_keyboard": Kind.BOOLEAN,
    "one_time_keyboard": Kind.BOOLEAN,
    "input_field_placeholder": Kind.STRING,
    "selective": Kind.BOOLEAN,
    "remove_keyboard": Kind.BOOLEAN,
    "force_reply": Kind.BOOLEAN,
}
"""types/inlinekeyboardmarkup.md, replykeyboardmarkup.md, replykeyboardremove.md, forcereply.md."""

BOT_COMMAND = {"command": Kind.STRING, "description": Kind.STRING, "is_ephemeral": Kind.BOOLEAN}
"""types/botcommand.md."""

COMMAND_SCOPE = {"type": Kind.STRING, "chat_id": Kind.CHAT, "user_id": Kind.INTEGER}
"""types/botcommandscope.md."""

COMMAND_SCOPES = {
    "default": 0,
    "all_private_chats": 0,
    "all_group_chats": 0,
    "all_chat_administrators": 0,
    "chat": 1,
    "chat_administrators": 1,
    "chat_member": 2,
}
"""How many of *chat_id* and *user_id* each needs."""
