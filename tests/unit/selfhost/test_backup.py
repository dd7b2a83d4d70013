"""Backups of a vault that a unit test fills; the running platform is in tests/integration/test_backup.py."""

from __future__ import annotations

import hashlib
import os
import shutil
import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from clawmates.base.paths import State
from clawmates.base.secret import Secret
from clawmates.base.shape import decode_json, encode_json
from clawmates.base.x509 import uri_names_of
from clawmates.cli.backup import _text as restored_text
from clawmates.selfhost import backup as backups
from clawmates.selfhost import pki
from clawmates.selfhost.backup import AUTHORITY, AUTHORITY_KEY, CONFIG, DESIRED, RECORDS, BackupError, File, Manifest
from clawmates.selfhost.keyfile import Kind, public_of
from clawmates.selfhost.restore import Keys, Restored, restore
from clawmates.selfhost.sealedfile import DamagedError, OtherRecipientError
from clawmates.vault.catalogue import Catalogue
from clawmates.vault.envelope import EnvelopeError, Layer, unlock
from clawmates.vault.masters import Masters, MasterSettings
from clawmates.vault.sessions import Holder
from clawmates.vault.store import Store, open_store
from clawmates.wire.desired import BotSpec, DesiredState
from clawmates.wire.names import ChannelKind, ItemName
from clawmates.wire.revoked import read_revoked
from clawmates.wire.sealing import seal
from clawmates.wire.vault import Assignment, Binding, sealed_text

NOW = datetime(2026, 11, 28, 12, 0, tzinfo=UTC)
KEY = Secret(bytes(range(32)))
PUBLIC = public_of(Kind.BACKUP, KEY)
PROMPT = ItemName.PROMPT
MASTER = MasterSettings("file:master.key")


@dataclass
class House:
    """A state folder with a vault in it, and its separate copy of the keys."""

    state: State
    store: Store
    copy: Path

    def put(self, bot: str, version: int = 1) -> None:
        self.store.assign(bot, Assignment(tenant="self", node="node-1"), NOW)
        key = self.store.intake_key()
        binding = Binding(key_id=key.id, region="local", tenant="self", bot=bot, name=PROMPT, version=version, hosts=())
        sealed = seal(sealed_text(key.public), binding, Secret(f"prompt {version} of {bot}"))
        self.store.put(bot, PROMPT, version, sealed, NOW)

    def desire(self, *bots: tuple[str, int], people: int = 0) -> None:
        more = {ItemName.PEOPLE: people} if people else {}
        specs = tuple(
            BotSpec(
                id=bot,
                tenant="self",
                channel=ChannelKind.TERMINAL,
                provider="openai",
                model="m",
                items={PROMPT: version, **(more if bot == "home" else {})},
            )
            for bot, version in bots
        )
        self.state.desired.write_bytes(encode_json(DesiredState(revision=7, bots=specs)))

    def collected(self) -> tuple[Manifest, dict[str, bytes]]:
        """As :func:`clawmates.selfhost.backup.collect`, without a vault that serves."""
        self.copy.write_bytes(self.store.keys.database.image())
        files = {
            CONFIG: self.state.config.read_bytes(),
            DESIRED: self.state.desired.read_bytes(),
            AUTHORITY: self.state.authority.read_bytes(),
            AUTHORITY_KEY: (self.state.pki / "authority.key").read_bytes(),
            RECORDS: self.store.records.database.image(),
            "release/release.json": b"{}",
        }
        return manifest_of(files), files


def manifest_of(files: dict[str, bytes]) -> Manifest:
    return Manifest(
        format=backups.FORMAT,
        made="2026-11-28T12:00:00Z",
        software="clawmates 0",
        region="local",
        node="node-1",
        master="file:x",
        files=tuple(
            File(name=name, size=len(data), sha256=hashlib.sha256(data).hexdigest())
            for name, data in sorted(files.items())
        ),
    )


def store_at(folder: Path) -> Store:
    masters = Masters(folder, MASTER, os.urandom, lambda: MASTER)
    return open_store(masters, region="local", catalogue=Catalogue(folder, ""), now=NOW)


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    state = State(tmp_path / "old")
    state.root.mkdir()
    state.config.write_text(f'[platform]\nrun = "{tmp_path}/run"\n')
    pki.ensure(state, "local", "node-1", NOW)
    store = store_at(state.vault)
    (tmp_path / "elsewhere").mkdir()
    house = House(state, store, tmp_path / "elsewhere" / "keys.db")
    house.put("home")
    house.put("work")
    house.desire(("home", 1), ("work", 1))
    yield house
    store.close()


@pytest.fixture
def there(tmp_path: Path) -> State:
    return State(tmp_path / "new" / "state")


def back(house: House, there: State, manifest: Manifest, files: dict[str, bytes]) -> Restored:
    master = house.state.root.parent / "master.copy"
    shutil.copy(house.state.vault / "master.key", master)
    return restore(manifest, files, Keys(copy=house.copy, master=master), there, NOW + timedelta(days=1))


def restored(there: State) -> Store:
    """The vault that came of it, in a copy that belongs to whoever runs this test."""
    shutil.copytree(there.vault, there.root.parent / "mine")
    return store_at(there.root.parent / "mine")


def prompt(store: Store, bot: str) -> str:
    return store.read_back(bot, PROMPT).text.reveal().decode()


def test_what_was_in_the_vault_is_in_the_vault_again(house: House, there: State) -> None:
    found = back(house, there, *house.collected())
    assert (found.bots, found.destroyed, found.incomplete) == (("home", "work"), (), {})
    assert [path.name for path in there.root.parent.iterdir()] == ["state"]
    store = restored(there)
    assert prompt(store, "home") == "prompt 1 of home"
    store.close()
    assert decode_json(DesiredState, there.desired.read_bytes()).revision == 8
    assert (there.vault / "keys.db").stat().st_mode & 0o777 == 0o600
    assert (there.pki / "authority.key").stat().st_mode & 0o777 == 0o600


def test_a_backup_of_somebody_elses_making_shows_whose_programs_it_would_run(house: House, there: State) -> None:
    """The seal is to a public key, so it names no sender: what would betray a forgery is said before anything runs."""
    _, files = house.collected()
    forged = "[node]\nrelease_key = 'c3RyYW5nZXI='\nunsafe_extra_ca = '/tmp/stranger.pem'\n"
    files |= {CONFIG: files[CONFIG] + forged.encode()}
    path = there.root.parent.parent / "forged.backup"
    backups.write(path, PUBLIC, manifest_of(files), files)
    found = back(house, there, *backups.open_backup(path, KEY))
    assert (found.release_key, found.unsafe) == ("c3RyYW5nZXI=", ("node.unsafe_extra_ca",))
    told = restored_text(found)
    assert "signed by c3RyYW5nZXI=. Compare" in told
    assert "node.unsafe_extra_ca" in told


def opens_nothing(house: House, files: dict[str, bytes], bot: str) -> bool:
    """Whether no key that is left anywhere opens the record: all of them are tried, our rules are not asked."""
    database = sqlite3.connect(":memory:")
    database.deserialize(files[RECORDS])
    (box,) = database.execute("SELECT box FROM records WHERE bot = ?", (bot,)).fetchone()
    binding = house.store.records.binding("home", PROMPT.value, 1)
    assert binding is not None
    about = replace(binding, bot=bot).encode()
    keys = house.store.keys
    tried = 0
    for name, wrapped in keys.database.connection.execute("SELECT bot, wrapped FROM data_keys"):
        data_key = unlock(keys.tenant_key("self", 1), Layer.DATA_KEY, replace(binding, bot=name).encode(), wrapped)
        tried += 1
        try:
            unlock(data_key, Layer.RECORD, about, box)
        except EnvelopeError:
            continue
        return False
    assert tried
    return True


def test_what_was_destroyed_since_stays_destroyed(house: House, there: State) -> None:
    manifest, files = house.collected()
    assert not opens_nothing(house, files, "work")
    house.store.destroy("work", NOW)
    house.copy.write_bytes(house.store.keys.database.image())
    # To one who has everything and skips our code:
    assert opens_nothing(house, files, "work")
    # To our code:
    found = back(house, there, manifest, files)
    assert (found.bots, found.destroyed) == (("home",), ("work",))
    assert decode_json(DesiredState, there.desired.read_bytes()).bot("work") is None
    store = restored(there)
    store.settle()
    assert prompt(store, "home") == "prompt 1 of home"
    assert store.records.items_of("work") == frozenset()
    store.close()


@pytest.mark.parametrize("since", [0, 1, 2])
def test_people_whom_a_bot_let_in_come_back_unless_the_list_was_replaced_since(
    house: House, there: State, since: int
) -> None:
    def keep(version: int) -> None:
        house.store.keep_born(Holder("home", "node-1"), ItemName.PEOPLE, version, f"people {version}", NOW)

    for version in range(1, 6):
        keep(version)
    house.desire(("home", 1), ("work", 1), people=1)
    manifest, files = house.collected()
    for version in range(6, 6 + since):
        keep(version)
    house.copy.write_bytes(house.store.keys.database.image())
    found = back(house, there, manifest, files)
    missing = ("people",) if since == 2 else ()
    assert found.incomplete.get("home", ()) == missing


@pytest.mark.parametrize("newest", [3, 4])
def test_what_was_replaced_since_is_named(house: House, there: State, newest: int) -> None:
    """The vault keeps two versions of an item: the backup's is gone once two newer ones came."""
    manifest, files = house.collected()
    for version in range(2, newest + 1):
        house.put("home", version)
    house.copy.write_bytes(house.store.keys.database.image())
    found = back(house, there, manifest, files)
    assert (found.bots, found.destroyed) == (("home", "work"), ())
    assert found.incomplete == {"home": ("prompt",)}


def test_certificates_of_before_count_no_more(house: House, there: State) -> None:
    """The backup may know less of revocations than there were."""
    back(house, there, *house.collected())
    assert sorted(read_revoked(there.revoked).least.values()) == [1, 1, 1]
    pki.ensure(there, "local", "node-1", NOW)
    (before,), (after,) = (uri_names_of(state.identity("cli")[0].read_bytes()) for state in (house.state, there))
    assert after == f"{before}/1"


@pytest.mark.parametrize("what", ["platform", "file", "link"])
def test_nothing_is_restored_over_what_is_there(house: House, there: State, what: str) -> None:
    there.root.parent.mkdir()
    match what:
        case "platform":
            there.root.mkdir()
            there.config.write_text("")
        case "file":
            there.root.mkdir()
            (there.root / "notes").write_text("mine")
        case _:
            there.root.symlink_to(house.state.root)
    before = sorted(path.name for path in there.root.iterdir())
    with pytest.raises(BackupError, match="nothing is restored over"):
        back(house, there, *house.collected())
    assert sorted(path.name for path in there.root.iterdir()) == before


def test_an_empty_folder_is_filled(house: House, there: State) -> None:
    there.root.mkdir(parents=True)
    back(house, there, *house.collected())
    assert there.config.exists()


def failing(house: House, there: State, keys: Keys, sentence: str) -> None:
    manifest, files = house.collected()
    with pytest.raises(BackupError, match=sentence):
        restore(manifest, files, keys, there, NOW)
    assert list(there.root.parent.iterdir()) == []


def test_another_master_key_says_so_and_leaves_nothing(house: House, there: State, tmp_path: Path) -> None:
    (tmp_path / "wrong").write_bytes(os.urandom(32))
    (tmp_path / "wrong").chmod(0o600)
    failing(house, there, Keys(copy=house.copy, master=tmp_path / "wrong"), "another vault's key.*file:x")


def test_a_missing_master_key_says_so_and_leaves_nothing(house: House, there: State) -> None:
    failing(house, there, Keys(copy=house.copy), "--master-key")


def test_a_missing_copy_says_so_and_leaves_nothing(house: House, there: State, tmp_path: Path) -> None:
    failing(house, there, Keys(copy=tmp_path / "gone", master=house.state.vault / "master.key"), "opens nothing")


def test_a_copy_of_another_vault_says_so(house: House, there: State, tmp_path: Path) -> None:
    other = store_at(tmp_path / "other")
    (tmp_path / "other.db").write_bytes(other.keys.database.image())
    other.close()
    failing(house, there, Keys(copy=tmp_path / "other.db", master=house.state.vault / "master.key"), "master key")


def written(house: House, path: Path) -> tuple[Manifest, dict[str, bytes]]:
    manifest, files = house.collected()
    made = backups.write(path, PUBLIC, manifest, files)
    assert made.size == path.stat().st_size
    assert path.stat().st_mode & 0o777 == 0o600
    return manifest, files


def test_a_file_holds_what_was_put_in_and_shows_nothing(house: House, tmp_path: Path) -> None:
    path = tmp_path / "a.backup"
    manifest, files = written(house, path)
    assert backups.open_backup(path, KEY) == (manifest, files)
    raw = path.read_bytes()
    assert b"SQLite format 3" not in raw
    assert b"home" not in raw
    assert files[AUTHORITY_KEY][:64] not in raw
    assert [one.name for one in tmp_path.iterdir() if "backup" in one.name] == ["a.backup"]


def test_a_backup_is_never_overwritten(house: House, tmp_path: Path) -> None:
    path = tmp_path / "a.backup"
    path.write_text("mine")
    with pytest.raises(BackupError, match="never overwritten"):
        written(house, path)
    assert path.read_text() == "mine"


def test_a_disk_that_does_not_give_back_what_it_got_leaves_no_backup(
    house: House, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = os.fsync

    def spoil(descriptor: int) -> None:
        if Path(f"/proc/self/fd/{descriptor}").readlink().is_file():
            os.pwrite(descriptor, b"\0", 4000)
        real(descriptor)

    monkeypatch.setattr(os, "fsync", spoil)
    with pytest.raises(DamagedError):
        written(house, tmp_path / "a.backup")
    assert not [one for one in tmp_path.iterdir() if "backup" in one.name]


def test_another_key_a_cut_file_and_a_changed_bit_are_told_apart(house: House, tmp_path: Path) -> None:
    path = tmp_path / "a.backup"
    written(house, path)
    with pytest.raises(OtherRecipientError):
        backups.open_backup(path, Secret(bytes(range(1, 33))))
    raw = path.read_bytes()
    for broken in (raw[:-1], raw[: len(raw) // 2], raw[:5000] + b"x" + raw[5001:]):
        path.write_bytes(broken)
        with pytest.raises(DamagedError):
            backups.open_backup(path, KEY)


def test_a_newer_format_inside_says_to_update(house: House, tmp_path: Path) -> None:
    manifest, files = house.collected()
    with pytest.raises(BackupError, match="update first"):
        backups.write(tmp_path / "a.backup", PUBLIC, replace(manifest, format=2), files)
    assert not (tmp_path / "a.backup").exists()


@pytest.mark.parametrize(
    "name", ["../../etc/passwd", "/etc/passwd", "vault/keys.db", "vault/master.key", "release/../x", "release/", "x"]
)
def test_no_other_file_gets_in_or_out(house: House, tmp_path: Path, name: str) -> None:
    """Above all not keys.db: a backup that held it would undo destructions."""
    _, files = house.collected()
    files |= {name: b"x"}
    with pytest.raises(DamagedError, match="in no backup"):
        backups.write(tmp_path / "a.backup", PUBLIC, manifest_of(files), files)


def test_a_manifest_that_does_not_fit_is_refused(house: House) -> None:
    manifest, files = house.collected()
    whole = {backups.MANIFEST: encode_json(manifest), **files}
    assert backups.read_manifest(whole) == manifest
    less = {name: data for name, data in whole.items() if name != DESIRED}
    for broken in (less, {**whole, DESIRED: b"{}"}, {**whole, backups.MANIFEST: b"{"}, files):
        with pytest.raises(DamagedError):
            backups.read_manifest(broken)


def test_records_that_sqlite_cannot_read_are_refused(house: House) -> None:
    _, files = house.collected()
    files[RECORDS] = files[RECORDS][:4096] + os.urandom(len(files[RECORDS]) - 4096)
    with pytest.raises(BackupError, match="SQLite"):
        backups.read_manifest({backups.MANIFEST: encode_json(manifest_of(files)), **files})
