"""Long polling in and replies out. Telegram is the queue: an update is confirmed when its reply is sent.

With nothing in flight the poll is long. With replies in flight the oldest unfinished update is asked for every
0.6 s and never faster, because the real server answers a repeated offset within 0.5 s with one update only.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from clawmates.mate.channels.telegram.api import AnswerTooLargeError, TelegramApi, WebhookActiveError
from clawmates.mate.channels.telegram.reply import TelegramReply
from clawmates.mate.channels.telegram.updates import inbound, update_id
from clawmates.mate.errors import ChannelError
from clawmates.mate.messages import Inbound
from clawmates.wire.codes import USERNAME, Code, Event

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


LONG_POLL_SECONDS = 50
SHORT_POLL_PAUSE = 0.6
POLL_GRACE = 15.0
MOST_UPDATES = 100
LONGEST_PAUSE = 60.0


@dataclass(slots=True)
class Telegram:
    """One bot's chats. ``say`` tells the owner; ``jitter`` gives a factor near 1 that spreads retries."""

    api: TelegramApi
    say: Callable[[Event], Awaitable[None]]
    jitter: Callable[[], float]
    _unfinished: dict[int, Inbound] = field(default_factory=dict)
    _seen: set[int] = field(default_factory=set)
    _next: int = 0
    _limit: int = MOST_UPDATES
    _asked: float = 0.0
    _failures: int = 0
    _last: Code | None = None
    _username: str = ""
    _idle: asyncio.Event = field(default_factory=asyncio.Event)

    async def run(self, deliver: Callable[[Inbound], None]) -> None:
        """See :class:`~clawmates.mate.channels.base.Channel`."""
        self._idle.set()
        while True:
            try:
                if self._last is not Code.LIVE:
                    await self._introduce()
                await self._pace()
                self._take(await self._poll(), deliver)
                self._failures = 0
            except ChannelError as error:
                await self._survive(error)

    @asynccontextmanager
    async def reply(self, inbound: Inbound) -> AsyncIterator[TelegramReply]:
        """See :class:`~clawmates.mate.channels.base.Channel`."""
        async with TelegramReply(self.api, inbound, self.jitter) as reply:
            yield reply

    def finish(self, inbound: Inbound) -> None:
        """See :class:`~clawmates.mate.channels.base.Channel`."""
        self._unfinished.pop(inbound.key, None)
        if not self._unfinished:
            self._idle.set()

    async def _introduce(self) -> None:
        me = await self.api.call("getMe", {})
        name = me.get("username") if isinstance(me, dict) else None
        self._username = name if isinstance(name, str) and USERNAME.fullmatch(name) else ""
        await self._tell(Event(code=Code.LIVE, username=self._username))

    async def _pace(self) -> None:
        """Nothing while idle; else until 0.6 s after the last question, or until nothing is in flight."""
        rest = self._asked + SHORT_POLL_PAUSE - asyncio.get_running_loop().time()
        if self._unfinished and rest > 0:
            try:
                async with asyncio.timeout(rest):
                    await self._idle.wait()
            except TimeoutError:
                pass

    async def _poll(self) -> list[Any]:
        """https://core.telegram.org/bots/api#getupdates."""
        wait = 0 if self._unfinished else LONG_POLL_SECONDS
        parameters: dict[str, Any] = {"timeout": wait, "limit": self._limit, "allowed_updates": ["message"]}
        if self._unfinished:
            parameters["offset"] = min(self._unfinished)
        elif self._next:
            parameters["offset"] = self._next
            self._seen.clear()
        self._asked = asyncio.get_running_loop().time()
        updates = await self.api.call("getUpdates", parameters, seconds=wait + POLL_GRACE)
        self._limit = MOST_UPDATES
        return updates if isinstance(updates, list) else []

    def _take(self, updates: list[Any], deliver: Callable[[Inbound], None]) -> None:
        for update in updates:
            number = update_id(update)
            if number is None or number in self._seen:
                continue
            self._seen.add(number)
            self._next = number + 1
            message = inbound(update)
            if message is not None:
                self._unfinished[number] = message
                self._idle.clear()
                deliver(message)

    async def _survive(self, error: ChannelError) -> None:
        """Waits as long as Telegram asks, or with growing, jittered pauses; never a hot loop."""
        self._failures += 1
        if isinstance(error, WebhookActiveError):
            await self._leave_webhook()
        if isinstance(error, AnswerTooLargeError):
            self._limit = max(1, self._limit // 10)
        pause = min(0.5 * 2 ** min(self._failures, 8), LONGEST_PAUSE)
        if error.code is Code.CHANNEL_RATE_LIMITED:
            pause = max(error.number, 1)
        elif error.code is Code.BAD_TOKEN:
            pause = LONGEST_PAUSE
        if self._failures > 1 or error.code in {Code.BAD_TOKEN, Code.SECOND_POLLER, Code.HOST_NOT_ALLOWED}:
            await self._tell(error.event)
        await asyncio.sleep(pause * self.jitter())

    async def _leave_webhook(self) -> None:
        try:
            await self.api.call("deleteWebhook", {"drop_pending_updates": False})
        except ChannelError as error:
            await self._tell(error.event)

    async def _tell(self, event: Event) -> None:
        if self._last is not event.code:
            self._last = event.code
            await self.say(event)
