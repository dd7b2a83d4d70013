"""The methods of the Bot API that the stand-in knows, each from its page of the reference."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from clawmates.base.clock import Clock
from clawmates.simulator.model import Draft, SentMessage
from clawmates.simulator.telegram.bot import Bot
from clawmates.simulator.telegram.errors import BadRequestError
from clawmates.simulator.telegram.formatting import formatted
from clawmates.simulator.telegram.reference import (
    CHAT_ACTIONS,
    LINK_PREVIEW_OPTIONS,
    REPLY_MARKUP,
    REPLY_PARAMETERS,
    UPDATE_KINDS,
)

if TYPE_CHECKING:
    from clawmates.simulator.telegram.bot import Chat
    from clawmates.simulator.telegram.entities import Entity
    from clawmates.simulator.telegram.parameters import Parameters

COUNTED = frozenset({"sendMessage", "editMessageText"})
"""Methods that flood control counts."""


@dataclass(frozen=True, slots=True)
class Context:
    """Whose call it is, and when it had arrived (monotonic)."""

    bot: Bot
    received: float
    clock: Clock


def get_me(context: Context, _: Parameters) -> object:
    """core.telegram.org/bots/api/methods/getme.md: the bot as a User, with what only getMe returns."""
    return context.bot.plain() | {
        "can_join_groups": True,
        "can_read_all_group_messages": False,
        "supports_inline_queries": False,
        "can_connect_to_business": False,
        "has_main_web_app": False,
    }


def allow_updates(context: Context, parameters: Parameters) -> None:
    """*allowed_updates* of core.telegram.org/bots/api/methods/getupdates.md: kept until given again."""
    if not parameters.has("allowed_updates"):
        return
    kinds = frozenset(str(kind) for kind in parameters.items("allowed_updates"))
    if unknown := kinds - UPDATE_KINDS:
        raise BadRequestError(f"the reference has no update {min(unknown)[:40]!r}")
    context.bot.allow(kinds)


def send_message(context: Context, parameters: Parameters) -> object:
    """core.telegram.org/bots/api/methods/sendmessage.md: the sent Message."""
    chat = _chat(context, parameters)
    text, entities = formatted(parameters)
    preview = parameters.inner("link_preview_options", LINK_PREVIEW_OPTIONS)
    reply_to = _reply_to(chat, parameters)
    parameters.inner("reply_markup", REPLY_MARKUP)
    message = SentMessage(
        message_id=chat.next_message(),
        chat_id=chat.id,
        text=text,
        entities=tuple(entity.type for entity in entities),
        preview_disabled=preview.flag("is_disabled"),
        reply_to=reply_to,
        received=context.received,
    )
    context.bot.keep(message)
    return _message(context, chat, message.message_id, text, entities)


def send_message_draft(context: Context, parameters: Parameters) -> object:
    """core.telegram.org/bots/api/methods/sendmessagedraft.md: True. Private chats only, draft_id not zero.

    A draft that its reader has stopped is shown no more; the call is answered all the same.
    """
    chat = _chat(context, parameters)
    if chat.id < 0:
        raise BadRequestError("message drafts can be sent to private chats only")
    if not parameters.has("draft_id"):
        raise BadRequestError('parameter "draft_id" is required')
    if not parameters.integer("draft_id"):
        raise BadRequestError("draft_id must be non-zero")
    text, _ = formatted(parameters, empty_allowed=True)
    draft = Draft(
        draft_id=parameters.integer("draft_id"),
        chat_id=chat.id,
        text=text,
        can_stop=parameters.flag("can_stop"),
        stopped=False,
        received=context.received,
        message_thread_id=parameters.integer("message_thread_id"),
    )
    chat.write(draft, keep_on_stop=parameters.flag("keep_on_stop"))
    return True


def send_chat_action(context: Context, parameters: Parameters) -> object:
    """core.telegram.org/bots/api/methods/sendchataction.md: True."""
    _chat(context, parameters)
    if parameters.text("action") not in CHAT_ACTIONS:
        raise BadRequestError("wrong parameter action in request")
    return True


def edit_message_text(context: Context, parameters: Parameters) -> object:
    """core.telegram.org/bots/api/methods/editmessagetext.md: the edited Message. No inline or rich messages here."""
    for missing in ("inline_message_id", "rich_message"):
        if parameters.has(missing):
            raise BadRequestError(f"the stand-in does not know {missing}")
    chat = _chat(context, parameters)
    if not parameters.has("message_id"):
        raise BadRequestError("message identifier is not specified")
    message = chat.sent.get(parameters.integer("message_id"))
    if message is None:
        raise BadRequestError("message to edit not found")
    text, entities = formatted(parameters)
    parameters.inner("link_preview_options", LINK_PREVIEW_OPTIONS)
    parameters.inner("reply_markup", REPLY_MARKUP)
    types = tuple(entity.type for entity in entities)
    if (text, types) == (message.text, message.entities):
        raise BadRequestError(
            "message is not modified: specified new message content and reply markup are exactly the same as a "
            "current content and reply markup of the message"
        )
    context.bot.edit(message, text, types)
    now = int(context.clock.now().timestamp())
    return _message(context, chat, message.message_id, text, entities) | {"edit_date": now}


def set_my_commands(context: Context, parameters: Parameters) -> object:
    """core.telegram.org/bots/api/methods/setmycommands.md: True. At most 100 commands."""
    context.bot.menu.set_commands(parameters)
    return True


def get_my_commands(context: Context, parameters: Parameters) -> object:
    """core.telegram.org/bots/api/methods/getmycommands.md: an Array of BotCommand."""
    return context.bot.menu.get_commands(parameters)


def delete_my_commands(context: Context, parameters: Parameters) -> object:
    """core.telegram.org/bots/api/methods/deletemycommands.md: True."""
    context.bot.menu.delete_commands(parameters)
    return True


def set_my_description(context: Context, parameters: Parameters) -> object:
    """core.telegram.org/bots/api/methods/setmydescription.md: True. 0-512 characters."""
    context.bot.menu.describe("description", parameters)
    return True


def get_my_description(context: Context, parameters: Parameters) -> object:
    """core.telegram.org/bots/api/methods/getmydescription.md: a BotDescription."""
    return context.bot.menu.described("description", parameters)


def set_my_short_description(context: Context, parameters: Parameters) -> object:
    """core.telegram.org/bots/api/methods/setmyshortdescription.md: True. 0-120 characters."""
    context.bot.menu.describe("short_description", parameters)
    return True


def get_my_short_description(context: Context, parameters: Parameters) -> object:
    """core.telegram.org/bots/api/methods/getmyshortdescription.md: a BotShortDescription."""
    return context.bot.menu.described("short_description", parameters)


def delete_webhook(context: Context, parameters: Parameters) -> object:
    """core.telegram.org/bots/api/methods/deletewebhook.md: True. There never is a webhook to delete."""
    if parameters.flag("drop_pending_updates"):
        context.bot.forget_updates()
    return True


SIMPLE = {
    "getMe": get_me,
    "sendMessage": send_message,
    "sendMessageDraft": send_message_draft,
    "sendChatAction": send_chat_action,
    "editMessageText": edit_message_text,
    "setMyCommands": set_my_commands,
    "getMyCommands": get_my_commands,
    "deleteMyCommands": delete_my_commands,
    "setMyDescription": set_my_description,
    "getMyDescription": get_my_description,
    "setMyShortDescription": set_my_short_description,
    "getMyShortDescription": get_my_short_description,
    "deleteWebhook": delete_webhook,
}
"""All methods but ``getUpdates``, which waits."""


def _chat(context: Context, parameters: Parameters) -> Chat:
    if not parameters.has("chat_id"):
        raise BadRequestError("chat_id is empty")
    return context.bot.chat(parameters.integer("chat_id"))


def _reply_to(chat: Chat, parameters: Parameters) -> int:
    """The message that is replied to, or 0 (types/replyparameters.md)."""
    if not parameters.has("reply_parameters"):
        return 0
    reply = parameters.inner("reply_parameters", REPLY_PARAMETERS)
    if not reply.has("message_id"):
        raise BadRequestError("message identifier is not specified")
    wanted = reply.integer("message_id")
    if 0 < wanted <= chat.last_message:
        return wanted
    if reply.flag("allow_sending_without_reply"):
        return 0
    raise BadRequestError("message to be replied not found")


def _message(
    context: Context, chat: Chat, message_id: int, text: str, entities: tuple[Entity, ...]
) -> dict[str, object]:
    """types/message.md."""
    message: dict[str, object] = {
        "message_id": message_id,
        "from": context.bot.plain(),
        "chat": chat.plain(),
        "date": int(context.clock.now().timestamp()),
        "text": text,
    }
    if entities:
        message["entities"] = [entity.plain() for entity in entities]
    return message
