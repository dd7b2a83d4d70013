from __future__ import annotations

from clawmates.mate.conversation import BYTES_PER_TOKEN, Memory
from clawmates.mate.messages import Author, Message, Text


def message(text: str) -> Message:
    return Message(Author.PERSON, (Text(text),))


def test_the_window_keeps_the_newest_that_fit() -> None:
    memory = Memory(lambda: 0.0)
    memory.remember("a", message("1"), message("2"), message("3"))
    two = 3 * message("1").weight // BYTES_PER_TOKEN
    assert [one.text for one in memory.window("a", message("4"), two)] == ["2", "3", "4"]


def test_the_newest_message_is_there_even_when_it_alone_is_too_large() -> None:
    memory = Memory(lambda: 0.0)
    assert memory.window("a", message("x" * 1000), 1) == (message("x" * 1000),)


def test_the_byte_budget_forgets_other_chats_first_and_then_the_oldest() -> None:
    one = message("x" * 100)
    memory = Memory(lambda: 0.0, byte_budget=3 * one.weight)
    memory.remember("a", one)
    memory.remember("b", one, one, one)
    assert memory.window("a", message("?"), 10_000) == (message("?"),)
    memory.remember("b", one, one)
    assert memory.weight == 3 * one.weight


def test_a_day_of_silence_forgets() -> None:
    now = [0.0]
    memory = Memory(lambda: now[0])
    memory.remember("a", message("secret"))
    now[0] = 24 * 3600 - 1
    assert len(memory.window("a", message("?"), 10_000)) == 2
    now[0] = 24 * 3600 + 1
    assert memory.window("a", message("?"), 10_000) == (message("?"),)
    assert memory.weight == 0


def test_forget_is_only_for_one_chat() -> None:
    memory = Memory(lambda: 0.0)
    memory.remember("a", message("1"))
    memory.remember("b", message("2"))
    memory.forget("a")
    assert memory.weight == message("2").weight
