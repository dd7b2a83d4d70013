"""A reply growing in a chat: typing, a preview while it is written, then real messages."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Self

from clawmates.mate.channels.telegram.api import RefusedError
from clawmates.mate.channels.telegram.markdown import render
from clawmates.mate.channels.telegram.outbox import Outbox, Place, body
from clawmates.mate.channels.telegram.split import split
from clawmates.mate.channels.telegram.styled import Styled
from clawmates.mate.errors import ChannelError
from clawmates.wire.codes import Code

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from types import TracebackType


TYPING_SECONDS = 4.5
"""The typing notice lives five seconds (https://core.telegram.org/bots/api#sendchataction)."""
THINKING_SECONDS = 3.0
"""When nothing is written by then, a draft says "Thinking…" and brings its Stop button."""
DRAFT_PAUSE = 1.0
DRAFT_LIFE = 20.0
"""A draft lives 30 s (https://core.telegram.org/bots/api#sendmessagedraft): it is sent again in good time."""
EDIT_PAUSE = 3.0
IN_FLIGHT_SECONDS = 0.5
"""How long the message waits for a preview that is under way, so that it does not arrive behind it."""
PREVIEWED = 64 * 1024
"""Characters of a long answer that a preview looks at."""
MOST_FAILURES = 3
_NOTHING = "…"


@dataclass(slots=True, eq=False, repr=False)
class TelegramReply:
    """``key`` names the draft; ``drafts`` says whether the chat takes any: only private ones do."""

    outbox: Outbox
    place: Place
    key: int
    drafts: bool
    _text: str = ""
    _message: int = 0
    """The message that is being edited where there are no drafts, or 0."""
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
        pieces = split(render(text)) or [Styled(_NOTHING)]
        await self._end_preview()
        place = self.place
        for piece in pieces:
            if self._message:
                await self._finish_edited(piece)
            else:
                await self.outbox.send(place, piece)
            place = replace(place, answers=0)

    async def _finish_edited(self, piece: Styled) -> None:
        """The preview becomes the message; where it is gone, a message is sent."""
        message, self._message = self._message, 0
        try:
            await self.outbox.edit(self.place, message, piece)
        except RefusedError:
            await self.outbox.send(self.place, piece)

    async def _show_progress(self) -> None:
        """Typing until there is something to show, then a preview: a draft, or a message that is edited."""
        await self._survive(self._type, limit=1)
        if self.drafts and await self._survive(self._draft):
            return
        self.drafts = False
        await self._survive(self._edit)

    async def _survive(self, preview: Callable[[], Awaitable[None]], limit: int = MOST_FAILURES) -> bool:
        """Runs a preview; false when Telegram refuses this kind. A preview that fails is only left out."""
        for _attempt in range(limit):
            try:
                await preview()
            except ChannelError as error:
                if error.number in {400, 404}:
                    return False
                if error.code is Code.PERSON_UNREACHABLE:
                    break
                await asyncio.sleep(error.number if error.code is Code.CHANNEL_RATE_LIMITED else DRAFT_PAUSE)
            else:
                return True
        return True

    async def _type(self) -> None:
        """https://core.telegram.org/bots/api#sendchataction."""
        thinking = THINKING_SECONDS if self.drafts else float("inf")
        began = asyncio.get_running_loop().time()
        while not self._text:
            await self._call("sendChatAction", {"action": "typing"})
            rest = began + thinking - asyncio.get_running_loop().time()
            await self._change(min(TYPING_SECONDS, rest))
            if rest <= TYPING_SECONDS:
                return

    async def _draft(self) -> None:
        """https://core.telegram.org/bots/api#sendmessagedraft, with the Stop button of 10.3."""
        while True:
            self._changed.clear()
            if self.outbox.flood.draft(self.place.chat):
                draft = {"draft_id": self.key, "can_stop": True, "keep_on_stop": True} | body(self._newest())
                await self._call("sendMessageDraft", draft)
            else:
                self._changed.set()
            await asyncio.sleep(DRAFT_PAUSE)
            await self._change(DRAFT_LIFE)

    async def _edit(self) -> None:
        """A message that grows, at the pace of a group; a short answer is written before it would begin."""
        while True:
            await asyncio.sleep(EDIT_PAUSE)
            self._changed.clear()
            pieces = split(render(self._text[:PREVIEWED]))
            if pieces and self.outbox.flood.preview(self.place.chat):
                async with self._calling:
                    self._message = await self.outbox.grow(self.place, self._message, pieces[0])
            await self._changed.wait()

    def _newest(self) -> Styled:
        """What fits a draft: the piece of the answer that is being written."""
        pieces = split(render(self._text[-PREVIEWED:]))
        return pieces[-1] if pieces else Styled("")

    async def _change(self, seconds: float) -> None:
        """Waits for a change of the text, ``seconds`` at most."""
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
        try:
            # A message under way is waited for to its end: cut off, nobody would know whether it is there.
            async with asyncio.timeout(IN_FLIGHT_SECONDS if self.drafts else None), self._calling:
                preview.cancel()
        except TimeoutError:
            preview.cancel()
        await asyncio.wait([preview])
        if not preview.cancelled():
            preview.result()

    async def _call(self, method: str, parameters: dict[str, Any]) -> None:
        async with self._calling:
            await self.outbox.api.call(method, self.place.parameters | parameters)
