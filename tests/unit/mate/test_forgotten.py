"""After a restart a person is told once that the thread is gone: the gateway has lived on, and knows there was one."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime

import pytest
from tests.unit.mate.test_relay import House, ScriptedTurns, running

from clawmates.gateway.turns import KEY_BYTES, Ledger
from clawmates.mate import conversation, texts
from clawmates.mate.conversation import Memory
from clawmates.mate.errors import ProviderError
from clawmates.mate.messages import Author, Farewell, Message, Text
from clawmates.mate.providers.scripted import ScriptedProvider
from clawmates.wire.codes import Code
from clawmates.wire.desired import Limits
from clawmates.wire.door import TurnAnswer, TurnBegin, TurnEnd

FORGOTTEN = texts.of("").forgotten


class Still:
    """A clock that stands."""

    def monotonic(self) -> float:
        return 0.0

    def now(self) -> datetime:
        return datetime(2026, 11, 28, tzinfo=UTC)


@dataclass
class OneGateway(ScriptedTurns):
    """A gateway that outlives mates: its real ledger."""

    ledger: Ledger = field(default_factory=lambda: Ledger(b"k" * KEY_BYTES, Still(), 100))

    async def begin(self, turn: str, chat: str) -> TurnAnswer:
        return TurnAnswer(
            met=self.ledger.met(chat), verdict=self.ledger.begin(TurnBegin(turn=turn, chat=chat), Limits())
        )

    async def end(self, end: TurnEnd) -> None:
        self.ledger.end(end)


def life(gateway: OneGateway, *script: list[str] | Exception) -> House:
    """A mate that was just born."""
    return House(turns=gateway, provider=ScriptedProvider(list(script)))


async def say(house: House, key: int, text: str = "hello", chat: str = "1") -> str:
    house.channel.say(key, text, chat)
    await house.channel.until_finished(len(house.channel.replies) + 1)
    return house.channel.replies[key].sent[0]


async def test_it_is_said_once_below_the_first_answer_and_never_to_the_provider() -> None:
    gateway = OneGateway()
    async with running(life(gateway)) as first:
        assert FORGOTTEN not in await say(first, 1)
        assert FORGOTTEN not in await say(first, 2, chat="2")
    async with running(life(gateway)) as second:
        assert await say(second, 3, "and now?") == f"You said: and now?\n\n{FORGOTTEN}"
        assert await say(second, 4, "again") == "You said: again"
        assert FORGOTTEN in await say(second, 5, chat="2"), "once in each chat"
        assert FORGOTTEN not in await say(second, 6, chat="a new one")
    asked = [message.text for prompt in second.provider.prompts for message in prompt.messages]
    assert "You said: and now?" in asked
    assert not any(FORGOTTEN in text for text in asked)


async def test_an_answer_that_ends_in_a_code_block_keeps_it() -> None:
    gateway = OneGateway()
    async with running(life(gateway)) as first:
        await say(first, 1)
    async with running(life(gateway, ["```\ncode"])) as second:
        assert await say(second, 2) == f"```\ncode\n```\n{FORGOTTEN}"


async def test_an_error_leaves_it_to_the_first_answer() -> None:
    gateway = OneGateway()
    async with running(life(gateway)) as first:
        await say(first, 1)
    async with running(life(gateway, ProviderError(Code.BAD_KEY))) as second:
        assert await say(second, 2) == texts.for_code(Code.BAD_KEY)
        assert FORGOTTEN in await say(second, 3)


async def test_a_newcomer_whose_first_message_failed_is_told_nothing() -> None:
    async with running(life(OneGateway(), ProviderError(Code.BAD_KEY))) as house:
        await say(house, 1)
        assert await say(house, 2) == "You said: hello"


@pytest.mark.parametrize("before", ["", "hello"])
async def test_who_asks_to_forget_is_not_told_that_it_is_forgotten(before: str) -> None:
    gateway = OneGateway()
    async with running(life(gateway)) as first:
        await say(first, 1)
    async with running(life(gateway)) as second:
        if before:
            assert FORGOTTEN in await say(second, 2, before)
        await say(second, 3, "/new")
        assert FORGOTTEN not in await say(second, 4)


async def test_what_this_life_forgot_by_itself_is_not_told() -> None:
    gateway = OneGateway()
    async with running(life(gateway)) as house:
        await say(house, 1)
        house.memory.forget("1")
        assert FORGOTTEN not in await say(house, 2)
        house.channel.incoming.put_nowait(Farewell("1"))
        assert FORGOTTEN not in await say(house, 3)


async def test_a_gateway_that_was_restarted_makes_no_mate_forget() -> None:
    async with running(life(OneGateway())) as house:
        await say(house, 1)
        house.turns.ledger = OneGateway().ledger  # type: ignore[attr-defined]
        assert FORGOTTEN not in await say(house, 2)
        assert FORGOTTEN not in await say(house, 3)


async def test_a_thread_that_was_handed_over_is_not_gone() -> None:
    gateway = OneGateway()
    async with running(life(gateway)) as first:
        await say(first, 1)
    heir = life(gateway)
    heir.memory.remember("1", Message(Author.PERSON, (Text("hello"),)))
    async with running(heir):
        assert FORGOTTEN not in await say(heir, 2)


async def test_the_gateway_gets_no_name_of_a_chat_but_the_pseudonym() -> None:
    turns = ScriptedTurns()
    async with running(House(turns=turns)) as house:
        await say(house, 1, chat="4711")
    assert turns.chats == ["hash of 4711"]


def test_chats_known_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(conversation, "CHATS_KNOWN", 3)
    memory = Memory(lambda: 0.0)
    for chat in "abcad":
        memory.meet(chat)
    assert [chat for chat in "abcd" if memory.knows(chat)] == ["a", "c", "d"]
