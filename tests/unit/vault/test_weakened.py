"""Every refusal of the vault, beside a build in which the very same thing is accepted.

The table is complete: a new refusal without a pair turns the last test red. Pairs that stand where their subject is are
named here.
"""

from __future__ import annotations

import asyncio
import sqlite3
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from tests.support.sentences import test_names

from clawmates.vault import destruction, intake, recorder, rotation, store
from clawmates.vault.debts import Debts
from clawmates.vault.keycopy import CopyError, KeyCopy
from clawmates.vault.keys import KeyStore
from clawmates.vault.ledger import Ledger
from clawmates.vault.master import FileMaster, MasterUnavailableError
from clawmates.vault.masters import Masters
from clawmates.vault.store import RefusedError, Store
from clawmates.wire.names import ItemName
from clawmates.wire.upkeep import RotationRequest
from clawmates.wire.vault import MAX_ITEM_BYTES, Assignment, Redemption, TicketRequest, VaultRefusal
from clawmates.wire.vault_deeds import KeyKind

if TYPE_CHECKING:
    from pathlib import Path

    from tests.unit.vault.conftest import House

    from clawmates.vault.service import Vault

FILE = "tests/unit/vault/"
KEY, PROMPT = ItemName.PROVIDER_KEY, ItemName.PROMPT
PAIRS = {
    VaultRefusal.MALFORMED: ("test_store.py", "test_hosts_stand_where_they_belong_and_inner_keys_come_from_inside"),
    VaultRefusal.NOT_ALLOWED: ("test_app.py", "test_an_open_gate_lets_a_mate_destroy"),
    VaultRefusal.UNKNOWN_BOT: ("test_weakened.py", "test_unknown_bot"),
    VaultRefusal.UNKNOWN_ITEM: ("test_weakened.py", "test_a_superseded_version"),
    VaultRefusal.UNKNOWN_KEY: ("test_weakened.py", "test_an_intake_key_that_is_honoured_no_longer"),
    VaultRefusal.NOT_ASSIGNED: ("test_service.py", "test_a_node_gets_tickets_for_its_own_bots_only"),
    VaultRefusal.LEASE_ENDED: ("test_leases.py", "test_no_ticket_after_the_end"),
    VaultRefusal.REVOKED: (
        "test_revocations.py",
        "test_a_revoked_caller_gets_nothing_even_from_what_is_open_to_all",
    ),
    VaultRefusal.SESSION_UNKNOWN: (
        "test_documents.py",
        "test_a_session_dies_with_freeze_move_newer_life_and_destruction",
    ),
    VaultRefusal.TOO_MANY: ("test_sessions.py", "test_one_mate_cannot_keep_the_vault_busy"),
    VaultRefusal.DIVERGED: ("test_audit.py", "test_a_vault_that_did_not_compare_would_keep_it"),
    VaultRefusal.CANNOT_OPEN: ("test_store.py", "test_an_unbound_intake_would_take_them"),
    VaultRefusal.HOSTS_NOT_LISTED: ("test_catalogue.py", "test_a_credential_for_another_host_is_refused"),
    VaultRefusal.RELEASE_MISSING: (
        "test_catalogue.py",
        "test_without_a_release_of_the_pinned_key_no_credential_is_taken",
    ),
    VaultRefusal.RELEASE_UNSIGNED: (
        "test_catalogue.py",
        "test_without_a_release_of_the_pinned_key_no_credential_is_taken",
    ),
    VaultRefusal.VERSION_EXISTS: ("test_weakened.py", "test_an_old_version"),
    VaultRefusal.TOO_LARGE: ("test_weakened.py", "test_what_is_too_large"),
    VaultRefusal.TICKET_UNKNOWN: ("test_tickets.py", "test_the_right_number_with_a_wrong_secret_is_unknown"),
    VaultRefusal.TICKET_EXPIRED: ("test_tickets.py", "test_a_ticket_expires_after_a_minute"),
    VaultRefusal.TICKET_REUSED: ("test_tickets.py", "test_a_book_that_forgets_to_mark_would_open_twice"),
    VaultRefusal.FROZEN: ("test_service.py", "test_a_vault_without_the_alarm_would_go_on"),
    VaultRefusal.STORAGE_FAILED: ("test_weakened.py", "test_a_release_that_cannot_be_written_down"),
    VaultRefusal.UNKNOWN_TENANT: ("test_weakened.py", "test_a_rotation_for_nobody"),
    VaultRefusal.BEING_DESTROYED: ("test_weakened.py", "test_a_bot_that_is_being_destroyed"),
    VaultRefusal.NO_NEW_MASTER: ("test_weakened.py", "test_a_rotation_to_no_other_key"),
    VaultRefusal.MASTER_UNAVAILABLE: ("test_weakened.py", "test_a_master_key_that_is_away"),
    VaultRefusal.KEYS_COPY_FAILED: ("test_weakened.py", "test_a_copy_that_cannot_be_replaced"),
}


def refused(refusal: VaultRefusal) -> pytest.RaisesExc[RefusedError]:
    return pytest.raises(RefusedError, match=f"^{refusal.value}$")


@pytest.fixture
def bot(house: House) -> str:
    house.assign("b1")
    house.put("b1", KEY, 1, "sk-one")
    return "b1"


async def take(vault: Vault, bot: str, version: int = 1) -> Redemption:
    ticket = await vault.ticket("node-1", TicketRequest(bot=bot, generation=1, items={KEY: version}))
    return Redemption(bot=bot, ticket=ticket.ticket)


async def test_unknown_bot(vault: Vault, house: House, bot: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with refused(VaultRefusal.UNKNOWN_BOT):
        house.put("b2", KEY, 1, "x")
    known = house.store.records.bot(bot)
    assert known is not None
    monkeypatch.setattr(Store, "_bot", lambda _self, name: replace(known, id=name))
    with pytest.raises(sqlite3.IntegrityError):  # and the file itself keeps no record of a bot that it does not have
        house.put("b2", KEY, 1, "x")
    house.store.records.database.connection.execute("PRAGMA foreign_keys=OFF")
    house.put("b2", KEY, 2, "x")
    assert house.open("b2", (KEY, 2)) == ["x"]


def test_a_superseded_version(house: House, bot: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def third() -> list[str]:
        newest = house.store.records.versions(bot, KEY)[-1]
        for version in (newest + 1, newest + 2):
            house.put(bot, KEY, version, f"sk-{version}")
        return house.open(bot, (KEY, newest))

    with refused(VaultRefusal.UNKNOWN_ITEM):
        third()
    monkeypatch.setattr(store, "KEPT_VERSIONS", 3)
    assert third() == ["sk-3"]


def test_an_intake_key_that_is_honoured_no_longer(house: House, bot: str, monkeypatch: pytest.MonkeyPatch) -> None:
    item = house.sealed(house.binding(bot, KEY, 2), "sk-two")
    house.store.begin_rotation(RotationRequest(kind=KeyKind.INTAKE), house.clock.now())
    house.clock.pass_(8 * 24 * 3600)
    with refused(VaultRefusal.UNKNOWN_KEY):
        house.store.put(bot, KEY, 2, item, house.clock.now())
    monkeypatch.setattr("clawmates.vault.keys.honoured", lambda _until, _now: True)
    house.store.put(bot, KEY, 2, item, house.clock.now())


def test_an_old_version(house: House, bot: str, monkeypatch: pytest.MonkeyPatch) -> None:
    old = house.sealed(house.binding(bot, PROMPT, 2), "what control kept")
    house.put(bot, PROMPT, 3, "newer")
    with refused(VaultRefusal.VERSION_EXISTS):
        house.store.put(bot, PROMPT, 2, old, house.clock.now())
    monkeypatch.setattr("clawmates.vault.records.RecordStore.versions", lambda *_: ())
    house.store.put(bot, PROMPT, 2, old, house.clock.now())
    assert house.store.records.record(house.store._bot(bot), PROMPT, 2) is not None


def test_what_is_too_large(house: House, bot: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("clawmates.wire.sealing.MAX_ITEM_BYTES", 2 * MAX_ITEM_BYTES)
    with refused(VaultRefusal.TOO_LARGE):
        house.put(bot, PROMPT, 1, "x" * (MAX_ITEM_BYTES + 1))
    monkeypatch.setattr(intake, "MAX_ITEM_BYTES", 2 * MAX_ITEM_BYTES)
    house.put(bot, PROMPT, 1, "x" * (MAX_ITEM_BYTES + 1))


async def test_a_release_that_cannot_be_written_down(vault: Vault, bot: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_self: Ledger, _notes: object) -> None:
        raise sqlite3.OperationalError

    monkeypatch.setattr(Ledger, "append", full)
    with refused(VaultRefusal.STORAGE_FAILED):
        await vault.redeem(await take(vault, bot))
    monkeypatch.setattr(recorder.Recorder, "write", lambda *_: asyncio.sleep(0))
    assert (await vault.redeem(await take(vault, bot))).items[0].value.reveal() == "sk-one"


async def test_a_rotation_for_nobody(vault: Vault, bot: str, monkeypatch: pytest.MonkeyPatch) -> None:
    request = RotationRequest(kind=KeyKind.TENANT, tenant="nobody")
    with refused(VaultRefusal.UNKNOWN_TENANT):
        await vault.rotate(request)
    monkeypatch.setattr(rotation, "begin_tenant", lambda *_: True)
    await vault.rotate(request)


async def test_a_bot_that_is_being_destroyed(
    vault: Vault, house: House, bot: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    again = Assignment(tenant="acme", node="node-1")
    with monkeypatch.context() as patched:
        patched.setattr(Debts, "finish", lambda *_: (_ for _ in ()).throw(OSError(28)))
        with refused(VaultRefusal.STORAGE_FAILED):
            await vault.destroy(bot)
    with refused(VaultRefusal.BEING_DESTROYED):
        await vault.assign(bot, again)
    monkeypatch.setattr(destruction, "is_condemned", lambda *_: False)
    await vault.assign(bot, again)


async def test_a_rotation_to_no_other_key(vault: Vault, house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    house.store.masters.reread = lambda: replace(house.wanted, key="file:other.key")
    request = RotationRequest(kind=KeyKind.MASTER)
    with refused(VaultRefusal.NO_NEW_MASTER):
        await vault.rotate(request)
    monkeypatch.setattr(Masters, "begin", lambda *_: None)
    await vault.rotate(request)


async def test_a_master_key_that_is_away(vault: Vault, bot: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The weakened build keeps what was opened once, so that pulling the token out would stop nothing."""
    kept: dict[str, object] = {}
    honest = KeyStore.data_key

    def remembering(self: KeyStore, binding: object) -> object:
        if "key" not in kept:
            kept["key"] = honest(self, binding)  # type: ignore[arg-type]
        return kept["key"]

    def away(*_args: object) -> None:
        raise MasterUnavailableError

    with monkeypatch.context() as patched:
        patched.setattr(FileMaster, "unwrap", away)
        with refused(VaultRefusal.MASTER_UNAVAILABLE):
            await vault.redeem(await take(vault, bot))
    monkeypatch.setattr(KeyStore, "data_key", remembering)
    await vault.redeem(await take(vault, bot))
    monkeypatch.setattr(FileMaster, "unwrap", away)
    assert (await vault.redeem(await take(vault, bot))).items[0].value.reveal() == "sk-one"


def test_a_copy_that_cannot_be_replaced(
    house: House, bot: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The weakened build says that it was replaced, and the destroyed key lives on in it."""
    (tmp_path / "away").mkdir(mode=0o700)
    house.keys_copy = str(tmp_path / "away" / "keys.db")
    house.reopen()
    house.store.settle()

    def away(_self: KeyCopy, _image: bytes) -> None:
        raise CopyError

    before = (tmp_path / "away" / "keys.db").read_bytes()
    with monkeypatch.context() as patched:
        patched.setattr(KeyCopy, "replace", away)
        with pytest.raises(CopyError):  # which the service answers as KEYS_COPY_FAILED
            house.destroy(bot)
    monkeypatch.setattr(KeyCopy, "replace", lambda *_: None)
    assert house.destroy(bot).receipt.bots == (bot,)
    assert (tmp_path / "away" / "keys.db").read_bytes() == before


def test_every_refusal_has_its_pair() -> None:
    assert set(PAIRS) == set(VaultRefusal)
    for file, name in PAIRS.values():
        assert name in test_names(FILE + file), f"{file} has no {name}"
