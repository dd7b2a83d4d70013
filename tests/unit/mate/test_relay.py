from __future__ import annotations

import asyncio
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pytest

from clawmates.mate import composing, texts
from clawmates.mate import relay as relay_module
from clawmates.mate.brain import Brain
from clawmates.mate.channels.scripted import ScriptedChannel
from clawmates.mate.conversation import Memory
from clawmates.mate.errors import ChannelError, DoorError, ProviderError
from clawmates.mate.messages import Inbound, Text
from clawmates.mate.people import Handed
from clawmates.mate.providers.base import Delta, Finished, PassingError, Prompt
from clawmates.mate.providers.scripted import ScriptedProvider
from clawmates.mate.relay import Relay
from clawmates.wire.codes import Code, Event
from clawmates.wire.door import TurnAnswer, TurnEnd, Verdict

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Callable


@dataclass
class ScriptedTurns:
    verdicts: dict[str, Verdict] = field(default_factory=dict)
    begun: list[str] = field(default_factory=list)
    ended: list[TurnEnd] = field(default_factory=list)
    said: list[Code] = field(default_factory=list)
    deaf: bool = False
    broken: bool = False
    met: bool = False
    chats: list[str] = field(default_factory=list)
    deaths: int = 0

    async def begin(self, turn: str, chat: str) -> TurnAnswer:
        self.begun.append(turn)
        self.chats.append(chat)
        if self.broken:
            raise DoorError(Code.INTERNAL)
        return TurnAnswer(verdict=self.verdicts.get(turn, Verdict.GO), met=self.met)

    async def end(self, end: TurnEnd) -> None:
        if self.deaf:
            raise DoorError(Code.INTERNAL)
        self.ended.append(end)

    async def say(self, event: Event) -> None:
        self.said.append(event.code)

    async def died(self, since: int) -> bool:
        return self.deaths != since


class Doorman:
    """Lets in who is called 7."""

    def admits(self, inbound: Inbound) -> bool:
        return inbound.person == "7"

    async def ask(self, inbound: Inbound) -> str | None:
        if self.admits(inbound):
            return None
        return "not you" if inbound.private else ""

    def hand(self) -> Handed:
        return Handed()

    def inherit(self, handed: Handed) -> None:
        assert handed


@dataclass
class House:
    channel: ScriptedChannel = field(default_factory=ScriptedChannel)
    turns: ScriptedTurns = field(default_factory=ScriptedTurns)
    provider: ScriptedProvider = field(default_factory=ScriptedProvider)
    memory: Memory = field(default_factory=lambda: Memory(lambda: 0.0))
    turn_seconds: float = 30.0
    guard: Doorman | None = None

    def relay(self) -> Relay:
        brain = Brain(self.provider, "model", "be kind", 1000, 100)
        return Relay(
            self.channel,
            self.turns,
            self.memory,
            lambda: brain,
            lambda chat: f"hash of {chat}",
            self.guard,
            self.turn_seconds,
        )


@asynccontextmanager
async def running(house: House) -> AsyncIterator[House]:
    task = asyncio.create_task(house.relay().run())
    try:
        yield house
    finally:
        task.cancel()
        await asyncio.wait([task])


async def test_a_message_is_answered_then_ended_then_finished() -> None:
    async with running(House()) as house:
        house.channel.say(1, "hello")
        await house.channel.until_finished(1)
    assert house.channel.replies[1].sent == ["You said: hello"]
    assert [end.turn for end in house.turns.ended] == ["scripted:1"]
    assert house.turns.ended[0].input_tokens == 1


async def test_the_context_of_a_chat_is_its_own() -> None:
    async with running(House()) as house:
        for key, chat in ((1, "a"), (2, "b"), (3, "a")):
            house.channel.say(key, f"message {key}", chat)
            await house.channel.until_finished(key)
    asked = [[message.text for message in prompt.messages] for prompt in house.provider.prompts]
    assert asked == [["message 1"], ["message 2"], ["message 1", "You said: message 1", "message 3"]]


async def test_a_chat_is_answered_in_order_and_chats_in_parallel() -> None:
    gate = asyncio.Event()
    async with running(House(provider=ScriptedProvider(gate=gate))) as house:
        for key, chat in ((1, "a"), (2, "a"), (3, "b")):
            house.channel.say(key, str(key), chat)
        await house.provider.until_asked(2)
        assert sorted(prompt.messages[-1].text for prompt in house.provider.prompts) == ["1", "3"]
        gate.set()
        await house.channel.until_finished(3)
    assert house.channel.finished.index(1) < house.channel.finished.index(2)


@pytest.mark.parametrize("most", [composing.PROVIDER_CALLS, 100])
async def test_only_so_many_calls_run_at_a_time_and_the_oldest_go_first(
    monkeypatch: pytest.MonkeyPatch, most: int
) -> None:
    """Eight; and weakened on purpose, all at once."""
    monkeypatch.setattr(composing, "PROVIDER_CALLS", most)
    gate = asyncio.Event()
    async with running(House(provider=ScriptedProvider(gate=gate))) as house:
        for key in range(1, 21):
            house.channel.say(key, str(key), chat=f"chat {key}")
        await house.provider.until_asked(min(most, 20))
        for _turn in range(50):
            await asyncio.sleep(0)
        assert len(house.provider.prompts) == min(most, 20)
        gate.set()
        await house.channel.until_finished(20)
    assert [prompt.messages[-1].text for prompt in house.provider.prompts] == [str(key) for key in range(1, 21)]


@pytest.mark.parametrize("crowd", [5, 1000])
async def test_in_a_crowd_the_time_counts_from_when_a_message_came(monkeypatch: pytest.MonkeyPatch, crowd: int) -> None:
    """One chat cannot hold up the others for hours; and weakened on purpose, it does."""
    monkeypatch.setattr(relay_module, "CROWD", crowd)
    house = House(provider=ScriptedProvider(gate=asyncio.Event()), turn_seconds=0.05)
    for key in range(1, 11):
        house.channel.say(key, str(key))
    # All in one moment, however slow the machine: one that came later than the first has that much time left.
    loop, moment = asyncio.get_running_loop(), asyncio.get_running_loop().time()
    clock, undelivered = loop.time, house.channel.incoming
    monkeypatch.setattr(loop, "time", lambda: clock() if undelivered.empty() else moment)
    async with running(house):
        await house.channel.until_finished(10)
    sorry = texts.for_code(Code.TIMED_OUT)
    assert [house.channel.replies[key].sent for key in range(1, 11)] == [[sorry]] * 10
    # The first has its time; while there are five or more, what waited as long is not asked for.
    assert len(house.turns.begun) == 10, "what was answered by a life before is known all the same"
    assert len(house.provider.prompts) == (5 if crowd == 5 else 10)
    assert [end.turn for end in house.turns.ended] == [f"scripted:{key}" for key in range(1, 11)]


async def test_a_finished_turn_is_not_answered_again() -> None:
    house = House(turns=ScriptedTurns({"scripted:1": Verdict.DONE}))
    async with running(house):
        house.channel.say(1, "hello")
        await house.channel.until_finished(1)
    assert house.channel.replies == {}
    assert house.provider.prompts == []


async def test_over_quota_is_said_and_costs_nothing() -> None:
    house = House(turns=ScriptedTurns({"scripted:1": Verdict.OVER}))
    async with running(house):
        house.channel.say(1, "hello")
        await house.channel.until_finished(1)
    assert house.channel.replies[1].sent == [texts.for_code(Code.OVER_QUOTA)]
    assert house.provider.prompts == []
    assert house.turns.ended == []


async def test_a_message_that_killed_twice_is_given_up_with_a_sentence() -> None:
    house = House(turns=ScriptedTurns({"scripted:1": Verdict.GIVE_UP}))
    async with running(house):
        house.channel.say(1, "poison")
        await house.channel.until_finished(1)
    assert house.channel.replies[1].sent == [texts.for_code(Code.GAVE_UP)]
    assert [end.turn for end in house.turns.ended] == ["scripted:1"]


async def test_a_provider_error_is_told_kindly_and_as_a_code_and_leaves_no_memory() -> None:
    house = House(provider=ScriptedProvider([ProviderError(Code.NO_CREDIT)]))
    async with running(house):
        house.channel.say(1, "hello")
        await house.channel.until_finished(1)
    assert house.channel.replies[1].sent == [texts.for_code(Code.NO_CREDIT)]
    assert house.turns.said == [Code.NO_CREDIT]
    assert house.memory.weight == 0


async def test_a_good_answer_ends_the_trouble_that_the_owner_was_told_of() -> None:
    house = House(
        provider=ScriptedProvider([ProviderError(Code.BAD_KEY), ("fine",), ("fine",), ProviderError(Code.FILTERED)])
    )
    async with running(house):
        for key in range(1, 6):
            house.channel.say(key, "hello")
            await house.channel.until_finished(key)
    assert house.turns.said == [Code.BAD_KEY, Code.LIVE, Code.FILTERED]


class CutProvider(ScriptedProvider):
    """Breaks off behind the first words, ``cuts`` times; ``grief`` is called then."""

    cuts = 1
    grief: Callable[[], None] = staticmethod(lambda: None)

    async def answer(self, prompt: Prompt) -> AsyncGenerator[Delta | Finished, None]:
        async with aclosing(super().answer(prompt)) as pieces:
            async for piece in pieces:
                yield piece
                if isinstance(piece, Delta) and self.cuts:
                    self.cuts -= 1
                    self.grief()
                    raise PassingError(Code.PROVIDER_UNREACHABLE)


async def test_an_answer_that_our_own_gateway_broke_off_is_asked_for_once_more() -> None:
    house = House(provider=CutProvider())

    def die() -> None:
        house.turns.deaths += 1

    house.provider.grief = die  # type: ignore[attr-defined]
    async with running(house):
        house.channel.say(1, "hello")
        await house.channel.until_finished(1)
    assert house.channel.replies[1].sent == ["You said: hello"]
    assert len(house.provider.prompts) == 2
    assert house.turns.said == []
    assert len(house.turns.ended) == 1


async def test_but_only_once() -> None:
    house = House(provider=CutProvider())

    def die() -> None:
        house.turns.deaths += 1

    house.provider.grief, house.provider.cuts = die, 2  # type: ignore[attr-defined]
    async with running(house):
        house.channel.say(1, "hello")
        await house.channel.until_finished(1)
    assert house.channel.replies[1].sent == [texts.for_code(Code.PROVIDER_UNREACHABLE)]
    assert len(house.provider.prompts) == 2


@pytest.mark.parametrize("followed", [True, False])
async def test_who_is_asked_when_the_owner_changes_the_provider_is_followed_by_the_next(followed: bool) -> None:  # noqa: FBT001
    """The way to the first is shut in the middle of its answer; without the wait the message is lost to an error."""
    house, after = House(provider=CutProvider()), ScriptedProvider([("from", " another")])
    relay = house.relay()
    brains = [relay.brain(), Brain(after, "other", "be kind", 1000, 100)]
    asked: list[Brain] = []

    async def another(brain: Brain) -> bool:
        asked.append(brain)
        return followed

    relay = Relay(
        house.channel, house.turns, house.memory, lambda: brains[len(asked)], lambda chat: chat, another=another
    )
    house.relay = lambda: relay  # type: ignore[method-assign]
    async with running(house):
        house.channel.say(1, "hello")
        await house.channel.until_finished(1)
    assert asked == brains[:1]
    apology = texts.for_code(Code.PROVIDER_UNREACHABLE)
    assert house.channel.replies[1].sent == (["from another"] if followed else [apology])
    assert len(house.turns.ended) == 1


async def test_an_answer_that_the_provider_broke_off_is_not_asked_for_again() -> None:
    house = House(provider=CutProvider())
    async with running(house):
        house.channel.say(1, "hello")
        await house.channel.until_finished(1)
    assert house.channel.replies[1].sent == [texts.for_code(Code.PROVIDER_UNREACHABLE)]
    assert len(house.provider.prompts) == 1


async def test_a_reply_that_takes_too_long_is_given_up_with_a_sentence() -> None:
    house = House(provider=ScriptedProvider(gate=asyncio.Event()), turn_seconds=0.01)
    async with running(house):
        house.channel.say(1, "hello")
        await house.channel.until_finished(1)
    assert house.channel.replies[1].sent == [texts.for_code(Code.TIMED_OUT)]


async def test_a_person_who_left_does_not_stop_the_others() -> None:
    house = House(channel=ScriptedChannel(failure=ChannelError(Code.PERSON_UNREACHABLE)))
    async with running(house):
        house.channel.say(1, "hello")
        await house.channel.until_finished(1)
        house.channel.failure = None
        house.channel.say(2, "hello", "2")
        await house.channel.until_finished(2)
    assert house.turns.said == [Code.PERSON_UNREACHABLE]
    assert house.channel.replies[2].sent == ["You said: hello"]


async def test_a_gateway_that_goes_away_after_the_reply_does_not_lose_the_message() -> None:
    house = House(turns=ScriptedTurns(deaf=True))
    async with running(house):
        house.channel.say(1, "hello")
        await house.channel.until_finished(1)
    assert house.channel.replies[1].sent == ["You said: hello"]


async def test_half_a_surrogate_pair_harms_nobody() -> None:
    house = House(
        provider=ScriptedProvider(
            [
                (
                    "whole: \ud83d",
                    "\ude00, half: \ud83d",
                )
            ]
        )
    )
    async with running(house):
        house.channel.say(1, "lone \ud83d end")
        await house.channel.until_finished(1)
        house.channel.say(2, "and on")
        await house.channel.until_finished(2)
    assert house.channel.replies[1].sent == ["whole: 😀, half: \ufffd"]
    assert house.provider.prompts[1].messages[0].text == "lone \ufffd end"


async def test_an_answer_without_end_is_cut() -> None:
    house = House(provider=ScriptedProvider([["x" * 1000] * 1000]))
    async with running(house):
        house.channel.say(1, "tell me everything")
        await house.channel.until_finished(1)
    (sent,) = house.channel.replies[1].sent
    assert composing.MOST_CHARACTERS < len(sent) < composing.MOST_CHARACTERS + 2000
    assert sent.endswith(texts.of("").cut_at_length.strip())


async def test_an_error_nobody_thought_of_stays_with_its_message() -> None:
    house = House(provider=ScriptedProvider([ZeroDivisionError("a secret")]))
    async with running(house):
        house.channel.say(1, "hello")
        await house.channel.until_finished(1)
        house.channel.say(2, "still there?", "2")
        await house.channel.until_finished(2)
    assert house.channel.replies[1].sent == [texts.for_code(Code.INTERNAL)]
    assert house.turns.said == [Code.INTERNAL, Code.LIVE]
    assert house.channel.replies[2].sent == ["You said: still there?"]


async def test_a_message_is_not_finished_while_the_messenger_cannot_be_reached() -> None:
    house = House(provider=ScriptedProvider(gate=asyncio.Event()), turn_seconds=0.01)
    house.channel.away = asyncio.Event()
    async with running(house):
        house.channel.say(1, "hello")
        await house.channel.until_tried(1)
        assert house.channel.finished == []
        house.channel.away.set()
        await house.channel.until_finished(1)
    assert house.channel.replies[1].sent == [texts.for_code(Code.TIMED_OUT)]


async def test_a_gateway_that_stays_away_costs_an_apology_and_not_the_message() -> None:
    house = House(turns=ScriptedTurns(broken=True))
    async with running(house):
        house.channel.say(1, "hello")
        await house.channel.until_finished(1)
    assert house.channel.replies[1].sent == [texts.for_code(Code.INTERNAL)]


async def test_new_forgets_and_needs_no_provider() -> None:
    async with running(House()) as house:
        house.channel.say(1, "hello")
        await house.channel.until_finished(1)
        house.channel.say(2, "/new@some_bot")
        await house.channel.until_finished(2)
        assert house.memory.weight == 0
    assert house.channel.replies[2].sent == [texts.of("").new]
    assert len(house.provider.prompts) == 1


async def test_an_empty_answer_is_not_sent_empty() -> None:
    house = House(provider=ScriptedProvider([(" ",)]))
    async with running(house):
        house.channel.say(1, "hello")
        await house.channel.until_finished(1)
    assert house.channel.replies[1].sent == [texts.of("").empty_answer]


def test_every_code_has_a_sentence_without_the_code_in_it() -> None:
    for code in Code:
        assert texts.for_code(code).endswith(".")
        assert "-" not in texts.for_code(code) or code.value not in texts.for_code(code)


@asynccontextmanager
async def paused(house: House) -> AsyncIterator[Relay]:
    """A relay that runs, to be paused by the test."""
    relay = house.relay()
    task = asyncio.create_task(relay.run())
    try:
        async with asyncio.timeout(10):
            yield relay
    finally:
        task.cancel()
        await asyncio.wait([task])


async def test_a_paused_relay_finishes_what_it_writes_and_begins_nothing_else() -> None:
    house, gate = House(), asyncio.Event()
    house.provider.gate = gate
    async with paused(house) as relay:
        for key in (1, 2):
            house.channel.say(key, str(key))
        await house.provider.until_asked(1)
        pausing = asyncio.create_task(relay.pause(5.0, 5.0))
        await asyncio.sleep(0)
        gate.set()
        assert await pausing
        assert house.channel.finished == [1]
        house.channel.say(3, "3", chat="2")
        await asyncio.sleep(0)
        assert house.turns.begun == ["scripted:1"]
        relay.go_on()
        await house.channel.until_finished(3)
        assert sorted(house.channel.finished) == [1, 2, 3]


async def test_what_still_waits_for_its_provider_is_cut_off_and_answered_later_by_whoever_goes_on() -> None:
    house, gate = House(), asyncio.Event()
    house.provider.gate = gate
    async with paused(house) as relay:
        house.channel.say(1, "one")
        await house.provider.until_asked(1)
        assert await relay.pause(0.01, 5.0)
        assert (house.channel.finished, house.turns.ended, house.turns.said) == ([], [], [])
        assert house.channel.replies[1].sent == [], "no sentence of regret either"
        gate.set()
        relay.go_on()
        await house.channel.until_finished(1)
        assert house.channel.replies[1].sent == ["You said: one"]
        assert house.turns.begun == ["scripted:1", "scripted:1"]


async def test_an_answer_on_its_way_is_not_cut_off() -> None:
    away = asyncio.Event()
    house = House(channel=ScriptedChannel(away=away))
    async with paused(house) as relay:
        house.channel.say(1, "one")
        await house.channel.until_tried(1)
        assert not await relay.pause(0.01, 0.01), "it must not be handed over while a reply may arrive"
        away.set()
        assert await relay.pause(0.01, 5.0)
        assert house.channel.finished == [1]


async def test_a_turn_that_begins_within_a_cut_is_cut_too() -> None:
    house = House()
    relay = house.relay()
    relay._running.cutting = True
    inbound = Inbound("scripted:1", "1", 1, (Text("one"),))
    assert not await relay._running.through(relay._finish(inbound))
    assert house.provider.prompts == []


async def test_a_stranger_costs_no_turn_no_call_and_no_memory_whatever_they_say() -> None:
    house = House(guard=Doorman())
    async with running(house):
        for key, text in enumerate(("hello", "/new", "/usage", "/stop"), 1):
            house.channel.say(key, text, "8", "8")
            await house.channel.until_finished(key)
        house.channel.say(5, "hello", "-1", "8", private=False)
        await house.channel.until_finished(5)
    assert [reply.sent for _key, reply in sorted(house.channel.replies.items())] == [["not you"]] * 4
    assert (house.turns.begun, house.turns.ended, house.provider.prompts) == ([], [], [])
    assert house.memory.weight == 0


async def test_who_is_let_in_is_answered_beside_strangers() -> None:
    house = House(guard=Doorman())
    async with running(house):
        house.channel.say(1, "hello", "-1", "8", private=False)
        house.channel.say(2, "hello", "-1", "7", private=False)
        await house.channel.until_finished(2)
    assert house.channel.replies[2].sent == ["You said: hello"]
    assert [message.text for message in house.provider.prompts[0].messages] == ["hello"]


async def test_in_a_group_a_stranger_stops_nobodys_answer() -> None:
    gate = asyncio.Event()
    house = House(provider=ScriptedProvider(gate=gate), guard=Doorman())
    async with running(house):
        house.channel.say(1, "tell me much", "-1", "7", private=False)
        await house.provider.until_asked(1)
        house.channel.say(2, "/stop", "-1", "8", private=False)
        house.channel.say(3, "hello", "9", "9")
        await house.channel.until_finished(1)
        gate.set()
        await house.channel.until_finished(3)
    assert house.channel.replies[1].sent == ["You said: tell me much"]
    assert 2 not in house.channel.replies
