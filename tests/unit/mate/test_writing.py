"""Stopping an answer, and changing the question under it."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pytest

from clawmates.mate import texts
from clawmates.mate.brain import Brain
from clawmates.mate.channels.scripted import ScriptedChannel
from clawmates.mate.channels.telegram.markdown import render
from clawmates.mate.conversation import Memory
from clawmates.mate.errors import ProviderError
from clawmates.mate.messages import Farewell, Inbound, Text
from clawmates.mate.providers.base import Delta, Finished, Prompt, Stop
from clawmates.mate.relay import Relay
from clawmates.mate.writing import Writing, below
from clawmates.wire.codes import Code, Event
from clawmates.wire.door import TurnAnswer, TurnEnd, Verdict

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator

STOPPED = texts.of("").stopped


@dataclass
class Slow:
    """Says two words, then waits for ``gate``, then the rest; notes how each call ended."""

    host: str = "provider.example"
    gate: asyncio.Event = field(default_factory=asyncio.Event)
    asked: list[str] = field(default_factory=list)
    ends: list[str] = field(default_factory=list)
    spoken: asyncio.Queue[str] = field(default_factory=asyncio.Queue)

    async def answer(self, prompt: Prompt) -> AsyncGenerator[Delta | Finished, None]:
        question = prompt.messages[-1].text
        self.asked.append(question)
        try:
            yield Delta("one ")
            yield Delta("two ")
            self.spoken.put_nowait(question)
            await self.gate.wait()
            yield Delta(f"and {question}")
            self.ends.append("whole")
            yield Finished(Stop.COMPLETE, 3, 4)
        finally:
            if len(self.ends) < len(self.asked):
                self.ends.append("closed")


@dataclass
class House:
    channel: ScriptedChannel = field(default_factory=ScriptedChannel)
    provider: Slow = field(default_factory=Slow)
    memory: Memory = field(default_factory=lambda: Memory(lambda: 0.0))
    ended: list[TurnEnd] = field(default_factory=list)
    said: list[Code] = field(default_factory=list)
    verdict: Verdict = Verdict.GO
    deaths: int = 0

    async def begin(self, turn: str, chat: str) -> TurnAnswer:
        assert turn
        return TurnAnswer(verdict=self.verdict)

    async def end(self, end: TurnEnd) -> None:
        self.ended.append(end)

    async def say(self, event: Event) -> None:
        self.said.append(event.code)

    async def died(self, since: int) -> bool:
        return self.deaths != since

    def sent(self, key: int) -> list[str]:
        return self.channel.replies[key].sent if key in self.channel.replies else []


@asynccontextmanager
async def running() -> AsyncIterator[House]:
    house = House()
    brain = Brain(house.provider, "model", "", 1000, 100)
    task = asyncio.create_task(Relay(house.channel, house, house.memory, lambda: brain, str).run())
    try:
        async with asyncio.timeout(10):
            yield house
    finally:
        task.cancel()
        await asyncio.wait([task])


@pytest.mark.parametrize("way", ["button", "/stop", "/stop@some_bot now"])
async def test_stop_closes_the_call_and_sends_what_there_is(way: str) -> None:
    async with running() as house:
        house.channel.say(1, "hello")
        await house.provider.spoken.get()
        if way == "button":
            house.channel.halt(1)
        else:
            house.channel.say(2, way)
        await house.channel.until_finished(1 if way == "button" else 2)
    assert house.provider.ends == ["closed"]
    assert house.sent(1) == [f"one two\n\n{STOPPED}"]
    assert house.sent(2) == []
    (end,) = house.ended
    assert (end.turn, end.input_tokens, end.output_tokens) == ("scripted:1", 1, 2)
    assert house.memory.weight > 0


async def test_stop_does_not_wait_behind_other_chats_or_messages() -> None:
    async with running() as house:
        house.channel.say(1, "hello", "a")
        await house.provider.spoken.get()
        house.channel.say(2, "another", "a")
        house.channel.say(3, "hello", "b")
        await house.provider.spoken.get()
        house.channel.say(4, "/stop", "a")
        assert await house.provider.spoken.get() == "another"
        house.provider.gate.set()
        await house.channel.until_finished(4)
    assert house.sent(1)[0].endswith(STOPPED)
    assert house.sent(3) == ["one two and hello"]
    assert house.sent(2) == ["one two and another"]


async def test_stop_with_nothing_to_stop_says_so() -> None:
    async with running() as house:
        house.channel.say(1, "/stop")
        await house.channel.until_finished(1)
    assert house.sent(1) == [texts.of("").nothing_to_stop]
    assert house.provider.asked == []


async def test_a_button_of_an_older_answer_stops_nothing() -> None:
    async with running() as house:
        house.channel.say(7, "hello")
        await house.provider.spoken.get()
        house.channel.halt(6)
        house.channel.halt(7, chat="other")
        house.provider.gate.set()
        await house.channel.until_finished(1)
    assert house.sent(7) == ["one two and hello"]


async def test_a_changed_question_is_asked_anew_and_remembered() -> None:
    async with running() as house:
        house.channel.say(1, "1 + 1")
        await house.provider.spoken.get()
        house.channel.rewrite(1, "2 + 2")
        assert await house.provider.spoken.get() == "2 + 2"
        house.provider.gate.set()
        await house.channel.until_finished(1)
        house.channel.rewrite(1, "3 + 3")
        house.channel.say(2, "and?")
        await house.channel.until_finished(2)
    assert house.provider.asked == ["1 + 1", "2 + 2", "and?"]
    assert house.provider.ends == ["closed", "whole", "whole"]
    assert house.sent(1) == ["one two and 2 + 2"]
    assert [end.turn for end in house.ended] == ["scripted:1", "scripted:2"]


async def test_a_question_that_still_waits_is_changed_in_its_place() -> None:
    async with running() as house:
        house.channel.say(1, "first")
        await house.provider.spoken.get()
        house.channel.say(2, "second")
        house.channel.say(3, "third")
        house.channel.rewrite(2, "changed")
        house.channel.rewrite(3, "/new")
        house.channel.rewrite(9, "unknown")
        house.provider.gate.set()
        await house.channel.until_finished(3)
    assert house.provider.asked == ["first", "changed", "third"]


async def test_who_leaves_is_forgotten_and_costs_no_more() -> None:
    async with running() as house:
        house.provider.gate.set()
        house.channel.say(1, "hello")
        await house.channel.until_finished(1)
        assert house.memory.weight > 0
        house.channel.incoming.put_nowait(Farewell("1"))
        house.channel.say(2, "/usage", "2")
        await house.channel.until_finished(2)
    assert house.memory.weight == 0


async def test_usage_and_model_are_told() -> None:
    async with running() as house:
        house.provider.gate.set()
        for key, text in enumerate(("hello", "/usage", "/model", "/help"), start=1):
            house.channel.say(key, text)
        await house.channel.until_finished(4)
    assert "answers: 1\n- tokens read: 3\n- tokens written: 4" in house.sent(2)[0]
    assert "`model`" in house.sent(3)[0]
    assert "`provider.example`" in house.sent(3)[0]
    assert house.provider.asked == ["hello"]


async def test_somebody_elses_clock_is_not_taken_for_a_stop() -> None:
    async def slow(_inbound: Inbound) -> str:
        raise TimeoutError

    with pytest.raises(TimeoutError):
        await Writing(Inbound("t", "1", 1, (Text("x"),))).run(slow)


async def test_a_stop_before_the_call_asks_nobody_and_one_after_the_answer_is_too_late() -> None:
    async def ask(_inbound: Inbound) -> str:
        raise ProviderError(Code.INTERNAL)

    async def quick(_inbound: Inbound) -> str:
        return "whole"

    inbound = Inbound("t", "1", 1, (Text("x"),))
    writing = Writing(inbound)
    assert writing.halt()
    assert await writing.run(ask) is None
    done = Writing(inbound)
    assert await done.run(quick) == "whole"
    assert not done.halt()
    done.rewrite(Inbound("t", "1", 1, (Text("y"),)))
    assert done.inbound.text == "x"


@pytest.mark.parametrize(
    ("text", "whole"),
    [
        ("", "note"),
        (" \n", "note"),
        ("a ", "a\n\nnote"),
        ("```py\na", "```py\na\n```\nnote"),
        ("```\na\n```\nb", "```\na\n```\nb\n\nnote"),
        ("~~~\n```\na", "~~~\n```\na\n~~~\nnote"),
    ],
)
def test_a_note_stands_below_and_outside_of_code(text: str, whole: str) -> None:
    assert below(text, "note") == whole
    shown = render(below(text, "note"))
    assert shown.text.endswith("note")
    assert not any(span.end > len(shown.text) - 4 for span in shown.spans)
