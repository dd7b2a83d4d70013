"""One life of a bot follows another. Whatever crashes, and when: never two on the line, and never none for long."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from tests.support.engines import bot
from tests.support.keeper import World
from tests.support.node import DOOR, release

from clawmates.node.backoff import Backoff
from clawmates.node.engines.base import EngineError
from clawmates.node.events import Happening
from clawmates.node.hold import HANDOVER_SECONDS, READY_SECONDS
from clawmates.node.reconcile import Actual, Next, Step, Verb, Wanted, decide
from clawmates.node.tickets import VaultDownError
from clawmates.wire.boot import Boot
from clawmates.wire.codes import Code, Event, Trouble
from clawmates.wire.names import ChannelKind, ItemName
from clawmates.wire.status import BotState

if TYPE_CHECKING:
    from pathlib import Path

WANTED = Wanted(bot=bot(), shape="s2", door=DOOR, release=release())
RUNNING = Actual(
    shape="s1",
    leftover=True,
    door=DOOR,
    door_instance="one",
    ticketed=bot().items,
    channel="telegram",
    worth_keeping=True,
)
WAITING = replace(RUNNING, heir=Next(ready=False, until=150.0))


def verb(wanted: Wanted | Trouble | None, actual: Actual, *, gateway: str = "one", now: float = 100.0) -> Step:
    return decide(wanted, actual, gateway=gateway, can_start=True, now=now)


class TestDecisions:
    def test_a_new_shape_of_a_bot_that_is_well_is_a_life_beside_it(self) -> None:
        assert verb(WANTED, RUNNING).verb is Verb.REPLACE

    def test_one_that_is_not_well_is_started_anew(self) -> None:
        assert verb(WANTED, replace(RUNNING, worth_keeping=False)).verb is Verb.STOP

    def test_another_channel_has_other_people(self) -> None:
        assert verb(WANTED, replace(RUNNING, channel="terminal")).verb is Verb.STOP
        assert verb(WANTED, replace(RUNNING, channel="")).verb is Verb.STOP

    def test_a_console_ends_with_its_container(self) -> None:
        wanted = replace(WANTED, bot=bot(channel=ChannelKind.TERMINAL))
        assert verb(wanted, replace(RUNNING, channel="terminal")).verb is Verb.STOP

    def test_both_lives_are_told_the_same_before(self) -> None:
        newer = replace(WANTED, bot=bot(items={ItemName.CHANNEL_TOKEN: 2, ItemName.PROVIDER_KEY: 1}))
        assert verb(newer, RUNNING).verb is Verb.TICKET
        assert verb(WANTED, RUNNING, gateway="two").verb is Verb.DOOR

    def test_without_vault_or_gateway_what_runs_goes_on(self) -> None:
        without = replace(RUNNING, ticketed=None, tickets=Backoff(3, 130.0))
        assert verb(WANTED, without) == Step(look_again=130.0)
        assert verb(WANTED, RUNNING, gateway="") == Step()

    def test_without_the_image_the_door_is_kept_all_the_same(self) -> None:
        step = decide(WANTED, RUNNING, gateway="two", can_start=False, now=100.0)
        assert step.verb is Verb.DOOR
        assert decide(WANTED, RUNNING, gateway="one", can_start=False, now=100.0) == Step()

    def test_after_a_life_that_did_not_come_up_the_next_try_waits(self) -> None:
        failed = replace(RUNNING, successions=Backoff(3, 104.0))
        assert verb(WANTED, failed) == Step(look_again=104.0)
        assert verb(WANTED, failed, now=104.0).verb is Verb.REPLACE

    def test_while_two_live_nothing_else_is_replaced(self) -> None:
        assert verb(WANTED, WAITING) == Step(look_again=150.0)
        assert verb(WANTED, replace(WAITING, busy=True)) == Step()

    def test_a_gateway_that_restarts_meanwhile_gets_the_door(self) -> None:
        assert verb(WANTED, WAITING, gateway="two").verb is Verb.DOOR

    def test_when_the_first_has_ended_the_next_is_told(self) -> None:
        assert verb(WANTED, replace(WAITING, shape=None)).verb is Verb.PROMOTE
        assert verb(Trouble.RELEASE_UNSIGNED, replace(WAITING, shape=None)).verb is Verb.PROMOTE

    def test_one_that_is_not_ready_in_time_is_given_up(self) -> None:
        assert verb(WANTED, WAITING, now=150.0).verb is Verb.ABANDON

    def test_one_that_is_ready_is_not_kept_waiting_for_ever(self) -> None:
        assert verb(WANTED, replace(WAITING, heir=Next(ready=True, until=150.0)), now=150.0).verb is Verb.RETIRE

    @pytest.mark.parametrize("wanted", [None, Trouble.UNKNOWN_PROVIDER, Trouble.LEASE_ENDED])
    def test_a_bot_that_must_not_run_has_no_next_life(self, wanted: Trouble | None) -> None:
        assert verb(wanted, WAITING).verb is Verb.ABANDON
        assert verb(wanted, replace(WAITING, shape=None)).verb is Verb.ABANDON
        assert verb(wanted, replace(WAITING, heir=None)).verb is Verb.STOP

    def test_while_the_release_cannot_be_believed_both_go_on(self) -> None:
        assert verb(Trouble.RELEASE_UNSIGNED, WAITING) == Step(look_again=150.0)


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


def boot(world: World, generation: int) -> Boot:
    found = world.keeper.steps.boot.read("anna", generation)
    assert found is not None
    return found


async def two(world: World) -> tuple[int, int]:
    """A bot that is being replaced; both generations."""
    await world.running()
    before = world.hold().generation
    world.want(bot(restarts=1))
    return before, await world.beside()


def alive(world: World) -> set[str]:
    return {name for name, running in world.machine.containers.items() if running.pid}


def speaks(world: World) -> list[int]:
    """The lives that may be on the messenger's line, by their boot files."""
    lives = [int(name.rpartition("-")[2]) for name in alive(world)]
    return [life for life in lives if not boot(world, life).predecessor and world.keeper.steps.boot.noted("anna", life)]


async def test_the_next_life_stands_beside_the_first_and_follows_it(world: World) -> None:
    async with world.kept():
        before, after = await two(world)
        assert alive(world) == {f"mate-anna-{before}", f"mate-anna-{after}"}
        assert boot(world, after).predecessor == before
        assert boot(world, after).ticket is not None
        assert boot(world, before).generation == before, "each has a folder of its own"
        specs = world.machine.specs.values()
        assert len({spec.uid_first for spec in specs}) == 1, "the door knows both"
        assert (world.hold().state, world.hold().generation) == (BotState.LIVE, before)
        assert speaks(world) == [before]
        world.says(Code.READY, after)
        world.kill(before)
        await world.until(lambda: world.hold().generation == after)
        assert boot(world, after).predecessor == 0
        assert boot(world, after).ticket is not None, "unless it has been used"
        assert world.hold().restarts == 1
        assert world.hold().starts == Backoff(), "and nobody crashed"
        await world.rest()
        assert list(world.machine.containers) == [f"mate-anna-{after}"]
        assert speaks(world) == [after]
        assert world.keeper.steps.boot.lives("anna") == (after,)
        assert {Happening.REPLACING, Happening.REPLACED} <= {line["code"] for line in world.lines()}


async def test_a_weak_next_life_is_killed_and_the_first_never_noticed(world: World) -> None:
    async with world.kept():
        await world.running()
        before, calls = world.hold().generation, list(world.vault.requests)
        world.weak = True
        world.want(bot(restarts=1))
        await world.until(lambda: world.hold().successions.failures >= 2)
        await world.rest()
        assert alive(world) == {f"mate-anna-{before}"}
        assert (world.hold().state, world.hold().code) == (BotState.LIVE, "")
        assert world.hold().last == Trouble.ISOLATION_WEAK
        assert len(world.vault.requests) == len(calls) + 2, "the first retry is at once, the next waits"
        world.weak = False
        await world.after(1.0)
        await world.handed_over()


async def test_a_vault_that_is_down_keeps_the_first_alive(world: World) -> None:
    async with world.kept():
        await world.running()
        before = world.hold().generation
        world.vault.failing = VaultDownError()
        world.want(bot(restarts=1))
        await world.until(lambda: world.hold().successions.failures >= 2)
        assert alive(world) == {f"mate-anna-{before}"}
        assert world.hold().state is BotState.LIVE
        world.vault.failing = None
        await world.after(60)
        await world.handed_over()


async def test_an_engine_that_fails_keeps_the_first_alive(world: World) -> None:
    async with world.kept():
        await world.running()
        before = world.hold().generation
        world.engine.failing = EngineError()
        world.want(bot(restarts=1))
        await world.until(lambda: world.hold().successions.failures >= 2)
        await world.rest()
        assert alive(world) == {f"mate-anna-{before}"}
        world.engine.failing = None
        await world.after(60)
        await world.handed_over()


async def test_a_next_life_that_dies_before_its_time_is_tried_again(world: World) -> None:
    async with world.kept():
        before, _after = await two(world)
        after = await world.fails("anna", Code.BAD_TOKEN)
        assert world.hold().state is BotState.LIVE, "what the next life says is not said of this one"
        assert world.hold().last == Code.BAD_TOKEN
        assert speaks(world) == [before]
        assert await world.handed_over() > after
        assert Trouble.NOT_REPLACED in {line["code"] for line in world.lines()}


async def test_a_first_life_that_crashes_meanwhile_leaves_the_next_one_alone(world: World) -> None:
    async with world.kept():
        before, after = await two(world)
        world.kill(before)
        await world.until(lambda: world.hold().generation == after)
        await world.rest()
        assert speaks(world) == [after]
        assert len(world.engine.started) == 2, "nothing else was started"


async def test_a_first_life_that_crashes_while_the_next_one_starts(world: World) -> None:
    async with world.kept():
        await world.running()
        before, sound = world.hold().generation, world.keeper.steps.look

        def look(spec: object, running: object) -> object:
            if world.machine.containers[f"mate-anna-{before}"].pid:
                world.kill(before)
            return sound(spec, running)  # type: ignore[arg-type]

        world.keeper.steps.look = look  # type: ignore[assignment]
        world.want(bot(restarts=1))
        await world.until(lambda: world.hold().generation > before)
        await world.rest()
        assert speaks(world) == [world.hold().generation]
        assert len(alive(world)) == 1


async def test_both_die(world: World) -> None:
    async with world.kept():
        before, after = await two(world)
        world.kill(after)
        world.kill(before)
        await world.until(lambda: world.hold().generation > after and world.hold().ticketed is not None)
        await world.rest()
        assert speaks(world) == [world.hold().generation]
        assert len(alive(world)) == 1


async def test_one_that_never_becomes_ready_is_given_up(world: World) -> None:
    async with world.kept():
        before, after = await two(world)
        await world.after(READY_SECONDS - 0.1)
        assert alive(world) == {f"mate-anna-{before}", f"mate-anna-{after}"}
        world.engine.failing = EngineError()
        await world.after(0.1)
        await world.until(lambda: world.hold().heir is None)
        assert alive(world) == {f"mate-anna-{before}"}
        assert Trouble.NOT_REPLACED in {line["code"] for line in world.lines()}
        assert (world.hold().state, world.hold().code) == (BotState.LIVE, "")


async def test_a_first_life_that_does_not_hand_over_is_ended_when_the_next_is_ready(world: World) -> None:
    """An image from before this was built, or one that hangs: the change comes all the same."""
    async with world.kept():
        before, after = await two(world)
        world.says(Code.READY, after)
        await world.rest()
        await world.after(READY_SECONDS)
        assert f"mate-anna-{before}" in alive(world)
        await world.after(HANDOVER_SECONDS - READY_SECONDS)
        await world.until(lambda: world.hold().generation == after)
        assert speaks(world) == [after]


@pytest.mark.parametrize("wanted", ["gone", "paused"])
async def test_a_bot_that_is_taken_away_meanwhile_goes_with_both_lives(world: World, wanted: str) -> None:
    async with world.kept():
        await two(world)
        if wanted == "gone":
            world.want()
        else:
            world.want(bot(paused=True))
        await world.until(lambda: not world.machine.containers and not world.gateway.doors)
        await world.rest()
        assert not (world.run.boot / "anna").exists()
        assert not (world.run.node.parent / "bots" / "anna").exists()


async def test_halting_ends_both(world: World) -> None:
    async with world.kept() as keeper:
        await two(world)
        await keeper.halt()
        assert world.machine.containers == {}


async def test_a_lease_that_ends_ends_both(world: World) -> None:
    async with world.kept():
        await two(world)
        world.renewed()
        await world.until(lambda: not world.machine.containers)


async def test_a_gateway_that_restarts_meanwhile_changes_nothing(world: World) -> None:
    async with world.kept():
        before, after = await two(world)
        world.gateway.fall()
        await world.until(lambda: world.keeper.instance == "")
        world.gateway.restart("two")
        await world.until(lambda: "anna" in world.gateway.doors)
        assert alive(world) == {f"mate-anna-{before}", f"mate-anna-{after}"}
        await world.handed_over()


async def test_a_change_that_is_changed_again_meanwhile_comes_after(world: World) -> None:
    async with world.kept():
        _before, after = await two(world)
        world.want(bot(restarts=2))
        await world.rest()
        assert await world.handed_over() == after
        assert await world.handed_over() > after


async def test_the_life_that_runs_gets_its_own_ticket_while_another_waits(world: World) -> None:
    async with world.kept():
        before, after = await two(world)
        world.gateway.say("anna", Event(code=Code.OPENED, number=boot(world, after).mark, life=after))
        await world.until(lambda: boot(world, after).ticket is None)
        items = {ItemName.CHANNEL_TOKEN: 1, ItemName.PROVIDER_KEY: 2}
        world.want(bot(restarts=1, items=items))
        await world.until(lambda: len(world.vault.requests) == 3 and not world.hold().busy)
        assert boot(world, before).ticket is not None
        assert boot(world, after).ticket is None
        assert boot(world, after).predecessor == before
        assert [request.generation for request in world.vault.requests][-1] == before


async def test_the_words_of_a_life_that_is_over_are_not_heard(world: World) -> None:
    async with world.kept():
        before, _after = await two(world)
        await world.handed_over()
        world.says(Code.BAD_KEY, before)
        world.says(Code.TICKET_REFUSED, before)
        await world.rest()
        assert world.hold().state is BotState.LIVE


async def restarted(world: World) -> None:
    world.node_restarts()
    await world.keeper.adopt()


class TestANodeThatRestarts:
    async def test_finds_both_and_lets_them_go_on(self, world: World) -> None:
        async with world.kept():
            before, after = await two(world)
        await restarted(world)
        async with world.kept():
            world.may_run()
            world.want(bot(restarts=1))
            await world.rest()
            assert alive(world) == {f"mate-anna-{before}", f"mate-anna-{after}"}
            assert world.hold().generation == before
            assert await world.handed_over() == after
            await world.until(lambda: world.hold().checked)

    async def test_finds_the_first_gone_and_tells_the_next(self, world: World) -> None:
        async with world.kept():
            before, after = await two(world)
        world.kill(before)
        await restarted(world)
        async with world.kept():
            world.may_run()
            world.want(bot(restarts=1))
            await world.until(lambda: world.hold().generation == after)
            await world.rest()
            assert speaks(world) == [after]
            assert list(world.machine.containers) == [f"mate-anna-{after}"]

    async def test_finds_one_that_had_no_ticket_yet_and_keeps_the_first(self, world: World) -> None:
        async with world.kept():
            before, after = await two(world)
        (world.run.node.parent / "bots" / "anna" / f"{after}.json").unlink()
        await restarted(world)
        assert alive(world) == {f"mate-anna-{before}"}
        async with world.kept():
            world.may_run()
            world.want(bot(restarts=1))
            assert await world.handed_over() > after

    async def test_finds_only_one_that_had_no_ticket_and_starts_anew(self, world: World) -> None:
        async with world.kept():
            before, after = await two(world)
        (world.run.node.parent / "bots" / "anna" / f"{after}.json").unlink()
        world.kill(before)
        await restarted(world)
        assert alive(world) == set()
        async with world.kept():
            world.may_run()
            world.want(bot(restarts=1))
            await world.until(lambda: world.hold().generation > after and world.hold().ticketed is not None)

    async def test_finds_the_next_one_told_already_and_clears_the_first_away(self, world: World) -> None:
        async with world.kept():
            before, after = await two(world)
        world.keeper.steps.crown("anna", after, 0)
        await restarted(world)
        assert alive(world) == {f"mate-anna-{after}"}
        assert before != world.hold().generation == after

    async def test_hears_again_that_the_next_one_is_ready(self, world: World) -> None:
        async with world.kept():
            _before, after = await two(world)
            world.says(Code.READY, after)
            await world.rest()
        await restarted(world)
        async with world.kept():
            world.may_run()
            world.want(bot(restarts=1))

            def ready() -> bool:
                heir = world.hold().heir
                return heir is not None and heir.ready

            await world.until(ready)
