"""Claim *retention*, where something is kept too long: a night that differs, a log that stays, a receipt that lies."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import date, datetime
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from tests.support.controlprocess import configure
from tests.support.vault import furnished, running

from clawmates.base import eventlog
from clawmates.base.paths import Run, State
from clawmates.base.settings import load
from clawmates.control.pepper import read_pepper
from clawmates.control.retention import taking
from clawmates.control.retention.rules import Bound, Rule, bound
from clawmates.control.store.database import open_database
from clawmates.proofs.claims.retention import retention
from clawmates.proofs.errors import BlindError
from clawmates.proofs.fake import FakePlatform
from clawmates.proofs.lapse.days import Life, Night, days
from clawmates.proofs.lapse.erased import Bytes, _must_be_there
from clawmates.proofs.lapse.logs import logs
from clawmates.proofs.lapse.person import Person
from clawmates.proofs.lapse.region import Region
from clawmates.proofs.result import Status
from clawmates.proofs.trial import Bench, Options
from clawmates.proofs.vaultcalls import VaultCalls


@asynccontextmanager
async def a_region(bench: Bench) -> AsyncIterator[Region]:
    """A vault that runs, and no control."""
    with furnished() as house:
        house.configure()
        async with running(house) as vault:
            configure(house, vault=vault.port)
            vault.client("local/control/cli")
            vault.client("local/node/node-1", "node")
            settings = load(house.state.config)
            read_pepper(house.state.control, bench.entropy)
            database = open_database(settings.control, house.state)
            calls = VaultCalls.of(house.state, settings, {})
            yield Region(house.root, house.state, settings, database, calls, X25519PrivateKey.generate())
            await database.close()


async def test_a_job_that_takes_a_day_too_much_is_found_out(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    def inclusive(rule: Rule, now: datetime) -> Bound:
        return Bound(bound(rule, now).value, inclusive=True)

    monkeypatch.setattr(taking, "bound", inclusive)
    async with a_region(bench) as region:
        nights = await days(region, bench)
    assert [night.day for night in nights if night.objections] == [89, 90, 91]
    assert nights[-1].objections[0].startswith("day 91: messages: ")


def test_what_must_be_left_follows_from_the_pages_numbers(tmp_path: Path) -> None:
    life = Life(date(2026, 11, 30), {day: str(day) for day in range(-3, 92)}, (), tmp_path)
    wanted = [life.wanted(day) for day in (29, 30, 31, 89, 90, 91)]
    assert [one["days counted"] for one in wanted] == [95, 95, 95, 93, 92, 91]
    assert [one["error codes"] for one in wanted] == [93, 92, 91, 33, 32, 31]
    assert wanted[4]["messages"] - wanted[5]["messages"] == life.messages(0)
    good = Night(30, wanted[1], wanted[1], ())
    assert good.objections == ()
    assert replace(good, left=wanted[0]).objections == (
        "day 30: error codes: 93 left, 92 must be",
        "day 30: bots of the cancelled: 1 left, 0 must be",
        "day 30: the vault's boxes for them: 3 left, 0 must be",
    )
    assert len(replace(good, traces=("2 error codes that are over",)).objections) == 1


async def test_a_log_that_stays_is_found_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "good").mkdir()
    (tmp_path / "bad").mkdir()
    assert await logs(tmp_path / "good") == (7, ())
    monkeypatch.setattr(eventlog, "KEPT_DAYS", 31)
    _, found = await logs(tmp_path / "bad")
    assert {one.partition(":")[0] for one in found} == {"day 30", "day 31"}


def test_a_search_that_misses_what_is_there_is_called_blind(tmp_path: Path) -> None:
    (tmp_path / "release").mkdir()
    for name in ("a", "release/b", "release/c"):
        (tmp_path / name).write_bytes(b"mark-1")
    files, one = (
        Bytes.of(tmp_path, tmp_path / "release/c"),
        Person("e", "b", marks={"accounts.email": b"mark-1", "bots.name": b"mark-2"}),
    )
    found = files.left(one)
    assert found.keys() == {"a", "vault/(separate copy)/keys.db"}
    assert all(left == ["accounts.email"] for left in found.values())
    with pytest.raises(BlindError, match=r"bots\.name"):
        _must_be_there(one, files, "before")


async def test_a_self_hosted_platform_has_nobody_to_try_it_on(
    state: State, run_folder: Run, options: Options, bench: Bench
) -> None:
    found = await retention(FakePlatform(state, run_folder), options, bench)
    assert found.status is Status.NOT_HERE
    assert "self-hosted" in found.evidence.summary
