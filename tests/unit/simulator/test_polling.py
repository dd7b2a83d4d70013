"""The rules of getUpdates, one by one."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any

import pytest

from clawmates.simulator.model import User
from clawmates.simulator.telegram.bot import Bot
from clawmates.simulator.telegram.errors import RefusedError
from clawmates.simulator.telegram.polling import KEPT_SECONDS, Repeats, Updates

if TYPE_CHECKING:
    from collections.abc import Callable

    from clawmates.base.clock import Clock

ADA = User(id=7, first_name="Ada")


@pytest.fixture
def updates(clock: Any) -> Updates:
    queue = Updates(100)
    for index in range(5):
        queue.add(b'{"message":{"text":"%d"}}' % index, clock.now())
    return queue


def ids(found: tuple[Any, ...]) -> list[int]:
    return [one.update_id for one in found]


def test_ids_count_up_and_stand_in_the_object(updates: Updates, clock: Any) -> None:
    found = updates.get(0, 100, clock.now())
    assert ids(found) == [100, 101, 102, 103, 104]
    assert json.loads(found[2].json()) == {"update_id": 102, "message": {"text": "2"}}


def test_an_offset_confirms_all_below_it(updates: Updates, clock: Any) -> None:
    assert ids(updates.get(102, 100, clock.now())) == [102, 103, 104]
    assert ids(updates.get(0, 100, clock.now())) == [102, 103, 104]


def test_an_update_comes_again_until_it_is_confirmed(updates: Updates, clock: Any) -> None:
    assert ids(updates.get(100, 1, clock.now())) == [100]
    assert ids(updates.get(100, 1, clock.now())) == [100]
    assert ids(updates.get(101, 1, clock.now())) == [101]


def test_an_offset_behind_the_newest_confirms_everything(updates: Updates, clock: Any) -> None:
    assert updates.get(105, 100, clock.now()) == ()
    assert len(updates) == 0


def test_an_offset_far_in_the_future_counts_as_none(updates: Updates, clock: Any) -> None:
    assert ids(updates.get(1000, 100, clock.now())) == [100, 101, 102, 103, 104]


def test_a_negative_offset_keeps_that_many_of_the_newest(updates: Updates, clock: Any) -> None:
    assert ids(updates.get(-2, 100, clock.now())) == [103, 104]
    assert ids(updates.get(0, 100, clock.now())) == [103, 104]


def test_a_negative_offset_larger_than_the_queue_keeps_all(updates: Updates, clock: Any) -> None:
    assert len(updates.get(-50, 100, clock.now())) == 5


def test_the_limit_is_kept(updates: Updates, clock: Any) -> None:
    assert ids(updates.get(0, 2, clock.now())) == [100, 101]


def test_updates_are_kept_24_hours(updates: Updates, clock: Any) -> None:
    clock.move(KEPT_SECONDS - 1)
    assert len(updates.get(0, 100, clock.now())) == 5
    clock.move(1)
    assert updates.get(0, 100, clock.now()) == ()


def test_one_answer_stays_below_four_mebibytes(clock: Any) -> None:
    queue = Updates(1)
    for _ in range(5):
        queue.add(b'{"message":"%s"}' % (b"x" * (1 << 20)), clock.now())
    assert ids(queue.get(0, 100, clock.now())) == [1, 2, 3]


@pytest.mark.parametrize(("asked", "meant"), [(-5, 1), (0, 1), (1, 1), (100, 100), (1000, 100)])
def test_the_limit_is_between_1_and_100(asked: int, meant: int) -> None:
    assert Repeats().apply(5, asked, 0, 10.0) == (meant, 0)


@pytest.mark.parametrize(("asked", "meant"), [(-1, 0), (0, 0), (30, 30), (50, 50), (600, 50)])
def test_the_timeout_is_between_0_and_50(asked: int, meant: int) -> None:
    assert Repeats().apply(5, 100, asked, 10.0) == (100, meant)


def test_a_repeated_offset_within_half_a_second_gets_one_update_only() -> None:
    repeats = Repeats()
    assert repeats.apply(7, 100, 30, 10.0) == (100, 30)
    assert repeats.apply(7, 100, 30, 10.49) == (1, 30)
    assert repeats.apply(7, 100, 30, 11.1) == (100, 30)


def test_another_offset_is_no_repetition() -> None:
    repeats = Repeats()
    repeats.apply(7, 100, 30, 10.0)
    assert repeats.apply(8, 100, 0, 10.1) == (100, 0)


def test_a_repeated_short_poll_waits_three_seconds() -> None:
    repeats = Repeats()
    repeats.apply(7, 100, 0, 10.0)
    assert repeats.apply(7, 100, 0, 12.9) == (100, 3)
    assert repeats.apply(7, 100, 0, 15.9) == (100, 0)


@pytest.fixture
def bot(clock: Clock) -> Bot:
    return Bot(42, "some_bot", clock)


async def waiting(bot: Bot, ready: Callable[[], bool]) -> None:
    """Lets the loop run until ``ready``, at most a hundred rounds."""
    for _ in range(100):
        if ready():
            return
        await asyncio.sleep(0)
    pytest.fail("it never came to that")


async def test_an_unconfirmed_update_comes_at_once_without_waiting(bot: Bot) -> None:
    bot.hear(7, "hello", ADA)
    async with asyncio.timeout(1):
        for offset in (0, 0, 1):
            assert len(await bot.poll(offset, 100, 50)) == 1


async def test_a_long_poll_ends_with_the_first_update(bot: Bot) -> None:
    poll = asyncio.create_task(bot.poll(0, 100, 50))
    await waiting(bot, lambda: bot._poll is not None)
    update_id, message_id = bot.hear(7, "hello", ADA)
    (found,) = await poll
    assert found.update_id == update_id
    assert json.loads(found.json())["message"]["message_id"] == message_id


async def test_a_long_poll_without_updates_ends_empty_after_its_timeout(bot: Bot) -> None:
    started = asyncio.get_running_loop().time()
    assert await bot.poll(1, 100, 1) == ()
    assert 0.9 < asyncio.get_running_loop().time() - started < 5
    assert bot._poll is None


async def test_a_second_poll_ends_the_first_with_409(bot: Bot) -> None:
    first = asyncio.create_task(bot.poll(1, 100, 50))
    await waiting(bot, lambda: bot._poll is not None)
    second = asyncio.create_task(bot.poll(2, 100, 50))
    with pytest.raises(RefusedError) as refused:
        await first
    assert refused.value.code == 409
    assert "terminated by other getUpdates request" in refused.value.description
    bot.hear(7, "hello", ADA)
    assert len(await second) == 1


async def test_a_second_conflict_within_three_seconds_is_held_back(bot: Bot, clock: Any) -> None:
    polls = [asyncio.create_task(bot.poll(offset, 100, 50)) for offset in (1, 2, 3)]
    with pytest.raises(RefusedError):
        await polls[0]
    done, _ = await asyncio.wait({polls[1]}, timeout=0.05)
    assert not done
    for poll in polls[1:]:
        poll.cancel()
    await asyncio.wait(polls[1:])


async def test_a_poll_that_finds_updates_does_not_disturb_a_waiting_one(bot: Bot) -> None:
    first = asyncio.create_task(bot.poll(1, 100, 50))
    await waiting(bot, lambda: bot._poll is not None)
    assert await bot.poll(2, 100, 0) == ()
    assert not first.done()
    first.cancel()
    await asyncio.wait({first})
    assert bot._poll is None


async def test_a_cancelled_poll_leaves_the_update_to_the_next(bot: Bot) -> None:
    poll = asyncio.create_task(bot.poll(0, 100, 50))
    await waiting(bot, lambda: bot._poll is not None)
    bot.hear(7, "hello", ADA)
    poll.cancel()
    await asyncio.wait({poll})
    assert len(await bot.poll(1, 100, 50)) == 1


def test_only_allowed_updates_are_queued(bot: Bot) -> None:
    bot.allow(frozenset({"callback_query"}))
    assert bot.hear(7, "hello", ADA)[0] == 0
    assert bot.push("callback_query", "{}") > 0
    bot.allow(frozenset())
    assert bot.hear(7, "hello", ADA)[0] > 0
    assert bot.push("chat_member", "{}") == 0


def test_a_message_is_shaped_as_documented(bot: Bot, clock: Any) -> None:
    bot.hear(7, "/start now", User(id=7, first_name="Ada", username="ada", language_code="de"))
    (update,) = bot._updates.get(0, 1, clock.now())
    assert json.loads(update.json())["message"] == {
        "message_id": 1,
        "from": {"id": 7, "is_bot": False, "first_name": "Ada", "username": "ada", "language_code": "de"},
        "chat": {"id": 7, "type": "private", "first_name": "Ada", "username": "ada"},
        "date": int(clock.now().timestamp()),
        "text": "/start now",
        "entities": [{"type": "bot_command", "offset": 0, "length": 6}],
    }


@pytest.mark.parametrize(("chat_id", "kind"), [(-5, "group"), (-1005, "supergroup")])
def test_groups_have_negative_ids(bot: Bot, clock: Any, chat_id: int, kind: str) -> None:
    bot.hear(chat_id, "hello", ADA)
    (update,) = bot._updates.get(0, 1, clock.now())
    assert json.loads(update.json())["message"]["chat"] == {"id": chat_id, "type": kind, "title": "A group"}
