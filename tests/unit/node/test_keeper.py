from __future__ import annotations

import asyncio
import math
from dataclasses import fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from tests.support.engines import bot
from tests.support.keeper import World
from tests.support.node import IMAGE, release

from clawmates.node import hold, keeper
from clawmates.node.engines.base import EngineError
from clawmates.node.engines.fake import facts_as_asked
from clawmates.node.events import Happening
from clawmates.node.leases import Leases
from clawmates.node.reconcile import Actual, Step, Wanted, decide
from clawmates.node.tickets import BotFrozenError, TicketDeniedError, VaultDownError
from clawmates.wire.codes import LASTING, PASSING, REMEDY, Code, Event, Trouble
from clawmates.wire.desired import Limits
from clawmates.wire.leases import Lease
from clawmates.wire.names import ItemName
from clawmates.wire.status import BotState

if TYPE_CHECKING:
    from clawmates.node.engines.base import ContainerSpec, Running
    from clawmates.node.facts import Facts


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


async def test_a_bot_is_started_ticketed_and_live(world: World) -> None:
    async with world.kept():
        await world.running()
        assert [spec.image for spec in world.engine.started] == [IMAGE]
        assert world.boot()["ticket"] == f"ticket-anna-{world.hold().generation}-1"
        assert world.gateway.doors["anna"].uid_first == 1_000_000_000
        assert (world.hold().state, world.hold().code, world.hold().username) == (BotState.LIVE, "", "some_bot")


async def test_the_ticket_is_written_only_after_the_read_back(world: World) -> None:
    seen: list[object] = []
    sound = world._look

    def look(spec: ContainerSpec, running: Running) -> Facts:
        seen.append(world.boot()["ticket"])
        return sound(spec, running)

    world.keeper.steps.look = look
    async with world.kept():
        await world.running()
    assert seen == [None]


async def test_a_weak_container_is_killed_shown_and_given_nothing(world: World) -> None:
    world.weak = True
    async with world.kept():
        world.may_run()
        world.want(bot())
        await world.until(lambda: "anna" in world.keeper.holds and world.hold().state is BotState.REFUSED)
        await world.rest()
        assert world.hold().code == Trouble.ISOLATION_WEAK
        assert [one.name for one in world.hold().findings if not one.ok] == ["seccomp"]
        assert world.machine.containers == {}
        assert world.boot()["ticket"] is None
        assert len(world.engine.started) == 2, "the first retry is immediate, the next waits"
        world.weak = False
        await world.after(1.0)
        assert world.boot()["ticket"] is not None


async def test_two_bots_never_share_uids(world: World) -> None:
    async with world.kept():
        await world.running(bot("anna"), bot("ben"))
        first = {door.uid_first for door in world.gateway.doors.values()}
        assert first == {1_000_000_000, 1_000_001_024}


async def test_a_slot_is_given_again_only_when_its_bot_is_gone(world: World) -> None:
    async with world.kept():
        await world.running(bot("anna"), bot("ben"))
        world.want(bot("ben"), bot("carl"))
        await world.until(lambda: "anna" not in world.keeper.holds and "carl" in world.gateway.doors)
        world.want(bot("ben"), bot("carl"), bot("dora"))
        await world.until(lambda: "dora" in world.gateway.doors)
        slots = {name: hold.slot for name, hold in world.keeper.holds.items()}
        assert len(set(slots.values())) == 3
        assert slots["dora"] == 0


async def test_a_crash_is_answered_at_once_and_then_with_growing_pauses(world: World) -> None:
    async with world.kept():
        await world.running()
        for pause in (0.0, 1.0, 2.0, 4.0):
            world.engine.kill(next(name for name, one in world.machine.containers.items() if one.pid))
            await world.rest()
            if pause:
                assert world.hold().running is None
                assert (world.hold().state, world.hold().code) == (BotState.BACKING_OFF, Trouble.CRASHING)
                await world.after(pause - 0.01)
                assert world.hold().running is None
                await world.after(0.01)
            assert world.hold().running is not None
        assert world.hold().restarts == 4
        assert len(world.machine.containers) == 1, "the remains of each crash are removed"


async def test_each_start_has_a_generation_and_a_ticket_of_its_own(world: World) -> None:
    async with world.kept():
        await world.running()
        before = world.hold().generation
        world.engine.kill(f"mate-anna-{before}")
        await world.until(lambda: world.hold().generation > before and world.hold().ticketed is not None)
        assert world.boot()["ticket"] == f"ticket-anna-{world.hold().generation}-2"
        assert [one.generation for one in world.vault.requests] == [before, world.hold().generation]


async def test_what_the_mate_said_last_is_a_better_reason_than_that_it_died(world: World) -> None:
    async with world.kept():
        await world.running()
        world.hold().starts = world.hold().starts.failed(world.clock.seconds, 1.0)
        world.gateway.say("anna", Event(code=Code.BAD_TOKEN))
        await world.until(lambda: world.hold().code == Code.BAD_TOKEN)
        assert world.hold().state is BotState.DEGRADED
        world.engine.kill(f"mate-anna-{world.hold().generation}")
        await world.until(lambda: world.hold().running is None)
        assert (world.hold().state, world.hold().code) == (BotState.BACKING_OFF, Code.BAD_TOKEN)


async def test_last_words_that_come_after_the_death_are_heard(world: World) -> None:
    async with world.kept():
        await world.running()
        world.hold().starts = world.hold().starts.failed(world.clock.seconds, 1.0)
        world.engine.kill(f"mate-anna-{world.hold().generation}")
        await world.until(lambda: world.hold().running is None)
        world.gateway.say("anna", Event(code=Code.BAD_KEY))
        await world.until(lambda: world.hold().code == Code.BAD_KEY)
        assert world.hold().state is BotState.BACKING_OFF


async def test_a_mate_that_recovers_is_live_again(world: World) -> None:
    async with world.kept():
        await world.running()
        world.gateway.say("anna", Event(code=Code.PROVIDER_UNREACHABLE))
        await world.until(lambda: world.hold().state is BotState.DEGRADED)
        world.gateway.say("anna", Event(code=Code.LIVE))
        await world.until(lambda: world.hold().state is BotState.LIVE)
        assert world.hold().code == ""


@pytest.mark.parametrize("code", sorted(PASSING))
async def test_what_went_wrong_with_one_message_is_an_event_and_no_state(world: World, code: Code) -> None:
    async with world.kept():
        await world.running()
        world.gateway.say("anna", Event(code=code))
        await world.until(lambda: world.hold().last == code)
        shown = world.hold().shown(bot(), 0)
        assert (shown.state, shown.code, shown.last) == (BotState.LIVE, "", code)
        assert shown.last_at
        world.hold().starts = world.hold().starts.failed(world.clock.seconds, 1.0)
        world.engine.kill(f"mate-anna-{world.hold().generation}")
        await world.until(lambda: world.hold().running is None)
        world.gateway.say("anna", Event(code=code))
        await world.rest()
        assert world.hold().code == Trouble.CRASHING, "and no reason why it died"


@pytest.mark.parametrize("code", sorted(LASTING - {Code.TICKET_REFUSED, Code.VAULT_UNREACHABLE, Code.BOOT_INVALID}))
async def test_what_is_wrong_with_the_bot_stays_until_it_is_live_again(world: World, code: Code) -> None:
    async with world.kept():
        await world.running()
        world.gateway.say("anna", Event(code=code))
        await world.until(lambda: world.hold().state is BotState.DEGRADED)
        world.gateway.say("anna", Event(code=Code.PERSON_UNREACHABLE))
        await world.until(lambda: world.hold().last == Code.PERSON_UNREACHABLE)
        assert (world.hold().state, world.hold().code) == (BotState.DEGRADED, code)
        world.gateway.say("anna", Event(code=Code.LIVE))
        await world.until(lambda: world.hold().state is BotState.LIVE)
        assert world.hold().code == ""


def test_every_code_is_a_moment_of_life_or_lasts_or_passes() -> None:
    life = {Code.STARTING, Code.OPENED, Code.READY, Code.LIVE, Code.STOPPING, Code.TICKET_WANTED}
    assert life | PASSING | LASTING == set(Code)
    assert len(life) + len(PASSING) + len(LASTING) == len(Code)
    assert set(REMEDY) >= PASSING | LASTING


async def test_a_mate_that_wants_a_ticket_gets_one_and_nothing_is_wrong_with_it(world: World) -> None:
    async with world.kept():
        await world.running()
        world.gateway.say("anna", Event(code=Code.LIVE))
        await world.until(lambda: world.hold().state is BotState.LIVE)
        for count in (2, 3):
            world.gateway.say("anna", Event(code=Code.TICKET_WANTED))
            await world.until(lambda: len(world.vault.requests) == count)  # noqa: B023 - asked at once
            assert (world.hold().state, world.hold().code) == (BotState.LIVE, "")
            await world.after(60)


async def test_one_that_wants_tickets_without_end_waits_longer_each_time(world: World) -> None:
    async with world.kept():
        await world.running()
        for _ in range(20):
            world.gateway.say("anna", Event(code=Code.TICKET_WANTED))
            await world.rest()
        assert len(world.vault.requests) <= 3
        assert world.hold().tickets.ready_at > world.clock.monotonic() + 10


async def test_before_the_first_look_at_the_release_a_bot_is_starting(world: World) -> None:
    async with world.kept():
        world.want(bot())
        await world.until(lambda: "anna" in world.keeper.holds)
        await world.rest()
        assert (world.hold().state, world.hold().code) == (BotState.STARTING, "")
        world.keeper.may_run(Trouble.RELEASE_MISSING, "")
        await world.until(lambda: world.hold().code == Trouble.RELEASE_MISSING)
        assert world.hold().state is BotState.REFUSED


async def test_a_spent_ticket_leaves_the_folder_and_a_new_version_brings_a_new_one(world: World) -> None:
    async with world.kept():
        await world.running()
        generation = world.hold().generation
        world.gateway.say("anna", world.opened())
        await world.until(lambda: world.boot()["ticket"] is None)
        assert world.boot()["generation"] == generation
        assert len(world.vault.requests) == 1, "a spent ticket is no reason for a new one"
        world.want(bot(items={ItemName.CHANNEL_TOKEN: 2, ItemName.PROVIDER_KEY: 1}))
        await world.until(lambda: world.boot()["ticket"] == f"ticket-anna-{generation}-2")
        world.gateway.say("anna", world.opened())
        await world.until(lambda: world.boot()["ticket"] is None)


async def test_word_of_an_older_ticket_leaves_the_new_one_alone(world: World) -> None:
    """It comes late, or again: a node that was restarted hears all that the gateway remembers."""
    async with world.kept():
        await world.running()
        old = world.opened()
        world.gateway.say("anna", old)
        await world.until(lambda: world.boot()["ticket"] is None)
        world.engine.kill(f"mate-anna-{world.hold().generation}")
        await world.until(lambda: world.boot()["ticket"] is not None)
        world.gateway.say("anna", old)
        world.gateway.say("anna", Event(code=Code.LIVE))
        await world.until(lambda: world.hold().state is BotState.LIVE)
        assert world.boot()["ticket"] == f"ticket-anna-{world.hold().generation}-2"


async def test_a_node_that_was_restarted_takes_a_spent_ticket_away_too(world: World) -> None:
    async with world.kept():
        await world.running()
        said = world.opened()
    world.node_restarts()
    await world.keeper.adopt()
    async with world.kept():
        world.may_run()
        world.want(bot())
        world.gateway.say("anna", said)
        await world.until(lambda: world.boot()["ticket"] is None)
        await world.rest()
        assert len(world.vault.requests) == 1


async def test_a_frozen_bot_says_so_and_starts_by_itself_once_it_is_let_go(world: World) -> None:
    world.vault.failing = BotFrozenError()
    async with world.kept():
        world.may_run()
        world.want(bot())
        await world.until(lambda: "anna" in world.keeper.holds and world.hold().code == Trouble.FROZEN)
        assert world.hold().state is BotState.REFUSED
        assert "clawmates vault unfreeze" in REMEDY[Trouble.FROZEN]
        await world.rest()
        asked = len(world.vault.requests)
        await world.after(60)
        assert len(world.vault.requests) == asked + 1, "asked now and then, and no container for it"
        assert len(world.engine.started) <= 1
        world.vault.failing = None
        world.renewed(Lease(bot="anna", seconds=None, frozen=False))
        await world.until(lambda: world.hold().running is not None)
        assert world.hold().code == ""


async def test_a_bot_that_is_frozen_while_it_runs_says_so_until_it_is_let_go(world: World) -> None:
    async with world.kept():
        await world.running()
        world.renewed(Lease(bot="anna", seconds=None, frozen=True))
        assert (world.hold().state, world.hold().code) == (BotState.DEGRADED, Trouble.FROZEN)
        world.renewed(Lease(bot="anna", seconds=None, frozen=False))
        assert (world.hold().state, world.hold().code) == (BotState.LIVE, "")
    assert Trouble.FROZEN in {line["code"] for line in world.lines()}


async def test_a_bot_whose_lease_has_ended_is_stopped_and_comes_back_with_a_new_one(world: World) -> None:
    async with world.kept():
        await world.running(bot("anna"), bot("ben"))
        world.renewed(Lease(bot="anna", seconds=90, frozen=False), Lease(bot="ben", seconds=None, frozen=False))
        world.renewed()
        await world.until(lambda: not world.hold().leftover and world.hold().code == Trouble.LEASE_ENDED)
        assert world.hold().state is BotState.REFUSED
        assert world.hold("ben").running is not None
        await world.after(600)
        assert world.hold().running is None
        world.renewed(Lease(bot="anna", seconds=90, frozen=False))
        await world.until(lambda: world.hold().running is not None)


async def test_a_vault_that_is_away_ends_no_lease_before_its_own_seconds_are_over(world: World) -> None:
    async with world.kept():
        await world.running()
        world.vault.failing = VaultDownError()
        world.renewed(Lease(bot="anna", seconds=90, frozen=False))
        await world.after(89.9)
        assert world.hold().state is BotState.LIVE
        await world.after(0.1)
        await world.until(lambda: world.hold().running is None)
        assert world.hold().code == Trouble.LEASE_ENDED


async def test_an_endless_lease_outlives_every_silence(world: World) -> None:
    async with world.kept():
        await world.running()
        world.renewed(Lease(bot="anna", seconds=None, frozen=False))
        await world.after(10**9)
        assert world.hold().running is not None


async def test_a_lease_ends_also_while_the_release_cannot_be_believed(world: World) -> None:
    async with world.kept():
        await world.running()
        world.keeper.may_run(Trouble.RELEASE_UNSIGNED, "")
        world.renewed(Lease(bot="anna", seconds=5, frozen=False))
        await world.after(5)
        await world.until(lambda: world.hold().running is None)


async def test_a_node_that_was_restarted_while_the_vault_is_away_remembers_leases(world: World) -> None:
    async with world.kept():
        await world.running()
        world.renewed(Lease(bot="anna", seconds=90, frozen=False))
    world.node_restarts()
    await world.keeper.adopt()
    async with world.kept():
        world.may_run()
        world.want(bot())
        await world.rest()
        assert world.hold().running is not None
        await world.after(90)
        await world.until(lambda: world.hold().running is None)
        world.want()
        await world.until(lambda: "anna" not in world.keeper.holds)
        assert Leases.open(world.run.node.parent / "leases.json").ends("anna") == math.inf


async def test_what_a_mate_had_written_at_its_start_is_shown_and_survives_node(world: World) -> None:
    async with world.kept():
        await world.running()
        assert world.hold().shown(bot(), 0).written_at_start == 20_480
    world.node_restarts()
    world.written = 99_999
    await world.keeper.adopt()
    async with world.kept():
        world.may_run()
        world.want(bot(items={ItemName.CHANNEL_TOKEN: 2, ItemName.PROVIDER_KEY: 1}))
        await world.until(lambda: world.hold().checked and len(world.vault.requests) == 2)
        await world.until(lambda: not world.hold().busy)
        assert world.hold().written == 20_480, "not what it had written when it was adopted"
    noted = world.keeper.steps.boot.noted("anna", world.hold().generation)
    assert noted is not None
    assert noted.written == 20_480


async def test_a_raised_restart_count_restarts(world: World) -> None:
    async with world.kept():
        await world.running()
        before = world.hold().generation
        world.want(bot(restarts=1))
        await world.handed_over()
        await world.rest()
        assert world.hold().generation > before
        assert list(world.machine.containers) == [f"mate-anna-{world.hold().generation}"]


async def test_a_new_digest_replaces_only_once_it_is_loaded(world: World) -> None:
    other = "sha256:" + "b" * 64
    async with world.kept():
        await world.running()
        world.keeper.may_run(Trouble.IMAGE_MISSING, "")
        await world.rest()
        assert world.engine.stopped == []
        world.machine.images.add(other)
        world.keeper.may_run(release(config=other, number=2), other)
        await world.handed_over()
        await world.until(lambda: [one.image for one in world.machine.containers.values()] == [other])


async def test_a_new_item_version_means_a_new_ticket_and_no_restart(world: World) -> None:
    async with world.kept():
        await world.running()
        generation = world.hold().generation
        world.want(bot(items={ItemName.CHANNEL_TOKEN: 2, ItemName.PROVIDER_KEY: 1}))
        await world.until(lambda: dict(world.gateway.doors["anna"].config.items)[ItemName.CHANNEL_TOKEN] == 2)
        assert world.boot()["ticket"] == f"ticket-anna-{generation}-2"
        assert world.hold().generation == generation
        assert len(world.engine.started) == 1


async def test_a_new_model_reaches_the_mate_with_a_higher_revision(world: World) -> None:
    async with world.kept():
        await world.running()
        before = world.gateway.doors["anna"].config.revision
        world.revision -= 1  # whoever wrote the file forgot to raise it
        world.want(bot(model="gpt-5.4-mini", limits=Limits(messages_per_day=5)))
        await world.until(lambda: world.gateway.doors["anna"].config.model == "gpt-5.4-mini")
        assert world.gateway.doors["anna"].config.revision > before
        assert world.gateway.doors["anna"].limits.messages_per_day == 5
        assert len(world.engine.started) == 1


async def test_a_revision_that_changes_nothing_changes_nothing(world: World) -> None:
    async with world.kept():
        await world.running()
        calls = list(world.gateway.calls)
        world.want(bot())
        await world.rest()
        assert world.gateway.calls == calls


@pytest.mark.parametrize("code", [Code.TICKET_REFUSED, Code.VAULT_UNREACHABLE])
async def test_a_ticket_that_did_not_work_is_replaced_and_not_in_a_hot_loop(world: World, code: Code) -> None:
    async with world.kept():
        await world.running()
        for count in (2, 3):
            world.gateway.say("anna", Event(code=code))
            await world.rest()
            if count == 3:
                assert len(world.vault.requests) == 2
                await world.after(1.0)
            assert len(world.vault.requests) == count
            assert world.boot()["ticket"] == f"ticket-anna-{world.hold().generation}-{count}"


async def test_a_paused_bot_stops_and_its_folders_go(world: World) -> None:
    async with world.kept():
        await world.running()
        world.want(bot(paused=True))
        await world.until(lambda: not world.hold().leftover)
        assert world.machine.containers == {}
        assert world.gateway.doors == {}
        assert not (world.run.boot / "anna").exists()
        assert not (world.run.doors / "anna").exists()
        assert world.hold().shown(bot(paused=True), 0).state is BotState.PAUSED
        calls = list(world.gateway.calls)
        await world.after(120)
        assert world.gateway.calls == calls
        world.want(bot())
        await world.until(lambda: world.hold().running is not None)


async def test_a_removed_bot_is_forgotten(world: World) -> None:
    async with world.kept():
        await world.running(bot("anna"), bot("ben"))
        world.want(bot("ben"))
        await world.until(lambda: "anna" not in world.keeper.holds)
        assert set(world.gateway.doors) == {"ben"}
        assert [one.labels["clawmates.bot"] for one in world.machine.containers.values()] == ["ben"]


async def test_an_invalid_document_leaves_the_last_good_one_in_force(world: World) -> None:
    async with world.kept():
        await world.running()
        world.keeper.wants(Trouble.DESIRED_INVALID)
        await world.rest()
        assert world.hold().running is not None
        assert world.keeper.desired_trouble is Trouble.DESIRED_INVALID
        world.want(bot())
        assert world.keeper.desired_trouble is None


async def test_before_the_first_good_document_nothing_is_touched(world: World) -> None:
    async with world.kept():
        await world.running()
    world.node_restarts()
    await world.keeper.adopt()
    async with world.kept():
        world.may_run()
        world.keeper.wants(Trouble.DESIRED_INVALID)
        await world.rest()
        assert len(world.machine.containers) == 1


@pytest.mark.parametrize(
    ("changes", "trouble"),
    [({"provider": "nobody"}, Trouble.UNKNOWN_PROVIDER), ({"model": "none"}, Trouble.UNKNOWN_MODEL)],
)
async def test_unknown_names_are_refused_with_a_code(world: World, changes: dict[str, str], trouble: Trouble) -> None:
    async with world.kept():
        world.may_run()
        world.want(bot(**changes))
        await world.until(lambda: "anna" in world.keeper.holds and world.hold().code == trouble)
        assert world.hold().state is BotState.REFUSED
        assert world.engine.started == []
        world.want(bot())
        await world.until(lambda: world.hold().running is not None)


async def test_vault_down_running_bots_go_on_and_new_ones_wait(world: World) -> None:
    async with world.kept():
        await world.running()
        world.vault.failing = VaultDownError()
        world.want(bot("anna"), bot("ben"))
        await world.until(lambda: "ben" in world.keeper.holds and world.hold("ben").code == Trouble.VAULT_DOWN)
        await world.rest()
        assert world.hold("anna").state is BotState.LIVE
        assert world.hold("ben").state is BotState.BACKING_OFF
        started = len(world.engine.started)
        await world.after(60)
        assert len(world.engine.started) == started, "no container is started for a vault that is known to be down"
        assert len(world.machine.containers) == 1
        world.vault.failing = None
        await world.after(60)
        assert world.hold("ben").running is not None


async def test_a_denied_ticket_is_shown(world: World) -> None:
    world.vault.failing = TicketDeniedError()
    async with world.kept():
        world.may_run()
        world.want(bot())
        await world.until(lambda: "anna" in world.keeper.holds and world.hold().code == Trouble.TICKET_DENIED)
        assert world.hold().state is BotState.REFUSED


async def test_a_restarted_gateway_gets_every_door_again(world: World) -> None:
    async with world.kept():
        await world.running(bot("anna"), bot("ben"))
        world.gateway.fall()
        await world.until(lambda: world.keeper.instance == "")
        assert world.machine.containers.keys() == {one.name for one in world.engine.started}
        world.gateway.restart("two")
        await world.until(lambda: set(world.gateway.doors) == {"anna", "ben"})
        assert len(world.engine.started) == 2


async def test_while_the_gateway_is_down_new_bots_wait_and_say_so(world: World) -> None:
    world.gateway.fall()
    async with world.kept():
        world.may_run()
        world.want(bot())
        await world.until(lambda: "anna" in world.keeper.holds and world.hold().code == Trouble.GATEWAY_DOWN)
        assert world.engine.started == []
        world.gateway.restart("two")
        await world.until(lambda: world.hold().running is not None)


async def test_a_door_nobody_wants_is_closed(world: World) -> None:
    async with world.kept():
        await world.running(bot("anna"), bot("ben"))
    world.node_restarts()
    world.machine.containers.clear()
    await world.keeper.adopt()
    async with world.kept():
        world.may_run()
        world.want(bot("ben"))
        await world.until(lambda: set(world.gateway.doors) == {"ben"} and "anna" not in world.keeper.holds)


async def test_a_restarted_node_adopts_without_a_restart_or_a_new_ticket(world: World) -> None:
    async with world.kept():
        await world.running()
        name = next(iter(world.machine.containers))
    world.node_restarts()
    await world.keeper.adopt()
    async with world.kept():
        world.may_run()
        world.want(bot())
        await world.until(lambda: world.hold().checked)
        await world.rest()
        assert list(world.machine.containers) == [name]
        assert len(world.vault.requests) == 1
        assert world.hold().state is BotState.LIVE
        assert world.hold().findings
        world.engine.kill(name)
        await world.until(lambda: world.hold().restarts == 1)


async def test_a_mate_is_not_looked_at_while_it_starts_and_hardens_itself(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    glances: list[int] = []
    looks: list[int] = []

    def hardened(_spec: ContainerSpec, _running: Running) -> bool:
        glances.append(len(looks))
        return len(glances) > 5

    def look(spec: ContainerSpec, _running: Running) -> Facts:
        looks.append(len(glances))
        facts = facts_as_asked(spec)
        return facts if len(glances) > 5 else replace(facts, environ_owner=facts.environ_owner + 1000)

    steps = world.keeper.steps
    steps.look, steps.hardened, steps.settle_seconds = look, hardened, 60.0
    monkeypatch.setattr("clawmates.node.steps.LOOK_SECONDS", 0.0)
    monkeypatch.setattr("clawmates.node.steps.GLANCE_SECONDS", 0.0)
    async with world.kept():
        await world.running()
    assert (looks, glances) == ([0, 6], [1] * 6)


async def test_an_adopted_container_that_has_become_weak_is_killed(world: World) -> None:
    async with world.kept():
        await world.running()
    world.node_restarts()
    await world.keeper.adopt()
    world.weak = True
    async with world.kept():
        world.may_run()
        world.want(bot())
        await world.until(lambda: world.hold().code == Trouble.ISOLATION_WEAK)
        await world.rest()
        assert world.machine.containers == {}


async def test_a_crash_between_start_and_ticket_is_healed_by_a_ticket(world: World) -> None:
    async with world.kept():
        await world.running()
    (world.run.node.parent / "bots" / "anna" / f"{world.hold().generation}.json").unlink()
    world.node_restarts()
    await world.keeper.adopt()
    async with world.kept():
        world.may_run()
        world.want(bot())
        await world.until(lambda: world.hold().ticketed is not None)
        assert len(world.vault.requests) == 2
        assert len(world.machine.containers) == 1


async def test_leftovers_are_cleared_away(world: World) -> None:
    async with world.kept():
        await world.running(bot("anna"), bot("ben"))
        dead, alive = (next(n for n in world.machine.containers if who in n) for who in ("anna", "ben"))
    world.engine.kill(dead)
    stranger = replace(world.machine.containers[alive], name="stranger", labels={}, id="f" * 64)
    older = replace(world.machine.containers[alive], name="older", id="e" * 64)
    older = replace(older, labels={**older.labels, "clawmates.generation": "1"})
    world.machine.containers |= {"stranger": stranger, "older": older}
    world.node_restarts()
    await world.keeper.adopt()
    assert set(world.machine.containers) == {dead, alive}, "what has ended keeps nobody waiting"
    assert not (world.run.boot / "anna").exists()
    assert (world.run.boot / "ben").exists()
    async with world.kept():
        await world.until(lambda: list(world.machine.containers) == [alive])


async def test_an_engine_that_fails_is_tried_with_pauses_and_swept(world: World) -> None:
    async with world.kept():
        world.may_run()
        world.engine.failing = EngineError()
        world.want(bot())
        await world.until(lambda: "anna" in world.keeper.holds and world.hold().code == Trouble.ENGINE_FAILED)
        await world.rest()
        assert world.hold().starts.failures == 2
        world.engine.failing = None
        await world.after(1.0)
        assert world.hold().running is not None


async def test_halting_stops_everything_and_starts_nothing(world: World) -> None:
    async with world.kept() as keeper:
        await world.running(bot("anna"), bot("ben"))
        async with asyncio.timeout(5):
            await keeper.halt()
        assert world.machine.containers == {}
        assert world.gateway.doors == {}
        world.want(bot("anna"))
        await world.rest()
        assert world.machine.containers == {}


async def test_halting_with_nothing_running_returns(world: World) -> None:
    async with world.kept() as keeper, asyncio.timeout(5):
        await keeper.halt()
        assert keeper.holds == {}


async def test_a_node_that_ends_leaves_the_containers_running(world: World) -> None:
    async with world.kept():
        await world.running()
    assert len(world.machine.containers) == 1
    assert world.engine.stopped == []


async def test_the_log_holds_codes_and_numbers_only(world: World) -> None:
    async with world.kept():
        await world.running()
    lines = world.lines()
    assert {line["code"] for line in lines} >= {"desired", "release", "gateway", "started"}
    assert {key for line in lines for key in line} == {"at", "bot", "process", "number", "code", "milliseconds"}


async def test_every_line_of_the_log_says_what_happened(world: World) -> None:
    """The CLI shows ``code`` of every process's lines; no line is without one, and no two mean different things."""
    async with world.kept():
        world.keeper.may_run(Trouble.RELEASE_MISSING, "")
        await world.running()
        world.gateway.fall()
        await world.until(lambda: world.keeper.instance == "")
    codes = [line["code"] for line in world.lines()]
    assert all(codes)
    assert {Trouble.RELEASE_MISSING, Trouble.GATEWAY_DOWN, Happening.RELEASE, Happening.GATEWAY} <= set(codes)
    assert not set(Happening) & {*Trouble, *Code}


def looked_at(monkeypatch: pytest.MonkeyPatch) -> list[bool]:
    """Grows with every bot that is looked at: whether it runs."""
    found: list[bool] = []

    def counted(wanted: Wanted | Trouble | None, actual: Actual, **known: Any) -> Step:
        found.append(actual.shape is not None)
        return decide(wanted, actual, **known)

    monkeypatch.setattr(keeper, "decide", counted)
    return found


async def test_only_a_bot_that_something_has_happened_to_is_looked_at_again(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with world.kept():
        await world.running(bot("anna"), bot("ben"))
        await world.rest()
        found = looked_at(monkeypatch)
        world.keeper.changed.set()
        world.want(bot("anna"), bot("ben"))
        await world.rest()
        assert found == []
        world.kill(world.hold("anna").generation)
        await world.until(lambda: len(world.engine.started) == 3 and world.hold("anna").ticketed is not None)
        await world.rest()
        assert found[0] is False
        assert found.count(True) <= 2, "anna alone, once its container is up again"
        found.clear()
        world.renewed(Lease(bot="anna", seconds=60, frozen=False), bots=("anna", "ben"))
        await world.until(lambda: world.hold("ben").code == Trouble.LEASE_ENDED)
        assert world.hold("anna").state is not BotState.REFUSED
        await world.after(61.0)
        assert world.hold("anna").code == Trouble.LEASE_ENDED


async def test_a_build_that_does_not_see_what_is_set_would_leave_a_dead_bot_dead(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The weakened twin."""
    async with world.kept():
        await world.running()
        await world.rest()
        monkeypatch.setattr(hold, "_NOTES", frozenset(field.name for field in fields(hold.Hold)))
        world.kill(world.hold().generation)
        await world.rest()
        assert len(world.engine.started) == 1
