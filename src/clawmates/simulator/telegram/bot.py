"""What the stand-in remembers of one bot: its chats, its messages, its updates, its long poll."""

from __future__ import annotations

import asyncio
import json
from collections import OrderedDict
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from clawmates.simulator.journal import Bell
from clawmates.simulator.model import Draft, SentMessage, User
from clawmates.simulator.telegram.commands import Menu
from clawmates.simulator.telegram.errors import CONFLICT, BadRequestError, RefusedError
from clawmates.simulator.telegram.flood import Flood
from clawmates.simulator.telegram.polling import Repeats, Updates, Waiting
from clawmates.simulator.telegram.reference import NOT_BY_DEFAULT, UPDATE_KINDS

if TYPE_CHECKING:
    from clawmates.base.clock import Clock

MESSAGES_KEPT = 1000
"""Messages of a bot that one chat remembers."""
DRAFT_SECONDS = 30.0
"""How long a draft is shown (methods/sendmessagedraft.md)."""
CONFLICT_SECONDS = 3.0
"""A second conflict within this time is answered only after it."""
_FIRST_UPDATE = 700_000_001


@dataclass(slots=True)
class Chat:
    """One conversation: a person (positive id) or a group (negative)."""

    id: int
    user: User
    last_message: int = 0
    draft: Draft | None = None
    _keep_on_stop: bool = False
    sent: OrderedDict[int, SentMessage] = field(default_factory=OrderedDict)

    def next_message(self) -> int:
        """The id of the next message, whoever writes it."""
        self.last_message += 1
        return self.last_message

    def write(self, draft: Draft, *, keep_on_stop: bool) -> None:
        """Shows a draft in the place of the last one, unless the reader has stopped just this one."""
        if self.draft is None or not self.draft.stopped or self.draft.draft_id != draft.draft_id:
            self.draft = draft
            self._keep_on_stop = keep_on_stop

    def shown(self, now: float) -> Draft | None:
        """The draft that the reader sees: for 30 seconds, until a message is sent, and stopped only if it is kept."""
        draft = self.draft
        if draft is None or now >= draft.received + DRAFT_SECONDS or (draft.stopped and not self._keep_on_stop):
            return None
        return draft

    def keep(self, message: SentMessage) -> None:
        """Remembers a sent or edited message."""
        if message.message_id not in self.sent:
            self.draft = None
        self.sent[message.message_id] = message
        while len(self.sent) > MESSAGES_KEPT:
            self.sent.popitem(last=False)

    def plain(self) -> dict[str, object]:
        """types/chat.md."""
        if self.id < 0:
            kind = "supergroup" if str(self.id).startswith("-100") else "group"
            return {"id": self.id, "type": kind, "title": "A group"}
        shown: dict[str, object] = {"id": self.id, "type": "private", "first_name": self.user.first_name}
        return shown | ({"username": self.user.username} if self.user.username else {})


def plain_user(user: User) -> dict[str, object]:
    """types/user.md."""
    shown: dict[str, object] = {"id": user.id, "is_bot": False, "first_name": user.first_name}
    if user.username:
        shown["username"] = user.username
    if user.language_code:
        shown["language_code"] = user.language_code
    return shown


class Bot:
    """One bot and those who talk to it."""

    def __init__(self, bot_id: int, username: str, clock: Clock) -> None:
        self.id = bot_id
        self.username = username
        self.chats: dict[int, Chat] = {}
        self.menu = Menu()
        self.flood = Flood()
        self.sent_bell = Bell()
        self._clock = clock
        self._updates = Updates(_FIRST_UPDATE)
        self._repeats = Repeats()
        self._allowed = UPDATE_KINDS - NOT_BY_DEFAULT
        self._poll: asyncio.Future[None] | None = None
        self._next_conflict = float("-inf")

    def plain(self) -> dict[str, object]:
        """The bot as a User."""
        return {"id": self.id, "is_bot": True, "first_name": self.username, "username": self.username}

    def chat(self, chat_id: int) -> Chat:
        """A chat that somebody has begun; raises :class:`BadRequestError`."""
        try:
            return self.chats[chat_id]
        except KeyError:
            raise BadRequestError("chat not found") from None

    def hear(self, chat_id: int, text: str, user: User) -> tuple[int, int]:
        """A person writes: (update id, message id)."""
        chat = self.chats.setdefault(chat_id, Chat(chat_id, user))
        chat.user = user
        message_id = chat.next_message()
        message: dict[str, object] = {
            "message_id": message_id,
            "from": plain_user(user),
            "chat": chat.plain(),
            "date": int(self._clock.now().timestamp()),
            "text": text,
        }
        command = text.split(maxsplit=1)[0] if text[:1] == "/" else ""
        if len(command) > 1:
            message["entities"] = [{"type": "bot_command", "offset": 0, "length": len(command)}]
        return self.push("message", json.dumps(message, ensure_ascii=False)), message_id

    def meet(self, update: object) -> None:
        """The chat of an update that was made elsewhere, if it names one, is a chat to write to from now on."""
        match update:
            case {"chat": {"id": int(chat_id)}, **rest}:
                chat = self.chats.setdefault(chat_id, Chat(chat_id, User(id=abs(chat_id))))
                number = rest.get("message_id")
                chat.last_message = max(chat.last_message, number if isinstance(number, int) else 0)
            case _:
                pass

    def push(self, kind: str, body: str) -> int:
        """Queues an update of ``kind`` with the JSON object ``body``; 0 when the bot does not want that kind."""
        if kind not in self._allowed:
            return 0
        update_id = self._updates.add(f'{{"{kind}":{body}}}'.encode(), self._clock.now())
        if self._poll is not None and not self._poll.done():
            self._poll.set_result(None)
        return update_id

    def drafted(self, chat_id: int) -> Draft | None:
        """What the reader of a chat sees the bot write."""
        chat = self.chats.get(chat_id)
        return chat.shown(self._clock.monotonic()) if chat is not None else None

    def stop(self, chat_id: int) -> int:
        """The reader presses the button beneath the draft: the update's id, 0 if the bot does not want such.

        types/messagegenerationstopped.md. Raises :class:`BadRequestError` when there is no button.
        """
        chat, draft = self.chat(chat_id), self.drafted(chat_id)
        if draft is None or draft.stopped or not draft.can_stop:
            raise BadRequestError("there is nothing to stop")
        chat.draft = replace(draft, stopped=True)
        stopped: dict[str, object] = {"chat": chat.plain(), "draft_id": draft.draft_id}
        if draft.message_thread_id:
            stopped["message_thread_id"] = draft.message_thread_id
        return self.push("stopped_message_generation", json.dumps(stopped, ensure_ascii=False))

    def allow(self, kinds: frozenset[str]) -> None:
        """Which updates it wants from now on; an empty set means all but those that must be named."""
        self._allowed = kinds or UPDATE_KINDS - NOT_BY_DEFAULT

    def forget_updates(self) -> None:
        """Drops all that waits (``drop_pending_updates``)."""
        self._updates.clear()

    async def poll(self, offset: int, limit: int, timeout: int) -> tuple[Waiting, ...]:  # noqa: ASYNC109 - its name in the reference
        """Updates at once if there are any, else the first that come within ``timeout`` seconds.

        Raises :class:`RefusedError` 409 when a later call begins to wait in its place.
        """
        limit, seconds = self._repeats.apply(offset, limit, timeout, self._clock.monotonic())
        found = self._updates.get(offset, limit, self._clock.now())
        if found or not seconds:
            return found
        if self._poll is not None and not self._poll.done():
            self._poll.set_exception(RefusedError(409, CONFLICT))
        poll = self._poll = asyncio.get_running_loop().create_future()
        try:
            async with asyncio.timeout(seconds):
                await poll
        except TimeoutError:
            return ()
        except RefusedError:
            await self._conflict()
            raise
        finally:
            if self._poll is poll:
                self._poll = None
        return self._updates.get(max(offset, 0), limit, self._clock.now())

    async def _conflict(self) -> None:
        now = self._clock.monotonic()
        if now < self._next_conflict:
            await asyncio.sleep(CONFLICT_SECONDS)
        else:
            self._next_conflict = now + CONFLICT_SECONDS

    def keep(self, message: SentMessage) -> None:
        """Remembers what it sent."""
        self.chat(message.chat_id).keep(message)
        self.sent_bell.ring()

    def edit(self, message: SentMessage, text: str, entities: tuple[str, ...]) -> None:
        """Remembers what it edited."""
        self.keep(replace(message, text=text, entities=entities, edits=message.edits + 1))
