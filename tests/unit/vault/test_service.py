from __future__ import annotations

import asyncio
import hashlib
import os
import sqlite3
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from clawmates.base.secret import Secret
from clawmates.vault import service
from clawmates.vault.checks import StartError
from clawmates.vault.confine import Confinement
from clawmates.vault.service import Condition, Vault
from clawmates.vault.store import RefusedError, Store
from clawmates.wire.names import ItemName
from clawmates.wire.vault import TICKET_SECONDS, Assignment, Redemption, Release, TicketRequest, VaultRefusal
from clawmates.wire.vault_deeds import Copied, ItemDestroyed, Tag, detail_of

if TYPE_CHECKING:
    from contextlib import AbstractContextManager
    from pathlib import Path

    from tests.unit.vault.conftest import Events, FakeClock, House

KEY = ItemName.PROVIDER_KEY
REGION = "local"


def refused(refusal: VaultRefusal) -> AbstractContextManager[object]:
    return pytest.raises(RefusedError, match=f"^{refusal.value}$")


@pytest.fixture
def bot(house: House) -> str:
    house.assign("b1")
    house.put("b1", KEY, 1, "sk-one")
    return "b1"


async def take(vault: Vault, bot: str, node: str = "node-1", generation: int = 1) -> Redemption:
    request = TicketRequest(bot=bot, generation=generation, items={KEY: 1})
    ticket = await vault.ticket(node, request)
    assert ticket.expires_in == TICKET_SECONDS
    return Redemption(bot=bot, ticket=ticket.ticket)


def values(release: Release) -> list[str]:
    return [item.value.reveal() for item in release.items]


async def test_a_ticket_releases_once(vault: Vault, bot: str) -> None:
    assert values(await vault.redeem(await take(vault, bot))) == ["sk-one"]


async def test_a_second_use_alarms_and_freezes_until_somebody_looked(vault: Vault, bot: str, events: Events) -> None:
    used, unused = await take(vault, bot), await take(vault, bot)
    await vault.redeem(used)
    with refused(VaultRefusal.TICKET_REUSED):
        await vault.redeem(used)
    with refused(VaultRefusal.FROZEN):
        await take(vault, bot)
    with refused(VaultRefusal.FROZEN):
        await vault.redeem(unused)
    await vault.unfreeze(bot)
    assert values(await vault.redeem(await take(vault, bot))) == ["sk-one"]
    assert events.seen == [("ticket-reused", bot), ("bot-unfrozen", bot)]


async def test_one_theft_alarms_once_and_is_forgotten_when_somebody_looked(
    vault: Vault, bot: str, events: Events
) -> None:
    used = await take(vault, bot)
    await vault.redeem(used)
    for _ in range(3):
        with refused(VaultRefusal.TICKET_REUSED):
            await vault.redeem(used)
    await vault.unfreeze(bot)
    with refused(VaultRefusal.TICKET_UNKNOWN):
        await vault.redeem(used)
    await vault.redeem(await take(vault, bot))
    assert events.seen == [("ticket-reused", bot), ("bot-unfrozen", bot)]


async def test_a_freeze_that_the_disk_refuses_holds_in_memory(
    vault: Vault, bot: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_self: Store, _bot: str, *, frozen: bool) -> None:
        raise sqlite3.OperationalError

    used = await take(vault, bot)
    await vault.redeem(used)
    with monkeypatch.context() as patched:
        patched.setattr(Store, "freeze", full)
        with refused(VaultRefusal.STORAGE_FAILED):
            await vault.redeem(used)
    with refused(VaultRefusal.FROZEN):
        await take(vault, bot)
    await vault.unfreeze(bot)
    await take(vault, bot)


async def test_of_two_at_once_one_wins_and_the_bot_freezes(vault: Vault, bot: str) -> None:
    ticket = await take(vault, bot)
    results = await asyncio.gather(vault.redeem(ticket), vault.redeem(ticket), return_exceptions=True)
    assert [type(result) for result in results] == [Release, RefusedError]
    with refused(VaultRefusal.FROZEN):
        await take(vault, bot)


async def test_a_vault_without_the_alarm_would_go_on(vault: Vault, bot: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The seeded defect: the tests above are red against it."""

    async def nothing(_self: Vault, _bot: str) -> None:
        return

    monkeypatch.setattr(Vault, "_alarm", nothing)
    ticket = await take(vault, bot)
    await vault.redeem(ticket)
    with refused(VaultRefusal.TICKET_REUSED):
        await vault.redeem(ticket)
    assert values(await vault.redeem(await take(vault, bot))) == ["sk-one"]


async def test_a_node_gets_tickets_for_its_own_bots_only(
    vault: Vault, bot: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with refused(VaultRefusal.NOT_ASSIGNED):
        await take(vault, bot, node="node-2")
    with refused(VaultRefusal.UNKNOWN_BOT):
        await take(vault, "b2")
    monkeypatch.setattr(Store, "check", lambda _self, _grant, _now: None)  # the seeded defect
    assert values(await vault.redeem(await take(vault, bot, node="node-2"))) == ["sk-one"]


async def test_a_moved_bots_tickets_are_void(vault: Vault, bot: str) -> None:
    ticket = await take(vault, bot)
    await vault.assign(bot, Assignment(tenant="acme", node="node-2"))
    with refused(VaultRefusal.NOT_ASSIGNED):
        await vault.redeem(ticket)
    assert values(await vault.redeem(await take(vault, bot, node="node-2"))) == ["sk-one"]


async def test_a_ticket_given_while_its_bot_moved_is_refused_at_the_redemption(
    vault: Vault, bot: str, house: House
) -> None:
    ticket = await take(vault, bot)
    house.assign(bot, node="node-2")  # behind the ticket book's back
    with refused(VaultRefusal.NOT_ASSIGNED):
        await vault.redeem(ticket)


async def test_an_expired_ticket_and_a_foreign_one_change_nothing(
    vault: Vault, bot: str, clock: FakeClock, events: Events
) -> None:
    ticket = await take(vault, bot)
    with refused(VaultRefusal.TICKET_UNKNOWN):
        await vault.redeem(Redemption(bot=bot, ticket=Secret("x")))
    clock.pass_(TICKET_SECONDS)
    with refused(VaultRefusal.TICKET_EXPIRED):
        await vault.redeem(ticket)
    await vault.redeem(await take(vault, bot))
    assert events.seen == []


@pytest.mark.parametrize("jump", [timedelta(days=-400), timedelta(days=400)])
async def test_a_clock_that_jumps_neither_ends_a_ticket_nor_lets_it_live(
    vault: Vault, bot: str, clock: FakeClock, jump: timedelta, monkeypatch: pytest.MonkeyPatch
) -> None:
    used, late = await take(vault, bot), await take(vault, bot)
    clock.moment += jump
    await vault.redeem(used)
    clock.seconds += TICKET_SECONDS
    clock.moment -= jump
    with refused(VaultRefusal.TICKET_EXPIRED):
        await vault.redeem(late)
    monkeypatch.setattr(type(clock), "monotonic", lambda self: self.moment.timestamp())  # the weakened build
    ticket = await take(vault, bot)
    clock.moment += jump
    clock.seconds += 2 * TICKET_SECONDS
    if jump > timedelta(0):
        with refused(VaultRefusal.TICKET_EXPIRED):
            await vault.redeem(ticket)
    else:
        await vault.redeem(ticket)


async def test_an_old_generations_ticket_is_void_once_a_new_one_is_given(vault: Vault, bot: str) -> None:
    old = await take(vault, bot, generation=1)
    new = await take(vault, bot, generation=2)
    with refused(VaultRefusal.TICKET_EXPIRED):
        await vault.redeem(old)
    await vault.redeem(new)


async def test_a_destroyed_bot_is_gone(vault: Vault, bot: str, events: Events) -> None:
    ticket = await take(vault, bot)
    await vault.destroy(bot)
    with refused(VaultRefusal.TICKET_UNKNOWN):
        await vault.redeem(ticket)
    with refused(VaultRefusal.UNKNOWN_BOT):
        await take(vault, bot)
    assert events.seen == [("bot-destroyed", bot)]


async def test_an_item_that_was_destroyed_is_in_the_chain_once(vault: Vault, bot: str, events: Events) -> None:
    for _ in range(2):
        await vault.destroy_item(bot, KEY, 1)
    assert events.seen == [("item-destroyed", bot)]
    last = (await vault.audit.entries(0)).entries[-1]
    assert last.tag == Tag.ITEM_DESTROYED
    assert detail_of(last.tag, last.detail) == ItemDestroyed(bot=bot, item=KEY, version=1)


async def test_the_intake_key_is_public_and_items_come_in(vault: Vault, bot: str, house: House) -> None:
    key = await vault.intake_key()
    assert (key.region, len(key.public)) == ("local", 44)
    item = house.sealed(house.binding(bot, KEY, 2), "sk-two")
    await vault.put(bot, KEY, 2, item)
    assert house.open(bot, (KEY, 2)) == ["sk-two"]


async def test_failing_storage_is_a_refusal_and_an_event(vault: Vault, bot: str, house: House, events: Events) -> None:
    house.store.records.database.connection.execute("UPDATE records SET box = x'00'")
    with refused(VaultRefusal.STORAGE_FAILED):
        await vault.redeem(await take(vault, bot))
    house.store.records.database.connection.execute("DROP TABLE records")
    with refused(VaultRefusal.STORAGE_FAILED):
        await take(vault, bot)
    assert events.seen == [("storage-failed", "")] * 2


async def test_a_vault_that_cannot_settle_does_not_start(vault: Vault, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_self: Store) -> None:
        raise sqlite3.OperationalError

    await vault.settle()
    monkeypatch.setattr(Store, "settle", full)
    with pytest.raises(StartError, match="see that the disk has room"):
        await vault.settle()


async def test_a_caller_who_goes_away_does_not_stop_the_work(
    vault: Vault, house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun, loop, honest = asyncio.Event(), asyncio.get_running_loop(), Store.assign

    def slowly(self: Store, bot: str, assignment: Assignment, now: datetime) -> bool:
        loop.call_soon_threadsafe(begun.set)
        return honest(self, bot, assignment, now)

    monkeypatch.setattr(Store, "assign", slowly)
    task = asyncio.create_task(vault.assign("b7", Assignment(tenant="acme", node="node-1")))
    await begun.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await vault.intake_key()  # the store's thread does one thing after the other
    assert house.store.records.bot("b7") is not None


@pytest.mark.parametrize(
    ("confinement", "said"),
    [
        (Confinement.FULL, "confined"),
        (Confinement.FILES, "confined"),
        (Confinement.OFF, "unconfined"),
        (Confinement.UNAVAILABLE, "unconfined"),
    ],
)
async def test_a_start_is_written_down_with_its_protections(
    vault: Vault, events: Events, confinement: Confinement, said: str
) -> None:
    await vault.started(Condition(confinement=confinement, memory_locked=True))
    status = await vault.status()
    assert (status.confinement, status.memory_locked, status.entries) == (confinement.value, True, 1)
    assert [code for code, _ in events.seen] == ["vault-started", said]
    (entry,) = (await vault.audit.entries(0)).entries
    assert (entry.tag, entry.detail) == ("vault.service.started", '{"region":"local"}')


async def test_a_copy_for_a_backup_is_whole_noted_and_without_keys(
    house: House, vault: Vault, events: Events, bot: str
) -> None:
    found = await vault.image()
    database = sqlite3.connect(":memory:")
    database.deserialize(found)
    assert database.execute("SELECT count(*) FROM records").fetchone() == (1,)
    (wrapped,) = house.store.keys.database.connection.execute("SELECT wrapped FROM data_keys").fetchone()
    assert wrapped not in found
    assert b"sk-one" not in found
    (entry,) = [one for one in (await vault.audit.entries(0)).entries if one.tag == Tag.BACKUP_MADE]
    assert detail_of(entry.tag, entry.detail) == Copied(sha256=hashlib.sha256(found).hexdigest())
    assert ("vault-copied", "") in events.seen


async def test_before_a_copy_leaves_the_copy_of_the_keys_is_brought_up_to_date(
    house: House, clock: FakeClock, events: Events, tmp_path: Path
) -> None:
    copy = tmp_path / "keys.db"
    house.keys_copy = str(copy)
    house.reopen()
    vault = Vault(house.store, region=REGION, clock=clock, random=os.urandom, events=events)
    house.assign("b1")
    house.put("b1", KEY, 1, "sk-one")
    assert not copy.exists()
    await vault.image()
    assert copy.read_bytes() == house.store.keys.database.image()
    # Its disk is away: then no backup leaves either, for it might be one that nothing opens.
    house.put("b1", KEY, 2, "sk-two")
    copy.unlink()
    copy.mkdir()
    with refused(VaultRefusal.KEYS_COPY_FAILED):
        await vault.image()
    copy.rmdir()


async def test_what_is_too_large_to_leave_stays(vault: Vault, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(service, "MAX_IMAGE_BYTES", 100)
    with refused(VaultRefusal.TOO_LARGE):
        await vault.image()
