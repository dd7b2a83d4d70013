from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import httpx2
import pytest
from fastapi import APIRouter, Request
from fastapi.responses import PlainTextResponse
from sqlalchemy import event, func, select
from sqlalchemy.ext.asyncio import AsyncSession
from tests.support.control import Place, a_place, database_bytes, deeds, signed_in
from tests.support.mail import Box, Broken, worker

from clawmates.control.accounts import attempts, links, pages, sessions
from clawmates.control.accounts.addresses import Unusable, read
from clawmates.control.accounts.person import Proved, SignedIn
from clawmates.control.accounts.tables import Account, Attempt, Link, Session
from clawmates.control.audit import chain
from clawmates.control.context import Context
from clawmates.control.outbox.tables import Errand
from clawmates.wire.deeds import Deed

ADA = "ada@example.org"
CANARY = "canary-7f3a"
room = APIRouter()


@room.get("/bots")
async def bots(person: SignedIn) -> PlainTextResponse:
    return PlainTextResponse(person.email)


@room.get("/bots/b-1/secrets")
async def secrets(person: Proved) -> PlainTextResponse:
    return PlainTextResponse("open")


async def ask(place: Place, browser: httpx2.AsyncClient, box: Box, email: str = ADA, at: str = "/sign-in") -> str:
    """Asks for a mail and returns the code in it."""
    answer = await browser.post(at, data={"email": email})
    assert (answer.status_code, answer.headers["location"]) == (303, "/enter")
    await worker(place, box).round()
    return box.code()


def from_(address: str, **state: bool) -> Request:
    """A request by somebody at that address."""
    return Request({"type": "http", "client": (address, 40_000), "state": state})


@contextmanager
def statements_of(place: Place, into: list[str]) -> Iterator[None]:
    """Notes what the database is asked meanwhile."""

    def note(_connection: object, _cursor: object, statement: str, *_rest: object) -> None:
        into.append(statement)

    event.listen(place.database.engine.sync_engine, "before_cursor_execute", note)
    try:
        yield
    finally:
        event.remove(place.database.engine.sync_engine, "before_cursor_execute", note)


async def count(place: Place, table: type) -> int:
    async with place.database.reading() as database:
        return await database.scalar(select(func.count()).select_from(table)) or 0


async def test_a_link_makes_the_account_once_and_signs_in_ever_after(tmp_path: Path) -> None:
    box = Box()
    async with a_place(tmp_path, pages.router, room) as place, place.browser() as browser:
        code = await ask(place, browser, box, "  Ada@Example.ORG ")
        assert box.letters[0].recipient == ADA
        assert await count(place, Account) == 0
        answer = await browser.post("/enter", data={"code": code}, headers={"User-Agent": "X Firefox/131.0 Linux"})
        assert (answer.status_code, answer.headers["location"]) == (303, "/bots")
        cookie = answer.headers.get_list("set-cookie")[0]
        for part in ("__Host-session=", "; HttpOnly", "; Secure", "; SameSite=lax", "; Path=/", "; Max-Age=2592000"):
            assert part in cookie
        assert "Domain" not in cookie
        assert (await browser.get("/bots")).text == ADA
        async with place.browser() as other:
            await other.post("/enter", data={"code": await ask(place, other, box)})
            assert (await other.get("/bots")).text == ADA
        assert await count(place, Account) == 1
        assert await count(place, Session) == 2
        assert await deeds(place) == ["account.opened", "session.opened", "session.opened"]
        assert (await browser.get("/sign-in")).headers["location"] == "/bots"


async def reused(place: Place, browser: httpx2.AsyncClient, box: Box) -> int:
    code = await ask(place, browser, box)
    assert (await browser.post("/enter", data={"code": code})).status_code == 303
    async with place.browser() as other:
        return (await other.post("/enter", data={"code": code})).status_code


async def test_a_link_is_good_once_and_for_fifteen_minutes(tmp_path: Path) -> None:
    box = Box()
    async with a_place(tmp_path, pages.router) as place, place.browser() as browser:
        assert await reused(place, browser, box) == 410
        code = await ask(place, browser, box)
        place.clock.forward(minutes=15)
        answer = await browser.post("/enter", data={"code": code})
        assert answer.status_code == 410
        assert "used up" in answer.text
        forged = code[:-1] + ("0" if code[-1] != "0" else "1")
        assert (await browser.post("/enter", data={"code": forged})).status_code == 410


async def test_a_link_that_could_be_used_twice_would_be_seen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def look(database: AsyncSession, context: Context, code: str) -> links.Spent | None:
        found = (await database.scalars(select(Link))).first()
        return links.Spent(links.Purpose(found.purpose), found.email, found.account_id) if found else None

    monkeypatch.setattr(links, "spend", look)
    async with a_place(tmp_path, pages.router) as place, place.browser() as browser:
        assert await reused(place, browser, Box()) == 303


async def test_of_two_who_come_at_once_with_one_link_one_gets_in(tmp_path: Path) -> None:
    box = Box()
    async with a_place(tmp_path, pages.router) as place, place.browser() as browser:
        code = await ask(place, browser, box)
        answers = await asyncio.gather(*(browser.post("/enter", data={"code": code}) for _ in range(4)))
        assert sorted(answer.status_code for answer in answers) == [303, 410, 410, 410]


async def test_a_mail_scanner_that_opens_the_link_uses_nothing_up(tmp_path: Path) -> None:
    box = Box()
    async with a_place(tmp_path, pages.router) as place, place.browser() as scanner, place.browser() as browser:
        code = await ask(place, browser, box)
        for address in ("/enter", f"/enter?code={code}", f"/enter?{code}"):
            answer = await scanner.get(address)
            assert answer.status_code == 200
            assert code not in answer.text
        assert (await browser.post("/enter", data={"code": code})).status_code == 303


async def test_nobody_learns_whether_an_address_is_known(tmp_path: Path) -> None:
    async with a_place(tmp_path, pages.router) as place, place.browser() as browser, place.browser() as ada:
        await signed_in(place, ada, ADA)
        seen = []
        for email in (ADA, "nobody@example.org"):
            statements: list[str] = []
            with statements_of(place, statements):
                answer = await browser.post("/sign-in", data={"email": email})
            seen.append((answer.status_code, answer.content, answer.headers["location"], statements))
        assert seen[0] == seen[1]
        assert not any("FROM accounts" in statement for statement in seen[0][3])
        box = Box()
        await worker(place, box).round()
        assert {letter.recipient for letter in box.letters} == {ADA, "nobody@example.org"}
        assert len({letter.subject for letter in box.letters}) == 1


@pytest.mark.parametrize(
    ("typed", "reason"),
    [
        ("", Unusable.EMPTY),
        ("   ", Unusable.EMPTY),
        ("ada", Unusable.NO_AT),
        ("ada@", Unusable.HOST),
        ("@example.org", Unusable.NAME),
        ("a da@example.org", Unusable.NAME),
        ("a@b@example.org", Unusable.NAME),
        ("ada@example", Unusable.HOST),
        ("ada@-x.org", Unusable.HOST),
        ("ada@[127.0.0.1]", Unusable.HOST),
        ("ada@127.0.0.1", Unusable.HOST),
        ("ada@example..org", Unusable.HOST),
        ("ada.@example.org", Unusable.NAME),
        ("ada@straße.example", Unusable.NOT_ASCII),
        ("ada\r\nBcc: eve@example.org", Unusable.NAME),
        ("ada@example.org\r\nBcc", Unusable.HOST),
        ("a" * 65 + "@example.org", Unusable.NAME),
        ("a@" + "b" * 300 + ".org", Unusable.TOO_LONG),
        ("Ada+bots@Example.Org", "ada+bots@example.org"),
        ("o'neil@xn--strae-oqa.example", "o'neil@xn--strae-oqa.example"),
    ],
)
def test_an_address_is_taken_in_one_form_or_refused_for_a_reason(typed: str, reason: str) -> None:
    assert read(typed) == reason


async def test_a_bad_address_or_code_gets_a_sentence(tmp_path: Path) -> None:
    async with a_place(tmp_path, pages.router) as place, place.browser() as browser:
        answer = await browser.post("/sign-in", data={"email": 'ada"><b>'})
        assert answer.status_code == 400
        assert "An @ is missing" in answer.text
        assert "<b>" not in answer.text.split("<main", 1)[1].split("ada", 1)[1][:8]
        assert (await browser.post("/sign-in", data={})).status_code == 400
        answer = await browser.post("/enter", data={"code": "short"})
        assert answer.status_code == 400
        assert "twenty letters" in answer.text
        assert (await browser.post("/enter", data={"code": "x" * 300_000})).status_code == 413
        assert (await browser.post("/sign-in", data={"email": "x"}, headers={"Origin": "null"})).status_code == 403
        assert await count(place, Errand) == 0


async def test_tries_are_limited_for_an_address_and_for_a_network(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with a_place(tmp_path, pages.router) as place, place.browser() as browser:
        place.clock.forward(minutes=5)
        for _ in range(5):
            assert (await browser.post("/sign-in", data={"email": ADA})).status_code == 303
        answer = await browser.post("/sign-in", data={"email": ADA})
        assert (answer.status_code, answer.headers["retry-after"]) == (429, "601")
        assert "Too many tries" in answer.text
        assert (await browser.post("/sign-in", data={"email": "bob@example.org"})).status_code == 303
        monkeypatch.setattr(attempts, "MAIL_NETWORK", attempts.Limit("mail-network", 8, attempts.MAIL_NETWORK.span))
        answers = [await browser.post("/sign-in", data={"email": f"x{n}@example.org"}) for n in range(2)]
        assert [answer.status_code for answer in answers] == [303, 429]
        place.address = "203.0.114.5"
        async with place.browser() as other:
            assert (await other.post("/sign-in", data={"email": "y@example.org"})).status_code == 303
            assert (await other.post("/sign-in", data={"email": ADA})).status_code == 429
            place.clock.forward(minutes=10)
            assert (await other.post("/sign-in", data={"email": ADA})).status_code == 303
        async with place.database.reading() as database:
            who = {row.who for row in await database.scalars(select(Attempt))}
        assert all(len(one) == 64 for one in who)


async def test_guessing_codes_is_limited_and_counts_though_the_answer_is_a_refusal(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(attempts, "CODE_NETWORK", attempts.Limit("code-network", 3, attempts.CODE_NETWORK.span))
    async with a_place(tmp_path, pages.router) as place, place.browser() as browser:
        codes = ["0" * 20, "short", "1" * 20, "2" * 20]
        answers = [await browser.post("/enter", data={"code": code}) for code in codes]
        assert [answer.status_code for answer in answers] == [410, 400, 410, 429]


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("203.0.113.5", "203.0.113.250", True),
        ("203.0.113.5", "203.0.112.5", False),
        ("::ffff:203.0.113.5", "203.0.113.9", True),
        ("2001:db8:0:1::1", "2001:db8:0:1:ffff::2", True),
        ("2001:db8:0:1::1", "2001:db8:0:2::1", False),
    ],
)
def test_networks_are_a_24_or_a_64(one: str, other: str, same: bool) -> None:  # noqa: FBT001
    found = [attempts.network_of(from_(address)) for address in (one, other)]
    assert (found[0] == found[1]) is same
    assert not found[0][1]


def test_behind_a_relay_of_our_own_everybody_is_braked_together() -> None:
    assert attempts.network_of(from_("127.0.0.1"))[1]
    assert attempts.network_of(from_("a socket")) == ("", True)
    assert not attempts.network_of(from_("127.0.0.1", introduced=True))[1], "unless it says who calls"


async def test_a_step_up_by_mail_leads_on_to_where_it_was_asked_for(tmp_path: Path) -> None:
    box = Box()
    async with a_place(tmp_path, pages.router, room) as place, place.browser() as browser:
        await signed_in(place, browser, ADA)
        place.clock.forward(minutes=10)
        led = await browser.get("/bots/b-1/secrets")
        assert (led.status_code, led.headers["location"]) == (303, "/prove")
        assert ADA in (await browser.get("/prove")).text
        code = await ask(place, browser, box, at="/prove")
        assert "confirm" in box.letters[-1].text
        async with place.browser() as stranger:
            assert (await stranger.post("/enter", data={"code": code})).status_code == 403
            await signed_in(place, stranger, "eve@example.org")
            answer = await stranger.post("/enter", data={"code": code})
            assert answer.status_code == 403
            assert "another account" in answer.text
        answer = await browser.post("/enter", data={"code": code})
        assert (answer.status_code, answer.headers["location"]) == (303, "/bots/b-1/secrets")
        assert (await browser.get("/bots/b-1/secrets")).text == "open"
        assert (await browser.post("/enter", data={"code": code})).status_code == 410


async def test_signing_in_leads_on_to_where_one_wanted_to_go_and_only_there(tmp_path: Path) -> None:
    box = Box()
    async with a_place(tmp_path, pages.router, room) as place, place.browser() as browser:
        for wanted, led in (("/bots/b-1/secrets", "/bots/b-1/secrets"), ("//evil.example", "/bots"), ("", "/bots")):
            if wanted.startswith("/bots"):
                await browser.get(wanted)
            else:
                browser.cookies.set("__Host-next", wanted, domain="localhost.local")
            answer = await browser.post("/enter", data={"code": await ask(place, browser, box)})
            assert answer.headers["location"] == led
            await browser.post("/sign-out", data={"now": ""})


async def test_signing_in_always_makes_a_new_session_and_ends_the_one_before(tmp_path: Path) -> None:
    box = Box()
    async with a_place(tmp_path, pages.router, room) as place, place.browser() as browser:
        await signed_in(place, browser, "eve@example.org")
        planted = browser.cookies[sessions.COOKIE]
        await browser.post("/enter", data={"code": await ask(place, browser, box)})
        assert browser.cookies[sessions.COOKIE] != planted
        assert (await browser.get("/bots")).text == ADA
        async with place.browser() as thief:
            thief.cookies.set(sessions.COOKIE, planted, domain="localhost.local")
            assert (await thief.get("/bots")).status_code == 303
        async with place.database.reading() as database:
            eve, ada, closed, opened = await chain.entries(database, 0)
        assert (closed.tag, closed.subject) == (Deed.SIGNED_OUT, eve.subject), "whose session it was is told of its end"
        assert (opened.tag, opened.subject) == (Deed.SIGNED_IN, ada.subject)


async def test_that_our_mail_server_is_away_is_told_to_everybody_alike(tmp_path: Path) -> None:
    async with a_place(tmp_path, pages.router) as place, place.browser() as browser, place.browser() as other:

        async def told() -> list[bool]:
            return ["Our mail server does not answer" in (await one.get("/enter")).text for one in (browser, other)]

        await browser.post("/sign-in", data={"email": ADA})
        assert await told() == [False, False]
        await worker(place, Broken("address-refused", final=False)).round()
        assert await told() == [False, False], "that is about one address"
        place.clock.forward(seconds=10)
        await worker(place, Broken("mail-unreachable", final=False)).round()
        assert await told() == [True, True]
        place.clock.forward(seconds=10)
        box = Box()
        await worker(place, box).round()
        assert (await told(), len(box.letters)) == ([False, False], 1)


async def test_signing_out_ends_the_session_in_the_database(tmp_path: Path) -> None:
    async with a_place(tmp_path, pages.router, room) as place, place.browser() as browser:
        await signed_in(place, browser, ADA)
        token = browser.cookies[sessions.COOKIE]
        answer = await browser.post("/sign-out", data={"now": ""})
        assert (answer.status_code, answer.headers["location"]) == (303, "/")
        assert sessions.COOKIE not in browser.cookies
        browser.cookies.set(sessions.COOKIE, token, domain="localhost.local")
        assert (await browser.get("/bots")).status_code == 303
        assert (await browser.post("/sign-out", data={"now": ""})).status_code == 303


@pytest.mark.raw
async def test_what_goes_wrong_says_nothing_of_whom_and_what(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    async def fail(*_arguments: object) -> None:
        raise RuntimeError(f"{CANARY} {_arguments}")

    box = Box()
    async with a_place(tmp_path, pages.router) as place, place.browser() as browser:
        place.context = replace(place.context, random=os.urandom)  # a code that nothing else is like
        code = await ask(place, browser, box, f"{CANARY}@example.org")
        monkeypatch.setattr(links, "spend", fail)
        answer = await browser.post("/enter", data={"code": code})
        assert answer.status_code == 500
        said = answer.text + "".join(capsys.readouterr())
        assert "RuntimeError at test_accounts_entry.py" in said
        for word in (CANARY, code, links.read(code)):
            assert word not in said
            assert (word == CANARY) is (word.encode() in database_bytes(tmp_path))
