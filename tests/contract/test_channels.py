"""One suite for every channel: messages come in until finished, replies go out."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pytest
from tests.support.standins import TOKEN, credentials, stand_ins

from clawmates.base.shape import decode_json, encode_json
from clawmates.mate.channels.base import Channel
from clawmates.mate.channels.scripted import ScriptedChannel
from clawmates.mate.channels.telegram.api import TelegramApi
from clawmates.mate.channels.telegram.channel import Telegram
from clawmates.mate.channels.terminal import Terminal
from clawmates.wire.codes import Event
from clawmates.wire.terminal import Heard, Said

if TYPE_CHECKING:
    from clawmates.mate.messages import Inbound

PERSON = 7
SECONDS = 10.0


@dataclass
class Kit:
    channel: Channel
    say: Callable[[str], Awaitable[None]]
    """A person says something."""
    hear: Callable[[], Awaitable[str]]
    """The next whole reply that the person gets."""
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

    yield Kit(channel, say, hear)


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

    yield Kit(channel, say, hear)
    for _reader, writer in streams:
        writer.close()
        await writer.wait_closed()


@asynccontextmanager
async def telegram() -> AsyncIterator[Kit]:
    async with stand_ins() as there:
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

        yield Kit(Telegram(TelegramApi(there.web(), credentials()), tell, lambda: 1.0), say, hear, events)


Open = Callable[[], AbstractAsyncContextManager[Kit]]
KITS = pytest.mark.parametrize("kit", [scripted, terminal, telegram])


@asynccontextmanager
async def serving(kit: Open) -> AsyncIterator[tuple[Kit, asyncio.Queue[Inbound]]]:
    async with kit() as there:
        incoming: asyncio.Queue[Inbound] = asyncio.Queue()
        task = asyncio.create_task(there.channel.run(incoming.put_nowait))
        try:
            async with asyncio.timeout(30):
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
