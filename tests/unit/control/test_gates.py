"""Of every address that there is, found by itself: whose form it takes, whom it lets in, and whose bot it shows."""

from __future__ import annotations

from pathlib import Path

import httpx2
import pytest
from tests.support import walk
from tests.support.control import Place, a_bot, a_place, signed_in

from clawmates.control import frame
from clawmates.control.rooms import ROOMS
from clawmates.control.web import build_web

BOT = "b-adas"
FOR_EVERYBODY = frozenset(
    {
        *("/", "/language", "/sign-in", "/enter", "/receipt", "/sign-out", "/static/{mark}/{name}"),
        *("/privacy", "/privacy/stored", "/privacy/subprocessors", "/faq", "/.well-known/security.txt"),
        *("/call/passkeys/sign-in/begin", "/call/passkeys/sign-in/finish"),
    }
)


def routes(place: Place) -> list[walk.Route]:
    found = walk.routes(build_web(place.context, ROOMS))
    return sorted(found, key=lambda one: (one.path, one.method))


async def ask(browser: httpx2.AsyncClient, route: walk.Route, origin: str = "") -> httpx2.Response:
    here = route.path.replace("{bot}", BOT).replace("{mark}", "m").replace("{name}", "n")
    kind = "application/json" if route.takes == "call" else "application/x-www-form-urlencoded"
    headers = {"Content-Type": kind} | ({"Origin": origin} if origin else {})
    return await browser.request(route.method, here, content=b"{}" if "json" in kind else b"a=1", headers=headers)


async def let_through(place: Place, browser: httpx2.AsyncClient) -> list[str]:
    """What takes a form of another site's, or of none."""
    writing = [one for one in routes(place) if one.method not in {"GET", "HEAD"}]
    assert all(one.takes for one in writing), "it takes neither a form nor a call, so nothing asks where it is from"
    return [
        f"{one.path} {origin}"
        for one in writing
        for origin in ("https://evil.example", "null")
        if (await ask(browser, one, origin)).status_code != 403
    ]


@pytest.mark.any_database
async def test_no_address_takes_another_sites_form(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with a_place(tmp_path, *ROOMS) as place, place.browser() as browser:
        await signed_in(place, browser)
        assert await let_through(place, browser) == []
        monkeypatch.setattr(frame, "check_origin", lambda _request: None)  # the weakened build
        assert len(await let_through(place, browser)) > 20


async def test_who_is_nobody_or_somebody_else_gets_nothing(tmp_path: Path) -> None:
    async with a_place(tmp_path, *ROOMS) as place, place.browser() as nobody, place.browser() as eve:
        async with place.browser() as browser:
            ada = await signed_in(place, browser)
        async with place.database.writing() as session:
            session.add(a_bot(BOT, ada))
        await signed_in(place, eve, "eve@example.org")
        for route in routes(place):
            if route.path not in FOR_EVERYBODY:
                answer = await ask(nobody, route)
                led = answer.headers.get("location") == "/sign-in"
                assert led if route.method == "GET" else answer.status_code == 401, route
            if "{bot}" in route.path and route.takes != "call":  # of calls, bots/test_life.py asks with a whole one
                assert (await ask(eve, route)).status_code == 404, route
