"""Two windows and one bot, two replicas and one database, and a database that is away: said, and nothing lost."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import httpx2
import pytest
from sqlalchemy import update
from tests.support import releases
from tests.support.control import NOON, Place, a_bot, a_node, a_place, signed_in
from tests.support.launching import draft, version

from clawmates.control.accounts import sessions
from clawmates.control.accounts.person import Person
from clawmates.control.accounts.tables import Account
from clawmates.control.bots import live, queries
from clawmates.control.bots.tables import Bot, BotItem
from clawmates.control.hub import Hub, account_topic
from clawmates.control.outbox.outbox import add
from clawmates.control.outbox.tables import Errand
from clawmates.control.rooms import ROOMS
from clawmates.control.texts.catalogue import words
from clawmates.control.web import AWAY_SECONDS

FORM = {"name": "Pirate", "model": "gpt-5.4-mini", "access": "list", "temperature": "0.5", "messages_per_day": "7"}


@asynccontextmanager
async def with_a_bot(folder: Path) -> AsyncIterator[tuple[Place, str]]:
    async with a_place(folder, *ROOMS, release=releases.release()) as place:
        async with place.browser() as browser:
            account = await signed_in(place, browser)
        async with place.database.writing() as session:
            session.add(a_node())
            await session.flush()
            session.add(a_bot("b-1", account, node="node-1", model="gpt-5.4-nano"))
            await session.flush()
            session.add(
                BotItem(bot_id="b-1", name="prompt", version=1, kept=0, trouble="", changed_at=place.clock.now())
            )
        yield place, account


async def test_who_was_slower_sees_both_versions_and_keeps_their_own(tmp_path: Path) -> None:
    async with with_a_bot(tmp_path) as (place, _), place.browser() as one, place.browser() as other:
        for browser in (one, other):
            await signed_in(place, browser)
        first = FORM | {"version": version(await one.get("/bots/b-1/edit"))}
        second = first | {"name": "Nurse <b>", "messages_per_day": "9"}
        assert (await one.post("/bots/b-1/edit", data=first)).status_code == 303
        told = await other.post("/bots/b-1/edit", data=second)
        assert told.status_code == 409
        assert "This was changed meanwhile" in told.text
        assert "<td>Pirate</td><td>Nurse &lt;b&gt;</td>" in told.text
        assert "<td>7</td><td>9</td>" in told.text
        assert "gpt-5.4-mini</td>" not in told.text, "both wrote the same there"
        assert 'value="Nurse &lt;b&gt;"' in told.text
        again = await other.post("/bots/b-1/edit", data=second | {"version": version(told)})
        assert again.status_code == 303
        assert "Nurse &lt;b&gt;" in (await one.get("/bots/b-1")).text
        lost = await one.post("/bots/b-1/edit", data=first)
        assert lost.status_code == 409, "and the other way round"
        bot = await draft(one)
        early = {"model": "gpt-5.4-nano", "access": "open", "temperature": "1", "version": "0"}
        assert 'value="1"' in (await one.post(f"/bots/{bot}/setup", data=early)).text


async def test_without_the_comparison_the_first_ones_words_are_lost(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The weakened build."""
    monkeypatch.setattr(queries, "is_current", lambda _bot, _form: True)
    async with with_a_bot(tmp_path) as (place, _), place.browser() as browser:
        await signed_in(place, browser)
        first = FORM | {"version": version(await browser.get("/bots/b-1/edit"))}
        for form in (first, first | {"name": "Nurse"}):
            assert (await browser.post("/bots/b-1/edit", data=form)).status_code == 303


async def test_another_replica_sees_all_that_a_page_shows(tmp_path: Path) -> None:
    """What this one does not announce, because another did it: each is news at the next look, twice a second."""
    async with with_a_bot(tmp_path) as (place, account):
        elsewhere = Hub(place.database)
        async with elsewhere.watch(account_topic(account)) as news:

            async def is_news(*statements: object) -> bool:
                async with place.database.writing() as session:
                    for one in statements:
                        await session.execute(one)  # type: ignore[call-overload]
                await elsewhere.look()
                return await news.changed(0)

            assert not await is_news()
            assert await is_news(update(Bot).values(version=Bot.version + 1))
            assert await is_news(update(BotItem).values(kept=1))
            async with place.database.writing() as session:
                await add(session, "bot/b-1", "put", "{}", now=place.clock.now())
            assert await is_news()
            assert await is_news(update(Errand).values(trouble="vault-down"))
            assert not await is_news()


@contextmanager
def away(folder: Path) -> Iterator[None]:
    """The database's file is not where it was."""
    there, elsewhere = folder / "control", folder / "elsewhere"
    there.rename(elsewhere)
    try:
        yield
    finally:
        elsewhere.rename(there)


@pytest.mark.sqlite_alone
async def test_a_database_that_is_away_is_said_and_nothing_is_half_done(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    async with with_a_bot(tmp_path) as (place, _), place.browser() as browser:
        await signed_in(place, browser)
        form = FORM | {"version": version(await browser.get("/bots/b-1/edit"))}
        await place.database.close()
        with away(tmp_path):
            told = await browser.post("/bots/b-1/edit", data=form)
            assert (told.status_code, told.headers["retry-after"]) == (503, str(AWAY_SECONDS))
            assert "Nothing was half done" in told.text
            call = await browser.post("/call/bots/b-1/seal", json={"version": 1, "items": []})
            assert (call.status_code, call.json()) == (503, {"error": {"code": "unavailable"}})
        assert (await browser.post("/bots/b-1/edit", data=form)).status_code == 303
        said = "".join(capsys.readouterr())
        assert "database away" in said
        assert "Pirate" not in said


async def watching(place: Place, browser: httpx2.AsyncClient) -> Person:
    """Whoever has the page open."""
    account = await signed_in(place, browser)
    return Person(
        account_id=account,
        email="ada@example.org",
        language="en",
        cancelled_at=None,
        proved_at=NOON,
        session=sessions.proof_of(browser.cookies[sessions.COOKIE]),
        subject="",
    )


@pytest.mark.parametrize("end", ["signed out", "deleted"])
async def test_a_page_that_is_open_ends_with_the_session(
    end: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(live, "LOOK_SECONDS", 0.0)
    async with with_a_bot(tmp_path) as (place, account), place.browser() as browser:
        person = await watching(place, browser)
        texts = words("en")
        first = await live.snapshot(place.context, person, "b-1", texts)
        events: Any = live._events(place.context, person, "b-1", texts, first)
        assert await anext(events) == f"data: {first}\n\n"
        async with place.database.writing() as session:
            if end == "signed out":
                assert await sessions.end(session, account, person.session)
            else:
                await session.execute(update(Account).values(leaving_at=NOON))
        assert await anext(events) == "event: gone\ndata: {}\n\n"
        await events.aclose()


@pytest.mark.sqlite_alone
async def test_a_page_that_is_open_outlives_the_database(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live, "LOOK_SECONDS", 0.0)
    monkeypatch.setattr(live, "BEAT", 1)
    async with with_a_bot(tmp_path) as (place, _account), place.browser() as browser:
        person = await watching(place, browser)
        texts = words("en")
        first = await live.snapshot(place.context, person, "b-1", texts)
        events: Any = live._events(place.context, person, "b-1", texts, first)
        assert await anext(events) == f"data: {first}\n\n"
        assert await anext(events) == ": still here\n\n"
        await place.database.close()
        with away(tmp_path):
            told = json.loads((await anext(events)).removeprefix("data: "))
            assert told["why"] == texts("bots.why.database")
            assert told["word"] == json.loads(first)["word"]
        assert await anext(events) == f"data: {first}\n\n"
        await events.aclose()
