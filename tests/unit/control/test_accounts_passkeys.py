from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import httpx2
import pytest
from sqlalchemy import select
from tests.support.authenticator import PRESENT, VERIFIED, Authenticator
from tests.support.control import Place, a_place, deeds, signed_in
from webauthn import base64url_to_bytes, verify_authentication_response
from webauthn.helpers import bytes_to_base64url, parse_client_data_json

from clawmates.control.accounts import attempts, ceremony, pages, passkeys, sessions
from clawmates.control.accounts.tables import Challenge, Passkey

CANARY = "canary-7f3a"


async def call(browser: httpx2.AsyncClient, path: str, body: object = None) -> httpx2.Response:
    content = json.dumps(body if body is not None else {}).encode()
    return await browser.post(
        f"/call/passkeys/{path}",
        content=content,
        headers={"Content-Type": "application/json", "User-Agent": "X Firefox/131.0 (Linux)"},
    )


async def options(browser: httpx2.AsyncClient, kind: str) -> dict[str, Any]:
    answer = await call(browser, f"{kind}/begin")
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


async def added(browser: httpx2.AsyncClient, key: Authenticator) -> httpx2.Response:
    return await call(browser, "add/finish", key.create(await options(browser, "add")))


async def entered(browser: httpx2.AsyncClient, key: Authenticator, kind: str = "sign-in") -> httpx2.Response:
    return await call(browser, f"{kind}/finish", key.get(await options(browser, kind)))


async def kept(place: Place) -> list[Passkey]:
    async with place.database.reading() as database:
        return list((await database.scalars(select(Passkey).order_by(Passkey.id))).all())


async def test_a_passkey_is_added_once_and_signs_in_without_an_address(tmp_path: Path) -> None:
    key = Authenticator()
    async with a_place(tmp_path, pages.router) as place, place.browser() as browser, place.browser() as other:
        mine = await signed_in(place, browser)
        asked = await options(browser, "add")
        assert asked["rp"]["id"] == "localhost"
        assert asked["authenticatorSelection"]["userVerification"] == "required"
        assert asked["authenticatorSelection"]["residentKey"] == "required"
        assert (await added(browser, key)).json() == {"next": "/account"}
        assert (await added(browser, key)).status_code == 403
        assert [one["id"] for one in (await options(browser, "add"))["excludeCredentials"]] == [
            (await kept(place))[0].id
        ]
        asked = await options(other, "sign-in")
        assert (asked["userVerification"], asked["allowCredentials"]) == ("required", [])
        place.clock.forward(days=1)
        answer = await entered(other, key)
        assert answer.json() == {"next": "/bots"}
        assert sessions.COOKIE in other.cookies
        page = (await other.get("/account")).text
        assert "ada@example.org" in page
        row = (await kept(place))[0]
        assert (row.account_id, row.name, row.sign_count, row.used_at) == (mine, "Firefox, Linux", 1, place.clock.now())


FLAWS: dict[str, dict[str, Any]] = {
    "another origin": {"origin": "https://localhost.evil.example"},
    "another host": {"host": "evil.example"},
    "owner not verified": {"flags": PRESENT},
    "nobody there": {"flags": VERIFIED},
    "another account": {"user": b"a-somebody"},
    "another key": {"id": b"j" * 32},
    "a copy, whose count is behind": {"count": 1},
}


@pytest.mark.any_database
@pytest.mark.parametrize("flaw", FLAWS)
async def test_what_is_signed_must_be_right_in_every_part(flaw: str, tmp_path: Path) -> None:
    key = Authenticator()
    async with a_place(tmp_path, pages.router) as place, place.browser() as browser, place.browser() as other:
        await signed_in(place, browser)
        await added(browser, key)
        for _ in range(3):
            assert (await entered(other, key)).status_code == 200
        for name, value in FLAWS[flaw].items():
            setattr(key, name, value)
        async with place.browser() as thief:
            answer = await entered(thief, key)
            assert (answer.status_code, answer.json()) == (403, {"error": {"code": "passkey-refused"}})
            assert sessions.COOKIE not in thief.cookies


@pytest.mark.any_database
@pytest.mark.parametrize("flaw", ["another origin", "another host", "owner not verified", "nobody there"])
async def test_what_is_added_must_be_right_too(flaw: str, tmp_path: Path) -> None:
    async with a_place(tmp_path, pages.router) as place, place.browser() as browser:
        await signed_in(place, browser)
        assert (await added(browser, Authenticator(**FLAWS[flaw]))).status_code == 403
        assert not await kept(place)


@pytest.mark.any_database
async def test_user_verification_left_out_would_be_seen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = verify_authentication_response

    def weak(**arguments: Any) -> object:
        return real(**(arguments | {"require_user_verification": False}))

    monkeypatch.setattr(ceremony, "verify_authentication_response", weak)
    key = Authenticator()
    async with a_place(tmp_path, pages.router) as place, place.browser() as browser, place.browser() as thief:
        await signed_in(place, browser)
        await added(browser, key)
        key.flags = PRESENT
        assert (await entered(thief, key)).status_code == 200


async def replayed(place: Place, browser: httpx2.AsyncClient, other: httpx2.AsyncClient) -> int:
    key = Authenticator()
    await signed_in(place, browser)
    await added(browser, key)
    asked = await options(other, "sign-in")
    assert (await call(other, "sign-in/finish", key.get(asked))).status_code == 200
    # The same question, freshly signed: only its being used up stands in the way.
    return (await call(other, "sign-in/finish", key.get(asked))).status_code


async def test_a_challenge_is_good_once(tmp_path: Path) -> None:
    async with a_place(tmp_path, pages.router) as place, place.browser() as browser, place.browser() as other:
        assert await replayed(place, browser, other) == 403


async def test_a_challenge_that_could_be_used_twice_would_be_seen(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def believe(_context: object, _purpose: object, _account: object, credential: dict[str, Any]) -> bytes:
        said = base64url_to_bytes(credential["response"]["clientDataJSON"])
        return parse_client_data_json(said).challenge

    monkeypatch.setattr(passkeys, "_spend", believe)
    async with a_place(tmp_path, pages.router) as place, place.browser() as browser, place.browser() as other:
        assert await replayed(place, browser, other) == 200


async def test_a_challenge_is_good_for_five_minutes_for_its_purpose_and_its_account(tmp_path: Path) -> None:
    key = Authenticator()
    async with a_place(tmp_path, pages.router) as place, place.browser() as browser, place.browser() as eve:
        await signed_in(place, browser)
        await added(browser, key)
        asked = await options(eve, "sign-in")
        place.clock.forward(minutes=5)
        assert (await call(eve, "sign-in/finish", key.get(asked))).status_code == 403
        asked = await options(browser, "prove")
        assert (await call(eve, "sign-in/finish", key.get(asked))).status_code == 403
        asked = await options(browser, "prove")
        await signed_in(place, eve, "eve@example.org")
        assert (await call(eve, "prove/finish", key.get(asked))).status_code == 403
        asked = await options(eve, "prove")
        assert (await call(eve, "prove/finish", key.get(asked))).status_code == 403
        invented = {"challenge": bytes_to_base64url(b"c" * 32)}
        assert (await call(eve, "sign-in/finish", key.get(invented))).status_code == 403
        async with place.database.reading() as database:
            proofs = [one.proof for one in await database.scalars(select(Challenge))]
        assert all(len(proof) == 64 for proof in proofs)


async def test_a_passkey_proves_again_who_one_is(tmp_path: Path) -> None:
    key = Authenticator()
    async with a_place(tmp_path, pages.router) as place, place.browser() as browser:
        await signed_in(place, browser)
        await added(browser, key)
        place.clock.forward(minutes=10)
        answer = await call(browser, "add/begin")
        assert (answer.status_code, answer.json()) == (403, {"error": {"code": "proof-wanted"}})
        assert (await entered(browser, key, "prove")).status_code == 200
        assert (await call(browser, "add/begin")).status_code == 200


@pytest.mark.any_database
@pytest.mark.parametrize(
    "body",
    [
        [],
        CANARY,
        {"response": CANARY},
        {"response": {"clientDataJSON": CANARY}},
        {"response": {"clientDataJSON": bytes_to_base64url(b"{}")}},
        {"response": {"clientDataJSON": bytes_to_base64url(CANARY.encode())}},
        {"response": {"clientDataJSON": ["x"]}, "id": CANARY},
    ],
)
async def test_what_is_no_answer_of_an_authenticator_is_refused_in_silence(
    body: object, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    async with a_place(tmp_path, pages.router) as place, place.browser() as browser:
        await signed_in(place, browser)
        for path in ("sign-in/finish", "add/finish", "prove/finish"):
            answer = await call(browser, path, body)
            assert (answer.status_code, answer.json()) == (403, {"error": {"code": "passkey-refused"}})
        assert CANARY not in "".join(capsys.readouterr())


@pytest.mark.any_database
async def test_parts_of_an_answer_that_are_broken_are_refused(tmp_path: Path) -> None:
    key = Authenticator()
    async with a_place(tmp_path, pages.router) as place, place.browser() as browser:
        await signed_in(place, browser)
        await added(browser, key)
        for part in ("authenticatorData", "signature", "userHandle"):
            for broken in ("", "!", "AAAA", None, 7):
                answer = key.get(await options(browser, "sign-in"))
                answer["response"][part] = broken
                assert (await call(browser, "sign-in/finish", answer)).status_code == 403, (part, broken)
        for broken in ("", "!", "AAAA", None, 7):
            made = key.create(await options(browser, "add"))
            made["response"]["attestationObject"] = broken
            assert (await call(browser, "add/finish", made)).status_code == 403, broken
        assert (await call(browser, "sign-in/finish", {"x": "y" * 300_000})).status_code == 413


async def test_there_are_at_most_twenty_and_guessing_is_limited(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(passkeys, "MOST", 1)
    monkeypatch.setattr(attempts, "PASSKEY_NETWORK", attempts.Limit("passkey-network", 2, passkeys.LIFE))
    async with a_place(tmp_path, pages.router) as place, place.browser() as browser:
        await signed_in(place, browser)
        early = await options(browser, "add")
        await added(browser, Authenticator())
        assert (await call(browser, "add/begin")).json() == {"error": {"code": "too-many"}}
        assert (await call(browser, "add/finish", Authenticator(id=b"k" * 32).create(early))).status_code == 409
        answers = [await call(browser, "sign-in/begin") for _ in range(3)]
        assert [answer.status_code for answer in answers] == [200, 200, 429]


async def test_a_passkey_is_renamed_and_removed_by_its_owner_alone(tmp_path: Path) -> None:
    async with a_place(tmp_path, pages.router) as place, place.browser() as browser, place.browser() as eve:
        await signed_in(place, browser)
        await signed_in(place, eve, "eve@example.org")
        await added(browser, Authenticator())
        (row,) = await kept(place)

        async def post(who: httpx2.AsyncClient, verb: str, **fields: str) -> int:
            answer = await who.post(f"/account/passkeys/{verb}", data={"passkey": row.id} | fields)
            return answer.status_code

        for verb in ("rename", "remove"):
            assert await post(eve, verb, name="mine") == 404
        assert await post(browser, "rename", name="  My   <phone> ") == 303
        assert "My &lt;phone&gt;" in (await browser.get("/account")).text
        for bad in ("", "   ", "x" * 61, "a\u202eb"):
            assert await post(browser, "rename", name=bad) == 400
        place.clock.forward(minutes=10)
        assert await post(browser, "remove") == 403
        await signed_in(place, browser)
        assert await post(browser, "remove") == 303
        assert not await kept(place)
        assert [one for one in await deeds(place) if "passkey" in one] == ["passkey.added", "passkey.removed"]
