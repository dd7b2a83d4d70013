"""A reply growing in a chat: typing, drafts while it is written, then real messages."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Self

from clawmates.mate.channels.telegram.api import TelegramApi
from clawmates.mate.channels.telegram.split import LIMIT, split, units
from clawmates.mate.errors import ChannelError
from clawmates.mate.messages import Inbound
from clawmates.wire.codes import Code

if TYPE_CHECKING:
    from types import TracebackType


DRAFT_PAUSE = 0.7
"""Seconds between two drafts: Telegram allows about one message a second in a chat."""
TYPING_SECONDS = 4.5
"""The typing notice lives five seconds (https://core.telegram.org/bots/api#sendchataction)."""
LONGEST_PAUSE = 30.0
_WORTH_RETRYING = {Code.CHANNEL_RATE_LIMITED, Code.CHANNEL_UNREACHABLE, Code.BAD_TOKEN}


@dataclass(slots=True)
class TelegramReply:
    """Drafts go only to private chats (https://core.telegram.org/bots/api#sendmessagedraft)."""

    api: TelegramApi
    inbound: Inbound
    jitter: Callable[[], float]
    _text: str = ""
    _changed: asyncio.Event = field(default_factory=asyncio.Event)
    _calling: asyncio.Lock = field(default_factory=asyncio.Lock)
    _preview: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        self._preview = asyncio.create_task(self._show_progress())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._end_preview()

    def show(self, text: str) -> None:
        """See :class:`~clawmates.mate.channels.base.Reply`."""
        self._text = text
        self._changed.set()

    async def send(self, text: str) -> None:
        """See :class:`~clawmates.mate.channels.base.Reply`."""
        await self._end_preview()
        for piece in split(text):
            await self._deliver(piece)

    async def _deliver(self, piece: str) -> None:
        """https://core.telegram.org/bots/api#sendmessage; links are never previewed, a preview is a fetch."""
        failures = 0
        while True:
            try:
                await self._call("sendMessage", {"text": piece, "link_preview_options": {"is_disabled": True}})
            except ChannelError as error:
                if error.code not in _WORTH_RETRYING and error.number < 500:
                    raise
                failures += 1
                pause = min(0.5 * 2**failures, LONGEST_PAUSE)
                await asyncio.sleep(max(pause, error.number if error.code is Code.CHANNEL_RATE_LIMITED else 0))
            else:
                return

    async def _show_progress(self) -> None:
        """Typing until there is something to show, then drafts; a failure only ends the preview."""
        try:
            while not self._text:
                await self._call("sendChatAction", {"action": "typing"})
                await self._wait(TYPING_SECONDS)
            while self.inbound.private:
                self._changed.clear()
                if units(self._text) <= LIMIT and self._text.strip():
                    await self._call("sendMessageDraft", {"draft_id": self.inbound.key or 1, "text": self._text})
                await asyncio.sleep(DRAFT_PAUSE)
                await self._changed.wait()
        except ChannelError:
            return

    async def _wait(self, seconds: float) -> None:
        try:
            async with asyncio.timeout(seconds):
                await self._changed.wait()
        except TimeoutError:
            return

    async def _end_preview(self) -> None:
        """Lets a call that is under way end, so that no draft arrives behind the message it announced."""
        preview, self._preview = self._preview, None
        if preview is None:
            return
        async with self._calling:
            preview.cancel()
        await asyncio.wait([preview])

    async def _call(self, method: str, parameters: dict[str, Any]) -> None:
        async with self._calling:
            await self.api.call(method, {"chat_id": int(self.inbound.chat), **parameters})
