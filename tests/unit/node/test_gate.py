"""A new image comes in by one bot first, and goes out again when that bot does not come to life."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from tests.support.engines import bot
from tests.support.keeper import World
from tests.support.node import IMAGE, release

from clawmates.node.events import Happening
from clawmates.node.gate import AT_ONCE, FAILURES, LIVED_SECONDS, TRIAL_SECONDS, Gate, News, Refused, Seen, Stopped
from clawmates.wire.codes import Code, Trouble
from clawmates.wire.status import BotState

if TYPE_CHECKING:
    from pathlib import Path

    from clawmates.wire.release import Release

OLD, NEW, NEWER = IMAGE, "sha256:" + "b" * 64, "sha256:" + "c" * 64
FIRST, SECOND, THIRD = release(), release(config=NEW, number=2), release(config=NEWER, number=3)


def seen(name: str, image: str = OLD, lived: float | None = 100.0, **more: float) -> Seen:
    failures, excused = int(more.get("failures", 0)), bool(more.get("excused"))
    ran, why = more.get("ran", 100.0), Code.INTERNAL if failures else ""
    return Seen(bot=name, image=image, lived=lived, ran=ran, failures=failures, excused=excused, why=why)


def tried(*others: Seen) -> Gate:
    """A gate that lets ``a`` try the second release."""
    gate = Gate(good=FIRST)
    assert gate.offer(SECOND) is None
    assert gate.step([seen("a"), *others]) is News.TRIED
    return gate


def rolling(*others: str) -> tuple[Gate, Seen]:
    """A gate whose first bot lives with the second release, and others have begun to follow; that first one."""
    gate, living = tried(*map(seen, others)), seen("a", NEW)
    assert gate.step([living, *map(seen, others)]) is None
    return gate, living


class TestDecisions:
    def test_the_very_first_release_has_nothing_to_go_back_to(self) -> None:
        gate = Gate()
        assert gate.offer(FIRST) is News.GOOD
        assert gate.release_for("a") is FIRST
        assert gate.offer(FIRST) is None, "no news"

    def test_one_bot_tries_and_all_others_run_what_they_ran(self) -> None:
        gate = tried(seen("b"), seen("c"))
        assert [gate.release_for(name) for name in "abc"] == [SECOND, FIRST, FIRST]

    def test_who_lives_tries_before_who_does_not(self) -> None:
        gate = Gate(good=FIRST, fresh=SECOND)
        gate.step([seen("a", image="", lived=None), seen("b", lived=None), seen("c")])
        assert gate.first == "c"

    def test_after_a_restart_of_node_the_one_that_tried_goes_on(self) -> None:
        gate = Gate(good=FIRST, fresh=SECOND)
        gate.step([seen("a"), seen("b", NEW, None)])
        assert gate.first == "b"

    def test_after_a_restart_of_node_nobody_who_runs_it_goes_back(self) -> None:
        gate = Gate(good=FIRST, fresh=SECOND)
        gate.step([seen("a"), seen("b", NEW, None), seen("c", NEW)])
        assert [gate.release_for(name) for name in "abc"] == [FIRST, SECOND, SECOND]

    def test_without_bots_nothing_is_decided(self) -> None:
        gate = Gate(good=FIRST, fresh=SECOND)
        assert gate.step([]) is None
        assert gate.fresh is SECOND

    def test_the_rest_follow_a_few_at_a_time_once_the_first_has_lived_a_little(self) -> None:
        names = [f"b{number}" for number in range(10)]
        others = [seen(name) for name in names]
        gate = tried(*others)
        assert gate.step([seen("a", NEW, LIVED_SECONDS - 0.1), *others]) is None
        assert [gate.release_for(name) for name in names] == [FIRST] * 10
        living = seen("a", NEW, LIVED_SECONDS)
        assert gate.step([living, *others]) is None
        assert [gate.release_for(name) for name in names].count(SECOND) == AT_ONCE
        others[:2] = [seen(name, NEW) for name in names[:2]]
        assert gate.step([living, *others]) is None
        assert [gate.release_for(name) for name in names].count(SECOND) == AT_ONCE + 2
        others = [seen(name, NEW) for name in names]
        assert gate.step([living, *others]) is None
        assert gate.step([living, *others]) is News.GOOD
        assert (gate.good, gate.fresh) == (SECOND, None)

    def test_a_later_one_that_fails_goes_back_and_nobody_follows_any_more(self) -> None:
        names = [f"b{number}" for number in range(10)]
        gate, living = rolling(*names)
        assert AT_ONCE == 4
        there = [living, seen("b0", NEW), seen("b1", failures=FAILURES), seen("b2", NEW, 1.0), seen("b3")]
        rest = [seen(name) for name in names[4:]]
        assert gate.step([*there, *rest]) is News.STOPPED
        assert gate.stopped == Stopped(bot="b1", why=Code.INTERNAL)
        for _time in range(3):
            assert gate.step([*there, *rest]) is None
        assert {name for name in names if gate.release_for(name) is SECOND} == {"b0", "b2", "b3"}, "who began goes on"
        assert gate.release_for("a") is SECOND
        assert (gate.good, gate.fresh, gate.refused) == (FIRST, SECOND, None)

    def test_one_that_is_paused_stops_nobody_and_the_next_that_fails_is_named(self) -> None:
        gate, living = rolling("b", "c", "d")
        b, c = seen("b", failures=FAILURES), seen("c", "", None, failures=FAILURES)
        assert gate.step([living, b, c, seen("d", NEW)]) is News.STOPPED
        assert gate.step([living, b, seen("c", failures=FAILURES), seen("d", NEW)]) is None
        assert gate.step([living, seen("c", failures=FAILURES), seen("d", NEW)]) is News.STOPPED
        assert gate.stopped == Stopped(bot="c", why=Code.INTERNAL)
        assert gate.step([living, seen("d", NEW)]) is News.GOOD
        assert gate.stopped is None

    def test_a_later_one_that_never_says_that_it_lives_is_not_waited_for(self) -> None:
        gate, living = rolling("b")
        assert gate.step([living, seen("b", NEW, None, ran=TRIAL_SECONDS - 1)]) is None
        assert gate.step([living, seen("b", NEW, None, ran=TRIAL_SECONDS)]) is News.STOPPED
        assert gate.release_for("b") is FIRST

    def test_one_that_did_not_live_before_says_nothing_about_the_image_and_holds_nobody_up(self) -> None:
        names = [f"b{number}" for number in range(AT_ONCE + 1)]
        gate = tried(*(seen(name, lived=None) for name in names))
        living = seen("a", NEW)
        dead = [seen(name, lived=None) for name in names]
        assert gate.step([living, *dead]) is None
        dead = [seen(name, NEW, None, ran=10 * TRIAL_SECONDS, failures=FAILURES) for name in names]
        assert gate.step([living, *dead]) is None
        assert gate.step([living, *dead]) is News.GOOD

    def test_a_messenger_that_is_away_stops_nothing_and_holds_nobody_up_for_ever(self) -> None:
        gate = tried(seen("b"))
        away = seen("a", NEW, None, ran=10 * TRIAL_SECONDS, excused=True)
        assert gate.step([away, seen("b")]) is None, "the first is waited for"
        living = seen("a", NEW)
        gate.step([living, seen("b")])
        assert gate.step([living, seen("b", NEW, None, ran=TRIAL_SECONDS - 1, excused=True)]) is None
        assert gate.step([living, seen("b", NEW, None, ran=TRIAL_SECONDS, excused=True)]) is News.GOOD

    @pytest.mark.parametrize("other", [THIRD, replace(SECOND, number=3)])
    def test_another_release_after_a_stop_begins_anew(self, other: Release) -> None:
        gate, living = rolling("b")
        assert gate.step([living, seen("b", failures=FAILURES)]) is News.STOPPED
        assert gate.offer(SECOND) is None
        assert gate.stopped is not None, "the same again is no news"
        assert gate.offer(other) is None
        assert gate.step([living, seen("b")]) is News.TRIED
        assert gate.fresh == other
        assert not gate.stopped

    def test_the_good_one_again_after_a_stop_takes_all_back(self) -> None:
        gate, living = rolling("b")
        assert gate.step([living, seen("b", failures=FAILURES)]) is News.STOPPED
        assert gate.offer(FIRST) is News.GOOD
        assert gate.release_for("a") is FIRST
        assert not gate.stopped

    def test_a_first_that_fails_twice_is_enough(self) -> None:
        gate = tried(seen("b"))
        assert gate.step([seen("a", failures=FAILURES - 1), seen("b")]) is None
        assert gate.step([seen("a", failures=FAILURES), seen("b")]) is News.REFUSED
        assert [gate.release_for(name) for name in "ab"] == [FIRST, FIRST]
        assert gate.refused == Refused(config=NEW, number=2)

    def test_one_that_runs_and_never_says_that_it_lives_is_not_waited_for(self) -> None:
        gate = tried()
        assert gate.step([seen("a", NEW, None, ran=TRIAL_SECONDS - 1)]) is None
        assert gate.step([seen("a", NEW, None, ran=TRIAL_SECONDS)]) is News.REFUSED

    def test_an_old_container_is_no_sign_of_life_of_the_new_image(self) -> None:
        gate = tried()
        assert gate.step([seen("a", OLD, 1000.0, ran=10_000.0)]) is None

    def test_what_was_refused_is_not_tried_again_until_a_newer_one_appears(self) -> None:
        gate = Gate(good=FIRST, refused=Refused(config=NEW, number=2))
        assert gate.offer(SECOND) is None
        assert gate.step([seen("a")]) is None
        assert gate.fresh is None
        assert gate.offer(THIRD) is None
        assert gate.step([seen("a")]) is News.TRIED
        gate = Gate(good=FIRST, refused=Refused(config=NEW, number=2))
        gate.offer(release(config=NEW, number=3))
        assert gate.step([seen("a")]) is News.TRIED, "signed anew with a higher number: somebody wants it"

    def test_a_newer_one_that_lives_ends_the_memory_of_the_refused(self) -> None:
        gate = Gate(good=FIRST, refused=Refused(config=NEW, number=2))
        gate.offer(THIRD)
        gate.step([seen("a")])
        assert gate.step([seen("a", NEWER)]) is News.GOOD
        assert gate.refused is None

    def test_one_that_appears_while_another_is_tried_takes_its_place(self) -> None:
        gate = tried(seen("b"))
        gate.offer(THIRD)
        gate.step([seen("a"), seen("b")])
        assert gate.release_for("a") is THIRD

    def test_the_good_one_again_ends_a_trial(self) -> None:
        gate = tried()
        assert gate.offer(FIRST) is News.GOOD
        assert gate.release_for("a") is FIRST

    def test_a_new_catalogue_alone_is_taken_at_once(self) -> None:
        gate = Gate(good=FIRST)
        other = release(number=2, context=2000)
        assert gate.offer(other) is News.GOOD
        assert gate.release_for("a") is other

    def test_a_new_catalogue_of_what_is_tried_goes_on_with_the_same_bot(self) -> None:
        gate = tried(seen("b"))
        gate.offer(replace(SECOND, number=3))
        gate.step([seen("a"), seen("b")])
        assert gate.first == "a"

    def test_a_first_that_is_taken_away_gives_its_place_to_another(self) -> None:
        gate = tried(seen("b"))
        assert gate.step([seen("b")]) is News.TRIED
        assert gate.first == "b"


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


def images(world: World) -> dict[str, str]:
    return {name: hold.running.image for name, hold in world.keeper.holds.items() if hold.running is not None}


def codes(world: World) -> list[object]:
    return [line["code"] for line in world.lines()]


BOTS = tuple(bot(name) for name in ("anna", "ben", "carl"))


async def test_a_good_release_is_tried_by_one_and_followed_by_all(world: World) -> None:
    async with world.kept():
        await world.running(*BOTS)
        world.may_run(NEW, 2)
        after = await world.beside("anna")
        await world.rest()
        assert len(world.machine.containers) == 4, "one bot alone"
        before = world.hold("anna").generation
        world.says(Code.READY, after, "anna")
        world.kill(before, "anna")
        await world.until(lambda: world.hold("anna").generation == after)
        world.says(Code.LIVE, after, "anna")
        await world.rest()
        assert images(world) == {"anna": NEW, "ben": OLD, "carl": OLD}
        await world.after(LIVED_SECONDS)
        for name in ("ben", "carl"):
            await world.handed_over(name)
        await world.after(LIVED_SECONDS)
        await world.until(lambda: world.keeper.gate.fresh is None)
        assert images(world) == dict.fromkeys(("anna", "ben", "carl"), NEW)
        assert world.keeper.gate.good == release(config=NEW, number=2)
        assert codes(world).count(Happening.RELEASE_TRIED) == 1
        assert codes(world).count(Happening.RELEASE_GOOD) == 2


async def test_a_release_whose_mate_exits_at_once_goes_back_by_itself_and_nobody_notices(world: World) -> None:
    async with world.kept():
        await world.running(*BOTS)
        before = {name: hold.generation for name, hold in world.keeper.holds.items()}
        world.may_run(NEW, 2)
        for _time in range(FAILURES):
            await world.fails()
            await world.after(1.0)
        await world.until(lambda: world.keeper.gate.fresh is None)
        await world.after(120)
        assert {name: hold.generation for name, hold in world.keeper.holds.items()} == before
        assert all(hold.state is BotState.LIVE for hold in world.keeper.holds.values())
        assert Trouble.RELEASE_REFUSED in codes(world)
        started = len(world.engine.started)
        world.may_run(NEW, 2)
        await world.after(600)
        assert len(world.engine.started) == started, "not tried again"
        world.may_run(NEWER, 3)
        assert (await world.beside("anna")) > before["anna"]


async def test_a_later_bot_that_does_not_come_to_life_keeps_its_old_container_and_stops_the_others(
    world: World,
) -> None:
    async with world.kept():
        await world.running(*BOTS, *(bot(f"dora{number}") for number in range(AT_ONCE)))
        old = world.hold("ben").generation
        world.may_run(NEW, 2)
        await world.handed_over("anna")
        await world.after(LIVED_SECONDS)
        for _time in range(FAILURES):
            await world.fails("ben", Code.INTERNAL)
            await world.after(1.0)
        await world.until(lambda: world.keeper.gate.stopped is not None)
        await world.handed_over("carl")
        for number in range(AT_ONCE - 2):
            await world.handed_over(f"dora{number}")
        started = len(world.engine.started)
        await world.after(600)
        assert len(world.engine.started) == started, "nobody follows, and who failed is not tried again"
        assert world.keeper.gate.stopped == Stopped(bot="ben", why=Code.INTERNAL)
        assert (world.hold("ben").generation, world.hold("ben").state) == (old, BotState.LIVE)
        there = images(world)
        assert {name for name, image in there.items() if image == NEW} == {"anna", "carl", "dora0", "dora1"}
        assert [line["bot"] for line in world.lines() if line["code"] == Trouble.RELEASE_STOPPED] == ["ben"]


async def test_a_node_that_is_restarted_after_a_stop_takes_nobody_back_and_tries_once_more(world: World) -> None:
    async with world.kept():
        await world.running(*BOTS)
        world.may_run(NEW, 2)
        await world.handed_over("anna")
        await world.after(LIVED_SECONDS)
        await world.handed_over("carl")
        for _time in range(FAILURES):
            await world.fails("ben")
            await world.after(1.0)
        await world.until(lambda: world.keeper.gate.stopped is not None)
    before = {name: hold.generation for name, hold in world.keeper.holds.items()}
    world.node_restarts()
    world.gateway.restart("two")
    await world.keeper.adopt()
    world.keeper.gate.good = FIRST
    world.may_run(NEW, 2)
    async with world.kept():
        world.want(*BOTS)
        await world.rest()
        await world.after(LIVED_SECONDS)
        assert {name: world.hold(name).generation for name in before} == before
        await world.handed_over("ben")
        await world.after(LIVED_SECONDS)
        await world.until(lambda: world.keeper.gate.fresh is None)
        assert images(world) == dict.fromkeys(before, NEW)
        assert {name: world.hold(name).generation for name in ("anna", "carl")} == {
            name: before[name] for name in ("anna", "carl")
        }


async def test_a_first_bot_that_died_with_the_new_image_comes_back_with_the_good_one(world: World) -> None:
    async with world.kept():
        await world.running(*BOTS)
        world.may_run(NEW, 2)
        after = await world.beside("anna")
        world.says(Code.READY, after, "anna")
        world.kill(world.hold("anna").generation, "anna")
        await world.until(lambda: world.hold("anna").generation == after)
        world.kill(after, "anna")
        await world.until(lambda: world.hold("anna").generation > after and world.hold("anna").running is not None)
        world.kill(world.hold("anna").generation, "anna")
        await world.rest()
        await world.after(2.0)
        await world.until(lambda: images(world).get("anna") == OLD)
        assert world.keeper.gate.refused == Refused(config=NEW, number=2)
        assert {images(world)[name] for name in ("ben", "carl")} == {OLD}


async def test_a_vault_that_is_away_speaks_against_no_release(world: World) -> None:
    async with world.kept():
        await world.running(*BOTS)
        world.may_run(NEW, 2)
        for _time in range(3):
            await world.fails("anna", Code.VAULT_UNREACHABLE)
            await world.after(60)
        assert world.keeper.gate.refused is None
        await world.handed_over("anna")
        assert images(world)["anna"] == NEW


async def test_going_back_by_hand_is_not_held_up_by_crashes_of_earlier_days(world: World) -> None:
    async with world.kept():
        await world.running()
        world.hold().blames(NEW, Trouble.CRASHING)
        world.hold().blames(NEW, Trouble.CRASHING)
        world.may_run(NEW, 2)
        await world.handed_over()
        await world.after(LIVED_SECONDS)
        await world.until(lambda: world.keeper.gate.good == release(config=NEW, number=2))


async def test_what_was_decided_is_told_so_that_it_outlives_node(world: World) -> None:
    told: list[News] = []
    world.keeper.settled = told.append
    async with world.kept():
        await world.running()
        world.may_run(NEW, 2)
        for _time in range(FAILURES):
            await world.fails()
            await world.after(1.0)
        await world.until(lambda: world.keeper.gate.fresh is None)
    assert told == [News.GOOD, News.REFUSED]
