"""One suite for every channel: messages come in until finished, replies go out."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pytest
from tests.support.standins import KEY, TOKEN, StandIns, credentials, stand_ins_within

from clawmates.base.shape import decode_json, encode_json
from clawmates.mate.brain import Brain
from clawmates.mate.channels.base import Channel
from clawmates.mate.channels.scripted import ScriptedChannel
from clawmates.mate.channels.telegram.api import TelegramApi
from clawmates.mate.channels.telegram.channel import Telegram
from clawmates.mate.channels.terminal import Terminal
from clawmates.mate.commands import Command
from clawmates.mate.conversation import Memory
from clawmates.mate.errors import ChannelError
from clawmates.mate.messages import Farewell, Halt, Inbound, Rewrite
from clawmates.mate.providers.openai import OpenAI
from clawmates.mate.relay import Relay
from clawmates.simulator.model import Failure, Fault, FaultKind, Service, User
from clawmates.simulator.telegram.reference import UPDATE_KINDS
from clawmates.wire.codes import Code, Event
from clawmates.wire.door import TurnAnswer, TurnEnd, Verdict
from clawmates.wire.terminal import Heard, Said

if TYPE_CHECKING:
    from clawmates.mate.messages import Arrival

PERSON = 7
SECONDS = 60.0


@dataclass
class Kit:
    channel: Channel
    say: Callable[[str], Awaitable[None]]
    """A person says something."""
    hear: Callable[[], Awaitable[str]]
    """The next whole reply that the person gets."""
    told: Callable[[], Awaitable[str]]
    """The next thing that the person is told unasked."""
    events: list[Event] = field(default_factory=list)


@asynccontextmanager
async def scripted() -> AsyncIterator[Kit]:
    channel = ScriptedChannel()
    count = 0

    async def say(text: str) -> None:
        nonlocal count
        count += 1
        channel.say(count, text)

    async def hear() -> str:
        return channel.replies[count].sent.pop(0)

    async def told() -> str:
        return channel.told.pop(0)[1]

    yield Kit(channel, say, hear, told)


@asynccontextmanager
async def terminal() -> AsyncIterator[Kit]:
    channel = Terminal(lambda: "chat", port=0)
    streams: list[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = []

    async def say(text: str) -> None:
        await channel.ready.wait()
        if not streams:
            streams.append(await asyncio.open_connection("127.0.0.1", channel.bound))
        streams[0][1].write(encode_json(Said(text=text)) + b"\n")

    async def hear() -> str:
        shown = ""
        while True:
            heard = decode_json(Heard, await streams[0][0].readline())
            shown += heard.delta
            if heard.reply is not None:
                assert heard.reply.startswith(shown)
                return heard.reply

    async def told() -> str:
        return decode_json(Heard, await streams[0][0].readline()).notice

    yield Kit(channel, say, hear, told)
    for _reader, writer in streams:
        writer.close()
        await writer.wait_closed()


@asynccontextmanager
async def telegram() -> AsyncIterator[Kit]:
    async with stand_ins_within() as there:
        await there.simulator.add_bot(TOKEN, "test_bot")
        events: list[Event] = []
        last = 0

        async def tell(event: Event) -> None:
            events.append(event)

        async def say(text: str) -> None:
            assert await there.simulator.say(TOKEN, PERSON, text)

        async def hear() -> str:
            nonlocal last
            sent = await there.simulator.wait_reply(TOKEN, PERSON, after=last, timeout=SECONDS)
            last = sent.message_id
            return sent.text

        yield Kit(Telegram(TelegramApi(there.web(), credentials()), tell, lambda: 1.0), say, hear, hear, events)


Open = Callable[[], AbstractAsyncContextManager[Kit]]
KITS = pytest.mark.parametrize("kit", [scripted, terminal, telegram])


@asynccontextmanager
async def serving(kit: Open) -> AsyncIterator[tuple[Kit, asyncio.Queue[Inbound]]]:
    async with kit() as there:
        incoming: asyncio.Queue[Inbound] = asyncio.Queue()

        def deliver(arrival: Arrival) -> None:
            assert isinstance(arrival, Inbound)
            incoming.put_nowait(arrival)

        task = asyncio.create_task(there.channel.run(deliver))
        try:
            async with asyncio.timeout(100):
                yield there, incoming
        finally:
            task.cancel()
            await asyncio.wait([task])


@KITS
async def test_a_message_comes_in_and_its_reply_goes_out(kit: Open) -> None:
    async with serving(kit) as (there, incoming):
        await there.say("hello 😀")
        inbound = await incoming.get()
        assert inbound.message.text == "hello 😀"
        async with there.channel.reply(inbound) as reply:
            reply.show("hello")
            reply.show("hello back")
            await reply.send("hello back, and more")
        there.channel.finish(inbound)
        assert await there.hear() == "hello back, and more"


@KITS
async def test_messages_keep_their_order_and_come_once(kit: Open) -> None:
    async with serving(kit) as (there, incoming):
        for text in ("one", "two", "three"):
            await there.say(text)
        got = [await incoming.get() for _ in range(3)]
        assert [inbound.message.text for inbound in got] == ["one", "two", "three"]
        assert len({inbound.turn for inbound in got}) == 3
        for inbound in got:
            there.channel.finish(inbound)
        await there.say("four")
        assert (await incoming.get()).message.text == "four"
        assert incoming.empty()


@KITS
async def test_a_message_that_comes_during_a_reply_is_heard_before_its_end(kit: Open) -> None:
    async with serving(kit) as (there, incoming):
        await there.say("first")
        first = await incoming.get()
        async with there.channel.reply(first) as reply:
            await there.say("second")
            second = await incoming.get()
            assert second.message.text == "second"
            await reply.send("done")
        there.channel.finish(first)
        there.channel.finish(second)


@KITS
async def test_a_reply_left_without_sending_leaves_the_channel_whole(kit: Open) -> None:
    async with serving(kit) as (there, incoming):
        await there.say("first")
        inbound = await incoming.get()
        async with there.channel.reply(inbound) as reply:
            reply.show("half an ans")
        async with there.channel.reply(inbound) as reply:
            await reply.send("half an answer and the rest")
        there.channel.finish(inbound)


@KITS
async def test_what_nobody_asked_for_is_told_between_and_during_answers(kit: Open) -> None:
    async with serving(kit) as (there, incoming):
        await there.say("hello")
        inbound = await incoming.get()
        await there.channel.tell(str(PERSON), "something about me has changed")
        assert await there.told() == "something about me has changed"
        async with there.channel.reply(inbound) as reply:
            await there.channel.tell(str(PERSON), "and again")
            assert await there.told() == "and again"
            await reply.send("hello back")
        there.channel.finish(inbound)
        assert await there.hear() == "hello back"


@dataclass
class Bot:
    """A Telegram channel at its stand-in, and all that it delivers."""

    there: StandIns
    channel: Telegram
    arrivals: asyncio.Queue[Arrival] = field(default_factory=asyncio.Queue)
    events: list[Event] = field(default_factory=list)

    async def heard(self) -> Inbound:
        arrival = await self.arrivals.get()
        assert isinstance(arrival, Inbound)
        return arrival

    async def say(self, text: str, chat: int = PERSON) -> Inbound:
        """A person says something, and the mate hears it."""
        assert await self.there.simulator.say(TOKEN, chat, text)
        return await self.heard()

    async def answer(self, inbound: Inbound, text: str) -> None:
        async with self.channel.reply(inbound) as reply:
            await reply.send(text)
        self.channel.finish(inbound)

    async def push(self, kind: str, **body: object) -> int:
        return await self.there.simulator.push(TOKEN, kind, json.dumps(body))

    async def fail(self, method: str, fault: Fault, times: int = 1) -> None:
        await self.there.simulator.set_fault(Service.TELEGRAM, fault, times=times, method=method)

    async def polls(self) -> int:
        return len(await self.there.simulator.journal(Service.TELEGRAM, method="getUpdates"))


@asynccontextmanager
async def bot(*, jitter: float = 0.02) -> AsyncIterator[Bot]:
    async with stand_ins_within() as there:
        await there.simulator.add_bot(TOKEN, "test_bot")
        events: list[Event] = []

        async def tell(event: Event) -> None:
            events.append(event)

        channel = Telegram(TelegramApi(there.web(), credentials()), tell, lambda: jitter)
        this = Bot(there, channel, events=events)
        task = asyncio.create_task(channel.run(this.arrivals.put_nowait))
        try:
            async with asyncio.timeout(100):
                # Before its first poll a bot has not said which updates it wants.
                await there.simulator.wait_call(Service.TELEGRAM, "getUpdates", timeout=SECONDS)
                yield this
        finally:
            task.cancel()
            await asyncio.wait([task])


def message(number: int, text: str, **more: object) -> dict[str, object]:
    """types/message.md."""
    person = {"id": PERSON, "is_bot": False, "first_name": "Ada"}
    chat = {"id": PERSON, "type": "private", "first_name": "Ada"}
    return {"message_id": number, "from": person, "chat": chat, "date": 0, "text": text, **more}


async def test_telegram_shows_the_menu_in_every_language_once_a_start() -> None:
    async with bot() as this:
        calls = await this.there.simulator.wait_call(Service.TELEGRAM, "setMyCommands", count=2, timeout=SECONDS)
        assert [call.parameters.get("language_code") for call in calls] == [None, "de"]
        for call in calls:
            commands = call.parameters["commands"]
            assert isinstance(commands, list)
            assert [one["command"] for one in commands] == [command.value for command in Command]
        await this.answer(await this.say("hi"), "hello")
        assert len(await this.there.simulator.journal(Service.TELEGRAM, method="setMyCommands")) == 2


async def test_telegram_brings_the_stop_button_and_what_was_stopped() -> None:
    async with bot() as this:
        inbound = await this.say("tell me much")
        async with this.channel.reply(inbound) as reply:
            reply.show("once upon")
            await this.there.simulator.wait_call(Service.TELEGRAM, "sendMessageDraft", finished=True, timeout=SECONDS)
            assert await this.there.simulator.press_stop(TOKEN, PERSON)
            assert await this.arrivals.get() == Halt(inbound.chat, inbound.key)
            await reply.send("once upon [stopped]")
        this.channel.finish(inbound)
        assert await this.push(
            "stopped_message_generation", chat={"id": PERSON, "type": "private"}, draft_id=inbound.key
        )
        assert (await this.say("next")).text == "next"


async def test_telegram_lets_a_question_be_changed_until_it_is_answered() -> None:
    async with bot() as this:
        inbound = await this.say("what is 1 + 1")
        edited = message(1, "what is 2 + 2", edit_date=1)
        assert await this.push("edited_message", **edited)
        rewrite = await this.arrivals.get()
        assert isinstance(rewrite, Rewrite)
        assert (rewrite.inbound.text, rewrite.inbound.key, rewrite.inbound.turn, rewrite.inbound.chat) == (
            "what is 2 + 2",
            inbound.key,
            inbound.turn,
            inbound.chat,
        )
        await this.answer(rewrite.inbound, "4")
        assert await this.push("edited_message", **edited)
        assert (await this.say("next")).text == "next"


async def test_telegram_passes_over_every_update_that_is_no_message_and_crashes_at_none() -> None:
    hostile: list[dict[str, object]] = [
        message(1, "hi", **{"from": None}),
        message(1, "hi", chat={"id": "x"}),
        message(1, "hi", entities=[{"type": "bot_command", "offset": -1, "length": 1 << 40}], chat={"id": -1}),
        {"text": ["hi"]},
    ]
    async with bot() as this:
        for body in hostile:
            assert await this.push("message", **body)
        for kind in sorted(UPDATE_KINDS - {"message", "edited_message", "my_chat_member"}):
            await this.push(kind, **message(1, "hi", draft_id=3))
        assert (await this.say("a real one")).text == "a real one"
        assert this.arrivals.empty()


async def test_telegram_hears_a_thousand_messages_once_and_in_order() -> None:
    async with bot() as this:
        first = await this.say("0")
        for number in range(1, 1000):
            assert await this.there.simulator.say(TOKEN, PERSON, str(number))
        this.channel.finish(first)
        for number in range(1, 1000):
            inbound = await this.heard()
            assert inbound.text == str(number)
            this.channel.finish(inbound)
        assert (await this.say("last")).text == "last"
        assert await this.polls() < 60


async def test_telegram_hears_a_megabyte_and_lives() -> None:
    async with bot() as this:
        assert await this.push("message", **message(1, "x" * 1_000_000))
        inbound = await this.heard()
        assert 4096 <= len(inbound.text) < 100_000
        await this.answer(inbound, inbound.text[:9000])
        sent = await this.there.simulator.sent(TOKEN, PERSON)
        assert [len(one.text) for one in sent] == [4096, 4096, 808]


SENDING = {
    "429": Fault(kind=FaultKind.ERROR, failure=Failure.TOO_MANY_REQUESTS, retry_after=1),
    "500": Fault(kind=FaultKind.ERROR, failure=Failure.SERVER_ERROR),
    "502": Fault(kind=FaultKind.ERROR, failure=Failure.BAD_GATEWAY),
    "drop": Fault(kind=FaultKind.DROP),
    "no answer": Fault(kind=FaultKind.DROP_ANSWER),
    "half an answer": Fault(kind=FaultKind.DROP_MIDWAY),
    "bad json": Fault(kind=FaultKind.BAD_JSON),
}


@pytest.mark.parametrize("fault", SENDING.values(), ids=SENDING)
async def test_telegram_survives_while_sending(fault: Fault) -> None:
    async with bot() as this:
        inbound = await this.say("hi")
        await this.fail("sendMessage", fault, times=2)
        await this.answer(inbound, "**hello**")
        sent = await this.there.simulator.sent(TOKEN, PERSON)
        assert {one.text for one in sent} == {"hello"}
        calls = await this.there.simulator.journal(Service.TELEGRAM, method="sendMessage")
        assert len(calls) == 3
        if fault.retry_after:
            assert calls[1].received - calls[0].received >= fault.retry_after


@pytest.mark.parametrize(
    "fault",
    [
        *SENDING.values(),
        Fault(kind=FaultKind.ERROR, failure=Failure.CONFLICT),
        Fault(kind=FaultKind.DELAY, seconds=0.5),
        Fault(kind=FaultKind.STALL, seconds=0.5),
    ],
    ids=[*SENDING, "409", "late", "stalling"],
)
async def test_telegram_survives_while_polling_without_a_hot_loop(fault: Fault) -> None:
    async with bot() as this:
        this.channel.finish(await this.say("before"))
        await this.fail("getUpdates", fault, times=3)
        before, begun = await this.polls(), asyncio.get_running_loop().time()
        assert await this.there.simulator.say(TOKEN, PERSON, "after")
        inbound = await this.heard()
        assert inbound.text == "after"
        await this.answer(inbound, "hello")
        # While an answer is under way it asks every 0.6 s.
        assert await this.polls() - before < 8 + 2 * (asyncio.get_running_loop().time() - begun)


async def test_telegram_styles_that_cannot_be_parsed_are_left_out() -> None:
    async with bot() as this:
        inbound = await this.say("hi")
        await this.fail("sendMessage", Fault(kind=FaultKind.ERROR, failure=Failure.CANT_PARSE_ENTITIES))
        await this.answer(inbound, "**hello**")
        (sent,) = await this.there.simulator.sent(TOKEN, PERSON)
        assert (sent.text, sent.entities) == ("hello", ())


async def test_telegram_says_who_blocked_the_bot() -> None:
    async with bot() as this:
        inbound = await this.say("hi")
        for failure in (Failure.BLOCKED, Failure.CHAT_NOT_FOUND):
            await this.fail("sendMessage", Fault(kind=FaultKind.ERROR, failure=failure))
            with pytest.raises(ChannelError) as error:
                await this.answer(inbound, "hello")
            assert error.value.code is Code.PERSON_UNREACHABLE
        this.channel.finish(inbound)
        chat = {"id": PERSON, "type": "private"}
        assert await this.push("my_chat_member", chat=chat, new_chat_member={"status": "kicked"})
        assert await this.arrivals.get() == Farewell(str(PERSON))


async def test_telegram_tells_through_the_storm_and_gives_up_where_it_is_of_no_use() -> None:
    async with bot() as this:
        this.channel.finish(await this.say("hi"))
        await this.fail("sendMessage", SENDING["502"], times=2)
        await this.channel.tell(str(PERSON), "**news**" + "x" * 5000)
        sent = await this.there.simulator.sent(TOKEN, PERSON)
        assert [len(one.text) for one in sent] == [4096, 908]
        assert all(one.preview_disabled for one in sent)
        for failure in (Failure.BLOCKED, Failure.CHAT_NOT_FOUND):
            await this.fail("sendMessage", Fault(kind=FaultKind.ERROR, failure=failure))
            with pytest.raises(ChannelError) as error:
                await this.channel.tell(str(PERSON), "news")
            assert error.value.code is Code.PERSON_UNREACHABLE


async def test_a_terminal_at_which_nobody_is_needs_not_be_told() -> None:
    async with serving(terminal) as (there, _incoming):
        await there.channel.tell("", "news")


async def test_telegram_keeps_within_flood_control_and_is_never_refused() -> None:
    async with bot() as this:
        # One more at once than the mate says: calls take different times on their way.
        await this.there.simulator.set_limits(chat_per_second=1, burst=4, bot_per_second=30)
        for number in range(2):
            inbound = await this.say(str(number))
            async with this.channel.reply(inbound) as reply:
                reply.show("growing")
                await this.there.simulator.wait_call(
                    Service.TELEGRAM, "sendMessageDraft", count=number + 1, timeout=SECONDS
                )
                await reply.send("a" * 4096 + "b" * 4096 + "c")
            this.channel.finish(inbound)
        sent = await this.there.simulator.sent(TOKEN, PERSON)
        assert [len(one.text) for one in sent] == [4096, 4096, 1] * 2
        calls = await this.there.simulator.journal(Service.TELEGRAM)
        assert {call.status for call in calls if call.answered} == {200}


async def test_telegram_in_a_group_answers_only_what_is_said_to_it() -> None:
    group, person = -1001, User(id=PERSON, language_code="de")
    async with bot() as this:
        for text in ("just talking", "/roll", "/new@other_bot"):
            assert await this.there.simulator.say(TOKEN, group, text, user=person)
        assert await this.there.simulator.say(TOKEN, group, "/help@test_bot", user=person)
        inbound = await this.heard()
        assert (inbound.text, inbound.private, inbound.language) == ("/help@test_bot", False, "de")
        await this.answer(inbound, "**help**")
        (sent,) = await this.there.simulator.sent(TOKEN, group)
        assert (sent.text, sent.reply_to, sent.preview_disabled) == ("help", 4, True)
        assert not await this.there.simulator.journal(Service.TELEGRAM, method="sendMessageDraft")


class AlwaysGo:
    """A gateway that lets every turn pass."""

    deaths = 0

    def __init__(self) -> None:
        self.ended: list[TurnEnd] = []

    async def begin(self, turn: str, chat: str) -> TurnAnswer:
        assert turn
        assert chat
        return TurnAnswer(verdict=Verdict.GO)

    async def end(self, end: TurnEnd) -> None:
        self.ended.append(end)

    async def say(self, event: Event) -> None:
        assert event.code

    async def died(self, since: int) -> bool:
        return self.deaths != since


@pytest.mark.parametrize("way", ["button", "/stop"])
async def test_telegram_stop_closes_the_call_to_the_provider_and_keeps_what_was_said(way: str) -> None:
    async with stand_ins_within() as there:
        await there.simulator.add_bot(TOKEN, "test_bot")
        await there.simulator.add_key(KEY)
        await there.simulator.set_style(first_byte_ms=10, gap_ms=50, words=2000)
        turns, held = AlwaysGo(), credentials()
        channel = Telegram(TelegramApi(there.web(), held), turns.say, lambda: 1.0)
        brain = Brain(OpenAI(there.web(), held), "gpt-5-mini", "", 100_000, 10_000)
        relay = Relay(channel, turns, Memory(asyncio.get_running_loop().time), lambda: brain, held.pseudonym)
        task = asyncio.create_task(relay.run())
        try:
            async with asyncio.timeout(100):
                await there.simulator.wait_call(Service.TELEGRAM, "getUpdates", timeout=SECONDS)
                await there.simulator.say(TOKEN, PERSON, "tell me much")
                await there.simulator.wait_call(Service.TELEGRAM, "sendMessageDraft", finished=True, timeout=SECONDS)
                if way == "button":
                    assert await there.simulator.press_stop(TOKEN, PERSON)
                else:
                    assert await there.simulator.say(TOKEN, PERSON, way)
                sent = await there.simulator.wait_reply(TOKEN, PERSON, after=1, timeout=SECONDS)
                (asked,) = await there.simulator.wait_call(
                    Service.OPENAI, "POST /v1/responses", finished=True, timeout=SECONDS
                )
        finally:
            task.cancel()
            await asyncio.wait([task])
    assert sent.text.endswith("[Stopped.]")
    assert len(sent.text) > len("[Stopped.]")
    assert not asked.complete
    assert turns.ended[0].output_tokens > 0


@KITS
async def test_who_begins_where_the_last_life_ended_hears_nothing_twice(kit: Open) -> None:
    async with serving(kit) as (there, incoming):
        await there.say("one")
        there.channel.finish(await incoming.get())
        await there.channel.prepare()
        there.channel.resume(there.channel.position())
        await there.say("two")
        assert (await incoming.get()).message.text == "two"
        assert incoming.empty()
