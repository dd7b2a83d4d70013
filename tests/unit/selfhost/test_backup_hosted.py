"""A hosted platform's backup restored: control's rows into a database of its own, by the vault's keys, or nothing."""

from __future__ import annotations

import asyncio
import os
import shutil
import sqlite3
from datetime import timedelta
from pathlib import Path

import pytest
from tests.support.control import a_bot, a_node, a_place
from tests.unit.selfhost.test_backup import KEY, NOW, PUBLIC, House, manifest_of, store_at

from clawmates.base.paths import State
from clawmates.base.shape import encode_json
from clawmates.control.accounts import people
from clawmates.control.backups.taking import SOFTWARE, pack, read
from clawmates.control.erasure.tombstones import Tombstones
from clawmates.control.pepper import read_pepper
from clawmates.selfhost import backup as backups
from clawmates.selfhost import pki
from clawmates.selfhost.backup import AUTHORITY, AUTHORITY_KEY, CONFIG, PEPPER, RECORDS, ROWS, BackupError
from clawmates.selfhost.restore import Keys, Restored, restore
from clawmates.selfhost.sealedfile import DamagedError
from clawmates.vault import backupkeys
from clawmates.wire import backups as wire

ADA, EVE = "ada@example.org", "eve@example.org"


async def part_of(house: House, folder: Path) -> tuple[bytes, dict[str, str]]:
    """Two people with a bot each, as control would seal them; their accounts by address."""
    async with a_place(folder) as place:
        accounts = {}
        async with place.database.writing() as session:
            session.add(a_node())
            for email in (ADA, EVE):
                account = await people.open_account(session, os.urandom, email, "en", NOW)
                accounts[email] = account.id
                await session.flush()
                session.add(a_bot(f"b-{email[:3]}", account.id, node="node-1"))
        found = await read(place.database)
    backupkeys.make(house.store.keys, accounts.values())
    keys = {key.tenant: key.public for key in backupkeys.publics(house.store.keys, accounts.values())}
    head = wire.Head(
        format=wire.FORMAT,
        software=SOFTWARE,
        schema=found.schema,
        region="local",
        at="2026-11-28T12:00:00Z",
        accounts=2,
        leaving=("a-gone",),
    )
    return pack(head, found, keys), accounts


class Hosted:
    def __init__(self, tmp_path: Path) -> None:
        self.state = State(tmp_path / "old")
        self.state.root.mkdir()
        self.state.config.write_text(f'[platform]\nmode = "hosted"\nrun = "{tmp_path}/run"\n')
        pki.ensure(self.state, "local", "node-1", NOW, hosted=True)
        (tmp_path / "elsewhere").mkdir()
        self.house = House(self.state, store_at(self.state.vault), tmp_path / "elsewhere" / "keys.db")
        self.pepper = read_pepper(self.state.control, os.urandom)
        part, self.accounts = asyncio.run(part_of(self.house, tmp_path / "control"))
        self.files = {
            CONFIG: self.state.config.read_bytes(),
            AUTHORITY: self.state.authority.read_bytes(),
            AUTHORITY_KEY: (self.state.pki / "authority.key").read_bytes(),
            RECORDS: self.house.store.records.database.image(),
            ROWS: part,
            PEPPER: self.pepper.reveal(),
        }
        self.there = State(tmp_path / "new" / "state")

    def keys(self, erased: Path | None = None) -> Keys:
        self.house.copy.write_bytes(self.house.store.keys.database.image())
        master = self.state.root.parent / "master.copy"
        shutil.copy(self.state.vault / "master.key", master)
        return Keys(copy=self.house.copy, master=master, erased=erased)

    def back(self, erased: Path | None = None) -> Restored:
        return restore(manifest_of(self.files), self.files, self.keys(erased), self.there, NOW + timedelta(days=1))

    def asked(self, query: str) -> list[str]:
        database = sqlite3.connect(self.there.control / "control.db")
        found = [value for (value,) in database.execute(query)]
        database.close()
        return found


@pytest.fixture
def hosted(tmp_path: Path) -> Hosted:
    return Hosted(tmp_path)


def test_accounts_and_bots_are_there_again_and_the_pepper_that_finds_them(hosted: Hosted, tmp_path: Path) -> None:
    path = tmp_path / "a.backup"
    backups.write(path, PUBLIC, manifest_of(hosted.files), hosted.files)
    assert ADA.encode() not in b"".join(hosted.files.values()) + path.read_bytes()
    manifest, files = backups.open_backup(path, KEY)
    assert files == hosted.files
    (tmp_path / "erased").write_text("0" * 64 + "\n")
    found = restore(manifest, files, hosted.keys(tmp_path / "erased"), hosted.there, NOW)
    assert (found.accounts, found.gone, found.leaving, found.bots) == (2, 0, 1, ("b-ada", "b-eve"))
    assert hosted.asked("SELECT email FROM accounts ORDER BY email") == [ADA, EVE]
    assert hosted.asked("SELECT lane FROM errands") == ["erase/a-gone"]
    there = hosted.there.control
    assert (there / "pepper").read_bytes() == hosted.pepper.reveal()
    assert Tombstones(there / "erased", hosted.pepper).marks() == {"0" * 64}
    assert {one.name: one.stat().st_mode & 0o777 for one in there.iterdir()} == dict.fromkeys(
        ("control.db", "pepper", "erased"), 0o600
    )
    assert there.stat().st_mode & 0o777 == hosted.there.backup.stat().st_mode & 0o777 == 0o700


def test_who_was_deleted_since_is_not_there(hosted: Hosted) -> None:
    hosted.house.store.destroy_tenant(hosted.accounts[ADA], NOW)
    found = hosted.back()
    assert (found.accounts, found.gone, found.bots) == (1, 1, ("b-eve",))
    assert hosted.asked("SELECT email FROM accounts") == [EVE]
    raw = b"".join(one.read_bytes() for one in hosted.there.root.rglob("*") if one.is_file())
    assert ADA.encode() not in raw


def test_a_part_without_the_other_or_a_broken_one_leaves_nothing(hosted: Hosted) -> None:
    whole = dict(hosted.files)
    for name, sentence in ((PEPPER, "not whole"), (ROWS, "not whole")):
        less = {one: data for one, data in whole.items() if one != name}
        with pytest.raises(DamagedError, match=sentence):
            backups.read_manifest({backups.MANIFEST: encode_json(manifest_of(less)), **less})
    hosted.files[ROWS] = whole[ROWS].rsplit(b"\n", 2)[0]
    with pytest.raises(BackupError, match="not whole"):
        hosted.back()
    assert list(hosted.there.root.parent.iterdir()) == []


def test_what_a_killed_restore_has_left_goes_and_that_of_a_living_one_stays(hosted: Hosted) -> None:
    beside = hosted.there.root.parent
    beside.mkdir()
    dead, living = beside / ".state.restoring-4194305", beside / f".state.restoring-{os.getppid()}"
    for folder in (dead, living):
        folder.mkdir()
        (folder / "master.key").write_bytes(b"k" * 32)
    hosted.back()
    assert sorted(one.name for one in beside.iterdir()) == sorted((living.name, "state"))
