"""Destruction to depth: keys, records, the copy; the receipt; and what an old backup is worth afterwards."""

from __future__ import annotations

import hashlib
import json
import sqlite3
from base64 import b64decode, b64encode
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path

import pytest
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from tests.unit.vault.conftest import House

from clawmates.base.shape import encode_json
from clawmates.vault import chores
from clawmates.vault import destruction as module
from clawmates.vault.chores import Step
from clawmates.vault.keycopy import CopyError, KeyCopy
from clawmates.vault.records import RecordStore
from clawmates.vault.store import RefusedError
from clawmates.wire.names import ItemName
from clawmates.wire.receipt import KeysCopy, ReceiptError, SignedReceipt, Subject, check
from clawmates.wire.upkeep import RotationRequest
from clawmates.wire.vault import VaultRefusal
from clawmates.wire.vault_deeds import KeyKind

KEY, PROMPT, PEOPLE = ItemName.PROVIDER_KEY, ItemName.PROMPT, ItemName.PEOPLE
SECRETS = {"b1": "sk-canary-one", "b2": "sk-canary-two", "b3": "sk-canary-three"}


@pytest.fixture
def full(house: House, tmp_path: Path) -> House:
    """Tenant acme has b1 and b2, tenant other has b3; there is a separate copy of the keys."""
    (tmp_path / "away").mkdir(mode=0o700)
    house.keys_copy = str(tmp_path / "away" / "keys.db")
    house.reopen()
    for bot, secret in SECRETS.items():
        owner = "other" if bot == "b3" else "acme"
        house.assign(bot, owner)
        house.put(bot, KEY, 1, secret, owner)
        house.put(bot, PROMPT, 1, f"prompt of {bot}", owner)
    house.store.settle()
    return house


# An attacker who knows the formats and has none of our code: SQLite, AES-GCM and docs/vault.md.


@dataclass(frozen=True)
class Loot:
    """Raw copies of files, and the master key as it is now."""

    records: bytes
    keys: bytes
    master: bytes

    def opened(self) -> set[str]:
        """Every plaintext that these bytes give."""
        found = set()
        keys, records = self._tables(self.keys), self._tables(self.records)
        tenant_keys = {}
        for tenant, generation, _, wrapped in keys["tenant_keys"]:
            about = b"clawmates-tenant-key-v1\0" + fields("local", tenant, str(generation))
            tenant_keys[tenant, generation] = unbox(self.master, about, wrapped)
        tenants = {row[0]: row[1] for row in records["bots"]}
        wrapped_keys = {row[:3]: row[3:] for row in keys["data_keys"]}
        for bot, name, version, key_id, hosts, _, box in records["records"]:
            names = json.loads(hosts)
            binding = fields(
                "clawmates-seal-v1", key_id, "local", tenants[bot], bot, name, str(version), str(len(names)), *names
            )
            # Any data key is tried, not only the one that stands beside the record.
            for tenant, generation, wrapped in wrapped_keys.values():
                tenant_key = tenant_keys.get((tenant, generation))
                data_key = unbox(tenant_key, b"clawmates-data-key-v1\0" + binding, wrapped)
                plain = unbox(data_key, b"clawmates-record-v1\0" + binding, box)
                if plain is not None:
                    found.add(plain.decode())
        return found

    @staticmethod
    def _tables(image: bytes) -> dict[str, list[tuple]]:  # type: ignore[type-arg]
        connection = sqlite3.connect(":memory:")
        connection.deserialize(image)
        names = [row[0] for row in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        found = {name: connection.execute(f"SELECT * FROM {name}").fetchall() for name in names}
        connection.close()
        return found


def fields(*values: str) -> bytes:
    return b"".join(len(value.encode()).to_bytes(4, "big") + value.encode() for value in values)


def unbox(key: bytes | None, about: bytes, box: bytes) -> bytes | None:
    if key is None or box[:1] != b"\x01":
        return None
    try:
        return AESGCM(key).decrypt(box[1:13], box[13:], about)
    except InvalidTag:
        return None


def raw(house: House, name: str) -> bytes:
    return (house.folder / name).read_bytes()


EVERYTHING = {*SECRETS.values(), "prompt of b1", "prompt of b2", "prompt of b3"}
B3 = {"sk-canary-three", "prompt of b3"}


def test_an_old_backup_opens_before_and_is_noise_after(full: House) -> None:
    """A raw copy of vault.db made before, the current master key, keys.db and its copy, our formats, none of our code.

    docs/vault.md: "whoever has a copy of everything cannot open what was destroyed before" its keys.db was copied.
    """
    backup, old_keys = raw(full, "vault.db"), raw(full, "keys.db")
    copy = Path(full.keys_copy)
    assert Loot(backup, old_keys, raw(full, "master.key")).opened() == EVERYTHING, "the control"
    assert Loot(backup, copy.read_bytes(), raw(full, "master.key")).opened() == EVERYTHING
    full.destroy("b1")
    full.destroy("b2")
    for keys in (raw(full, "keys.db"), copy.read_bytes()):
        assert Loot(backup, keys, raw(full, "master.key")).opened() == B3
    assert old_keys != raw(full, "keys.db")


def test_a_destroyed_tenant_shreds_all_its_bots(full: House) -> None:
    backup = raw(full, "vault.db")
    signed = full.store.destroy_tenant("acme", full.clock.now())
    assert Loot(backup, raw(full, "keys.db"), raw(full, "master.key")).opened() == B3
    assert Loot(raw(full, "vault.db"), raw(full, "keys.db"), raw(full, "master.key")).opened() == B3
    assert signed.receipt.bots == ("b1", "b2")
    assert signed.receipt.tenant_keys == 1
    assert {(one.bot, one.name) for one in signed.receipt.items} == {
        (bot, name) for bot in ("b1", "b2") for name in (KEY, PROMPT)
    }
    for bot in ("b1", "b2"):
        with pytest.raises(RefusedError, match=VaultRefusal.UNKNOWN_BOT.value):
            full.open(bot, (KEY, 1))
    assert full.open("b3", (KEY, 1)) == [SECRETS["b3"]]


def test_a_superseded_version_is_gone_from_backups_too(full: House) -> None:
    """People change often: their old lists are cleared together, a moment later."""
    full.put("b1", PEOPLE, 1, "alice")
    backup = raw(full, "vault.db")
    full.put("b1", PEOPLE, 2, "alice, bob")
    full.put("b1", PEOPLE, 3, "bob")
    full.work()
    keys = raw(full, "keys.db")
    assert "alice" not in Loot(backup, keys, raw(full, "master.key")).opened()
    assert {"alice, bob", "bob"} < Loot(raw(full, "vault.db"), keys, raw(full, "master.key")).opened()


def test_what_was_replaced_or_taken_away_is_destroyed_alone_and_its_blob_does_not_come_back(
    full: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    blob = full.sealed(full.binding("b1", PROMPT, 2), "before")
    full.store.put("b1", PROMPT, 2, blob, full.clock.now())
    full.put("b1", PROMPT, 3, "now")
    backup, copy = raw(full, "vault.db"), Path(full.keys_copy)
    assert full.store.destroy_item("b1", PROMPT, 2)
    full.work()
    for keys in (raw(full, "keys.db"), copy.read_bytes()):
        opened = Loot(backup, keys, raw(full, "master.key")).opened()
        assert "before" not in opened
        assert {"now", SECRETS["b1"]} <= opened
    assert not full.store.destroy_item("b1", PROMPT, 2), "said again it changes nothing"
    assert full.open("b1", (PROMPT, 3), (KEY, 1)) == ["now", SECRETS["b1"]]

    assert full.store.destroy_item("b1", PROMPT, 3)
    with pytest.raises(RefusedError, match=VaultRefusal.UNKNOWN_ITEM.value):
        full.open("b1", (PROMPT, 3))
    for version in (2, 3):
        with pytest.raises(RefusedError, match=VaultRefusal.VERSION_EXISTS.value):
            full.store.put("b1", PROMPT, version, blob, full.clock.now())
    full.put("b1", PROMPT, 4, "and again")
    full.reopen()
    assert full.open("b1", (PROMPT, 4)) == ["and again"]
    for refused in (PEOPLE, ItemName.INGRESS_KEY):
        with pytest.raises(RefusedError, match=VaultRefusal.NOT_ALLOWED.value):
            full.store.destroy_item("b1", refused, 9)
    with pytest.raises(RefusedError, match=VaultRefusal.UNKNOWN_BOT.value):
        full.store.destroy_item("b9", PROMPT, 9)

    monkeypatch.setattr(RecordStore, "spend", lambda *_: None)  # the weakened build: numbers are taken twice
    old = full.sealed(full.binding("b2", PROMPT, 1), "once more")
    full.store.destroy_item("b2", PROMPT, 1)
    full.store.put("b2", PROMPT, 1, old, full.clock.now())
    assert full.open("b2", (PROMPT, 1)) == ["once more"]


def test_deleting_records_alone_would_leave_the_backup_open(full: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """The seeded defect: rows are deleted, keys are not."""
    backup = raw(full, "vault.db")
    kept = set(full.store.keys.database.connection.execute("SELECT * FROM data_keys"))
    full.store.records.forget("b1")
    assert set(full.store.keys.database.connection.execute("SELECT * FROM data_keys")) == kept
    assert SECRETS["b1"] in Loot(backup, raw(full, "keys.db"), raw(full, "master.key")).opened()


def test_a_copy_that_is_only_added_to_would_open_it(full: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """The seeded defect: the copy is not replaced."""
    backup = raw(full, "vault.db")
    monkeypatch.setattr(KeyCopy, "replace", lambda _self, _image: None)
    full.destroy("b1")
    assert SECRETS["b1"] in Loot(backup, Path(full.keys_copy).read_bytes(), raw(full, "master.key")).opened()


# Receipts


def public(house: House) -> str:
    return b64encode(house.store.keys.signing_key().public).decode()


def test_the_receipt_says_what_was_destroyed_when_and_by_what(full: House) -> None:
    full.clock.pass_(60)
    signed = full.destroy("b1")
    receipt = check(public(full), signed)
    assert (receipt.subject, receipt.name, receipt.tenant, receipt.bots) == (Subject.BOT, "b1", "acme", ("b1",))
    assert [(one.name, one.version) for one in receipt.items] == [(PROMPT, 1), (KEY, 1)]
    assert receipt.asked == receipt.destroyed == "2026-11-22T09:01:00.000Z"
    assert receipt.software.startswith("clawmates 0.")
    assert receipt.keys_copy is KeysCopy.REPLACED
    assert (receipt.tenant_keys, full.destroy("b2").receipt.tenant_keys) == (0, 1)


def test_a_receipt_can_be_checked_without_our_code(full: House) -> None:
    signed = json.loads(encode_json(full.destroy("b1")))
    text = json.dumps(signed["receipt"], sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()
    key = Ed25519PublicKey.from_public_bytes(b64decode(public(full)))
    key.verify(b64decode(signed["signature"]), b"clawmates-destruction-receipt-v1\0" + text)
    assert signed["receipt"]["key_id"] == hashlib.sha256(b64decode(public(full))).hexdigest()[:16]


def test_a_receipt_that_was_changed_or_is_anothers_is_refused(full: House) -> None:
    key, signed = public(full), full.destroy("b1")
    for broken in (
        replace(signed, receipt=replace(signed.receipt, name="b2")),
        replace(signed, receipt=replace(signed.receipt, destroyed="2026-11-21T09:00:00.000Z")),
        replace(signed, receipt=replace(signed.receipt, items=())),
        replace(signed, signature=signed.signature[:-4] + "AAA="),
        replace(signed, signature="?"),
    ):
        with pytest.raises(ReceiptError):
            check(key, broken)
    for other in (b64encode(bytes(32)).decode(), "", "not base64", b64encode(b"short").decode()):
        with pytest.raises(ReceiptError):
            check(other, signed)
    assert check(key, signed) == signed.receipt


def test_a_check_that_asks_no_signature_would_take_anything(full: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """The seeded defect."""

    class Nods:
        @classmethod
        def from_public_bytes(cls, _raw: bytes) -> Nods:
            return cls()

        def verify(self, _signature: bytes, _data: bytes) -> None:
            return

    key, signed = public(full), full.destroy("b1")
    monkeypatch.setattr("clawmates.wire.receipt.Ed25519PublicKey", Nods)
    forged = replace(signed, receipt=replace(signed.receipt, name="b2"))
    assert check(key, forged).name == "b2"


def test_the_receipt_key_outlives_a_rotation_of_the_master_key(full: House) -> None:
    before, signed = public(full), full.destroy("b1")
    full.store.begin_rotation(RotationRequest(kind=KeyKind.MASTER), full.clock.now())
    full.work()
    assert public(full) == before
    assert check(before, full.destroy("b2")).name == "b2"
    assert check(before, signed).name == "b1"


def test_the_same_again_gives_the_same_receipt_for_thirty_days(full: House) -> None:
    signed = full.destroy("b1")
    full.clock.pass_(timedelta(days=29).total_seconds())
    full.work()
    assert full.destroy("b1") == signed
    full.clock.pass_(timedelta(days=2).total_seconds())
    assert Step.EXPIRED in full.work()
    again = full.destroy("b1").receipt
    assert again.id != signed.receipt.id
    assert (again.bots, again.items, again.tenant_keys) == ((), (), 0), "there was nothing here"


def test_what_never_was_gets_a_receipt_that_says_so_and_is_not_kept(full: House) -> None:
    for signed in (full.destroy("nobody"), full.store.destroy_tenant("nobody", full.clock.now())):
        assert check(public(full), signed).items == ()
        assert signed.receipt.keys_copy is KeysCopy.NONE
    assert _rows(full) == 0


def test_a_bot_made_anew_is_destroyed_anew(full: House) -> None:
    first = full.destroy("b1")
    full.assign("b1")
    full.put("b1", KEY, 1, "sk-second-life")
    second = full.destroy("b1")
    assert second.receipt.id != first.receipt.id
    assert full.destroy("b1") == second


def test_a_bot_with_nothing_in_it_is_destroyed_too(full: House) -> None:
    full.assign("empty")
    assert full.destroy("empty").receipt.bots == ("empty",)
    assert full.store.records.bot("empty") is None


# Cut short


def test_a_copy_that_cannot_be_replaced_leaves_it_unfinished_and_says_so(
    full: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(_self: KeyCopy, _image: bytes) -> None:
        raise CopyError

    backup = raw(full, "vault.db")
    with monkeypatch.context() as patched:
        patched.setattr(KeyCopy, "replace", away)
        for _ in range(2):
            with pytest.raises(CopyError):
                full.destroy("b1")
        full.reopen()
        full.store.settle()
        assert len(module.pending(full.store.keys)) == 1
        with pytest.raises(RefusedError, match=VaultRefusal.UNKNOWN_BOT.value):
            full.open("b1", (KEY, 1))
        with pytest.raises(RefusedError, match=VaultRefusal.BEING_DESTROYED.value):
            full.assign("b1")
        assert SECRETS["b1"] not in Loot(backup, raw(full, "keys.db"), raw(full, "master.key")).opened()
    signed = full.destroy("b1")
    assert check(public(full), signed).keys_copy is KeysCopy.REPLACED
    assert module.pending(full.store.keys) == ()
    full.assign("b1")


def test_a_vault_without_the_note_would_forget_what_it_had_begun(full: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """The seeded defect: the records of a bot whose keys are gone could come to life under a bot made anew."""
    monkeypatch.setattr(module, "is_condemned", lambda _keys, _bot: False)

    def crash(_self: RecordStore, _bot: str) -> None:
        raise sqlite3.OperationalError

    with monkeypatch.context() as patched:
        patched.setattr(RecordStore, "forget", crash)
        with pytest.raises(sqlite3.OperationalError):
            full.destroy("b1")
    full.assign("b1")
    full.put("b1", ItemName.CHANNEL_TOKEN, 1, "42:new")
    full.work()
    with pytest.raises(RefusedError, match=VaultRefusal.UNKNOWN_BOT.value):
        full.open("b1", (ItemName.CHANNEL_TOKEN, 1))


def test_a_tenant_half_destroyed_is_finished_by_the_chores(full: House, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patched:
        patched.setattr("clawmates.vault.debts.Debts.finish", lambda *_args: (_ for _ in ()).throw(OSError(28)))
        with pytest.raises(OSError, match="28"):
            full.store.destroy_tenant("acme", full.clock.now())
    full.reopen()
    done = chores.step(full.store, full.clock.now())
    assert done is not None
    assert done.receipt is not None
    assert isinstance(done.receipt, SignedReceipt)
    assert full.store.destroy_tenant("acme", full.clock.now()) == done.receipt
    assert full.store.records.bots_of("acme") == frozenset()


def _rows(house: House) -> int:
    (count,) = house.store.keys.database.connection.execute("SELECT count(*) FROM destructions").fetchone()
    return int(count)
