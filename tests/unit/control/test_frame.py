from __future__ import annotations

from pathlib import Path

import pytest
from fastapi import APIRouter
from fastapi.responses import PlainTextResponse
from sqlalchemy import func, select
from tests.support.control import a_place
from tests.unit.control.test_store import account

from clawmates.control.accounts.tables import Account
from clawmates.control.errors import TooOften
from clawmates.control.frame import Call, Form, Reading, Writing
from clawmates.control.static import asset

room = APIRouter()
SECRET = "canary-7f3a"


@room.post("/form")
async def take(form: Form) -> PlainTextResponse:
    return PlainTextResponse(",".join(f"{key}={value}" for key, value in form.items()))


@room.post("/call/it")
async def call(body: Call, number: int) -> PlainTextResponse:
    return PlainTextResponse(f"{len(body)} {number}")


@room.post("/write")
async def write(session: Writing, _form: Form, fail: str = "") -> PlainTextResponse:
    session.add(account())
    await session.flush()
    if fail:
        raise RuntimeError(SECRET)
    return PlainTextResponse("done")


@room.get("/count")
async def count(session: Reading) -> PlainTextResponse:
    return PlainTextResponse(str(await session.scalar(select(func.count()).select_from(Account))))


@room.get("/often")
async def often() -> None:
    raise TooOften(retry_after=30)


async def test_a_transaction_is_committed_before_the_answer_and_rolled_back_by_a_failure(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    async with a_place(tmp_path, room) as place, place.browser() as browser:
        failed = await browser.post("/write?fail=1", data={"a": "1"})
        assert failed.status_code == 500
        assert SECRET not in failed.text
        assert SECRET not in "".join(capsys.readouterr())
        assert (await browser.get("/count")).text == "0"
        assert (await browser.post("/write", data={"a": "1"})).text == "done"
        assert (await browser.get("/count")).text == "1"


@pytest.mark.any_database
@pytest.mark.parametrize("origin", ["", "null", "https://localhost", "https://evil.example", "http://localhost:8443"])
async def test_a_form_of_somebody_else_is_refused(origin: str, tmp_path: Path) -> None:
    async with a_place(tmp_path, room) as place, place.browser(Origin=origin) as browser:
        for address, kind in (
            ("/form", "application/x-www-form-urlencoded"),
            ("/call/it?number=1", "application/json"),
        ):
            assert (await browser.post(address, content=b"a=1", headers={"Content-Type": kind})).status_code == 403


@pytest.mark.any_database
@pytest.mark.parametrize(
    ("body", "kind", "status"),
    [
        (b"a=1&b=%C3%A9", "application/x-www-form-urlencoded; charset=UTF-8", 200),
        (b"a=1&a=2", "application/x-www-form-urlencoded", 400),
        (b"a=%FF", "application/x-www-form-urlencoded", 400),
        (b"a", "application/x-www-form-urlencoded", 400),
        (b"a=1", "text/plain", 400),
        (b"&".join(b"f%d=1" % number for number in range(61)), "application/x-www-form-urlencoded", 400),
        (b"a=" + b"x" * 300_000, "application/x-www-form-urlencoded", 413),
    ],
)
async def test_only_a_form_is_taken_for_one(body: bytes, kind: str, status: int, tmp_path: Path) -> None:
    async with a_place(tmp_path, room) as place, place.browser() as browser:
        answer = await browser.post("/form", content=body, headers={"Content-Type": kind})
        assert answer.status_code == status
        if status == 200:
            assert answer.text == "a=1,b=é"


@pytest.mark.any_database
async def test_what_is_malformed_is_not_quoted(tmp_path: Path) -> None:
    async with a_place(tmp_path, room) as place, place.browser() as browser:
        answer = await browser.post(
            f"/call/it?number={SECRET}", content=b"{}", headers={"Content-Type": "application/json"}
        )
        assert answer.status_code == 400
        assert answer.json() == {"error": {"code": "malformed"}}


async def test_problems_are_pages_in_the_readers_language_and_say_when_to_come_back(tmp_path: Path) -> None:
    async with a_place(tmp_path, room) as place, place.browser(**{"Accept-Language": "de"}) as browser:
        assert "Hier ist nichts" in (await browser.get("/nowhere")).text
        answer = await browser.get("/often")
        assert (answer.status_code, answer.headers["retry-after"]) == (429, "30")
        assert (await browser.delete("/")).status_code == 405


@pytest.mark.any_database
async def test_every_answer_carries_its_headers(tmp_path: Path) -> None:
    async with a_place(tmp_path, room) as place, place.browser() as browser:
        for address in ("/", "/nowhere", asset("style.css"), "/write"):
            headers = (await browser.get(address)).headers
            assert "default-src 'none'" in headers["content-security-policy"]
            assert headers["x-content-type-options"] == "nosniff"
            assert headers["server-timing"].startswith("app;dur=")
            assert "set-cookie" not in headers
