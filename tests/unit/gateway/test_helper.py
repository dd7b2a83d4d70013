from __future__ import annotations

import asyncio
import sys
from contextlib import asynccontextmanager
from ipaddress import IPv4Address, IPv6Address
from typing import TYPE_CHECKING

import pytest

from clawmates.base.settings import Gateway, Settings, SettingsError, resolver_address
from clawmates.gateway import helper as helper_module
from clawmates.gateway.addresses import decide_addresses
from clawmates.gateway.helper import HelperError, HelperResolver, parse_answer
from clawmates.gateway.resolve import LookupFailedError
from clawmates.wire.door import Refusal

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tests.unit.gateway.conftest import ManualClock

HOST = "api.telegram.org"
HEAD = "import socket\ns = socket.socket(fileno=0)\nlines = s.makefile('rwb', buffering=0)\n"
ECHO = HEAD + "for line in lines:\n    lines.write(line.split()[0] + b' 149.154.167.220 2001:67c::9\\n')\n"


@asynccontextmanager
async def helper(code: str, clock: ManualClock) -> AsyncIterator[HelperResolver]:
    made = HelperResolver((sys.executable, "-I", "-S", "-c", code), clock.monotonic)
    try:
        yield made
    finally:
        await made.close()


class TestAnswer:
    def test_addresses(self) -> None:
        assert parse_answer(b"7 1.2.3.4 1.2.3.4 ::1") == (7, (IPv4Address("1.2.3.4"), IPv6Address("::1")))
        assert parse_answer(b"7") == (7, ())

    @pytest.mark.parametrize("line", [b"", b"x", b"1 2130706433", b"1 evil.example", b"1 0x7f.1", b"\xff 1.2.3.4"])
    def test_nonsense(self, line: bytes) -> None:
        with pytest.raises(HelperError):
            parse_answer(line)

    def test_zone_is_refused_by_the_rule_for_addresses(self) -> None:
        _, addresses = parse_answer(b"1 fe80::1%eth0")
        assert decide_addresses(addresses).reason is Refusal.ADDRESS_FORBIDDEN


class TestHelper:
    async def test_started_when_needed_and_kept(self, clock: ManualClock) -> None:
        async with helper(ECHO, clock) as resolver:
            assert resolver._process is None
            first, second = await asyncio.gather(resolver.lookup(HOST), resolver.lookup("b.example"))
            assert first == second == (IPv4Address("149.154.167.220"), IPv6Address("2001:67c::9"))
            process = resolver._process
            await resolver.lookup(HOST)
            assert resolver._process is process

    async def test_ends_with_the_gateway(self, clock: ManualClock) -> None:
        async with helper(ECHO, clock) as resolver:
            await resolver.lookup(HOST)
            process = resolver._process
        assert process is not None
        assert process.returncode is not None

    async def test_environment_is_empty(self, clock: ManualClock, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("SSLKEYLOGFILE", "/dev/null")
        code = HEAD + "import os\nlines.readline()\nlines.write(b'1 9.9.9.%d\\n' % ('SSLKEYLOGFILE' in os.environ))\n"
        async with helper(code, clock) as resolver:
            assert await resolver.lookup(HOST) == (IPv4Address("9.9.9.0"),)

    async def test_name_without_addresses(self, clock: ManualClock) -> None:
        async with helper(ECHO.replace("149.154.167.220 2001:67c::9", ""), clock) as resolver:
            with pytest.raises(LookupFailedError):
                await resolver.lookup(HOST)

    @pytest.mark.parametrize(
        "code",
        [
            "",
            HEAD + "lines.readline()\n",
            HEAD + "lines.readline()\nlines.write(b'1 nonsense\\n')\nlines.readline()\n",
            HEAD + "lines.readline()\nlines.write(b'x' * 5000)\nlines.readline()\n",
        ],
        ids=["dies at once", "dies when asked", "nonsense", "endless line"],
    )
    async def test_bad_helper_is_replaced_but_not_in_a_hot_loop(self, clock: ManualClock, code: str) -> None:
        async with helper(code, clock) as resolver:
            for _ in range(2):
                async with asyncio.timeout(10):
                    with pytest.raises(LookupFailedError):
                        await resolver.lookup(HOST)
            resolver.command = (sys.executable, "-I", "-S", "-c", ECHO)
            with pytest.raises(LookupFailedError):
                await resolver.lookup(HOST)
            clock.forward(helper_module.REST_SECONDS)
            assert await resolver.lookup(HOST)

    async def test_answer_nobody_waits_for(self, clock: ManualClock) -> None:
        code = HEAD + "for line in lines:\n    lines.write(b'99 1.1.1.1\\n' + line.split()[0] + b' 9.9.9.9\\n')\n"
        async with helper(code, clock) as resolver:
            assert await resolver.lookup(HOST) == (IPv4Address("9.9.9.9"),)

    async def test_answer_that_comes_twice(self, clock: ManualClock) -> None:
        code = ECHO.replace("\\n')\n", "\\n' + line.split()[0] + b' 9.9.9.9\\n')\n")
        async with helper(code, clock) as resolver:
            assert (await resolver.lookup(HOST))[0] == IPv4Address("149.154.167.220")

    async def test_cannot_be_started(self, clock: ManualClock) -> None:
        resolver = HelperResolver(("/nonexistent/python",), clock.monotonic)
        with pytest.raises(LookupFailedError):
            await resolver.lookup(HOST)
        await resolver.close()


class TestSettings:
    def test_address(self) -> None:
        settings = Settings(gateway=Gateway(resolver="[2620:fe::9]:853#dns.quad9.net"))
        assert resolver_address(settings) == ("2620:fe::9", 853, "dns.quad9.net")

    @pytest.mark.parametrize("where", ["9.9.9.9", "9.9.9.9:853", "9.9.9.9:853#", "dns.quad9.net:853#dns.quad9.net"])
    def test_refused(self, where: str) -> None:
        with pytest.raises(SettingsError):
            resolver_address(Settings(gateway=Gateway(resolver=where)))
