"""Control as a process: its two faces, whom they let in, and how it ends."""

from __future__ import annotations

import asyncio
import ssl
import stat
from collections.abc import Iterator
from dataclasses import replace

import pytest
from tests.support.controlprocess import RUN, START_SECONDS, Control, configure, launch, serving
from tests.support.vault import House, finish, furnished

from clawmates.base.http.client import HttpError
from clawmates.base.shape import decode_json, encode_json
from clawmates.selfhost import pki
from clawmates.wire.control import BotReport, Report
from clawmates.wire.desired import DesiredState
from clawmates.wire.names import Role, ServiceName
from clawmates.wire.status import BotState

REPORT = Report(run=RUN, number=1, revision=0, capacity=5)


@pytest.fixture
def house() -> Iterator[House]:
    with furnished() as house:
        configure(house)
        yield house


async def status(control: Control, name: str, target: str = "/v1/desired?after=0") -> int:
    """What a caller of that name is answered; 0 where he is not even let finish his handshake."""
    try:
        connection = await control.as_node(name)
        response = await connection.request("GET", target)
        await response.read(1 << 16)
        await connection.close()
    except HttpError:
        return 0
    return response.status


async def test_both_faces_serve_and_end(house: House) -> None:
    async with serving(house, anew=True) as control:
        browser = await control.browser()
        page = await browser.request("GET", "/")
        assert page.status == 200
        assert b"<html" in await page.read(1 << 20)
        await browser.close()

        node = await control.as_node()
        assert await control.say(node, REPORT) == 204
        response = await node.request("GET", "/v1/desired?after=0")
        assert decode_json(DesiredState, await response.read(1 << 20)) == DesiredState(revision=1)

        waiting = asyncio.create_task(node.request("GET", "/v1/desired?after=1"))
        await asyncio.sleep(0)
        pepper = house.state.control / "pepper"
        assert stat.S_IMODE(pepper.stat().st_mode) == 0o600
        assert len(pepper.read_bytes()) == 32
    async with asyncio.timeout(10):  # the end does not wait for whoever waits
        assert (await waiting).status in {204, 503}


async def test_only_nodes_of_this_region_are_let_in(house: House) -> None:
    async with serving(house) as control:
        assert await control.say(await control.as_node(), REPORT) == 204
        assert await status(control, "local/node/node-1") == 200
        for name in ("local/vault/vault-1", "local/control/cli", "eu/node/node-1", "local/node/nobody"):
            assert await status(control, name) == 403
            assert await status(control, name, "/v1/nothing") == 403
        assert await status(control, "local/node/node-1", "/v1/nothing") == 404
        assert await status(control, "") == 0
        assert await status(control, "local/node/node-1", "/") == 404, "no page for browsers here"
        pki.revoke(house.state, ServiceName("local", Role.NODE, "node-1"))
        assert await status(control, "local/node/node-1") == 403
        assert await status(control, "local/node/node-1/1") == 200
    everybody = "import clawmates.control.nodes.api as a; a.Face.admit = lambda _self, _caller: 'node-1'"
    async with serving(house, weaken=everybody) as control:  # the weakened build
        assert await status(control, "eu/node/node-1") == 200


MALFORMED = (
    b"",
    b"{}",
    b"[" * 50_000,
    encode_json(REPORT).replace(b'"capacity":5', b'"capacity":-1'),
    encode_json(REPORT).replace(b'"capacity":5', b'"capacity":5,"note":"canary"'),
    encode_json(replace(REPORT, bots=(BotReport(bot="b1", state=BotState.LIVE),))).replace(b"live", b"canary"),
)


async def test_browsers_have_none_of_what_nodes_have_and_nonsense_is_not_quoted(house: House) -> None:
    async with serving(house) as control:
        browser = await control.browser()
        for method, target in (("GET", "/v1/desired?after=0"), ("POST", "/v1/report")):
            response = await browser.request(method, target)
            await response.read(1 << 20)
            assert response.status == 404
        old = house.tls()
        old.minimum_version = old.maximum_version = ssl.TLSVersion.TLSv1_2
        for port in (control.web, control.nodes):
            with pytest.raises((ssl.SSLError, ConnectionError)):
                await asyncio.open_connection("127.0.0.1", port, ssl=old, server_hostname="localhost")
        node = await control.as_node()
        for body in MALFORMED:
            response = await node.request("POST", "/v1/report", body=body)
            assert (response.status, await response.read(1 << 16)) == (400, b'{"error":{"code":"malformed"}}')
        for target in ("/v1/desired", "/v1/desired?after=-1", "/v1/desired?after=1e9"):
            response = await node.request("GET", target)
            assert (response.status, await response.read(1 << 16)) == (400, b'{"error":{"code":"malformed"}}')


async def test_bad_places_are_one_sentence_each(house: House) -> None:
    async def last_words(*, anew: bool = False, **settings: str) -> tuple[int, str]:
        configure(house, **settings)  # type: ignore[arg-type]
        return await finish(await launch(house, anew=anew), START_SECONDS)

    assert await last_words(control='certificate = "/nowhere/cert.pem"\n', anew=True) == (
        78,
        "control: [control] certificate and key go together: name both, or neither\n",
    )
    code, said = await last_words(control='certificate = "/nowhere/cert.pem"\nkey = "/nowhere/key.pem"\n')
    assert (code, said) == (78, "control: cannot use /nowhere: No such file or directory\n")
    code, said = await last_words(control='database = "mysql://here/db"\n')
    assert (code, said) == (78, "control: [control] database is not postgresql://USER@HOST:PORT/NAME\n")
    code, said = await last_words(control='database = "postgresql://nobody@127.0.0.1:1/none"\n')
    assert (code, said) == (69, "control: the database does not answer, or refuses: see [control] database\n")
    configure(house)
    (house.state.control / "pepper").chmod(0o644)
    code, said = await finish(await launch(house), START_SECONDS)
    assert code == 78
    assert said.endswith("closed to others: chown it, and chmod 0600 it\n")
    (house.state.control / "pepper").write_bytes(b"short")
    (house.state.control / "pepper").chmod(0o600)
    assert (await finish(await launch(house), START_SECONDS))[1].endswith(
        "does not hold 32 bytes: restore it from the backup\n"
    )
