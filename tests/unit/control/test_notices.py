"""What a person is told of their account unasked: that it happened, when and in what kind of browser, and no more."""

from __future__ import annotations

from pathlib import Path

import httpx2
import pytest
from tests.support.authenticator import Authenticator
from tests.support.control import Place, a_place, signed_in
from tests.support.mail import CODE, Box, worker
from tests.unit.control.test_accounts_passkeys import added
from tests.unit.control.test_accounts_settings import change, enter

from clawmates.control.accounts import familiar, pages
from clawmates.control.mail.letters import Letter
from clawmates.control.mail.post import Terminal

ADA, NEW = "ada@example.org", "ada@new.example"
ANDROID = {"User-Agent": "X Chrome/140.0 (Android) canary-5d1c"}


async def sign_in(place: Place, browser: httpx2.AsyncClient) -> list[Letter]:
    """By a link; returns what else was mailed."""
    await browser.post("/sign-in", data={"email": ADA})
    box = Box()
    await worker(place, box).round()
    assert (await browser.post("/enter", data={"code": box.code()}, headers=ANDROID)).status_code == 303
    box.letters.clear()
    await worker(place, box).round()
    return box.letters


def check(letter: Letter, *said: str) -> None:
    """It says that, to whom it should, and nothing that opens anything or that one need not know."""
    assert letter.recipient == ADA
    assert CODE.search(letter.text) is None
    assert letter.link == ""
    for part in ("#", "203.0.113", "canary", NEW):
        assert part not in letter.text
    for part in (*said, "2026-11-30 12:00 UTC"):
        assert part in letter.text, letter.text
    assert ADA not in repr(letter)


async def test_a_browser_that_was_never_signed_in_is_told_of_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with a_place(tmp_path, pages.router) as place, place.browser() as one, place.browser() as two:
        assert await sign_in(place, one) == [], "an account's beginning is no news"
        assert "Your account" in (await one.get("/account")).text
        assert await sign_in(place, one) == []
        (letter,) = await sign_in(place, two)
        check(letter, "Chrome, Android", "sign out everywhere else")
        assert letter.subject == "A new browser is signed in"
        assert await sign_in(place, two) == []

        await two.post("/account/language", data={"language": "de"})
        cookie = next(one for one in two.cookies.jar if one.name == familiar.COOKIE)
        assert cookie.value is not None
        for wrong in ("", "x", cookie.value[:-1] + ("0" if cookie.value[-1] != "0" else "1")):
            two.cookies.set(familiar.COOKIE, wrong, domain=cookie.domain, path=cookie.path)
            place.clock.forward(minutes=16)  # an address gets five mails in a quarter of an hour
            (letter,) = await sign_in(place, two)
            assert letter.subject == "Ein neuer Browser ist angemeldet"
        two.cookies.clear()
        monkeypatch.setattr(familiar, "knows", lambda *_: True)  # the weakened build: it knows everybody
        assert await sign_in(place, two) == []


async def test_what_another_account_left_in_a_browser_proves_nothing_of_this_one(tmp_path: Path) -> None:
    async with a_place(tmp_path, pages.router) as place, place.browser() as browser, place.browser() as other:
        await sign_in(place, browser)
        await signed_in(place, other, "eve@example.org")
        await other.post("/sign-in", data={"email": "eve@example.org"})
        box = Box()
        await worker(place, box).round()
        await other.post("/enter", data={"code": box.code()})
        await worker(place, box).round()
        assert any(one.name == familiar.COOKIE for one in other.cookies.jar)
        assert len(await sign_in(place, other)) == 1


async def test_a_new_passkey_is_told_of(tmp_path: Path) -> None:
    async with a_place(tmp_path, pages.router) as place, place.browser() as browser:
        await signed_in(place, browser, ADA)
        key, box = Authenticator(), Box()
        assert (await added(browser, key)).status_code == 200
        assert (await added(browser, key)).status_code == 403, "what was refused is no news"
        await worker(place, box).round()
        (letter,) = box.letters
        check(letter, "A passkey was added", "Firefox, Linux")


async def test_another_address_is_told_of_at_the_one_that_was(tmp_path: Path) -> None:
    async with a_place(tmp_path, pages.router) as place, place.browser() as browser:
        await signed_in(place, browser, ADA)
        codes, box = await change(place, browser), Box()
        await enter(browser, codes[ADA])
        await worker(place, box).round()
        assert box.letters == [], "half a change is none"
        await enter(browser, codes[NEW])
        await worker(place, box).round()
        (letter,) = box.letters
        check(letter, "another e-mail address", "somebody reads your mail")


async def test_a_terminal_is_nobodys_mailbox() -> None:
    await Terminal(-1).send(Letter(ADA, "A new browser is signed in", "…"))
