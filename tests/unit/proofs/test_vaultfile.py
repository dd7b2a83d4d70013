"""An independent reader of the vault's files: it opens what the vault writes, and objects to what is not bound."""

from __future__ import annotations

import os
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clawmates.base.secret import Secret
from clawmates.proofs.boxes import CONTROL_BYTES, examine, loose, objects
from clawmates.proofs.canary import Canary, mint
from clawmates.proofs.claims.at_rest import patterns_of
from clawmates.proofs.search import CONTROL, Found, search
from clawmates.proofs.sources import Piece
from clawmates.proofs.vaultfile import (
    Binding,
    Kept,
    UnreadableError,
    born,
    data_key,
    disguises,
    kept,
    lengths,
    master_id,
    open_record,
    raw,
    seal_record,
    unseal,
)
from clawmates.vault.database import create_database, open_database
from clawmates.vault.envelope import Layer, fresh_key, lock
from clawmates.vault.keys import create_keys, open_keys
from clawmates.vault.masters import Masters, MasterSettings
from clawmates.vault.records import SCHEMA, Record, RecordStore
from clawmates.wire.names import ItemName
from clawmates.wire.vault import Binding as TheirBinding

MASTER = bytes(range(32))
BORN = datetime(2026, 11, 1, 12, tzinfo=UTC)
SECRETS = {"alpha": b"one secret", "beta": b"another"}


@pytest.fixture
def files(tmp_path: Path) -> tuple[bytes, bytes]:
    """(vault.db, keys.db) as the vault's own code writes them."""
    tmp_path.chmod(0o700)
    key = tmp_path / "master.key"
    key.write_bytes(MASTER)
    key.chmod(0o600)
    settings = MasterSettings("file:master.key", "")
    masters = Masters(tmp_path, settings, os.urandom, lambda: settings)
    create_keys(tmp_path / "keys.db", "eu", masters.open(create=False).current, os.urandom, BORN)
    keys = open_keys(tmp_path / "keys.db", "eu", masters, os.urandom)
    create_database(tmp_path / "vault.db", SCHEMA)
    records = RecordStore(open_database(tmp_path / "vault.db", SCHEMA), "eu")
    for bot, text in SECRETS.items():
        records.assign(bot, "self", "node-1", None)
        binding = TheirBinding(
            key_id="k", region="eu", tenant="self", bot=bot, name=ItemName.PROVIDER_KEY, version=1, hosts=("a.example",)
        )
        own = fresh_key(os.urandom)
        keys.add(binding, own)
        records.add(Record(binding, b"", lock(own, Layer.RECORD, binding.encode(), Secret(text), os.urandom)))
    images = records.database.image(), keys.database.image()
    records.database.close()
    keys.database.close()
    return images


@pytest.fixture
def rows(files: tuple[bytes, bytes]) -> tuple[Kept, ...]:
    return kept(*files)


def test_what_the_vault_writes_opens_by_the_formats_alone(rows: tuple[Kept, ...]) -> None:
    assert {one.binding.bot: open_record(one, MASTER) for one in rows} == SECRETS
    assert {one.master for one in rows} == {master_id(MASTER)}
    assert {len(data_key(one, MASTER) or b"") for one in rows} == {32}
    assert rows[0].title == "alpha, provider-key, version 1"


def test_the_examination_has_nothing_against_the_vaults_own_work(rows: tuple[Kept, ...]) -> None:
    checks = examine(rows, MASTER, bytes(32))
    assert [check.objection for check in checks if not check.ok] == []
    assert {"nonces", "ciphertexts swapped between records", "records, said to be of another host"} <= {
        check.what for check in checks
    }
    assert all(check.count for check in checks)


def test_each_weakness_is_objected_to(rows: tuple[Kept, ...]) -> None:
    one = rows[0]
    twin = seal_record(one, MASTER, b"text", bytes(CONTROL_BYTES))
    # Two records under one data key, with one nonce.
    weak = [check.what for check in examine((twin, twin), MASTER, bytes(32)) if not check.ok]
    assert {"data keys", "nonces", "ciphertexts swapped between records"} <= set(weak)
    # A key that opens it although it should not.
    assert "records, with another key of its kind" in [
        check.what for check in examine(rows, MASTER, MASTER) if not check.ok
    ]
    assert "records, with the master key" in [check.what for check in examine(rows, bytes(32), MASTER) if not check.ok]
    assert objects(one, MASTER, os.urandom(CONTROL_BYTES))
    assert {open_record(each, MASTER) for each in loose(one, MASTER, os.urandom(CONTROL_BYTES))} == {
        b"a text that nobody kept",
        None,
    }


@pytest.mark.parametrize("what", ["another bot", "another tenant", "another item", "another version", "another host"])
def test_a_record_that_is_not_bound_in_one_point_would_open_there(rows: tuple[Kept, ...], what: str) -> None:
    other = disguises(rows[0])[what]
    assert open_record(other, MASTER) is None
    assert open_record(seal_record(other, MASTER, b"text", os.urandom(CONTROL_BYTES)), MASTER) == b"text"


def test_a_destroyed_key_leaves_a_record_that_opens_no_more(rows: tuple[Kept, ...]) -> None:
    assert open_record(replace(rows[0], data_key=b""), MASTER) is None
    assert open_record(replace(rows[0], tenant_key=b""), MASTER) is None


def test_the_vaults_age_is_in_its_files(files: tuple[bytes, bytes]) -> None:
    """No credential on this host is older: a whole disk need not be read for them again."""
    assert born(files[1]) == BORN
    with pytest.raises(UnreadableError):
        born(files[0])


def test_files_that_are_none_say_so(tmp_path: Path, files: tuple[bytes, bytes]) -> None:
    for pair in ((b"noise", files[1]), (files[0], b"noise"), (files[1], files[0]), (b"", b"")):
        with pytest.raises(UnreadableError):
            kept(*pair)
    with pytest.raises(UnreadableError):
        raw(tmp_path / "absent")


@given(st.binary(max_size=80), st.binary(max_size=33))
def test_no_box_surprises_the_reader(box: bytes, key: bytes) -> None:
    assert unseal(key, b"", box) is None


@given(st.lists(st.text(max_size=5), max_size=4), st.lists(st.text(max_size=5), max_size=4))
def test_fields_cannot_run_into_each_other(one: list[str], other: list[str]) -> None:
    assert (lengths(*one) == lengths(*other)) is (one == other)


def test_the_binding_is_the_one_of_the_protocol() -> None:
    fields = ("k", "eu", "self", "bot", "provider-key", 3, ("a.example", "b.example"))
    key_id, region, tenant, bot, name, version, hosts = fields
    theirs = TheirBinding(
        key_id=key_id, region=region, tenant=tenant, bot=bot, name=ItemName(name), version=version, hosts=hosts
    )
    assert Binding(*fields).encode() == theirs.encode()


@pytest.fixture
def texts() -> tuple[str, str]:
    return "123456789:AAE-x_y" + mint().stem, "sk-" + mint().stem


def test_several_credentials_are_looked_for_at_once(texts: tuple[str, str]) -> None:
    planted = Canary(mint().stem)
    patterns = patterns_of(texts, planted)
    found = {
        event.encoding
        for data in (texts[0].encode().hex().encode(), texts[1].encode("utf-16-le"), planted.stem.encode(), b"nothing")
        for event in search(Piece(b"x" + data + b"y"), patterns)
        if isinstance(event, Found)
    }
    assert found == {"hex-lower", "utf-16-le", CONTROL}
