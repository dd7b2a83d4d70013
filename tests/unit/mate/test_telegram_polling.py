"""Polling against a Bot API that does what it is told to."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest

from clawmates.mate.channels.base import Position
from clawmates.mate.channels.telegram import channel as channel_module
from clawmates.mate.channels.telegram.api import CALL_SECONDS, AnswerTooLargeError, TelegramApi, WebhookActiveError
from clawmates.mate.channels.telegram.channel import Telegram
from clawmates.mate.channels.telegram.updates import WANTED
from clawmates.mate.credentials import Credentials
from clawmates.mate.errors import ChannelError
from clawmates.mate.messages import Arrival, Inbound
from clawmates.wire.codes import Code, Event
from clawmates.wire.vault import Release

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping

PERSON = {"id": 7, "is_bot": False, "first_name": "A"}


def update(number: int, text: str = "hi") -> dict[str, Any]:
    chat = {"id": 7, "type": "private"}
    return {"update_id": number, "message": {"message_id": number, "from": PERSON, "chat": chat, "text": text}}


@dataclass
class ScriptedApi(TelegramApi):
    """``polls`` holds what the next polls bring or raise; without any, a poll waits."""

    web: Any = None
    credentials: Credentials = field(default_factory=Credentials)
    polls: asyncio.Queue[Any] = field(default_factory=asyncio.Queue)
    asked: list[dict[str, Any]] = field(default_factory=list)
    others: list[str] = field(default_factory=list)
    me: Any = field(default_factory=lambda: {"id": 99, "is_bot": True, "username": "test_bot"})
    refusals: dict[str, Exception] = field(default_factory=dict)
    changed: asyncio.Condition = field(default_factory=asyncio.Condition)

    async def call(self, method: str, parameters: Mapping[str, Any], *, seconds: float = CALL_SECONDS) -> Any:
        if method != "getUpdates":
            self.others.append(method)
            if method in self.refusals:
                raise self.refusals.pop(method)
            return self.me if method == "getMe" else True
        assert seconds > parameters["timeout"]
        async with self.changed:
            self.asked.append(dict(parameters))
            self.changed.notify_all()
        brought = await self.polls.get()
        if isinstance(brought, Exception):
            raise brought
        return brought

    async def until_asked(self, count: int) -> dict[str, Any]:
        async with self.changed:
            await self.changed.wait_for(lambda: len(self.asked) >= count)
        return self.asked[count - 1]


@dataclass
class Running:
    api: ScriptedApi
    channel: Telegram
    arrivals: asyncio.Queue[Arrival]
    events: list[Event]

    async def heard(self) -> Inbound:
        arrival = await self.arrivals.get()
        assert isinstance(arrival, Inbound)
        return arrival


@asynccontextmanager
async def running(api: ScriptedApi, where: Position | None = None) -> AsyncIterator[Running]:
    events: list[Event] = []

    async def tell(event: Event) -> None:
        events.append(event)

    this = Running(api, Telegram(api, tell, lambda: 0.001), asyncio.Queue(), events)
    if where is not None:
        this.channel.resume(where)
    task = asyncio.create_task(this.channel.run(this.arrivals.put_nowait))
    try:
        async with asyncio.timeout(10):
            yield this
    finally:
        task.cancel()
        await asyncio.wait([task])


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(channel_module, "SHORT_POLL_PAUSE", 0.01)


async def test_the_first_poll_is_long_and_asks_for_no_more_than_it_understands() -> None:
    async with running(ScriptedApi()) as this:
        assert await this.api.until_asked(1) == {"timeout": 50, "limit": 100, "allowed_updates": WANTED}
        assert this.events == [Event(code=Code.LIVE, username="test_bot")]


async def test_what_is_in_flight_is_asked_for_again_and_confirmed_when_finished() -> None:
    async with running(ScriptedApi()) as this:
        this.api.polls.put_nowait([update(10), update(11)])
        first, second = await this.heard(), await this.heard()
        assert ((await this.api.until_asked(2))["offset"], this.api.asked[1]["timeout"]) == (10, 0)
        this.channel.finish(second)
        this.api.polls.put_nowait([update(10), update(11), update(12)])
        third = await this.heard()
        assert third.key == 12
        assert (await this.api.until_asked(3))["offset"] == 10
        this.channel.finish(first)
        this.api.polls.put_nowait([update(10), update(11), update(12)])
        assert (await this.api.until_asked(4))["offset"] == 12
        this.channel.finish(third)
        this.api.polls.put_nowait([update(12)])
        assert ((await this.api.until_asked(5))["offset"], this.api.asked[4]["timeout"]) == (13, 50)
        assert this.arrivals.empty()


async def test_numbers_that_begin_anew_after_a_week_are_heard() -> None:
    async with running(ScriptedApi()) as this:
        for number in (900, 5, 6, 2_000_000_000, 1):
            this.api.polls.put_nowait([update(number)])
            inbound = await this.heard()
            assert inbound.key == number
            this.channel.finish(inbound)
        await this.api.until_asked(6)
        assert this.api.asked[-1]["offset"] == 2


async def test_a_bot_that_is_never_idle_does_not_remember_every_number() -> None:
    async with running(ScriptedApi()) as this:
        before = None
        for number in range(1, 200):
            this.api.polls.put_nowait([update(number)])
            inbound = await this.heard()
            if before is not None:
                this.channel.finish(before)
            before = inbound
        assert len(this.channel._seen) < 10


async def test_a_server_that_answers_a_long_poll_with_nothing_is_no_reason_to_spin(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(channel_module, "SHORT_POLL_PAUSE", 0.1)
    loop = asyncio.get_running_loop()
    odd: list[Any] = [[], None, {}, "x", [None, 1, {"update_id": "x"}]]
    async with running(ScriptedApi()) as this:
        began = loop.time()
        for one in odd:
            this.api.polls.put_nowait(one)
        await this.api.until_asked(len(odd) + 1)
        assert loop.time() - began >= 0.1 * len(odd) - 0.05


async def test_too_much_at_once_is_asked_for_in_smaller_pieces() -> None:
    async with running(ScriptedApi()) as this:
        for _ in range(3):
            this.api.polls.put_nowait(AnswerTooLargeError(Code.CHANNEL_ERROR))
        for number in range(1, 9):
            this.api.polls.put_nowait([update(number)])
            this.channel.finish(await this.heard())
        await this.api.until_asked(12)
    assert [asked["limit"] for asked in this.api.asked[:12]] == [100, 10, 1, 1, 2, 4, 8, 16, 32, 64, 100, 100]


async def test_a_webhook_is_taken_away_and_the_owner_told() -> None:
    async with running(ScriptedApi(refusals={"deleteWebhook": ChannelError(Code.CHANNEL_UNREACHABLE)})) as this:
        for _ in range(2):
            this.api.polls.put_nowait(WebhookActiveError(Code.SECOND_POLLER, 409))
        await this.api.until_asked(3)
        assert this.api.others.count("deleteWebhook") == 2
        assert Code.SECOND_POLLER in [event.code for event in this.events]


@pytest.mark.parametrize("me", [None, [], {"username": 7}, {"id": "x", "username": "no spaces allowed"}])
async def test_a_bot_that_does_not_know_its_name_works(me: Any) -> None:
    async with running(ScriptedApi(me=me)) as this:
        this.api.polls.put_nowait([update(1)])
        assert (await this.heard()).text == "hi"
        assert this.events[0] == Event(code=Code.LIVE)


async def test_no_menu_is_no_trouble() -> None:
    refusals: dict[str, Exception] = {"setMyCommands": ChannelError(Code.CHANNEL_RATE_LIMITED, 9)}
    async with running(ScriptedApi(refusals=refusals)) as this:
        this.api.polls.put_nowait([update(1)])
        assert (await this.heard()).text == "hi"
        assert this.api.others.count("setMyCommands") == 1


async def test_the_owner_is_told_of_trouble_once_and_of_its_end() -> None:
    async with running(ScriptedApi()) as this:
        for _ in range(4):
            this.api.polls.put_nowait(ChannelError(Code.CHANNEL_UNREACHABLE))
        await this.api.until_asked(5)
        this.api.polls.put_nowait([update(1)])
        await this.heard()
        await this.api.until_asked(6)
        assert [event.code for event in this.events] == [Code.LIVE, Code.CHANNEL_UNREACHABLE, Code.LIVE]
        assert [asked["timeout"] for asked in this.api.asked] == [50, 0, 0, 0, 0, 0]
        assert this.api.others.count("getMe") == 1


async def test_with_another_token_it_asks_anew_who_it_is_and_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(channel_module, "LONGEST_PAUSE", 1e9)
    async with running(ScriptedApi()) as this:
        await this.api.until_asked(1)
        this.api.me = {"id": 98, "username": "other_bot"}
        this.api.polls.put_nowait(ChannelError(Code.BAD_TOKEN, 401))
        this.api.credentials.take(Release(items=()))
        await this.api.until_asked(2)
        assert [(event.code, event.username) for event in this.events] == [
            (Code.LIVE, "test_bot"),
            (Code.BAD_TOKEN, ""),
            (Code.LIVE, "other_bot"),
        ]


async def test_the_next_life_begins_at_the_first_message_that_is_not_dealt_with() -> None:
    async with running(ScriptedApi()) as this:
        this.api.polls.put_nowait([update(10), update(11), update(12)])
        first, second, _third = [await this.heard() for _ in range(3)]
        this.channel.finish(second)
        assert this.channel.position() == Position(10, (11,))
        this.channel.finish(first)
        assert this.channel.position() == Position(12, ())
        this.channel.finish(_third)
        assert this.channel.position() == Position(13, ())


async def test_what_the_life_before_dealt_with_is_not_delivered_again() -> None:
    api = ScriptedApi()
    api.polls.put_nowait([update(10), update(11), update(12)])
    async with running(api) as before:
        heard = [await before.heard() for _ in range(3)]
        before.channel.finish(heard[1])
        where = before.channel.position()
    fresh = ScriptedApi()
    fresh.polls.put_nowait([update(10), update(11), update(12), update(13)])
    async with running(fresh, where) as after:
        assert (await fresh.until_asked(1))["offset"] == 10
        assert [(await after.heard()).key for _ in range(3)] == [10, 12, 13]
        for arrival in (10, 12, 13):
            after.channel._unfinished.pop(arrival)
        assert after.channel.position() == Position(14, ())


async def test_one_that_was_dealt_with_last_is_passed_over_and_confirmed() -> None:
    api = ScriptedApi()
    api.polls.put_nowait([update(10), update(11)])
    async with running(api, Position(10, (10, 11))) as this:
        await api.until_asked(2)
        assert api.asked[1]["offset"] == 12
        assert this.arrivals.empty()


async def test_who_is_prepared_says_that_it_lives_only_once_it_polls() -> None:
    api = ScriptedApi()
    said: list[Event] = []

    async def tell(event: Event) -> None:
        said.append(event)

    channel = Telegram(api, tell, lambda: 0.001)
    await channel.prepare()
    assert said == []
    task = asyncio.create_task(channel.run(lambda _arrival: None))
    await api.until_asked(1)
    assert said == [Event(code=Code.LIVE, username="test_bot")]
    assert api.others.count("getMe") == 1
    task.cancel()
    await asyncio.wait([task])


async def test_a_channel_that_goes_on_after_a_pause_forgets_nothing_in_flight() -> None:
    async with running(ScriptedApi()) as this:
        this.api.polls.put_nowait([update(10)])
        await this.heard()
        await this.api.until_asked(2)
        channel = this.channel
    api = channel.api
    assert isinstance(api, ScriptedApi)
    task = asyncio.create_task(channel.run(lambda _arrival: None))
    again = await api.until_asked(len(api.asked) + 1)
    assert (again["offset"], again["timeout"]) == (10, 0)
    task.cancel()
    await asyncio.wait([task])
