"""A context passes from one life to the next: once, sealed, only to who claimed it, and nothing stays."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any

import pytest

from clawmates.base.http import server
from clawmates.base.shape import encode_json
from clawmates.gateway import door as door_module
from clawmates.gateway import handover as handover_module
from clawmates.gateway.handover import Succession
from clawmates.wire.handover import MAX_SEALED, Claim, Heir, Taken

if TYPE_CHECKING:
    from tests.unit.gateway.conftest import House

OLD, NEW, NEWER = 100, 101, 102
SEALED = b"\x00sealed\xff" * 1000


def claim(generation: int = NEW, predecessor: int = OLD) -> Claim:
    return Claim(generation=generation, predecessor=predecessor, public="ab" * 32, proof="cd" * 32)


@pytest.fixture
async def opened(house: House) -> House:
    await house.client.put(house.spec())
    return house


@pytest.fixture(autouse=True)
def books(monkeypatch: pytest.MonkeyPatch) -> list[Succession]:
    """Every door's, as it is made."""
    made: list[Succession] = []

    class Noted(Succession):
        def __init__(self, *given: Any) -> None:
            super().__init__(*given)
            made.append(self)

    monkeypatch.setattr(door_module, "Succession", Noted)
    return made


class Marked(bytes):
    """Says when nobody holds it any more."""

    gone = False

    def __del__(self) -> None:
        Marked.gone = True


async def claimed(house: House, wanted: Claim | None = None) -> asyncio.Task[tuple[int, bytes]]:
    """An heir waits."""
    task = asyncio.create_task(house.call("POST", "/handover/claim", wanted or claim()))
    async with asyncio.timeout(5):
        assert (await house.call("GET", f"/config?after=1&life={(wanted or claim()).predecessor}&heard=0"))[0] == 303
    return task


async def given(house: House, sealed: bytes = SEALED, heir: int = NEW) -> int:
    mate = await house.knock()
    try:
        answer = await mate.request("POST", f"/handover/context?heir={heir}", body=sealed)
        await answer.read(1000)
        return answer.status
    finally:
        await mate.close()


async def test_what_one_life_gives_the_other_gets_once(opened: House) -> None:
    waiting = await claimed(opened)
    giving = asyncio.create_task(given(opened))
    assert await waiting == (200, SEALED)
    assert not giving.done(), "the giver hears nothing before the heir has said that it holds the context"
    assert (await opened.call("POST", "/handover/taken", Taken(generation=NEW, good=True)))[0] == 204
    assert await giving == 204
    assert await given(opened) == 409, "nobody waits any more"


async def test_nothing_of_it_stays_while_both_connections_live_on(
    opened: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    give = Succession.give
    monkeypatch.setattr(Succession, "give", lambda book, heir, sealed, wait: give(book, heir, Marked(sealed), wait))
    heir, old = await opened.knock(), await opened.knock()
    asking = asyncio.create_task(heir.request("POST", "/handover/claim", body=encode_json(claim())))
    async with asyncio.timeout(5):
        assert (await opened.call("GET", f"/config?after=1&life={OLD}&heard=0"))[0] == 303
    giving = asyncio.create_task(old.request("POST", f"/handover/context?heir={NEW}", body=SEALED))
    assert await (await asking).read(1 << 20) == SEALED
    await opened.call("POST", "/handover/taken", Taken(generation=NEW, good=True))
    assert (await giving).status == 204
    async with asyncio.timeout(5):
        while not Marked.gone:  # noqa: ASYNC110 - the collector sets no event
            await asyncio.sleep(0)
    assert heir.reusable
    await heir.close()
    await old.close()


async def test_an_heir_that_cannot_open_it_leaves_the_giver_as_it_was(opened: House) -> None:
    waiting = await claimed(opened)
    giving = asyncio.create_task(given(opened))
    await waiting
    await opened.call("POST", "/handover/taken", Taken(generation=NEWER, good=True))
    assert not giving.done(), "another life's word counts for nothing"
    await opened.call("POST", "/handover/taken", Taken(generation=NEW, good=False))
    assert await giving == 409


async def test_an_heir_that_says_nothing_is_not_waited_for_for_ever(
    opened: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(handover_module, "TAKEN_SECONDS", 0.01)
    waiting = await claimed(opened)
    assert await given(opened) == 409
    assert (await waiting)[0] == 200
    await opened.call("POST", "/handover/taken", Taken(generation=NEW, good=True))


async def test_nobody_gets_what_another_heir_claimed(opened: House) -> None:
    waiting = await claimed(opened)
    assert await given(opened, heir=NEWER) == 409
    assert not waiting.done()
    waiting.cancel()


async def test_a_later_claim_takes_the_place_of_an_earlier_one(opened: House) -> None:
    first = await claimed(opened)
    second = asyncio.create_task(opened.call("POST", "/handover/claim", claim(NEWER)))
    assert await first == (204, b"")
    status, answer = await opened.call("GET", f"/handover/heir?life={OLD}")
    assert (status, json.loads(answer)["claim"]["generation"]) == (200, NEWER)
    second.cancel()


async def test_a_claim_nobody_answers_ends_by_itself(opened: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(handover_module, "CLAIM_WAIT_SECONDS", 0.01)
    assert await opened.call("POST", "/handover/claim", claim()) == (204, b"")
    assert (await opened.call("GET", f"/handover/heir?life={OLD}"))[0] == 404


async def test_an_heir_that_dies_while_it_waits_claims_nothing(opened: House) -> None:
    mate = await opened.knock()
    asking = asyncio.create_task(mate.request("POST", "/handover/claim", body=encode_json(claim())))
    async with asyncio.timeout(5):
        assert (await opened.call("GET", f"/config?after=1&life={OLD}&heard=0"))[0] == 303
    mate.writer.transport.abort()
    await asyncio.gather(asking, return_exceptions=True)
    async with asyncio.timeout(5):
        while (await opened.call("GET", f"/handover/heir?life={OLD}"))[0] != 404:  # noqa: ASYNC110 - as above
            await asyncio.sleep(0)
    assert await given(opened) == 409


async def test_only_the_life_before_hears_of_an_heir_and_of_each_claim_once(
    opened: House, books: list[Succession]
) -> None:
    waiting = await claimed(opened)
    (book,) = books
    assert book.heir(OLD, 0) == Heir(number=1, claim=claim())
    assert book.heir(OLD, 1) is None, "heard of already"
    assert book.heir(NEW, 0) is None
    assert book.heir(-1, -1) is None, "a mate of before this was built does not ask"
    assert (await opened.call("GET", "/handover/heir?life=7"))[0] == 404
    waiting.cancel()


async def test_a_new_configuration_comes_before_an_heir(opened: House) -> None:
    waiting = await claimed(opened)
    status, answer = await opened.call("GET", f"/config?after=0&life={OLD}&heard=0")
    assert (status, json.loads(answer)["revision"]) == (200, 1)
    waiting.cancel()


async def test_a_mate_that_waits_for_news_hears_of_an_heir_at_once(opened: House) -> None:
    poll = asyncio.create_task(opened.call("GET", f"/config?after=1&life={OLD}&heard=0"))
    await asyncio.sleep(0)
    waiting = asyncio.create_task(opened.call("POST", "/handover/claim", claim()))
    async with asyncio.timeout(5):
        assert await poll == (303, b"")
    waiting.cancel()


async def test_large_bodies_are_taken_only_while_an_heir_waits_and_one_at_a_time(
    opened: House, books: list[Succession]
) -> None:
    large = b"x" * (server.MAX_BODY + 1)
    assert await given(opened, large) == 413
    waiting = await claimed(opened)
    first = await opened.knock()
    first.writer.write(b"POST /handover/context?heir=101 HTTP/1.1\r\nHost: door\r\nContent-Length: 300000\r\n\r\nx")
    await first.writer.drain()
    (book,) = books
    async with asyncio.timeout(5):
        while book._giver is None:  # noqa: ASYNC110 - as above
            await asyncio.sleep(0)
    assert await given(opened, large) == 413, "another is being read"
    await first.close()
    async with asyncio.timeout(5):
        while not (book._giver and book._giver.done()):  # noqa: ASYNC110 - as above
            await asyncio.sleep(0)
    assert await given(opened, b"x" * (MAX_SEALED + 1)) == 413
    giving = asyncio.create_task(given(opened, b"x" * MAX_SEALED))
    async with asyncio.timeout(10):
        status, answer = await waiting
    assert (status, len(answer)) == (200, MAX_SEALED)
    await opened.call("POST", "/handover/taken", Taken(generation=NEW, good=True))
    assert await giving == 204


@pytest.mark.parametrize(
    ("method", "target", "body", "status"),
    [
        ("POST", "/handover/claim", b"{}", 400),
        ("POST", "/handover/claim", b'{"generation":0,"predecessor":1,"proof":"","public":""}', 400),
        ("POST", "/handover/taken", b'{"generation":0,"good":true}', 400),
        ("POST", "/handover/context?heir=x", b"", 400),
        ("GET", "/handover/elsewhere", b"", 404),
        ("PUT", "/handover/claim", b"", 404),
    ],
)
async def test_nonsense(opened: House, method: str, target: str, body: bytes, status: int) -> None:
    mate = await opened.knock()
    answer = await mate.request(method, target, body=body)
    assert answer.status == status
    await mate.close()


@pytest.mark.parametrize("wrong", ["", "ab" * 31, "AB" * 32, "xy" * 32])
def test_a_key_and_a_proof_have_one_spelling(wrong: str) -> None:
    with pytest.raises(ValueError, match="hexadecimal"):
        Claim(generation=NEW, predecessor=OLD, public=wrong, proof="cd" * 32)
    with pytest.raises(ValueError, match="hexadecimal"):
        Claim(generation=NEW, predecessor=OLD, public="ab" * 32, proof=wrong)
