"""Long polling in and replies out. Telegram is the queue: an update is confirmed when its reply is sent.

With nothing in flight the poll is long. With replies in flight the oldest unfinished update is asked for every
0.6 s and never faster, because the real server answers a repeated offset within 0.5 s with one update only.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, assert_never

from clawmates.mate import texts
from clawmates.mate.channels.base import Position
from clawmates.mate.channels.telegram.api import AnswerTooLargeError, TelegramApi, WebhookActiveError
from clawmates.mate.channels.telegram.flood import Flood
from clawmates.mate.channels.telegram.markdown import render
from clawmates.mate.channels.telegram.outbox import Outbox, pause
from clawmates.mate.channels.telegram.reply import TelegramReply
from clawmates.mate.channels.telegram.split import split
from clawmates.mate.channels.telegram.updates import WANTED, Heard, Me, heard, place_of, update_id
from clawmates.mate.commands import menu
from clawmates.mate.errors import ChannelError
from clawmates.mate.messages import Arrival, Farewell, Halt, Inbound, Rewrite
from clawmates.wire.codes import USERNAME, Code, Event

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


LONG_POLL_SECONDS = 50
SHORT_POLL_PAUSE = 0.6
POLL_GRACE = 15.0
MOST_UPDATES = 100
LONGEST_PAUSE = 60.0


@dataclass(slots=True, eq=False, repr=False)
class Telegram:
    """One bot's chats. ``say`` tells the owner; ``jitter`` gives a factor near 1 that spreads retries."""

    api: TelegramApi
    say: Callable[[Event], Awaitable[None]]
    jitter: Callable[[], float]
    _unfinished: dict[int, Heard] = field(default_factory=dict)
    _seen: set[int] = field(default_factory=set)
    _next: int = 0
    _limit: int = MOST_UPDATES
    _asked: float = 0.0
    _failures: int = 0
    _last: Code | None = None
    _me: Me = field(default_factory=Me)
    _known: bool = False
    _greets: bool = False
    """The owner is to hear that Telegram knows the bot."""
    _menu: bool = False
    _idle: asyncio.Event = field(default_factory=asyncio.Event)
    _outbox: Outbox = field(init=False)

    def __post_init__(self) -> None:
        self._outbox = Outbox(self.api, Flood(_now), self.jitter)

    async def run(self, deliver: Callable[[Arrival], None]) -> None:
        """See :class:`~clawmates.mate.channels.base.Channel`."""
        if not self._unfinished:
            self._idle.set()
        async with asyncio.TaskGroup() as group:
            while True:
                held = self.api.credentials.taken
                try:
                    if not self._known:
                        await self.prepare()
                    if self._greets:
                        self._greets = False
                        await self._tell(Event(code=Code.LIVE, username=self._me.username))
                    if not self._menu:
                        self._menu = True
                        group.create_task(self._set_menu())
                    await self._pace()
                    fresh = self._take(await self._poll(), deliver)
                    self._failures = 0
                    await self._tell(Event(code=Code.LIVE, username=self._me.username))
                except ChannelError as error:
                    await self._survive(error, held)
                else:
                    await self._cool(fresh)

    @asynccontextmanager
    async def reply(self, inbound: Inbound) -> AsyncIterator[TelegramReply]:
        """See :class:`~clawmates.mate.channels.base.Channel`."""
        known = self._unfinished.get(inbound.key)
        place = known.place if known is not None else place_of(inbound.chat)
        async with TelegramReply(self._outbox, place, inbound.key or 1, drafts=inbound.private) as reply:
            yield reply

    async def tell(self, person: str, text: str) -> None:
        """See :class:`~clawmates.mate.channels.base.Channel`. A person's own chat has the person's number."""
        for piece in split(render(text)):
            await self._outbox.send(place_of(person), piece)

    def finish(self, inbound: Inbound) -> None:
        """See :class:`~clawmates.mate.channels.base.Channel`."""
        self._unfinished.pop(inbound.key, None)
        if not self._unfinished:
            self._idle.set()

    async def prepare(self) -> None:
        """Asks who the bot is; see :class:`~clawmates.mate.channels.base.Channel`."""
        me = await self.api.call("getMe", {})
        shown = me if isinstance(me, dict) else {}
        number, name = shown.get("id"), shown.get("username")
        self._me = Me(
            number if isinstance(number, int) else 0, name if isinstance(name, str) and USERNAME.fullmatch(name) else ""
        )
        self._known = self._greets = True

    def position(self) -> Position:
        """See :class:`~clawmates.mate.channels.base.Channel`."""
        first = min(self._unfinished, default=self._next)
        done = (number for number in self._seen if number >= first and number not in self._unfinished)
        return Position(first, tuple(sorted(done)))

    def resume(self, position: Position) -> None:
        """See :class:`~clawmates.mate.channels.base.Channel`."""
        self._next, self._seen = position.next, set(position.seen)

    async def _set_menu(self) -> None:
        """https://core.telegram.org/bots/api#setmycommands; a bot without a menu is a bot all the same."""
        try:
            for language in texts.LANGUAGES:
                lines = [{"command": one.value, "description": line} for one, line in menu(texts.of(language))]
                whose = {} if language == texts.LANGUAGES[0] else {"language_code": language}
                await self.api.call("setMyCommands", {"commands": lines, **whose})
        except ChannelError:
            return

    async def _pace(self) -> None:
        """Nothing while idle; else until 0.6 s after the last question, or until nothing is in flight."""
        rest = self._asked + SHORT_POLL_PAUSE - _now()
        if self._unfinished and rest > 0:
            try:
                async with asyncio.timeout(rest):
                    await self._idle.wait()
            except TimeoutError:
                pass

    async def _cool(self, fresh: int) -> None:
        """A server that answers a long poll at once with nothing new is not asked again at once."""
        rest = self._asked + SHORT_POLL_PAUSE - _now()
        if not fresh and not self._unfinished and rest > 0:
            await asyncio.sleep(rest)

    async def _poll(self) -> list[Any]:
        """https://core.telegram.org/bots/api#getupdates. After trouble a short one, to know soon that it is over."""
        wait = 0 if self._unfinished or self._failures else LONG_POLL_SECONDS
        parameters: dict[str, Any] = {"timeout": wait, "limit": self._limit, "allowed_updates": WANTED}
        if self._unfinished:
            oldest = min(self._unfinished)
            parameters["offset"] = oldest
            self._seen = {number for number in self._seen if number >= oldest}
        elif self._next:
            parameters["offset"] = self._next
            self._seen = {number for number in self._seen if number >= self._next}
        self._asked = _now()
        updates = await self.api.call("getUpdates", parameters, seconds=wait + POLL_GRACE)
        self._limit = min(self._limit * 2, MOST_UPDATES)
        return updates if isinstance(updates, list) else []

    def _take(self, updates: list[Any], deliver: Callable[[Arrival], None]) -> int:
        """Delivers what is new and returns how many updates that were."""
        fresh = 0
        for update in updates:
            number = update_id(update)
            if number is None:
                continue
            if number in self._seen:
                self._next = max(self._next, number + 1)
                continue
            fresh += 1
            self._seen.add(number)
            self._next = number + 1
            for arrival in self._arrivals(number, heard(update, self._me)):
                deliver(arrival)
        return fresh

    def _arrivals(self, number: int, meant: Heard | Halt | Farewell | None) -> tuple[Arrival, ...]:
        match meant:
            case None:
                return ()
            case Heard(edited=False):
                self._unfinished[number] = meant
                self._idle.clear()
                return (meant.inbound,)
            case Heard():
                return self._rewritten(meant)
            case Halt():
                stopped = self._unfinished.get(meant.key)
                return (Halt(stopped.inbound.chat, meant.key),) if stopped is not None else ()
            case Farewell():
                return (meant,)
            case _:
                assert_never(meant)

    def _rewritten(self, edit: Heard) -> tuple[Arrival, ...]:
        """An edit of a message that is not answered yet; all others are passed over: an answer stands as it is."""
        for key, known in self._unfinished.items():
            if (known.place.chat, known.number) == (edit.place.chat, edit.number):
                return (Rewrite(replace(edit.inbound, turn=known.inbound.turn, key=key, chat=known.inbound.chat)),)
        return ()

    async def _survive(self, error: ChannelError, held: int) -> None:
        """Waits as long as Telegram asks, or with growing, jittered pauses; never a hot loop."""
        self._failures += 1
        if isinstance(error, WebhookActiveError):
            await self._leave_webhook()
        if isinstance(error, AnswerTooLargeError):
            self._limit = max(1, self._limit // 10)
        jitter = self.jitter()
        rest = pause(error, self._failures + 1, jitter, LONGEST_PAUSE)
        if error.code is Code.BAD_TOKEN:
            rest = LONGEST_PAUSE * jitter
            self._known = False  # The next token may be another bot's
        if self._failures > 1 or error.code in {Code.BAD_TOKEN, Code.SECOND_POLLER, Code.HOST_NOT_ALLOWED}:
            await self._tell(error.event)
        if error.code is not Code.BAD_TOKEN:
            await asyncio.sleep(rest)
            return
        # An owner who has given another token waits no longer.
        with suppress(TimeoutError):
            async with asyncio.timeout(rest):
                await self.api.credentials.replaced(held)

    async def _leave_webhook(self) -> None:
        try:
            await self.api.call("deleteWebhook", {"drop_pending_updates": False})
        except ChannelError as error:
            await self._tell(error.event)

    async def _tell(self, event: Event) -> None:
        if self._last is not event.code:
            self._last = event.code
            await self.say(event)


def _now() -> float:
    return asyncio.get_running_loop().time()
