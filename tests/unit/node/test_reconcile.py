from __future__ import annotations

import math
from dataclasses import replace

import pytest
from tests.support.engines import bot
from tests.support.node import DOOR, release

from clawmates.node.backoff import CAP_SECONDS, GOOD_SECONDS, Backoff
from clawmates.node.reconcile import Actual, Step, Verb, Wanted, decide
from clawmates.node.spec import settled
from clawmates.wire.codes import Trouble
from clawmates.wire.names import ItemName

WANTED = Wanted(bot=bot(), shape="s1", door=DOOR, release=release())
RUNNING = Actual(
    shape="s1",
    leftover=True,
    door=DOOR,
    door_instance="one",
    ticketed={ItemName.CHANNEL_TOKEN: 1, ItemName.PROVIDER_KEY: 1},
)


def next_step(
    wanted: Wanted | Trouble | None, actual: Actual, *, gateway: str = "one", can_start: bool = True, now: float = 100.0
) -> Step:
    return decide(wanted, actual, gateway=gateway, can_start=can_start, now=now)


def test_a_settled_bot_needs_nothing() -> None:
    assert next_step(WANTED, RUNNING) == Step()


def test_a_missing_bot_is_started() -> None:
    assert next_step(WANTED, Actual()).verb is Verb.START


@pytest.mark.parametrize(("gateway", "can_start"), [("", True), ("one", False)])
def test_nothing_starts_without_gateway_or_image(gateway: str, can_start: bool) -> None:  # noqa: FBT001 - a parameter
    assert next_step(WANTED, Actual(), gateway=gateway, can_start=can_start) == Step()


def test_a_start_waits_for_its_backoff_and_no_longer() -> None:
    waiting = Actual(starts=Backoff(3, 107.5))
    assert next_step(WANTED, waiting) == Step(look_again=107.5)
    assert next_step(WANTED, waiting, now=107.5).verb is Verb.START


def test_one_step_at_a_time() -> None:
    assert next_step(WANTED, Actual(busy=True)) == Step()
    assert next_step(None, replace(RUNNING, busy=True)) == Step()


def test_a_new_shape_is_a_new_container() -> None:
    assert next_step(replace(WANTED, shape="s2"), RUNNING).verb is Verb.STOP


def test_what_runs_is_not_stopped_for_an_image_that_is_not_loaded() -> None:
    assert next_step(replace(WANTED, shape="s2"), RUNNING, can_start=False) == Step()


def test_an_adopted_container_is_checked_before_anything_is_given_to_it() -> None:
    adopted = replace(RUNNING, checked=False, ticketed=None, door=None)
    assert next_step(WANTED, adopted).verb is Verb.CHECK


def test_a_new_version_means_a_ticket_then_the_door() -> None:
    newer = bot(items={ItemName.CHANNEL_TOKEN: 1, ItemName.PROVIDER_KEY: 2})
    door = settled(replace(DOOR, config=replace(DOOR.config, items=newer.items)), DOOR)
    wanted = Wanted(bot=newer, shape="s1", door=door, release=release())
    assert next_step(wanted, RUNNING).verb is Verb.TICKET
    assert next_step(wanted, replace(RUNNING, ticketed=newer.items)).verb is Verb.DOOR
    assert next_step(wanted, replace(RUNNING, ticketed=newer.items, door=door)) == Step()


def test_a_ticket_that_is_refused_does_not_keep_the_door_from_a_new_gateway() -> None:
    waiting = replace(RUNNING, ticketed=None, tickets=Backoff(2, 130.0))
    assert next_step(WANTED, waiting) == Step(look_again=130.0)
    assert next_step(WANTED, waiting, gateway="two").verb is Verb.DOOR


def test_a_new_gateway_gets_the_door_again() -> None:
    assert next_step(WANTED, RUNNING, gateway="two").verb is Verb.DOOR
    assert next_step(WANTED, RUNNING, gateway="") == Step()


def test_a_new_limit_reaches_the_gateway_without_a_restart() -> None:
    door = replace(DOOR, limits=replace(DOOR.limits, messages_per_day=3))
    assert next_step(replace(WANTED, door=door), RUNNING).verb is Verb.DOOR


def test_what_is_not_wanted_is_stopped_then_forgotten() -> None:
    assert next_step(None, RUNNING).verb is Verb.STOP
    assert next_step(None, replace(RUNNING, shape=None)).verb is Verb.FORGET
    assert next_step(None, Actual()) == Step()


def test_a_bot_that_names_something_unknown_is_stopped() -> None:
    assert next_step(Trouble.UNKNOWN_PROVIDER, RUNNING).verb is Verb.STOP
    assert next_step(Trouble.UNKNOWN_PROVIDER, Actual()) == Step()


@pytest.mark.parametrize("trouble", [Trouble.RELEASE_MISSING, Trouble.RELEASE_UNSIGNED, Trouble.IMAGE_MISSING])
def test_what_runs_goes_on_while_the_release_cannot_be_believed(trouble: Trouble) -> None:
    assert next_step(trouble, RUNNING) == Step()
    assert next_step(trouble, Actual()) == Step()


def test_a_chore_that_fails_is_not_tried_in_a_hot_loop() -> None:
    failed = replace(RUNNING, chores=Backoff(4, 103.0))
    assert next_step(None, failed) == Step(look_again=103.0)
    assert next_step(None, failed, now=103.0).verb is Verb.STOP


def test_the_first_retry_is_immediate_and_the_rest_grow_up_to_the_cap() -> None:
    backoff, pauses = Backoff(), []
    for _ in range(10):
        backoff = backoff.failed(0.0, 1.0)
        pauses.append(backoff.ready_at)
    assert pauses == [0.0, 1.0, 2.0, 4.0, 8.0, 16.0, 32.0, CAP_SECONDS, CAP_SECONDS, CAP_SECONDS]


def test_jitter_takes_up_to_half_away() -> None:
    worn = Backoff(5, 0.0)
    assert worn.failed(10.0, 0.0).ready_at == 18.0
    assert worn.failed(10.0, 0.5).ready_at == 22.0


def test_a_life_of_a_minute_earns_a_fresh_count() -> None:
    assert Backoff(9, 0.0).failed(10.0, 0.5, lived=GOOD_SECONDS) == Backoff(1, 10.0)
    assert Backoff(9, 0.0).failed(10.0, 0.5, lived=GOOD_SECONDS - 1).failures == 10


def test_backoff_never_overflows() -> None:
    assert math.isfinite(Backoff(100_000, 0.0).failed(0.0, 1.0).ready_at)
