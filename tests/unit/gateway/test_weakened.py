"""Every reason to refuse, and every limit, beside a build in which the same thing is accepted.

The table is complete: a new reason without a pair turns the last test red. Pairs that need a whole handshake stand
where the handshake is, and are named here.
"""

from __future__ import annotations

import asyncio
import re
from contextlib import suppress
from ipaddress import IPv4Address
from typing import TYPE_CHECKING

import pytest
from tests.support.sentences import test_names

from clawmates.base.http import server
from clawmates.base.http.client import Connection
from clawmates.base.settings import Gateway as GatewaySettings
from clawmates.base.settings import GatewayLimits
from clawmates.gateway import door as door_module
from clawmates.gateway import resolve, target, tunnel
from clawmates.gateway.decision import ALLOW
from clawmates.gateway.resolve import Endpoint
from clawmates.gateway.target import Target, parse_target
from clawmates.wire.desired import Limits
from clawmates.wire.door import Refusal

if TYPE_CHECKING:
    from tests.unit.gateway.conftest import House

HOST = "api.telegram.org"
FILE = "tests/unit/gateway/"
PAIRS = {
    Refusal.HOST_NOT_LISTED: ("test_tunnel.py", "test_weakened_list_would_look_it_up"),
    Refusal.PORT_NOT_ALLOWED: ("test_weakened.py", "test_port"),
    Refusal.MALFORMED_TARGET: ("test_weakened.py", "test_address_instead_of_a_name"),
    Refusal.NAME_UNKNOWN: ("test_ingress.py", "test_weakened_an_unknown_name_would_reach_the_mate"),
    Refusal.ADDRESS_FORBIDDEN: ("test_tunnel.py", "test_weakened_check_would_dial_it"),
    Refusal.UNREACHABLE: ("test_weakened.py", "test_reserved_name_that_is_not_offered"),
    Refusal.NOT_TLS: ("test_tunnel.py", "test_weakened_rule_would_let_plaintext_out"),
    Refusal.SNI_MISMATCH: ("test_fuzz.py", "test_name_that_is_not_looked_at"),
    Refusal.TLS_TOO_OLD: ("test_tunnel.py", "test_weakened_server_rule_would_let_12_through"),
    Refusal.TOO_MANY: ("test_weakened.py", "test_too_many_tunnels"),
    Refusal.DRAINING: ("test_weakened.py", "test_draining"),
    Refusal.LEASE_ENDED: ("test_lease.py", "test_at_the_end_of_its_lease_a_door_is_cut_and_closed"),
    Refusal.NOBODY_WAITS: ("test_ingress.py", "test_caller_waits_a_moment_for_the_mate"),
}


async def asked(house: House, wanted: str) -> tuple[int, str]:
    mate = await house.knock()
    try:
        return await house.tunnel(mate, wanted)
    finally:
        await mate.close()


async def test_port(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    await house.client.put(house.spec())
    assert await asked(house, f"{HOST}:22") == (403, "port-not-allowed")
    assert house.dialler.dialled == []
    monkeypatch.setattr(target, "TLS_PORT", 22)
    await asked(house, f"{HOST}:22")
    assert [one.port for one in house.dialler.dialled] == [22]


@pytest.mark.parametrize(
    "text",
    ["127.0.0.1", "10.0.0.1", "2130706433", "127.1", "0x7f000001", "0177.0.0.1", "[::1]", f"{HOST}.", HOST.upper()],
)
async def test_address_instead_of_a_name(house: House, monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    await house.client.put(house.spec())
    assert await asked(house, f"{text}:443") == (403, "malformed-target")
    assert (house.resolver.asked, house.dialler.dialled) == ([], [])
    monkeypatch.setattr(tunnel, "parse_target", lambda whole: Target(whole.rpartition(":")[0], 443))
    monkeypatch.setattr(tunnel, "decide_target", lambda target, listed: ALLOW)
    house.resolver.names = {text: (IPv4Address("8.8.8.8"),)}
    await asked(house, f"{text}:443")
    assert (house.resolver.asked, len(house.dialler.dialled)) == ([text], 1)


@pytest.mark.parametrize("text", ["127.0.0.1", "2130706433", "0x7f000001", "0177.0.0.1"])
def test_number_instead_of_a_name_by_the_one_rule_that_stops_it(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    assert parse_target(f"{text}:443") is None
    monkeypatch.setattr(target, "_NUMBER", re.compile("(?!)"))
    assert parse_target(f"{text}:443") == Target(text, 443)


async def test_reserved_name_that_is_not_offered(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    await house.client.put(house.spec(hosts=("ollama",)))
    fixed = resolve.FixedHosts.find

    def hosted(self: resolve.FixedHosts, host: str) -> Endpoint | None:
        monkeypatch.setattr(self, "_known", {})
        return fixed(self, host)

    with monkeypatch.context() as strict:
        strict.setattr(resolve.FixedHosts, "find", hosted)
        assert await asked(house, "ollama:443") == (504, "unreachable")
        assert (house.resolver.asked, house.dialler.dialled) == ([], [])
        strict.setattr(resolve, "RESERVED", frozenset())
        await asked(house, "ollama:443")
    assert house.resolver.asked == ["ollama"], "weakened, a reserved name would be looked up"


@pytest.mark.parametrize("house", [GatewaySettings(limits=GatewayLimits(connections=0))], indirect=True)
async def test_too_many_tunnels(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    await house.client.put(house.spec())
    assert await asked(house, f"{HOST}:443") == (502, "too-many")
    assert house.resolver.asked == []
    monkeypatch.setattr(door_module.Door, "_decide_room", lambda self: ALLOW)
    await asked(house, f"{HOST}:443")
    assert house.resolver.asked == [HOST]


async def test_draining(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    house.gateway.drain_seconds = 20
    await house.client.put(house.spec())
    await house.call("POST", "/turn/begin", {"turn": "1"})
    late, later = await house.knock(), await house.knock()
    house.stop.set()
    async with asyncio.timeout(5):
        while (await house.tunnel(late))[1] != "draining":
            pass
    before = len(house.resolver.asked)
    monkeypatch.setattr(door_module.Door, "_decide_room", lambda self: ALLOW)
    await house.tunnel(later)
    assert len(house.resolver.asked) == before + 1
    await house.call("POST", "/turn/end", {"turn": "1"})
    for mate in (late, later):
        await mate.close()


async def test_events_beyond_the_rate(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    await house.client.put(house.spec())
    said = [(await house.call("POST", "/event", {"code": "live"}))[0] for _ in range(30)]
    assert 429 in said
    monkeypatch.setattr(door_module, "EVENT_BURST", 1000)
    await house.client.put(house.spec("bot-2"))
    said = [(await house.call("POST", "/event", {"code": "live"}, bot="bot-2"))[0] for _ in range(30)]
    assert 429 not in said


@pytest.mark.parametrize("house", [GatewaySettings(limits=GatewayLimits(turns_per_minute=1))], indirect=True)
async def test_turns_beyond_the_rate(house: House) -> None:
    await house.client.put(house.spec())
    said = [(await house.call("POST", "/turn/begin", {"turn": str(number)}))[1] for number in range(3)]
    assert said == [b'{"verdict":"go"}', *[b'{"verdict":"over"}'] * 2]


async def test_weakened_turns_without_a_rate(house: House) -> None:
    await house.client.put(house.spec())
    said = {(await house.call("POST", "/turn/begin", {"turn": str(number)}))[1] for number in range(3)}
    assert said == {b'{"verdict":"go"}'}


async def test_quota(house: House) -> None:
    await house.client.put(house.spec(limits=Limits(messages_per_day=0)))
    assert (await house.call("POST", "/turn/begin", {"turn": "1"}))[1] == b'{"verdict":"over"}'
    await house.client.put(house.spec(limits=Limits()))
    assert (await house.call("POST", "/turn/begin", {"turn": "1"}))[1] == b'{"verdict":"go"}'


async def test_body_that_is_too_large(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    await house.client.put(house.spec())
    monkeypatch.setattr(server, "MAX_BODY", 100)
    large = {"turn": "x" * 120}
    assert (await house.call("POST", "/turn/begin", large))[0] == 413
    monkeypatch.setattr(server, "MAX_BODY", 1000)
    assert (await house.call("POST", "/turn/begin", large))[0] == 200


async def test_slow_sender(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    await house.client.put(house.spec())
    monkeypatch.setattr(server, "HEAD_SECONDS", 0.02)
    slow = await house.knock()
    slow.writer.write(b"GET /nothing HTTP/1.1\r\n")
    async with asyncio.timeout(5):
        assert await slow.reader.read() == b""
    monkeypatch.setattr(server, "HEAD_SECONDS", 60)
    patient = await house.knock()
    patient.writer.write(b"GET /nothing HTTP/1.1\r\n")
    for _ in range(20):
        await house.client.status()
    patient.writer.write(b"Host: door\r\n\r\n")
    assert (await patient.reader.readuntil(b"\r\n")).startswith(b"HTTP/1.1 404")
    for mate in (slow, patient):
        await mate.close()


@pytest.mark.parametrize("what", ["door", "control"])
@pytest.mark.parametrize("part", ["head", "body"])
async def test_a_byte_at_a_time(house: House, monkeypatch: pytest.MonkeyPatch, what: str, part: str) -> None:
    """The bounds are on the whole of a head or body, on both sockets: it does not help to keep it coming."""
    await house.client.put(house.spec())
    if part == "head":
        first, drops = b"", b"POST /nothing HTTP/1.1\r\nX-Slow: " + b"x" * 60
    else:
        first, drops = b"POST /nothing HTTP/1.1\r\nHost: door\r\nContent-Length: 100\r\n\r\n", b"x" * 90
    for patience, heard in ((0.1, False), (60, True)):
        monkeypatch.setattr(server, f"{part.upper()}_SECONDS", patience)
        slow = await house.knock() if what == "door" else await Connection.unix(str(house.client.path))
        slow.writer.write(first)
        sent = 0
        for sent in range(1, len(drops) + 1):
            slow.writer.write(drops[sent - 1 : sent])
            with suppress(TimeoutError, OSError):
                async with asyncio.timeout(0.005):
                    await slow.reader.read(1)
            if slow.reader.at_eof() or slow.reader.exception():
                break
        assert (sent == len(drops)) is heard
        await slow.close()


async def test_rebinding_cannot_happen_for_the_checked_address_is_dialled(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    await house.client.put(house.spec())
    good, bad = IPv4Address("8.8.8.8"), IPv4Address("127.0.0.1")
    answers = iter([(good,), (bad,), (bad,)])

    async def rebinding(_self: object, host: str) -> tuple[IPv4Address, ...]:
        house.resolver.asked.append(host)
        return next(answers)

    monkeypatch.setattr(house.resolver.__class__, "lookup", rebinding)
    await asked(house, f"{HOST}:443")
    assert house.resolver.asked == [HOST], "one lookup, before the check"
    assert [one.addresses for one in house.dialler.dialled] == [(good,)]
    find = tunnel.Outside._find

    async def twice(self: tunnel.Outside, wanted: Target) -> Endpoint:
        monkeypatch.setattr(tunnel, "decide_addresses", lambda addresses: ALLOW)
        await find(self, wanted)
        return await find(self, wanted)

    monkeypatch.setattr(tunnel.Outside, "_find", twice)
    await asked(house, f"{HOST}:443")
    assert house.dialler.dialled[-1].addresses == (bad,), "weakened, check and dial would see two answers"


def test_every_reason_has_its_pair() -> None:
    assert set(PAIRS) == set(Refusal)
    for file, name in PAIRS.values():
        assert name in test_names(FILE + file), f"{file} has no {name}"
