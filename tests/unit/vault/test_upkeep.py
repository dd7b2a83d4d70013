"""The vault looks after its keys while it serves: what it does by itself, and what it says when it cannot."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from tests.unit.vault.conftest import Events, FakeClock, House

from clawmates.vault import rotation, upkeep
from clawmates.vault.chores import Step
from clawmates.vault.database import Database
from clawmates.vault.keycopy import CopyError, KeyCopy
from clawmates.vault.keys import HONOURED, KeyStore
from clawmates.vault.ledger import Ledger
from clawmates.vault.master import FileMaster, MasterUnavailableError
from clawmates.vault.service import Vault
from clawmates.vault.store import RefusedError
from clawmates.wire.names import ItemName
from clawmates.wire.receipt import check
from clawmates.wire.upkeep import REMEDY, KeysStatus, RotationRequest, Trouble
from clawmates.wire.vault import VaultRefusal
from clawmates.wire.vault_deeds import KeyKind, Tag

KEY = ItemName.PROVIDER_KEY
MASTER, INTAKE = RotationRequest(kind=KeyKind.MASTER), RotationRequest(kind=KeyKind.INTAKE)


@pytest.fixture
def bots(house: House) -> House:
    for bot in ("b1", "b2"):
        house.assign(bot)
        house.put(bot, KEY, 1, f"sk-{bot}")
    house.work()
    return house


@asynccontextmanager
async def keeping(vault: Vault) -> AsyncIterator[None]:
    task = asyncio.create_task(vault.upkeep.keep())
    try:
        yield
    finally:
        task.cancel()
        await asyncio.wait((task,))


async def until(vault: Vault, wanted: object) -> KeysStatus:
    """Asks for the status until ``wanted`` (a predicate) holds; every question is answered between two steps."""
    async with asyncio.timeout(10):
        while True:
            now = await vault.upkeep.status()
            if wanted(now):  # type: ignore[operator]
                return now
            await asyncio.sleep(0)


async def test_a_rotation_ends_by_itself_and_is_written_down(bots: House, vault: Vault, events: Events) -> None:
    before = await vault.upkeep.status()
    assert (before.rotations, before.trouble, before.destroying) == ((), (), 0)
    async with keeping(vault):
        begun = await vault.rotate(MASTER)
        assert begun.rotations[0].kind is KeyKind.MASTER
        assert begun.master != before.master
        done = await until(vault, lambda now: not now.rotations)
        assert done.master == begun.master
        intake = await vault.rotate(INTAKE)
        assert (intake.intake_key != before.intake_key, intake.intake_keys_honoured) == (True, 1)
        await vault.rotate(RotationRequest(kind=KeyKind.TENANT, tenant="acme"))
        await until(vault, lambda now: not now.rotations)
    codes = [code for code, _ in events.seen]
    assert codes.count("rotation-begun") == 3
    assert codes.count("master-exchanged") == 1
    tags = [entry.tag for entry in (await vault.audit.entries(0)).entries]
    assert tags.count(Tag.KEY_ROTATED) == 3
    assert bots.open("b1", (KEY, 1)) == ["sk-b1"]


async def test_superseded_versions_are_cleared_together_a_moment_later(
    bots: House, vault: Vault, monkeypatch: pytest.MonkeyPatch
) -> None:
    cleared = []
    done = asyncio.Event()
    honest, loop = Database.forget, asyncio.get_running_loop()

    def forget(self: Database) -> None:
        honest(self)
        cleared.append(self.path.name)
        loop.call_soon_threadsafe(done.set)

    monkeypatch.setattr(Database, "forget", forget)
    monkeypatch.setattr(upkeep, "COLLECT_SECONDS", 0.2)
    for version in range(2, 12):
        item = bots.sealed(bots.binding("b1", KEY, version), f"sk-{version}")
        await vault.put("b1", KEY, version, item)
    assert cleared == []
    assert bots.store.debts.clearing
    async with keeping(vault):
        vault.upkeep.later()
        async with asyncio.timeout(10):
            await done.wait()
    assert cleared == ["keys.db"], "ten puts, one rewriting of the file"


async def test_expired_intake_keys_go_by_themselves(
    bots: House, vault: Vault, clock: FakeClock, events: Events, monkeypatch: pytest.MonkeyPatch
) -> None:
    await vault.rotate(INTAKE)
    await vault.upkeep.work()
    assert (await vault.upkeep.status()).intake_keys_honoured == 1
    clock.pass_(HONOURED.total_seconds())
    monkeypatch.setattr(upkeep, "IDLE_SECONDS", 0.01)
    async with keeping(vault):
        await until(vault, lambda now: now.intake_keys_honoured == 0)
    assert ("keys-expired", "") in events.seen


@pytest.mark.parametrize(
    ("failure", "trouble", "code"),
    [
        (sqlite3.OperationalError, Trouble.STORAGE_FAILED, "storage-failed"),
        (MasterUnavailableError, Trouble.MASTER_UNAVAILABLE, "master-unavailable"),
        (CopyError, Trouble.KEYS_COPY_FAILED, "keys-copy-failed"),
    ],
)
async def test_what_stands_in_the_way_is_said_once_and_tried_again(
    bots: House,
    vault: Vault,
    events: Events,
    monkeypatch: pytest.MonkeyPatch,
    failure: type[Exception],
    trouble: Trouble,
    code: str,
) -> None:
    def fail(_keys: KeyStore) -> bool:
        raise failure

    monkeypatch.setattr(upkeep, "RETRY_SECONDS", 0.01)
    with monkeypatch.context() as patched:
        patched.setattr(rotation, "rewrap", fail)
        await vault.rotate(MASTER)
        for _ in range(3):
            assert not await vault.upkeep.work()
        assert (await vault.upkeep.status()).trouble == (trouble,)
    told = [seen for seen, _ in events.seen if seen == code]
    assert len(told) == (3 if trouble is Trouble.STORAGE_FAILED else 1)
    async with keeping(vault):
        await until(vault, lambda now: not now.rotations and not now.trouble)
    assert bots.open("b1", (KEY, 1)) == ["sk-b1"]


def test_every_trouble_has_a_remedy() -> None:
    assert set(REMEDY) == set(Trouble) == set(upkeep.TROUBLE.values())


async def test_a_refusal_nobody_foresaw_is_trouble_too(
    bots: House, vault: Vault, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_args: object) -> None:
        raise RefusedError(VaultRefusal.UNKNOWN_BOT)

    monkeypatch.setattr(upkeep, "step", refuse)
    assert not await vault.upkeep.work()
    assert (await vault.upkeep.status()).trouble == (Trouble.STORAGE_FAILED,)


async def test_a_destruction_answers_with_a_receipt_and_forgets_everything(
    bots: House, vault: Vault, events: Events
) -> None:
    signed = await vault.destroy("b1")
    key = await vault.upkeep.receipt_key()
    assert check(key.public, signed).key_id == key.key_id
    assert await vault.destroy("b1") == signed
    tenant = await vault.destroy_tenant("acme")
    assert tenant.receipt.bots == ("b2",)
    tags = [entry.tag for entry in (await vault.audit.entries(0)).entries]
    assert tags.count(Tag.BOT_DESTROYED) == 2, "one said twice is written down once"
    assert tags.count(Tag.TENANT_DESTROYED) == 1
    await vault.destroy_tenant("nobody")
    assert len((await vault.audit.entries(0)).entries) == len(tags), "nothing was destroyed"
    assert ("tenant-destroyed", "") in events.seen


async def test_a_copy_that_is_away_is_said_and_healed_by_itself(
    bots: House, vault: Vault, tmp_path: Path, events: Events, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(_self: KeyCopy, _image: bytes) -> None:
        raise CopyError

    monkeypatch.setattr(upkeep, "RETRY_SECONDS", 0.01)
    with monkeypatch.context() as patched:
        patched.setattr(KeyCopy, "replace", away)
        with pytest.raises(RefusedError, match=VaultRefusal.KEYS_COPY_FAILED.value):
            await vault.destroy("b1")
        await vault.settle()
        status = await vault.upkeep.status()
        assert (status.destroying, status.trouble) == (1, (Trouble.KEYS_COPY_FAILED,))
        await vault.upkeep.end()
    async with keeping(vault):
        await until(vault, lambda now: ("bot-destroyed", "b1") in events.seen and not now.trouble)
    assert (await vault.upkeep.status()).destroying == 0
    assert ("keys-copy-failed", "") in events.seen


async def test_what_was_being_destroyed_is_gone_before_anyone_is_served(
    bots: House, vault: Vault, events: Events, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patched:
        patched.setattr("clawmates.vault.debts.Debts.finish", lambda *_args: (_ for _ in ()).throw(OSError(28)))
        with pytest.raises(RefusedError, match=VaultRefusal.STORAGE_FAILED.value):
            await vault.destroy("b1")
    assert (await vault.upkeep.status()).destroying == 1
    await vault.settle()
    assert (await vault.upkeep.status()).destroying == 0
    assert ("bot-destroyed", "b1") in events.seen


async def test_a_master_key_that_is_absent_refuses_with_a_code_of_its_own(
    bots: House, vault: Vault, monkeypatch: pytest.MonkeyPatch
) -> None:
    def absent(*_args: object) -> None:
        raise MasterUnavailableError

    monkeypatch.setattr(FileMaster, "unwrap", absent)
    with pytest.raises(RefusedError, match=VaultRefusal.MASTER_UNAVAILABLE.value):
        await vault.upkeep.receipt_key()


async def test_an_end_with_nothing_owed_does_nothing(bots: House, vault: Vault) -> None:
    await vault.upkeep.end()
    assert not bots.store.debts.clearing
    assert Step.CLEARED not in bots.work()


async def test_a_log_that_cannot_be_written_is_trouble_and_no_end(
    bots: House, vault: Vault, events: Events, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_self: object, *_args: object) -> None:
        raise sqlite3.OperationalError

    monkeypatch.setattr(upkeep, "RETRY_SECONDS", 0.01)
    with monkeypatch.context() as patched:
        patched.setattr(Ledger, "append", full)
        with pytest.raises(RefusedError, match=VaultRefusal.STORAGE_FAILED.value):
            await vault.destroy("b1")
        await vault.settle()
        assert (await vault.upkeep.status()).trouble == (Trouble.STORAGE_FAILED,)
    async with keeping(vault):
        await until(vault, lambda now: ("bot-destroyed", "b1") in events.seen and not now.trouble)
    assert [entry.tag for entry in (await vault.audit.entries(0)).entries][-1] == Tag.BOT_DESTROYED


@pytest.mark.parametrize(
    ("kind", "tenant"),
    [(KeyKind.TENANT, ""), (KeyKind.MASTER, "acme"), (KeyKind.INTAKE, "acme"), (KeyKind.TENANT, "Not A Name")],
)
def test_a_request_that_cannot_be_meant_is_none(kind: KeyKind, tenant: str) -> None:
    with pytest.raises(ValueError, match=r"tenant|name"):
        RotationRequest(kind=kind, tenant=tenant)
