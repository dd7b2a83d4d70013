from __future__ import annotations

from pathlib import Path

import pytest
from fastapi import APIRouter
from fastapi.responses import PlainTextResponse
from sqlalchemy import event, select, update
from tests.support.control import Place, a_place, database_bytes, signed_in

from clawmates.control.accounts import sessions
from clawmates.control.accounts.browsers import browser_of
from clawmates.control.accounts.person import Proved, SignedIn, Visitor
from clawmates.control.accounts.tables import Session

room = APIRouter()
SAFE = "Mozilla/5.0 (Windows NT 10.0) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/130.0.0.0 Safari/537.36"


@room.get("/who")
async def who(person: SignedIn) -> PlainTextResponse:
    return PlainTextResponse(person.account_id)


@room.get("/danger")
@room.get("/call/danger")
async def danger(person: Proved) -> PlainTextResponse:
    return PlainTextResponse(person.email)


@room.get("/anybody")
async def anybody(person: Visitor) -> PlainTextResponse:
    return PlainTextResponse("nobody" if person is None else person.email)


async def only_session(place: Place) -> Session:
    async with place.database.reading() as database:
        return (await database.scalars(select(Session))).one()


async def test_a_session_is_known_by_its_cookie_alone(tmp_path: Path) -> None:
    async with a_place(tmp_path, room) as place, place.browser() as browser, place.browser() as other:
        mine = await signed_in(place, browser)
        assert (await browser.get("/who")).text == mine
        assert (await browser.get("/anybody")).text == "ada@example.org"
        assert (await other.get("/anybody")).text == "nobody"
        answer = await other.get("/who")
        assert (answer.status_code, answer.headers["location"]) == (303, "/sign-in")
        assert await signed_in(place, other, "bob@example.org") != mine


async def test_a_session_of_a_clock_that_ran_ahead_is_none_once_it_is_right(tmp_path: Path) -> None:
    """Neither its end nor its idleness would come for years, and no job would take it away."""
    async with a_place(tmp_path, room) as place, place.browser() as browser:
        right = place.clock.moment
        for days, known in ((0.9, 200), (1.1, 303), (4000, 303)):
            place.clock.forward(days=days)
            await signed_in(place, browser)
            assert (await browser.get("/who")).status_code == 200
            place.clock.moment = right
            assert (await browser.get("/who")).status_code == known, days


@pytest.mark.parametrize("change", ["cut", "longer", "other-last", "upper", "hash", "like", "empty"])
async def test_only_the_whole_cookie_counts(change: str, tmp_path: Path) -> None:
    async with a_place(tmp_path, room) as place, place.browser() as browser:
        await signed_in(place, browser)
        token = browser.cookies[sessions.COOKIE]
        forged = {
            "cut": token[:-1],
            "longer": token + "A",
            "other-last": token[:-1] + ("A" if token[-1] != "A" else "B"),
            "upper": token.swapcase(),
            "hash": sessions.proof_of(token),
            "like": "%" * 43,
            "empty": "",
        }[change]
        async with place.browser() as thief:
            thief.cookies.set(sessions.COOKIE, forged, domain="localhost.local")
            assert (await thief.get("/who")).status_code == 303


async def test_comparing_by_a_prefix_would_be_seen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = sessions.proof_of
    monkeypatch.setattr(sessions, "proof_of", lambda token: whole(token[:40]))
    async with a_place(tmp_path, room) as place, place.browser() as browser:
        await signed_in(place, browser)
        token = browser.cookies[sessions.COOKIE]
        async with place.browser() as thief:
            thief.cookies.set(sessions.COOKIE, token[:-1] + "B", domain="localhost.local")
            assert (await thief.get("/who")).status_code == 200


@pytest.mark.raw
async def test_the_database_does_not_know_the_cookie(tmp_path: Path) -> None:
    async with a_place(tmp_path, room) as place, place.browser() as browser:
        await signed_in(place, browser)
        token = browser.cookies[sessions.COOKIE].encode()
        kept = database_bytes(tmp_path)
        assert sessions.proof_of(token.decode()).encode() in kept
        assert token not in kept


@pytest.mark.parametrize(("visits", "status"), [([13], 200), ([14], 303), ([13, 13], 200), ([13, 13, 4], 303)])
async def test_a_session_ends_after_thirty_days_or_fourteen_idle_ones(
    visits: list[int], status: int, tmp_path: Path
) -> None:
    async with a_place(tmp_path, room) as place, place.browser() as browser:
        await signed_in(place, browser)
        for days in visits:
            place.clock.forward(days=days)
            answer = await browser.get("/who")
        assert answer.status_code == status


async def test_that_a_session_was_used_is_written_once_a_minute_and_after_the_answer(tmp_path: Path) -> None:
    async with a_place(tmp_path, room) as place, place.browser() as browser:
        await signed_in(place, browser)
        began = place.clock.now()
        written: list[str] = []

        @event.listens_for(place.database.engine.sync_engine, "before_cursor_execute")
        def _note(_c: object, _cursor: object, statement: str, *_rest: object) -> None:
            if statement.startswith("UPDATE"):
                written.append(statement)

        place.clock.forward(seconds=59)
        await browser.get("/who")
        assert not written
        assert (await only_session(place)).seen_at == began
        place.clock.forward(seconds=1)
        await browser.get("/who")
        await browser.get("/who")
        assert len(written) == 1
        assert (await only_session(place)).seen_at == place.clock.now()


async def test_danger_asks_for_a_fresh_proof(tmp_path: Path) -> None:
    async with a_place(tmp_path, room) as place, place.browser() as browser:
        assert (await browser.get("/danger")).status_code == 303
        await signed_in(place, browser)
        place.clock.forward(minutes=9, seconds=59)
        assert (await browser.get("/danger")).status_code == 200
        place.clock.forward(seconds=1)
        assert (await browser.get("/danger")).headers["location"] == "/prove"
        assert (await browser.get("/call/danger")).json() == {"error": {"code": "proof-wanted"}}
        async with place.database.writing() as database:
            await database.execute(update(Session).values(proved_at=place.clock.now()))
        assert (await browser.get("/danger")).status_code == 200


@pytest.mark.parametrize(
    ("said", "kept"),
    [
        (SAFE, "Chrome, Windows"),
        (f"{SAFE} Edg/130.0", "Edge, Windows"),
        ("Mozilla/5.0 (X11; Linux x86_64; rv:131.0) Gecko/20100101 Firefox/131.0", "Firefox, Linux"),
        (
            "Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) Version/18.0 Mobile/15E148 Safari/604.1",
            "Safari, iPhone",
        ),
        (
            "Mozilla/5.0 (Linux; Android 14) SamsungBrowser/26.0 Chrome/122.0 Mobile Safari/537.36",
            "Samsung Internet, Android",
        ),
        ("canary-7f3a <script>", ""),
        ("", ""),
    ],
)
def test_of_a_browser_only_what_is_on_the_list_is_kept(said: str, kept: str) -> None:
    assert browser_of(said) == kept
