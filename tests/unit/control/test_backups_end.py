"""Backups are gone after thirty days, whatever they are called by then: files on a disk, and a real keeper."""

from __future__ import annotations

import asyncio
import os
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import func, select
from tests.support.control import NOON, Place, a_place

from clawmates.base.shape import encode_json
from clawmates.control.retention import backups
from clawmates.control.retention.keeper import Keeper
from clawmates.control.retention.looks import retention
from clawmates.control.retention.rules import GRACE
from clawmates.control.retention.tables import RetentionRun
from clawmates.wire.backupfile import FORMAT, MAGIC, Head, aged

DAYS = timedelta(days=30)


def lay(folder: Path, name: str, *, said: datetime | None = None, written: datetime = NOON, raw: bytes = b"") -> Path:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    if said is not None:
        raw = MAGIC + f"{FORMAT}\n".encode() + encode_json(Head(to="k", sealed="", made=said.isoformat())) + b"\nnoise"
    path.write_bytes(raw or b"not a backup")
    os.utime(path, (written.timestamp(), written.timestamp()))
    return path


def a_keeper(place: Place, folder: Path, holder: str) -> Keeper:
    takers = {backups.NAME: backups.taker(folder)}
    return Keeper(database=place.database, clock=place.clock, holder=holder, jobs=(backups.JOB,), takers=takers)


def test_the_older_of_what_it_says_and_when_it_was_written_counts(tmp_path: Path) -> None:
    day = timedelta(days=1)
    gone = [
        lay(tmp_path, "a.backup", said=NOON - DAYS),
        lay(tmp_path, "holiday.jpg", said=NOON - DAYS - day),
        lay(tmp_path, "b.old", written=NOON - DAYS),
        lay(tmp_path, "kept/for/ever.backup", said=NOON - 400 * day),
        lay(tmp_path, "c.backup", said=NOON + day, written=NOON - 40 * day),
        lay(tmp_path, ".d.backup.77", written=NOON - 31 * day),
    ]
    lay(tmp_path, "e.backup", said=NOON - DAYS + timedelta(seconds=1))
    lay(tmp_path, "f.backup", said=NOON + day, written=NOON + day)
    lay(tmp_path, "g", raw=MAGIC + b"1\n{}\n")
    link = tmp_path / "link.backup"
    link.symlink_to("/etc/hostname")
    os.utime(link, (0, 0), follow_symlinks=False)
    os.mkfifo(tmp_path / "pipe")
    assert set(aged(tmp_path, NOON - DAYS, NOON)) == {*gone, link}
    assert aged(tmp_path / "nowhere", NOON, NOON) == ()


async def test_once_across_replicas_counted_and_late_when_it_cannot(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "backup"
    for ago in range(28, 34):
        lay(folder, f"{ago}.backup", said=NOON - timedelta(days=ago))
    async with a_place(tmp_path) as place:
        keepers = [a_keeper(place, folder, name) for name in ("one", "two")]
        done = await asyncio.gather(*(keeper.round() for keeper in keepers))
        assert sum(one.get(backups.NAME, 0) for one in done) == 4
        assert sorted(path.name for path in folder.iterdir()) == ["28.backup", "29.backup"]
        async with place.database.reading() as session:
            assert await session.scalar(select(func.sum(RetentionRun.taken))) == 4

        def refused(_path: Path, *, missing_ok: bool = False) -> None:
            raise PermissionError

        monkeypatch.setattr(Path, "unlink", refused)
        place.clock.forward(days=1, minutes=11)
        await keepers[0].round()
        assert await keepers[0].alarm() == {backups.NAME}
        assert "backup is late" in capsys.readouterr().err
        async with place.database.reading() as session:
            left = backups.overdue(folder, place.clock.now(), GRACE)
            (row,) = (await retention(session, place.clock.now(), (), others={backups.NAME: left})).jobs
        assert (row.overdue, row.late, row.taken) == (1, True, 4)
