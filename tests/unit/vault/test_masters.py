"""The ring of master keys, and how one takes over from another."""

from __future__ import annotations

import os
import sqlite3
from dataclasses import dataclass
from pathlib import Path

import pytest
from tests.unit.vault.conftest import House

from clawmates.base.secret import Secret
from clawmates.vault import masters as module
from clawmates.vault.checks import StartError
from clawmates.vault.envelope import EnvelopeError, Layer
from clawmates.vault.keys import KeyStore
from clawmates.vault.master import FileMaster, MasterRing, MasterUnavailableError
from clawmates.vault.masters import Masters, MasterSettings, NoNewMasterError, read_for
from clawmates.vault.wipe import next_of

KEY = Secret(b"d" * 32)


def master() -> FileMaster:
    return FileMaster(Secret(os.urandom(32)), os.urandom)


@dataclass
class Absent:
    id: str = "absent"
    batch: int = 1

    def wrap(self, layer: Layer, about: bytes, key: Secret[bytes]) -> bytes:
        raise MasterUnavailableError

    def unwrap(self, layer: Layer, about: bytes, box: bytes) -> Secret[bytes]:
        raise MasterUnavailableError


def test_a_ring_wraps_with_the_newest_and_opens_with_all() -> None:
    old, new = master(), master()
    ring = MasterRing(old)
    before = ring.wrap(Layer.TENANT_KEY, b"a", KEY)
    ring.turn_to(new)
    after = ring.wrap(Layer.TENANT_KEY, b"a", KEY)
    assert ring.id == new.id
    assert ring.ids == {old.id, new.id}
    assert ring.unwrap(Layer.TENANT_KEY, b"a", before) == ring.unwrap(Layer.TENANT_KEY, b"a", after) == KEY
    with pytest.raises(EnvelopeError):
        old.unwrap(Layer.TENANT_KEY, b"a", after)
    ring.retire()
    with pytest.raises(EnvelopeError):
        ring.unwrap(Layer.TENANT_KEY, b"a", before)
    assert ring.ids == {new.id}


def test_a_box_that_may_be_an_absent_masters_is_not_called_broken() -> None:
    here = master()
    ring = MasterRing(Absent(), (here,))
    assert ring.batch == 1
    assert ring.unwrap(Layer.CANARY, b"", here.wrap(Layer.CANARY, b"", KEY)) == KEY
    with pytest.raises(MasterUnavailableError):
        ring.unwrap(Layer.CANARY, b"", master().wrap(Layer.CANARY, b"", KEY))
    with pytest.raises(MasterUnavailableError):
        ring.wrap(Layer.CANARY, b"", KEY)


@dataclass
class Place:
    folder: Path
    says: MasterSettings

    def masters(self) -> Masters:
        return Masters(self.folder, self.says, os.urandom, lambda: self.says)


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path, MasterSettings("file:master.key"))


def test_a_file_is_replaced_in_place(place: Place) -> None:
    masters = place.masters()
    ring = masters.open(create=True)
    first, path = ring.id, place.folder / "master.key"
    old = path.read_bytes()
    masters.begin(ring)
    assert ring.id != first
    assert path.read_bytes() == old
    again = place.masters().open(create=False)  # a restart half-way
    assert (again.id, again.ids) == (ring.id, ring.ids)
    masters.begin(ring)  # while one is taking over, nothing new begins
    assert ring.ids == again.ids
    with path.open("rb") as gone:
        masters.finish(ring)
        assert gone.read() == bytes(32)
    assert ring.ids == {ring.id} == place.masters().open(create=False).ids
    masters.finish(ring)
    assert [one.name for one in place.folder.iterdir()] == ["master.key"]


@pytest.mark.parametrize("content", [b"", b"x" * 31, bytes(32), b"x" * 33])
def test_a_next_key_that_was_never_whole_is_forgotten(place: Place, content: bytes) -> None:
    ring = place.masters().open(create=True)
    fresh = next_of(place.folder / "master.key")
    fresh.write_bytes(content)
    fresh.chmod(0o600)
    assert place.masters().open(create=False).ids == ring.ids
    assert not fresh.exists()


def test_a_half_written_key_would_be_turned_to(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """The seeded defect: zeros would wrap everything."""
    place.masters().open(create=True)
    fresh = next_of(place.folder / "master.key")
    fresh.write_bytes(b"\x00" * 31 + b"\x01")
    fresh.chmod(0o600)
    monkeypatch.setattr(module, "_whole", lambda _path: True)
    ring = place.masters().open(create=False)
    assert isinstance(ring.current, FileMaster)
    assert ring.current.key.reveal() == b"\x00" * 31 + b"\x01"


def test_an_overwritten_master_key_stops_the_start(place: Place) -> None:
    place.masters().open(create=True)
    (place.folder / "master.key").write_bytes(bytes(32))
    with pytest.raises(StartError, match="overwritten with zeros"):
        place.masters().open(create=False)


def test_leftovers_that_cannot_be_cleared_stop_the_start(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    place.masters().open(create=True)

    def broken(_path: Path) -> None:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(module, "clear_former", broken)
    with pytest.raises(StartError, match="cannot clear what a rotation left"):
        place.masters().open(create=False)


def test_another_key_is_turned_to_when_both_are_named(place: Place) -> None:
    masters = place.masters()
    ring = masters.open(create=True)
    old = ring.id
    place.says = MasterSettings("file:other.key")
    with pytest.raises(NoNewMasterError):
        masters.begin(ring)
    assert ring.ids == {old}
    place.says = MasterSettings("file:other.key", "file:master.key")
    masters.begin(ring)
    assert old in ring.ids - {ring.id}
    restarted = place.masters()
    again = restarted.open(create=False)
    restarted.open_old(again)
    assert (again.id, again.ids) == (ring.id, ring.ids)
    masters.finish(ring)
    assert ring.ids == {ring.id}
    assert (place.folder / "master.key").exists(), "an old key outside is its owner's to destroy"


def test_without_an_old_key_there_is_nothing_to_open(place: Place) -> None:
    ring = place.masters().open(create=True)
    place.masters().open_old(ring)
    assert len(ring.ids) == 1


@pytest.mark.parametrize("setting", ["vault:x", "env:KEY", "FILE:master.key", "://", "master.key", ""])
def test_an_unknown_scheme_is_refused_and_its_rest_not_shown(place: Place, setting: str) -> None:
    place.says = MasterSettings(setting)
    with pytest.raises(StartError, match="unknown scheme") as caught:
        place.masters().open(create=True)
    assert "KEY" not in str(caught.value)
    assert list(place.folder.iterdir()) == []


def test_a_key_that_cannot_change_in_place_needs_a_new_name(place: Place) -> None:
    place.says = MasterSettings("pkcs11:token=a;object=b")
    masters = place.masters()
    with pytest.raises(NoNewMasterError):
        masters.begin(MasterRing(master()))


def test_a_full_disk_leaves_the_ring_as_it_was(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    masters = place.masters()
    ring = masters.open(create=True)
    before = ring.ids

    def full(_path: Path, _data: bytes) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(module, "write_next", full)
    with pytest.raises(OSError, match="No space"):
        masters.begin(ring)
    assert ring.ids == before


def test_a_key_services_files_stay_readable() -> None:
    arn = "arn:aws:kms:eu-central-1:111122223333:key/abc"
    assert read_for(["file:x", f"aws-kms:{arn}?credentials=/etc/cm/aws"]) == (Path("/etc/cm"),)


def test_a_key_service_is_asked_where_one_is_named(place: Place) -> None:
    credentials = place.folder / "aws"
    credentials.touch(0o600)
    credentials.write_text("[default]\naws_access_key_id = a\naws_secret_access_key = b\n")
    arn = "arn:aws:kms:eu-central-1:111122223333:key/abc"
    place.says = MasterSettings(f"aws-kms:{arn}?credentials={credentials}")
    assert place.masters().open(create=True).batch == 2


def test_a_vault_from_before_receipts_gets_its_signing_key(house: House) -> None:
    connection = house.store.keys.database.connection
    connection.execute("DROP TABLE signing_keys")
    connection.execute("DROP TABLE destructions")
    house.reopen()
    key = house.store.keys.signing_key()
    house.reopen()
    assert house.store.keys.signing_key().id == key.id


def test_a_disk_without_room_for_it_stops_the_start(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_self: KeyStore, _now: object) -> None:
        raise sqlite3.OperationalError

    monkeypatch.setattr(KeyStore, "ensure_signing", full)
    with pytest.raises(StartError, match="see that the disk has room"):
        house.reopen()
