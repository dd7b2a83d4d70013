from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import httpx2
import pytest
from sqlalchemy import func, select
from tests.support.control import NOON, Place, a_place, deeds, signed_in
from tests.support.mail import CODE, Box, worker

from clawmates.control.accounts import changes, pages
from clawmates.control.accounts.tables import Account, Attempt, Challenge, EmailChange, Link, Session
from clawmates.control.retention.keeper import Keeper

ADA, NEW, EVE = "ada@example.org", "ada@new.example", "eve@example.org"


async def change(place: Place, browser: httpx2.AsyncClient, new: str = NEW) -> dict[str, str]:
    """Wants another address; the codes that went to each."""
    answer = await browser.post("/account/email", data={"email": new})
    assert answer.status_code == 303, answer.text
    box = Box()
    while await worker(place, box).round():
        pass
    return {letter.recipient: CODE.findall(letter.text)[0] for letter in box.letters}


async def enter(browser: httpx2.AsyncClient, code: str) -> httpx2.Response:
    return await browser.post("/enter", data={"code": code})


async def emails(place: Place) -> set[str]:
    async with place.database.reading() as database:
        return set((await database.scalars(select(Account.email))).all())


@pytest.mark.parametrize("order", [(ADA, NEW), (NEW, ADA)])
async def test_an_address_changes_when_both_sides_have_said_yes(order: tuple[str, str], tmp_path: Path) -> None:
    async with a_place(tmp_path, pages.router) as place, place.browser() as browser:
        await signed_in(place, browser, ADA)
        codes = await change(place, browser)
        assert set(codes) == {ADA, NEW}
        assert NEW in (await browser.get("/account")).text
        assert "One side has confirmed" in (await enter(browser, codes[order[0]])).text
        assert await emails(place) == {ADA}
        assert (await enter(browser, codes[order[0]])).status_code == 410
        assert "has changed" in (await enter(browser, codes[order[1]])).text
        assert await emails(place) == {NEW}
        assert NEW in (await browser.get("/account")).text
        assert await deeds(place) == ["account.opened", "address.changed"]


async def test_one_side_is_not_both(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The twin of the test above: a build in which one yes is enough."""
    begin = changes.begin

    async def weak(database: object, account_id: str, email: str, now: object) -> None:
        await begin(database, account_id, email, now)  # type: ignore[arg-type]
        found = await database.get(EmailChange, account_id)  # type: ignore[attr-defined]
        found.old_confirmed = True

    monkeypatch.setattr(changes, "begin", weak)
    async with a_place(tmp_path, pages.router) as place, place.browser() as browser:
        await signed_in(place, browser, ADA)
        codes = await change(place, browser)
        await enter(browser, codes[NEW])
        assert await emails(place) == {NEW}


async def test_nobody_is_brought_to_confirm_for_somebody_elses_account(tmp_path: Path) -> None:
    async with a_place(tmp_path, pages.router) as place, place.browser() as eve, place.browser() as ada:
        await signed_in(place, eve, EVE)
        codes = await change(place, eve, NEW)
        assert (await enter(ada, codes[NEW])).status_code == 403
        await signed_in(place, ada, ADA)
        assert (await enter(ada, codes[NEW])).status_code == 403
        await enter(eve, codes[EVE])
        assert await emails(place) == {ADA, EVE}


async def test_an_address_with_an_account_is_not_taken_and_only_its_owner_learns_of_it(tmp_path: Path) -> None:
    async with a_place(tmp_path, pages.router) as place, place.browser() as ada, place.browser() as other:
        await signed_in(place, other, NEW)
        await signed_in(place, ada, ADA)
        codes = await change(place, ada)
        await enter(ada, codes[ADA])
        assert "has an account already" in (await enter(ada, codes[NEW])).text
        assert await emails(place) == {ADA, NEW}


async def test_a_change_can_be_replaced_cancelled_and_grows_old(tmp_path: Path) -> None:
    async with a_place(tmp_path, pages.router) as place, place.browser() as browser:
        await signed_in(place, browser, ADA)
        first = await change(place, browser)
        await enter(browser, first[ADA])
        second = await change(place, browser, "ada@third.example")
        assert (await enter(browser, first[NEW])).status_code == 410
        assert "One side" in (await enter(browser, second["ada@third.example"])).text
        assert (await browser.post("/account/email/cancel", data={"now": ""})).status_code == 303
        assert (await enter(browser, second[ADA])).status_code == 410
        third = await change(place, browser)
        place.clock.forward(minutes=15)
        assert (await enter(browser, third[NEW])).status_code == 410
        assert await emails(place) == {ADA}


async def test_a_yes_to_one_change_is_none_to_the_next(tmp_path: Path) -> None:
    """No mail says which address is wanted: whoever has the session could put theirs in the place of the owner's."""
    async with a_place(tmp_path, pages.router) as place, place.browser() as browser:
        await signed_in(place, browser, ADA)
        mine = await change(place, browser)
        await browser.post("/account/email", data={"email": "third@example.org"})  # whose mails wait a little
        place.clock.forward(seconds=1)
        theirs = await change(place, browser, "thief@example.org")
        assert set(theirs) == {ADA, "thief@example.org"}, (
            "a mail for a change that was replaced meanwhile does not leave"
        )
        assert (await enter(browser, mine[ADA])).status_code == 410
        assert "One side has confirmed" in (await enter(browser, theirs["thief@example.org"])).text
        assert await emails(place) == {ADA}


async def test_another_address_asks_for_a_proof_and_for_an_address(tmp_path: Path) -> None:
    async with a_place(tmp_path, pages.router) as place, place.browser() as browser:
        await signed_in(place, browser, ADA)
        for typed, said in (("nonsense", "An @ is missing"), (ADA, "your address already")):
            answer = await browser.post("/account/email", data={"email": typed})
            assert answer.status_code == 400
            assert said in answer.text
        for _ in range(5):
            await change(place, browser, f"x{_}@example.org")
        assert (await browser.post("/account/email", data={"email": NEW})).status_code == 429
        place.clock.forward(minutes=10)
        assert (await browser.post("/account/email", data={"email": NEW})).status_code == 403
        assert "fresh proof" in (await browser.get("/account")).text


async def sessions_of(place: Place, account: str) -> list[str]:
    async with place.database.reading() as database:
        return list((await database.scalars(select(Session.proof).where(Session.account_id == account))).all())


async def test_sessions_are_listed_and_ended_one_by_one_or_all_others(tmp_path: Path) -> None:
    async with (
        a_place(tmp_path, pages.router) as place,
        place.browser() as browser,
        place.browser() as second,
        place.browser() as third,
        place.browser() as eve,
    ):
        mine = await signed_in(place, browser)
        for other in (second, third):
            await signed_in(place, other)
        theirs = await signed_in(place, eve, EVE)
        page = (await browser.get("/account")).text
        assert page.count("Firefox, Linux") == 3
        assert page.count("This browser") == 1
        foreign = (await sessions_of(place, theirs))[0]
        for forged in (foreign, "", "x" * 64, foreign[:63]):
            answer = await browser.post("/account/sessions/end", data={"session": forged})
            assert answer.status_code == 404
        assert (await eve.get("/account")).status_code == 200
        one = next(proof for proof in await sessions_of(place, mine) if f'value="{proof}"' in page)
        assert (await browser.post("/account/sessions/end", data={"session": one})).status_code == 303
        assert len(await sessions_of(place, mine)) == 2
        assert (await browser.post("/account/sessions/end-others", data={"now": ""})).status_code == 303
        assert len(await sessions_of(place, mine)) == 1
        assert (await browser.get("/account")).status_code == 200
        assert {(await other.get("/account")).status_code for other in (second, third)} == {303}


async def test_whose_session_it_is_is_asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The twin of the test above: a build that ends whatever session is named."""

    async def weak(database: object, _account: str, proof: str) -> bool:
        await database.delete(await database.get(Session, proof))  # type: ignore[attr-defined]
        return True

    monkeypatch.setattr("clawmates.control.accounts.sessions.end", weak)
    async with a_place(tmp_path, pages.router) as place, place.browser() as browser, place.browser() as eve:
        await signed_in(place, browser)
        theirs = await signed_in(place, eve, EVE)
        await browser.post("/account/sessions/end", data={"session": (await sessions_of(place, theirs))[0]})
        assert (await eve.get("/account")).status_code == 303


async def test_the_language_is_chosen_for_pages_and_mails(tmp_path: Path) -> None:
    async with a_place(tmp_path, pages.router) as place, place.browser() as browser:
        await signed_in(place, browser)
        assert (await browser.post("/account/language", data={"language": "de"})).status_code == 303
        assert "Dein Konto" in (await browser.get("/account")).text
        assert (await browser.post("/account/language", data={"language": "xx"})).status_code == 400
        async with place.database.reading() as database:
            assert (await database.scalars(select(Account.language))).one() == "de"


@pytest.mark.any_database
@pytest.mark.parametrize("path", ["/account", "/prove"])
async def test_a_stranger_is_led_to_the_sign_in(path: str, tmp_path: Path) -> None:
    async with a_place(tmp_path, pages.router) as place, place.browser() as browser:
        assert (await browser.get(path)).headers["location"] == "/sign-in"
        assert (await browser.post("/account/sessions/end-others", data={"now": ""})).status_code == 401


async def test_what_has_come_to_its_end_goes_and_nothing_else(tmp_path: Path) -> None:
    async with a_place(tmp_path) as place, place.browser() as browser:
        account = await signed_in(place, browser)
        other = await signed_in(place, browser, EVE)
        now, late = NOON + timedelta(days=1), NOON + timedelta(days=1, seconds=1)
        async with place.database.writing() as database:
            for name, end in (("a" * 64, now), ("b" * 64, late)):
                database.add(Link(proof=name, purpose="sign-in", email=ADA, account_id=None, ends_at=end))
                database.add(Challenge(proof=name, purpose="passkey-add", account_id=account, ends_at=end))
                database.add(Attempt(who=name, what="x", since=NOON, count=1, ends_at=end))
            for whom, end in ((account, now), (other, late)):
                database.add(
                    EmailChange(account_id=whom, email=NEW, old_confirmed=False, new_confirmed=False, ends_at=end)
                )

        async def left() -> list[int]:
            async with place.database.reading() as database:
                kinds = (Link, Challenge, Attempt, EmailChange, Session)
                return [await database.scalar(select(func.count()).select_from(kind)) or 0 for kind in kinds]

        assert await left() == [2, 2, 2, 2, 2]
        keeper = Keeper(database=place.database, clock=place.clock, holder="k")
        for moment, those in ((now, [1, 1, 1, 1, 2]), (now, [1, 1, 1, 1, 2]), (NOON + timedelta(days=14), [0] * 5)):
            place.clock.moment = moment
            await keeper.round()
            assert await left() == those
