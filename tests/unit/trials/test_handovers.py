"""The counting of a hand-over trial, on made-up runs."""

from __future__ import annotations

from clawmates.trials.handovers import remembered

SAID = {1: ["one 1", "two 1", "three 1"], 2: ["one 2"]}


def prompt(*texts: str) -> str:
    return " | ".join(f"{text}; You said: {text}" for text in texts[:-1]) + f" | {texts[-1]}"


def test_a_bot_that_remembers_everything_has_lost_nothing() -> None:
    asked = [prompt("one 1"), prompt("one 1", "two 1"), prompt("one 2"), prompt("one 1", "two 1", "three 1")]
    assert remembered(SAID, asked) == (0, 0)


def test_what_a_question_came_without_is_lost_however_often() -> None:
    asked = [prompt("one 1"), prompt("two 1"), prompt("two 1", "three 1")]
    assert remembered(SAID, asked) == (1, 0)
    assert remembered(SAID, [prompt("one 1"), prompt("one 1", "two 1"), prompt("three 1")]) == (2, 0)


def test_a_turn_that_comes_twice_is_doubled() -> None:
    assert remembered(SAID, [prompt("one 1", "one 1", "two 1")]) == (0, 1)


def test_a_question_that_was_asked_again_counts_each_time() -> None:
    assert remembered(SAID, [prompt("one 1", "two 1"), prompt("two 1")]) == (1, 0)
