from __future__ import annotations

import os
import sqlite3
import stat
from typing import TYPE_CHECKING

import pytest

from clawmates.vault import checks, database, keys
from clawmates.vault.checks import StartError, has_swap, keep_out_of_swap, may_lock, require_private
from clawmates.vault.database import create_database, open_database
from clawmates.vault.master import FileMaster, load_master, master_path
from clawmates.vault.records import SCHEMA
from clawmates.wire.names import ItemName

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.unit.vault.conftest import House

FILES = ("master.key", "keys.db", "vault.db", "keys.db-journal")


def test_a_second_start_changes_no_key(house: House) -> None:
    first, intake = house.raw()["master.key"], house.store.intake_key()
    house.reopen()
    assert (house.raw()["master.key"], house.store.intake_key()) == (first, intake)
    assert len(first) == 32


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660, 0o666])
def test_a_file_open_to_others_stops_the_start(
    house: House, name: str, mode: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    house.store.settle()
    path = house.folder / name
    path.chmod(mode)
    with pytest.raises(StartError, match=rf"{name} is open to others \(mode {mode:04o}\): chmod 0600 it"):
        house.reopen()
    monkeypatch.setattr(database, "require_private_file", lambda _path: None)  # the seeded defect
    monkeypatch.setattr("clawmates.vault.master.require_private", lambda *_args: None)
    house.reopen()


@pytest.mark.parametrize("mode", [0o755, 0o710, 0o701])
def test_a_folder_open_to_others_stops_the_start(house: House, mode: int) -> None:
    house.folder.chmod(mode)
    with pytest.raises(StartError, match="vault is open to others"):
        house.reopen()
    house.folder.chmod(0o700)
    house.reopen()


def test_somebody_elses_files_stop_the_start(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    me = os.geteuid()
    monkeypatch.setattr(os, "geteuid", lambda: me + 1)
    with pytest.raises(StartError, match=f"vault belongs to uid {me}, not to the vault"):
        house.reopen()
    monkeypatch.setattr("clawmates.vault.store.private_folder", lambda _path: None)
    with pytest.raises(StartError, match=rf"master\.key belongs to uid {me}"):
        house.reopen()
    monkeypatch.setattr("clawmates.vault.master.require_private", lambda *_args: None)
    with pytest.raises(StartError, match=rf"keys\.db belongs to uid {me}"):
        house.reopen()
    monkeypatch.setattr(checks, "require_private", lambda *_args: None)  # the last seeded defect
    house.reopen()


@pytest.mark.parametrize("name", FILES)
def test_a_link_stops_the_start(house: House, name: str) -> None:
    house.store.settle()
    path = house.folder / name
    path.rename(house.folder.parent / name)
    path.symlink_to(house.folder.parent / name)
    with pytest.raises(StartError, match=name):
        house.reopen()
    path.unlink()
    (house.folder.parent / name).rename(path)
    house.reopen()


def test_the_owner_and_kind_are_looked_at(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.touch(0o600)
    found = path.stat()
    require_private(path, found, stat.S_IFREG)
    with pytest.raises(StartError, match="not a plain folder"):
        require_private(path, found, stat.S_IFDIR)
    foreign = os.stat_result((*found[:4], found.st_uid + 1, *found[5:]))
    with pytest.raises(StartError, match="belongs to uid"):
        require_private(path, foreign, stat.S_IFREG)


def test_another_vaults_master_key_stops_the_start(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    house.folder.joinpath("master.key").write_bytes(os.urandom(32))
    with pytest.raises(StartError, match="the master key does not open"):
        house.reopen()
    monkeypatch.setattr(keys, "_check_canary", lambda *_args: None)  # the seeded defect
    house.reopen()


@pytest.mark.parametrize("length", [0, 31, 33])
def test_a_master_key_of_the_wrong_size_stops_the_start(house: House, length: int) -> None:
    house.folder.joinpath("master.key").write_bytes(bytes(length))
    with pytest.raises(StartError, match="must be 32 bytes long"):
        house.reopen()


def test_a_lost_master_key_is_not_replaced(house: House) -> None:
    house.folder.joinpath("master.key").unlink()
    with pytest.raises(StartError, match=r"cannot read the master key .*: No such file"):
        house.reopen()
    assert not house.folder.joinpath("master.key").exists()


def test_another_region_stops_the_start(house: House) -> None:
    with pytest.raises(StartError, match="belongs to the region 'local', the configuration says 'eu'"):
        house.reopen(region="eu")


def test_the_master_key_may_lie_elsewhere_but_only_in_a_file(house: House, tmp_path: Path) -> None:
    house.folder.joinpath("master.key").rename(tmp_path / "elsewhere.key")
    house.reopen(master_key=f"file:{tmp_path}/elsewhere.key")
    for setting in ("pkcs11:token", "file:", "", "master.key"):
        with pytest.raises(StartError, match="does not name a file"):
            master_path(house.folder, setting)


def test_an_operators_own_master_key_is_taken_at_the_first_start(tmp_path: Path) -> None:
    path = tmp_path / "master.key"
    path.write_bytes(b"k" * 32)
    path.chmod(0o600)
    assert load_master(path, os.urandom, create=True).key.reveal() == b"k" * 32
    with pytest.raises(StartError, match="is not a plain file"):
        load_master(tmp_path, os.urandom, create=False)


def test_a_master_key_names_itself_without_showing_itself(house: House) -> None:
    master = house.store.keys.master.current
    assert isinstance(master, FileMaster)
    assert len(master.id) == 16
    assert master.key.reveal().hex()[:16] != master.id
    assert master.key.reveal().hex() not in repr(master)


# Databases


def test_losing_either_database_stops_the_start(house: House) -> None:
    house.assign("b1")
    for name, remedy in (("vault.db", "from a backup"), ("keys.db", "from its separate copy")):
        house.store.close()
        path = house.folder / name
        path.rename(house.folder.parent / name)
        with pytest.raises(StartError, match=f"{name} is missing beside .*: restore it {remedy}"):
            house.reopen()
        assert not path.exists()
        (house.folder.parent / name).rename(path)
    house.reopen()


def test_a_first_start_that_was_cut_short_is_taken_up_again(house: House) -> None:
    house.store.close()
    house.folder.joinpath("keys.db").unlink()
    house.reopen()
    house.assign("b1")
    house.put("b1", ItemName.PROMPT, 1, "x")
    assert house.open("b1", (ItemName.PROMPT, 1)) == ["x"]


def _truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:5000])


def _overwrite(path: Path) -> None:
    raw = bytearray(path.read_bytes())
    raw[4096:4196] = os.urandom(100)
    path.write_bytes(raw)


def _empty(path: Path) -> None:
    path.write_bytes(b"")


def _no_database(path: Path) -> None:
    path.write_bytes(b"not a database at all" * 500)


def _other_version(path: Path) -> None:
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA user_version=99")
    connection.close()


@pytest.mark.parametrize("name", ["keys.db", "vault.db"])
@pytest.mark.parametrize("damage", [_truncate, _overwrite, _empty, _no_database, _other_version])
def test_a_damaged_database_stops_the_start(house: House, name: str, damage: Callable[[Path], None]) -> None:
    house.assign("b1")
    house.put("b1", ItemName.PROMPT, 1, "x" * 4000)
    house.store.close()
    whole = house.folder.joinpath(name).read_bytes()
    damage(house.folder / name)
    with pytest.raises(StartError, match=f"{name} (cannot be trusted|is not a database|was written by another)"):
        house.reopen()
    house.folder.joinpath(name).write_bytes(whole)
    house.reopen()
    assert house.open("b1", (ItemName.PROMPT, 1)) == ["x" * 4000]


def test_without_quick_check_damage_would_pass(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """The seeded defect: an altered page is seen by nothing else at the start."""
    house.store.close()
    _overwrite(house.folder / "vault.db")
    honest = database._pragma
    monkeypatch.setattr(database, "_pragma", lambda link, name: "ok" if name == "quick_check" else honest(link, name))
    house.reopen()


def test_exchanged_databases_stop_the_start(house: House) -> None:
    house.store.close()
    one, other = house.folder / "keys.db", house.folder / "vault.db"
    swap = one.read_bytes(), other.read_bytes()
    other.write_bytes(swap[0])
    with pytest.raises(StartError, match=r"vault\.db is not a database of the vault"):
        house.reopen()


def test_a_missing_canary_stops_the_start(house: House) -> None:
    house.store.keys.database.connection.execute("DELETE FROM vault")
    with pytest.raises(StartError, match="holds no canary record"):
        house.reopen()


def test_a_second_vault_on_the_same_files_is_refused(house: House) -> None:
    for name in ("keys.db", "vault.db"):
        schema = SCHEMA if name == "vault.db" else keys.SCHEMA
        with pytest.raises(StartError, match=f"{name} is in use by another process"):
            open_database(house.folder / name, schema)


def test_a_full_disk_at_the_first_start_is_one_sentence(
    tmp_path: Path, house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_args: object, **_kwargs: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("clawmates.vault.master.write_atomic", full)
    house.folder = tmp_path / "fresh"
    with pytest.raises(StartError, match=r"cannot set up .*fresh: No space left on device"):
        house.reopen()
    house.folder = tmp_path / "no" / "such" / "parent"
    with pytest.raises(StartError, match=r"cannot make .*parent: No such file or directory"):
        house.reopen()


def test_a_transaction_that_fails_leaves_nothing(house: House) -> None:
    def half_done() -> None:
        with house.store.records.database.transaction() as connection:
            connection.execute("INSERT INTO bots VALUES ('b9', 't', 'n', 0)")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        half_done()
    assert house.store.records.bot("b9") is None


def test_the_journal_is_overwritten_in_place(house: House) -> None:
    journal = house.folder / "vault.db-journal"
    house.assign("b1")
    house.assign("b1", node="node-2")
    before = journal.stat()
    assert any(journal.read_bytes())
    house.store.records.database.scrub_journal()
    after = journal.stat()
    assert (before.st_ino, before.st_size) == (after.st_ino, after.st_size)
    assert not any(journal.read_bytes())


def test_a_database_without_a_journal_has_nothing_to_scrub(tmp_path: Path) -> None:
    create_database(tmp_path / "vault.db", SCHEMA)
    opened = open_database(tmp_path / "vault.db", SCHEMA)
    (tmp_path / "vault.db-journal").unlink(missing_ok=True)
    opened.scrub_journal()
    opened.close()


# Memory

SWAP_OFF = "Filename\tType\tSize\tUsed\tPriority\n"
SWAP_ON = SWAP_OFF + "/dev/sda2 partition 1048572 0 -2\n"
MAY = "Name:\tvault\nCapEff:\t000001fffeffffff\n"
MAY_NOT = "Name:\tvault\nCapEff:\t0000000000000000\n"


@pytest.mark.parametrize(
    ("swaps", "status", "kernel_agrees", "locked"),
    [
        (SWAP_OFF, MAY, True, True),
        (SWAP_ON, MAY, True, True),
        (SWAP_OFF, MAY_NOT, True, False),
        (SWAP_OFF, MAY, False, False),
    ],
)
def test_memory_is_locked_or_nothing_swaps(
    tmp_path: Path, swaps: str, status: str, *, kernel_agrees: bool, locked: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(checks, "lock_memory", lambda: kernel_agrees)
    assert keep_out_of_swap(*_proc(tmp_path, swaps, status)) is locked


@pytest.mark.parametrize(("status", "kernel_agrees"), [(MAY_NOT, True), (MAY, False), ("Name:\tvault\n", True)])
def test_swap_and_unlockable_memory_stop_the_start(
    tmp_path: Path, status: str, *, kernel_agrees: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(checks, "lock_memory", lambda: kernel_agrees)
    with pytest.raises(StartError, match="swapoff -a, or grant CAP_IPC_LOCK"):
        keep_out_of_swap(*_proc(tmp_path, SWAP_ON, status))
    monkeypatch.setattr(checks, "has_swap", lambda _swaps: False)  # the seeded defect
    assert keep_out_of_swap(*_proc(tmp_path, SWAP_ON, status)) is False


def test_proc_is_read_as_it_is() -> None:
    assert may_lock(MAY)
    assert not may_lock(MAY_NOT)
    assert has_swap(SWAP_ON)
    assert not has_swap(SWAP_OFF)
    assert not has_swap("")


def _proc(folder: Path, swaps: str, status: str) -> tuple[Path, Path]:
    (folder / "swaps").write_text(swaps)
    (folder / "status").write_text(status)
    return folder / "swaps", folder / "status"
