"""Rotation of master, tenant and intake keys, step by step."""

from __future__ import annotations

import os
from datetime import timedelta
from pathlib import Path

import pytest
from tests.unit.vault.conftest import House

from clawmates.vault import chores, rotation
from clawmates.vault import keys as keys_module
from clawmates.vault.checks import StartError
from clawmates.vault.chores import Step
from clawmates.vault.keys import HONOURED
from clawmates.vault.masters import MasterSettings
from clawmates.vault.store import RefusedError
from clawmates.wire.names import ItemName
from clawmates.wire.upkeep import RotationRequest
from clawmates.wire.vault import VaultRefusal
from clawmates.wire.vault_deeds import KeyKind

KEY, PROMPT = ItemName.PROVIDER_KEY, ItemName.PROMPT
MASTER = RotationRequest(kind=KeyKind.MASTER)
INTAKE = RotationRequest(kind=KeyKind.INTAKE)


def tenant(name: str) -> RotationRequest:
    return RotationRequest(kind=KeyKind.TENANT, tenant=name)


_filled: dict[str, bytes] = {}
"""A filled vault's files: to seal and store eighty items takes longer than most of these tests."""


@pytest.fixture
def full(house: House) -> House:
    """Three tenants, forty bots, eighty items; all tests begin with copies of one."""
    house.reopen()
    if not _filled:
        for number in range(40):
            bot, owner = f"b{number}", f"t{number % 3}"
            house.assign(bot, owner)
            house.put(bot, KEY, 1, f"sk-{number}", owner)
            house.put(bot, PROMPT, 1, f"prompt {number}", owner)
        house.work()
        house.store.close()
        _filled.update(house.raw())
    else:
        house.store.close()
        for path in house.folder.iterdir():
            path.unlink()
        for name, content in _filled.items():
            path = house.folder / name
            path.touch(0o600)
            path.write_bytes(content)
    house.reopen()
    return house


def all_open(house: House) -> bool:
    return all(house.open(f"b{n}", (KEY, 1), (PROMPT, 1)) == [f"sk-{n}", f"prompt {n}"] for n in range(40))


def begin(house: House, request: RotationRequest) -> None:
    house.store.begin_rotation(request, house.clock.now())


def boxes(house: House, table: str, column: str = "wrapped") -> set[bytes]:
    return {row[0] for row in house.store.keys.database.connection.execute(f"SELECT {column} FROM {table}")}


def everything_wrapped(house: House) -> set[bytes]:
    return set().union(*(boxes(house, table) for table in ("tenant_keys", "intake_keys", "signing_keys"))) | boxes(
        house, "vault", "canary"
    )


def step(house: House) -> Step | None:
    done = chores.step(house.store, house.clock.now())
    return done.step if done is not None else None


def test_the_master_key_is_exchanged_and_every_box_is_new(full: House) -> None:
    old_file, old_boxes = full.raw()["master.key"], everything_wrapped(full)
    with (full.folder / "master.key").open("rb") as gone:
        begin(full, MASTER)
        assert all_open(full)
        assert rotation.under_way(full.store.keys)[0].left == len(old_boxes) + 1
        assert Step.MASTER_EXCHANGED in full.work()
        assert gone.read() == bytes(32), "the old key is overwritten"
    assert rotation.under_way(full.store.keys) == ()
    assert all_open(full)
    assert not everything_wrapped(full) & old_boxes
    raw = b"".join(full.raw().values())
    assert old_file not in raw
    assert not [box for box in old_boxes if box[14:46] in raw], "no box under the old key is left in any file"
    full.reopen()
    assert all_open(full)


def test_between_any_two_steps_everything_opens_and_comes_in(full: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("clawmates.vault.master.FileMaster.batch", 1)
    begin(full, MASTER)
    begin(full, tenant("t1"))
    for number in range(1000):
        assert all_open(full)
        if number % 5 == 0:
            full.put("b1", PROMPT, number // 5 + 2, "again", "t1")
            full.store.keys.destroy("b1", ("prompt", number // 5 + 2))
            full.store.records.forget_versions("b1", ("prompt", number // 5 + 2))
            full.put("b1", PROMPT, number // 5 + 2000, "prompt 1", "t1")
            full.store.keys.destroy("b1", ("prompt", number // 5 + 2000))
            full.store.records.forget_versions("b1", ("prompt", number // 5 + 2000))
        if step(full) is None:
            break
    assert rotation.under_way(full.store.keys) == ()
    assert number > 20


def test_a_rotation_goes_on_after_a_restart_at_every_step(full: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("clawmates.vault.master.FileMaster.batch", 2)
    begin(full, MASTER)
    begin(full, tenant("t0"))
    restarts = 0
    while step(full) is not None:
        full.reopen()
        assert all_open(full)
        restarts += 1
    assert restarts > 10
    assert rotation.under_way(full.store.keys) == ()


def test_a_second_request_changes_nothing(full: House) -> None:
    begin(full, MASTER)
    begin(full, tenant("t1"))
    ids = full.store.keys.master.ids
    begin(full, MASTER)
    begin(full, tenant("t1"))
    assert full.store.keys.master.ids == ids
    assert [one.tenant for one in rotation.under_way(full.store.keys)] == ["", "t1"]
    full.work()
    assert all_open(full)


def test_a_tenants_key_is_replaced_and_its_old_one_destroyed(full: House) -> None:
    others = boxes(full, "data_keys") - _of_tenant(full, "t1")
    old = _of_tenant(full, "t1")
    (old_key,) = full.store.keys.database.connection.execute(
        "SELECT wrapped FROM tenant_keys WHERE tenant = 't1'"
    ).fetchone()
    begin(full, tenant("t1"))
    assert rotation.under_way(full.store.keys)[0].left == len(old)
    full.work()
    assert all_open(full)
    assert not _of_tenant(full, "t1") & old
    assert others <= boxes(full, "data_keys"), "nobody else's key was touched"
    raw = b"".join(full.raw().values())
    assert old_key[14:46] not in raw
    assert not [box for box in old if box[14:46] in raw]


def test_a_put_during_a_tenants_rotation_goes_under_the_new_key(full: House) -> None:
    begin(full, tenant("t1"))
    full.put("b1", KEY, 2, "sk-new", "t1")
    (generation,) = full.store.keys.database.connection.execute(
        "SELECT generation FROM data_keys WHERE bot = 'b1' AND name = 'provider-key' AND version = 2"
    ).fetchone()
    assert generation == 2
    full.work()
    assert full.open("b1", (KEY, 1), (KEY, 2)) == ["sk-1", "sk-new"]


def test_a_destruction_elsewhere_does_not_take_a_new_generation_for_an_idle_key(full: House) -> None:
    begin(full, tenant("t1"))
    full.destroy("b0")
    full.put("b1", KEY, 2, "sk-new", "t1")
    assert rotation.under_way(full.store.keys)[0].tenant == "t1"
    full.work()
    assert full.open("b1", (KEY, 1)) == ["sk-1"]


def test_a_tenant_that_is_destroyed_half_way_leaves_no_key(full: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("clawmates.vault.master.FileMaster.batch", 2)
    begin(full, tenant("t1"))
    step(full)
    full.store.destroy_tenant("t1", full.clock.now())
    assert not full.store.keys.bots_of("t1")
    assert rotation.under_way(full.store.keys) == ()
    assert not full.store.keys.database.connection.execute("SELECT 1 FROM tenant_keys WHERE tenant = 't1'").fetchone()


def test_a_data_key_without_a_record_is_dropped_on_the_way(full: House) -> None:
    full.store.records.forget_versions("b1", ("provider-key", 1))
    begin(full, tenant("t1"))
    full.work()
    assert ("provider-key", 1) not in full.store.keys.items_of("b1")
    assert full.open("b1", (PROMPT, 1)) == ["prompt 1"]


def test_an_unknown_tenant_has_no_key_to_rotate(full: House) -> None:
    with pytest.raises(RefusedError, match=VaultRefusal.UNKNOWN_TENANT.value):
        begin(full, tenant("nobody"))


def test_a_vault_that_skipped_the_rewrapping_would_lose_everything(
    full: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The seeded defect: the tests above are red when the old master key goes before its boxes are under the new."""
    monkeypatch.setattr(rotation, "rewrap", lambda _keys: False)
    begin(full, MASTER)
    full.work()
    with pytest.raises(Exception, match=r"^$"):
        all_open(full)


# A master key of another place


def test_the_configuration_may_name_another_key_while_serving(full: House) -> None:
    full.wanted = MasterSettings("file:other.key", "file:master.key")
    begin(full, MASTER)
    full.work()
    assert all_open(full)
    full.reopen(master_key="file:other.key")
    assert all_open(full)


def test_or_at_a_restart_and_then_it_goes_on_by_itself(full: House) -> None:
    (full.folder / "other.key").write_bytes(os.urandom(32))
    (full.folder / "other.key").chmod(0o600)
    full.old_master_key = "file:master.key"
    full.reopen(master_key="file:other.key")
    assert all_open(full)
    full.work()
    (full.folder / "master.key").unlink()  # named still, needed no longer
    full.reopen(master_key="file:other.key")
    assert all_open(full)


def test_half_way_the_old_key_must_be_named(full: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("clawmates.vault.master.FileMaster.batch", 1)
    (full.folder / "other.key").write_bytes(os.urandom(32))
    (full.folder / "other.key").chmod(0o600)
    full.old_master_key = "file:master.key"
    full.reopen(master_key="file:other.key")
    step(full)
    full.old_master_key = ""
    with pytest.raises(StartError, match="does not open"):
        full.reopen(master_key="file:other.key")
    full.old_master_key = "file:master.key"
    full.reopen(master_key="file:other.key")
    while any(one.left > 2 for one in rotation.under_way(full.store.keys)):
        step(full)
    rotation.rewrap(full.store.keys)  # the canary
    connection = full.store.keys.database.connection
    (box,) = connection.execute("SELECT wrapped FROM tenant_keys LIMIT 1").fetchone()
    connection.execute("UPDATE tenant_keys SET master = 'elsewhere' WHERE wrapped = ?", (box,))
    full.old_master_key = ""
    with pytest.raises(StartError, match="partly under another master key"):
        full.reopen(master_key="file:other.key")


def test_without_another_key_named_there_is_none(full: House) -> None:
    full.wanted = MasterSettings("file:other.key")
    with pytest.raises(RefusedError, match=VaultRefusal.NO_NEW_MASTER.value):
        begin(full, MASTER)
    full.wanted = MasterSettings("env:KEY", "file:master.key")
    with pytest.raises(RefusedError, match=VaultRefusal.NO_NEW_MASTER.value):
        begin(full, MASTER)
    assert all_open(full)


# Intake keys


def test_an_old_intake_key_is_honoured_for_seven_days_and_then_destroyed(full: House) -> None:
    old = full.store.intake_key()
    item = full.sealed(full.binding("b1", ItemName.CHANNEL_TOKEN, 1, "t1"), "42:x")
    late = full.sealed(full.binding("b1", ItemName.CHANNEL_TOKEN, 2, "t1"), "42:y")
    (wrapped,) = boxes(full, "intake_keys")
    begin(full, INTAKE)
    assert full.store.intake_key().id != old.id
    full.clock.pass_(HONOURED.total_seconds() - 1)
    full.store.put("b1", ItemName.CHANNEL_TOKEN, 1, item, full.clock.now())
    full.work()
    assert full.store.keys.honoured_intake() == 1
    full.clock.pass_(1)
    with pytest.raises(RefusedError, match=VaultRefusal.UNKNOWN_KEY.value):
        full.store.put("b1", ItemName.CHANNEL_TOKEN, 2, late, full.clock.now())
    assert Step.EXPIRED in full.work()
    assert full.store.keys.honoured_intake() == 0
    assert wrapped[14:46] not in b"".join(full.raw().values())
    assert full.open("b1", (ItemName.CHANNEL_TOKEN, 1)) == ["42:x"], "what came in with it stays"


def test_a_vault_that_honours_for_ever_would_take_it(full: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """The seeded defect."""
    late = full.sealed(full.binding("b1", ItemName.CHANNEL_TOKEN, 2, "t1"), "42:y")
    begin(full, INTAKE)
    full.clock.pass_(HONOURED.total_seconds() * 2)
    monkeypatch.setattr(keys_module, "honoured", lambda _until, _now: True)
    full.store.put("b1", ItemName.CHANNEL_TOKEN, 2, late, full.clock.now())
    assert full.open("b1", (ItemName.CHANNEL_TOKEN, 2)) == ["42:y"]


def test_a_clock_set_back_does_not_prolong_an_old_key(full: House) -> None:
    late = full.sealed(full.binding("b1", ItemName.CHANNEL_TOKEN, 2, "t1"), "42:y")
    full.clock.pass_(timedelta(days=30).total_seconds())
    begin(full, INTAKE)
    full.clock.pass_(-timedelta(days=30).total_seconds())
    with pytest.raises(RefusedError, match=VaultRefusal.UNKNOWN_KEY.value):
        full.store.put("b1", ItemName.CHANNEL_TOKEN, 2, late, full.clock.now())
    full.clock.pass_(timedelta(days=30).total_seconds())
    full.store.put("b1", ItemName.CHANNEL_TOKEN, 2, late, full.clock.now())


def test_a_clock_set_far_ahead_destroys_old_keys_and_nothing_else(full: House) -> None:
    begin(full, INTAKE)
    full.clock.pass_(timedelta(days=3650).total_seconds())
    full.work()
    assert full.store.keys.honoured_intake() == 0
    assert all_open(full)
    full.put("b1", ItemName.CHANNEL_TOKEN, 1, "42:x", "t1")


# The separate copy


def test_the_separate_copy_follows_every_change_and_opens_alone(full: House, tmp_path: Path) -> None:
    full.keys_copy = str(tmp_path / "elsewhere.db")
    full.reopen()
    full.store.settle()
    seen = {Path(full.keys_copy).read_bytes()}
    full.put("b1", KEY, 2, "sk-new", "t1")
    for request in (MASTER, INTAKE, tenant("t1")):
        begin(full, request)
        full.work()
        seen.add(Path(full.keys_copy).read_bytes())
    full.destroy("b2")
    seen.add(Path(full.keys_copy).read_bytes())
    assert len(seen) == 5
    full.work()
    (full.folder / "keys.db").write_bytes(Path(full.keys_copy).read_bytes())
    full.reopen()
    assert full.open("b1", (KEY, 1), (KEY, 2)) == ["sk-1", "sk-new"]


def test_the_old_master_key_stays_until_the_copy_is_under_the_new_one(full: House, tmp_path: Path) -> None:
    full.keys_copy = str(tmp_path / "away" / "elsewhere.db")
    full.reopen()
    begin(full, MASTER)
    with pytest.raises(Exception, match=r"^$"):
        full.work()
    assert len(full.store.keys.master.ids) == 2
    assert all_open(full)
    (tmp_path / "away").mkdir()
    full.work()
    assert len(full.store.keys.master.ids) == 1
    assert Path(full.keys_copy).exists()


def _of_tenant(house: House, name: str) -> set[bytes]:
    rows = house.store.keys.database.connection.execute("SELECT wrapped FROM data_keys WHERE tenant = ?", (name,))
    return {row[0] for row in rows}
