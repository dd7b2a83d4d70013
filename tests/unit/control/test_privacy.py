"""Pages and the export that are made from the inventory: all that it says, of the person who asks, and nothing else."""

from __future__ import annotations

import io
import json
import re
import zipfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx2
import pytest
from sqlalchemy import true
from sqlalchemy.ext.asyncio import AsyncSession
from tests.support.catalogue import RELEASE
from tests.support.control import NOON, Place, a_bot, a_node, a_place, deeds, signed_in
from tests.support.schemas import check
from tests.support.vault import furnished, within

from clawmates.base.settings import Control, Mode, Platform, Settings, Smtp
from clawmates.control.accounts import changes
from clawmates.control.accounts.person import Person
from clawmates.control.accounts.tables import Passkey
from clawmates.control.agreement.tables import Agreement
from clawmates.control.bots.tables import BotDay, BotError, BotItem, BotPairing, BotReceipt, BotState
from clawmates.control.privacy import owned
from clawmates.control.privacy.export import by_browser, from_rows, shapes
from clawmates.control.rooms import ROOMS
from clawmates.control.texts.catalogue import words
from clawmates.inventory.datum import Form, Store
from clawmates.inventory.packing import ABOUT_FILE, SCHEMA_FILE
from clawmates.inventory.whole import INVENTORY
from clawmates.selfhost import arriving
from clawmates.wire.vault import Assignment

ADA, EVE = "ada-canary", "eve-canary"
PERSON = Person(
    account_id="a-1", email="a@example.org", language="en", cancelled_at=None, proved_at=NOON, session="s", subject="p"
)


@asynccontextmanager
async def a_house(folder: Path) -> AsyncIterator[tuple[Place, httpx2.AsyncClient]]:
    """Two people with something of everything, a vault that really runs, and Ada's browser."""
    with furnished() as house:
        house.configure(region="eu-test")
        async with within(house) as vault:

            def line() -> Any:
                return vault.client("eu-test/control/control")

            async with a_place(folder, *ROOMS, vault=line) as place, place.browser() as ada, place.browser() as eve:
                for browser, mark in ((ada, ADA), (eve, EVE)):
                    account = await signed_in(place, browser, f"{mark}@example.org")
                    async with place.database.writing() as session:
                        await fill(place, session, account, mark)
                    await line().assign(f"b-{mark}", Assignment(tenant=account, node="node-1"))
                yield place, ada


async def fill(place: Place, session: AsyncSession, account: str, mark: str) -> None:
    now, bot = place.clock.now(), f"b-{mark}"
    if mark == ADA:
        session.add(a_node())
        await session.flush()
    session.add(a_bot(bot, account, name=mark, node="node-1", model=f"model-{mark}", fallback_model=f"spare-{mark}"))
    await session.flush()
    session.add(BotDay(bot_id=bot, day=now.date(), messages=12, tokens=345))
    session.add(BotError(bot_id=bot, at=now, code=f"code-{mark}"))
    session.add(BotItem(bot_id=bot, name="prompt", version=2, kept=2, trouble="", changed_at=now))
    session.add(BotItem(bot_id=bot, name="channel-token", version=1, kept=1, trouble="", changed_at=now))
    session.add(BotPairing(salt=f"salt-{mark}", bot_id=bot, digest=f"digest-{mark}", ends_at=now + timedelta(hours=1)))
    said = BotState(
        bot_id=bot, node="node-1", state="live", code="", username=mark.replace("-", "_"), since=now, reported_at=now
    )
    session.add(said)
    session.add(BotReceipt(bot_id=f"gone-{mark}", account_id=account, at=now, body=f'{{"of": "{mark}"}}'))
    key = Passkey(
        id=f"key-{mark}",
        account_id=account,
        public_key=b"k" * 40,
        sign_count=0,
        name=mark,
        created_at=now,
        used_at=None,
    )
    session.add(key)
    session.add(Agreement(account_id=account, digest=64 * "d", version=f"1-{mark}", language="en", made_at=now))
    await changes.begin(session, account, f"new-{mark}@example.org", now)


async def taken(browser: httpx2.AsyncClient) -> zipfile.ZipFile:
    answer = await browser.post("/account/export", headers={"Content-Type": "application/x-www-form-urlencoded"})
    assert (answer.status_code, answer.headers["content-type"]) == (200, "application/zip")
    return zipfile.ZipFile(io.BytesIO(answer.content))


def read(package: zipfile.ZipFile) -> dict[str, Any]:
    return {name: json.loads(package.read(name)) for name in package.namelist()}


@pytest.mark.any_database
@pytest.mark.parametrize("language", ["en", "de"])
async def test_everybody_can_read_all_that_is_stored_the_seven_rows_first(language: str, tmp_path: Path) -> None:
    async with a_place(tmp_path, *ROOMS) as place, place.browser(**{"Accept-Language": language}) as nobody:
        text = (await nobody.get("/privacy/stored")).text
        assert '<a href="/privacy/stored">' in (await nobody.get("/")).text
    ids = re.findall(r'<tr id="([a-z-]+)"', text)
    assert ids[:7] == [datum.id for datum in INVENTORY[:7]]
    assert sorted(ids) == sorted(datum.id for datum in INVENTORY)
    rows = re.findall(r'<th scope="row" role="rowheader">(.*?)</th>', text)
    assert rows[0] == INVENTORY[0].what.to(language)


@pytest.mark.any_database
async def test_who_else_processes_anything_comes_from_the_release_and_the_configuration(tmp_path: Path) -> None:
    control = Control(
        smtp=Smtp(host="mail.example.net:465", sender="a@example.org"),
        database="postgresql://clawmates@db.internal.example:5432/clawmates",
    )
    settings = Settings(platform=Platform(mode=Mode.HOSTED, region="eu-test"), control=Control(smtp=control.smtp))
    async with a_place(tmp_path, *ROOMS, settings=settings, release=RELEASE) as place:
        place.context = replace(place.context, settings=replace(settings, control=control))
        async with place.browser() as nobody:
            text = (await nobody.get("/privacy/subprocessors")).text
    for provider in RELEASE.providers:
        assert all(host in text for host in provider.hosts if provider.hosts != ("ollama",)), provider.id
    assert "mail.example.net" in text
    assert words("en")("processors.database") in text
    assert "db.internal.example" not in text


async def test_a_person_sees_every_entry_with_their_own_values_and_nobody_elses(tmp_path: Path) -> None:
    async with a_house(tmp_path) as (_place, ada):
        text = (await ada.get("/account/data")).text
    assert set(re.findall(r'<h2 id="([a-z-]+)">', text)) == {one.id for one in INVENTORY if one.about_a_person}
    for value in (
        f"{ADA}@example.org",
        f"new-{ADA}@example.org",
        f"model-{ADA}",
        f"code-{ADA}",
        "345",
        "Firefox, Linux",
    ):
        assert value in text, value
    assert "prompt, version 2, kept as ciphertext" in text
    for hidden in (f"salt-{ADA}", f"digest-{ADA}", EVE):
        assert hidden not in text, hidden


async def test_the_export_is_what_is_called_exported_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with a_house(tmp_path) as (place, ada):
        package = await taken(ada)
        found = read(package)
        here = {
            one.id for one in INVENTORY if one.exported and one.form is not Form.SEALED and one.stores != (Store.FILE,)
        }
        assert found.keys() == {f"{name}.json" for name in here} | {ABOUT_FILE, SCHEMA_FILE}
        columns = {
            f"control.{table}.{column}"
            for datum in from_rows()
            for table, rows in found[f"{datum.id}.json"].items()
            for row in rows
            for column in row
        }
        declared = {one for datum in INVENTORY if datum.exported for one in datum.columns if one.startswith("control.")}
        assert columns == declared
        for name, schema in found[SCHEMA_FILE]["properties"].items():
            assert name in found or name in {f"{one.id}.json" for one in by_browser()}
            if name in found:
                check(schema, found[name])
        whole = b"".join(package.read(name) for name in package.namelist()).decode()
        assert found["account-email.json"]["accounts"][0]["email"] == f"{ADA}@example.org"
        assert found["vault-audit.json"]["entries"][0]["tag"] == "vault.bot.assigned"
        assert (await deeds(place))[-1] == "account.exported"
        assert EVE not in whole
        proof = next(str(one.value) for one in ada.cookies.jar)
        assert proof not in whole
        (tmp_path / "export.zip").write_bytes(package.fp.getvalue())  # type: ignore[union-attr]
        (arrived,) = arriving.read(tmp_path / "export.zip").bots
        assert (arrived.name, arrived.model) == (ADA, f"model-{ADA}")
        # Seeded: a question that forgets whose rows it asks for.
        monkeypatch.setattr(owned, "whose", lambda _table, _person: true())
        assert EVE in str(read(await taken(ada)))


async def test_who_has_not_just_proved_who_they_are_is_asked_to(tmp_path: Path) -> None:
    async with a_place(tmp_path, *ROOMS) as place, place.browser() as ada:
        await signed_in(place, ada)
        place.clock.forward(minutes=11)
        form = {"Content-Type": "application/x-www-form-urlencoded"}
        assert (await ada.post("/account/export", headers=form)).status_code == 403
        assert words("en")("held.take-now") not in (await ada.get("/account/data")).text
        led = await ada.get("/account/data/proved")
        assert led.headers["location"] == "/prove"


async def test_without_the_vaults_word_there_is_no_export_and_not_half_of_one(tmp_path: Path) -> None:
    async with a_place(tmp_path, *ROOMS) as place, place.browser() as ada:
        account = await signed_in(place, ada)
        async with place.database.writing() as session:
            session.add(a_bot("b-ada", account))
        form = {"Content-Type": "application/x-www-form-urlencoded"}
        for _ in range(10):
            assert (await ada.post("/account/export", headers=form)).status_code == 503
        assert (await ada.post("/account/export", headers=form)).status_code == 429
        assert "account.exported" not in await deeds(place)


def test_every_column_that_a_person_sees_has_its_word() -> None:
    for datum in from_rows():
        for part in owned.parts(datum):
            assert owned.whose(part.table, PERSON) is not None
            for column in part.columns:
                assert words("en").has(f"held.column.{column.name}") or column.name in {"account_id", "subject"}, column
    assert {f"{datum.id}.json" for datum in (*from_rows(), *by_browser())} < shapes()["properties"].keys()
