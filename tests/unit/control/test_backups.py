"""Control's part of a backup: what is in it, who opens it, and what is left of somebody who was deleted since.

Who looks into it here skips our restore: SQLite, HPKE, AES-GCM and zlib, as ``docs/backup.md`` describes them.
"""

from __future__ import annotations

import asyncio
import json
import sqlite3
import zlib
from base64 import b64decode
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hpke import AEAD, KDF, KEM, Suite
from sqlalchemy import Column, ForeignKey, MetaData, String, Table, func, select
from tests.support.control import NOON, Place, a_place
from tests.support.erasing import Furnished, Stage, a_stage, counted, furnish

from clawmates.base.secret import Secret
from clawmates.control.accounts.tables import Account
from clawmates.control.audit import chain
from clawmates.control.backups import daily
from clawmates.control.backups.putting import Opener, PutError, put_back
from clawmates.control.backups.sorts import Sort, sorts
from clawmates.control.backups.taking import read, take
from clawmates.control.erasure.restored import AGAIN
from clawmates.control.outbox.tables import Errand
from clawmates.control.retention.keeper import Keeper
from clawmates.control.retention.looks import retention
from clawmates.control.store.tables import METADATA
from clawmates.wire.deeds import Deed

SUITE = Suite(KEM.X25519, KDF.HKDF_SHA256, AEAD.AES_256_GCM)


def fields(*texts: str) -> bytes:
    return b"".join(len(text.encode()).to_bytes(4, "big") + text.encode() for text in texts)


@dataclass(frozen=True)
class Thief:
    """The files of the vault's folder as they are now, keys of every sort, and the formats."""

    keys: bytes
    master: bytes

    @classmethod
    def now(cls, stage: Stage) -> Thief:
        folder = stage.bench.house.state.vault
        return cls((folder / "keys.db").read_bytes(), (folder / "master.key").read_bytes())

    def privates(self) -> dict[str, bytes]:
        database = sqlite3.connect(":memory:")
        database.deserialize(self.keys)
        found = {}
        for tenant, wrapped in database.execute("SELECT tenant, wrapped FROM backup_keys"):
            about = b"clawmates-backup-key-v1\0" + fields("eu-test", tenant)
            found[tenant] = AESGCM(self.master).decrypt(wrapped[1:13], wrapped[13:], about)
        database.close()
        return found

    def opened(self, part: bytes) -> bytes:
        """Everything readable: what is in the clear, and what any key opens, whosever it is."""
        found = [part]
        for line in part.splitlines()[1:]:
            if "box" not in (told := json.loads(line)):
                continue
            for private in self.privates().values():
                about = b"clawmates-account-rows-v1\0" + fields("eu-test", told["tenant"])
                key = X25519PrivateKey.from_private_bytes(private)
                try:
                    found.append(zlib.decompress(SUITE.decrypt(b64decode(told["box"]), key, about)))
                except InvalidTag:
                    continue
        return b"\n".join(found)

    def opener(self) -> Opener:
        privates = self.privates()
        return lambda tenant: Secret(privates[tenant]) if tenant in privates else None


def kept(person: Furnished) -> list[str]:
    """What a backup holds of somebody: of tables that are in one. Bytes are Base64 there."""
    owned = {table.name for table, sort in sorts().items() if sort is Sort.OWNED}
    lanes = ("errands.body bot/", "errands.body old/")
    return sorted(
        mark
        for mark in person.marks
        if (mark.partition(".")[0] in owned - {"errands"} or mark.startswith(lanes)) and "_key" not in mark
    )


async def test_nothing_of_who_was_deleted_is_readable_in_an_older_backup(tmp_path: Path) -> None:
    async with a_stage(tmp_path) as stage:
        ada, eve = await furnish(stage.place), await furnish(stage.place, node=None)
        part, before = await take(stage.place.context), Thief.now(stage)
        assert ada.left_in(part) == eve.left_in(part) == [], "in the clear there is nothing of anybody"
        assert ada.left_in(before.opened(part)) == kept(ada), "they would be found"
        later = await take(stage.place.context)
        await stage.ask(ada.account)
        leaving = await take(stage.place.context)
        await stage.node_says()
        await stage.work()
        assert (await stage.erasure()).receipt
        last, now = await take(stage.place.context), Thief.now(stage)
        for old in (part, later, leaving, last):
            assert ada.left_in(now.opened(old)) == []
            assert eve.left_in(now.opened(old)) == kept(eve), "of others nothing was lost"
        # Nor by a key that was made for them again afterwards.
        assert set(now.privates()) == {eve.account}


@pytest.mark.sqlite_alone
async def test_who_leaves_while_one_is_made_is_not_in_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Between the keys and the snapshot, the worst moment: their key was just made, and is destroyed only later."""
    async with a_stage(tmp_path) as stage:
        ada = await furnish(stage.place)

        async def slow(database: Any) -> Any:
            await stage.ask(ada.account)
            await stage.node_says()
            await stage.work()
            return await read(database)

        monkeypatch.setattr("clawmates.control.backups.taking.read", slow)
        part = await take(stage.place.context)
        assert Thief.now(stage).privates() == {}
        assert ada.account.encode() not in part


def everything(opened: Any) -> dict[str, list[tuple[object, ...]]]:
    return {table.name: [tuple(row) for row in rows] for table, rows in opened.rows.items()}


async def test_all_of_it_comes_back_and_whoever_was_leaving_goes_again(tmp_path: Path) -> None:
    async with a_stage(tmp_path) as stage:
        ada, eve, leaving = [await furnish(stage.place) for _ in range(3)]
        await stage.ask(leaving.account)
        part = await take(stage.place.context)
        rows = everything(await read(stage.place.database))
        opener = Thief.now(stage).opener()
        async with a_place(tmp_path / "new") as there:
            found = await put_back(there.database, part, "eu-test", opener, NOON)
            assert (found.accounts, found.gone, found.leaving) == (2, 0, 1)
            assert found.bots == tuple(sorted((*ada.bots, *eve.bots)))
            again = everything(await read(there.database))
            for name in ("accounts", "bots", "bot_days", "passkeys", "bot_items", "nodes", "audit_entries"):
                mine = [row for row in rows[name] if not {leaving.account, *leaving.bots} & set(row)]
                assert again[name] == mine, name
                assert again[name], name
            assert await counted(there, ada.account) | _LEFT == await counted(stage.place, ada.account) | _LEFT
            async with there.database.reading() as session:
                kinds = [row.kind for row in await session.scalars(select(Errand).order_by(Errand.number))]
                assert kinds == ["other"] * 8 + [AGAIN]
                head = await chain.head(session)
                assert [e.tag for e in await chain.entries(session, head.number - 1)] == [Deed.BACKUP_MADE]
            with pytest.raises(PutError, match=r"not empty \(accounts\)"):
                await put_back(there.database, part, "eu-test", opener, NOON)


_LEFT = dict.fromkeys(("links", "sessions", "challenges", "email_changes", "bot_pairings"), 0)


async def test_without_their_key_an_account_stays_away_and_is_counted(tmp_path: Path) -> None:
    async with a_stage(tmp_path) as stage:
        ada, eve = await furnish(stage.place), await furnish(stage.place)
        part, opener = await take(stage.place.context), Thief.now(stage).opener()
        async with a_place(tmp_path / "new") as there:
            with_one = lambda tenant: None if tenant == ada.account else opener(tenant)  # noqa: E731
            found = await put_back(there.database, part, "eu-test", with_one, NOON)
            assert (found.accounts, found.gone, found.bots) == (1, 1, tuple(sorted(eve.bots)))
            assert set((await counted(there, ada.account)).values()) == {0}


@pytest.mark.sqlite_alone
async def test_what_does_not_fit_says_so_and_puts_nothing_back(tmp_path: Path) -> None:
    async with a_stage(tmp_path) as stage:
        await furnish(stage.place)
        part, opener = await take(stage.place.context), Thief.now(stage).opener()
    head, *lines = part.splitlines()
    told = json.loads(head)
    box = json.loads(lines[-1])
    changed = {
        "update first": [json.dumps(told | {"format": 2, "software": "clawmates 9"}).encode(), *lines],
        "those of clawmates .*restore with that version": [json.dumps(told | {"schema": "0002"}).encode(), *lines],
        "of the region 'us'": [json.dumps(told | {"region": "us"}).encode(), *lines],
        "not whole": [head, *lines[:-1]],
        "damaged": [head, *lines[:-1], json.dumps(box | {"box": "AAAA" + box["box"][4:]}).encode()],
        "is damaged": [head, *lines[:-1], json.dumps({"table": "accounts", "columns": [], "rows": []}).encode()],
        "part of the backup is damaged": [b"{", *lines],
    }
    async with a_place(tmp_path / "new") as there:
        for sentence, raw in changed.items():
            with pytest.raises(PutError, match=sentence):
                await put_back(there.database, b"\n".join(raw), "eu-test", opener, NOON)
            async with there.database.reading() as session:
                for table in METADATA.sorted_tables:
                    assert not await session.scalar(select(func.count()).select_from(table)), table.name
        assert (await put_back(there.database, part, "eu-test", opener, NOON)).accounts == 1


def test_a_table_that_nobody_has_thought_of_is_refused() -> None:
    assert set(sorts()) == set(METADATA.sorted_tables)
    stray = Table("diaries", MetaData(), Column("text", String))
    with pytest.raises(LookupError, match="diaries"):
        sorts((stray,))
    led = Table("pets", MetaData(), Column("owner", String, ForeignKey(Account.__table__.c.id)))
    assert sorts((led,)) == {led: Sort.OWNED}


# The daily one, and the end of old ones.


async def due(place: Place) -> bool:
    async with place.database.writing() as session:
        return await daily.claim(session, place.clock.now())


async def late(place: Place) -> bool:
    async with place.database.writing() as session:
        found = await retention(session, place.clock.now(), (), others={daily.NAME: 0})
    return found.jobs[0].late


async def test_one_host_makes_the_days_backup_and_a_missing_one_is_late(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    async with a_place(tmp_path) as place:
        keeper = Keeper(database=place.database, clock=place.clock, holder="k", jobs=(), watched=(daily.NAME,))
        await keeper.round()
        assert [await due(place), await due(place)] == [True, False]
        place.clock.forward(minutes=11)
        assert await late(place), "whoever was at it was killed"
        assert await keeper.alarm() == {daily.NAME}
        assert "backup-daily is late" in capsys.readouterr().err
        assert sorted(await asyncio.gather(due(place), due(place))) == [False, True]
        async with place.database.writing() as session:
            await daily.made(session, place.clock.now())
        assert not await late(place)
        place.clock.forward(hours=23)
        assert not await due(place)
        place.clock.forward(hours=1)
        assert await due(place)
