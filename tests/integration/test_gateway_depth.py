"""The gateway process in its world: a restart that mates survive, a resolver beside it, callers from outside."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import signal
import ssl
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime
from ipaddress import IPv4Address
from pathlib import Path

import pytest
import pytest_asyncio
from tests.integration.test_gateway import HOST, SECONDS, Machine, descriptors_of, loaded_into
from tests.support.dns import Answer, answer_to, dns_over_tls, question_of

from clawmates.base.http.client import SWITCHING
from clawmates.base.x509 import Authority, Names
from clawmates.simulator.model import Service
from clawmates.trials.egress import sound
from clawmates.trials.throwaway import Bot, Throwaway, throwaway
from clawmates.wire.door import PARK_PROTOCOL, PARK_READY, DoorSpec, Refusal
from clawmates.wire.names import ChannelKind

LABEL = "k3j9x0q7w2e5r8t1"
NAME = f"{LABEL}.hooks.localhost"
RESOLVER = "dns.example"
BOTS = tuple(Bot.invent(f"heal-{number}", ChannelKind.TELEGRAM) for number in range(3))
PERSON = 7


@pytest.fixture
def machine() -> Iterator[Machine]:
    folder = Path(tempfile.mkdtemp(prefix="cm-"))
    folder.chmod(0o755)
    now = datetime.now(UTC)
    authority = Authority.create("stand-in", now)
    leaf = authority.issue(Names(dns=(HOST, NAME, RESOLVER)), now)
    (folder / "authority.pem").write_bytes(authority.pair.certificate)
    (folder / "cert.pem").write_bytes(leaf.certificate)
    (folder / "key.pem").write_bytes(leaf.key)
    yield Machine(folder)
    shutil.rmtree(folder)


def identity(machine: Machine) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(machine.folder / "cert.pem", machine.folder / "key.pem")
    return context


def processes() -> set[int]:
    return {int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit()}


def children_of(pid: int) -> list[int]:
    return [int(word) for word in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


@pytest_asyncio.fixture(scope="class", loop_scope="class")
async def trial() -> AsyncIterator[Throwaway]:
    async with throwaway() as there:
        await there.add(BOTS)
        await there.until_live(*(bot.name for bot in BOTS))
        yield there


@pytest.mark.asyncio(loop_scope="class")
@pytest.mark.timeout(300)
class TestRestart:
    """On the throw-away platform: real processes, real containers."""

    async def ask(self, trial: Throwaway, bot: Bot, text: str) -> str:
        before = await trial.simulator.sent(bot.token, PERSON)
        await trial.simulator.say(bot.token, PERSON, text)
        after = before[-1].message_id if before else 0
        return (await trial.simulator.wait_reply(bot.token, PERSON, after=after, timeout=SECONDS)).text

    @pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
    async def test_every_mate_heals_and_keeps_its_context(self, trial: Throwaway, number: signal.Signals) -> None:
        before = [await self.ask(trial, bot, "the first thing") for bot in BOTS]
        restarts = {bot.bot: bot.restarts for bot in (await trial.live.status()).bots}
        last = (await trial.simulator.status()).last_telegram
        os.kill(trial.platform.supervisor.pid("gateway"), number)
        for bot in BOTS:
            await trial.simulator.wait_call(
                Service.TELEGRAM, "getUpdates", caller=bot.username, after=last, timeout=100
            )
        after = [await self.ask(trial, bot, "the second thing") for bot in BOTS]
        for earlier, later in zip(before, after, strict=True):
            assert _messages(later) == _messages(earlier) + 2, "what was said before is still known"
        assert {bot.bot: bot.restarts for bot in (await trial.live.status()).bots} == restarts


def _messages(answer: str) -> int:
    """How many messages the stand-in was shown: ``[3 messages]``."""
    return int(answer.rpartition("[")[2].partition(" ")[0])


class TestDeadMate:
    async def test_releases_its_long_polls_at_once(self, machine: Machine) -> None:
        async with machine.gateway() as process:
            await machine.client.put(machine.spec())
            before = descriptors_of(process.pid)
            polls = [await machine.knock() for _ in range(20)]
            for mate in polls:
                mate.writer.write(b"GET /config?after=1 HTTP/1.1\r\nHost: door\r\n\r\n")
            async with asyncio.timeout(SECONDS):
                while descriptors_of(process.pid) < before + 20:
                    await machine.client.status()
            for mate in polls:
                mate.writer.transport.abort()
            async with asyncio.timeout(SECONDS):
                while descriptors_of(process.pid) > before:
                    await machine.client.status()


class TestResolverOverTls:
    """The helper opens TLS; the gateway, beside it, still cannot."""

    async def test_listed_names_are_asked_of_that_server_alone(self, machine: Machine) -> None:
        asked: list[str] = []

        def reply(query: bytes) -> bytes:
            name, kind, _ = question_of(query)
            asked.append(name)
            return answer_to(query, [Answer(name, IPv4Address("10.0.0.1"))] if kind == 1 else [])

        async with dns_over_tls(identity(machine), reply) as port:
            machine.more = (
                f'[gateway]\nresolver = "127.0.0.1:{port}#{RESOLVER}"\n'
                f'unsafe_resolver_ca = "{machine.folder}/authority.pem"\n'
            )
            async with machine.gateway() as process:
                await machine.client.put(machine.spec())
                assert await self.refusal(machine, "unlisted.example") == "host-not-listed"
                assert asked == []
                assert await self.refusal(machine, HOST) == Refusal.ADDRESS_FORBIDDEN
                assert asked == [HOST, HOST], "one lookup: a question for each family"
                (helper,) = children_of(process.pid)
                assert "libssl" in loaded_into(helper)
                assert "libssl" not in loaded_into(process.pid)
                process.terminate()
                assert await asyncio.wait_for(process.wait(), SECONDS) == 0
                assert helper not in processes()

    async def test_server_that_nobody_vouches_for_is_not_believed(self, machine: Machine) -> None:
        async with dns_over_tls(identity(machine), lambda query: answer_to(query, [])) as port:
            machine.more = f'[gateway]\nresolver = "127.0.0.1:{port}#{RESOLVER}"\n'
            async with machine.gateway():
                await machine.client.put(machine.spec())
                assert await self.refusal(machine, HOST) == Refusal.NAME_UNKNOWN

    async def test_bad_address_of_the_server(self, machine: Machine) -> None:
        machine.more = '[gateway]\nresolver = "dns.example:853#dns.example"\n'
        process = await machine.command()
        _, said = await asyncio.wait_for(process.communicate(), SECONDS)
        assert (process.returncode, b"is not an IP address" in said) == (78, True)

    async def refusal(self, machine: Machine, host: str) -> str:
        mate = await machine.knock()
        try:
            answer = await mate.request("CONNECT", f"{host}:443")
            return str(json.loads(await answer.read(100))["error"]["code"])
        finally:
            await mate.close()


class TestCallers:
    async def test_call_from_outside_ends_in_the_mate(self, machine: Machine) -> None:
        machine.more = '[gateway]\ningress = "127.0.0.1:0"\n'
        async with machine.gateway() as process:
            spec = machine.spec()
            await machine.client.put(
                DoorSpec(bot=spec.bot, uid_first=spec.uid_first, uid_count=1, hosts=(), config=spec.config, hook=LABEL)
            )
            port = _listening_port(process.pid)
            mate = await machine.knock()
            wish = (("Connection", "upgrade"), ("Upgrade", PARK_PROTOCOL))
            parked = asyncio.create_task(mate.request("POST", "/park", headers=wish))
            calling = asyncio.create_task(
                asyncio.open_connection("127.0.0.1", port, ssl=machine.trust(), server_hostname=NAME)
            )
            assert (await asyncio.wait_for(parked, SECONDS)).status == SWITCHING
            mate.writer.write(PARK_READY)
            reader = asyncio.StreamReader()
            protocol = asyncio.StreamReaderProtocol(reader)
            transport = await asyncio.get_running_loop().start_tls(
                mate.writer.transport, protocol, identity(machine), server_side=True
            )
            assert transport is not None
            there, writer = await asyncio.wait_for(calling, SECONDS)
            writer.write(b"call")
            assert await reader.readexactly(4) == b"call"
            transport.write(b"answer")
            assert await there.readexactly(6) == b"answer"
            assert "libssl" not in loaded_into(process.pid)
            writer.transport.abort()
            transport.abort()

    async def test_port_that_is_taken(self, machine: Machine) -> None:
        server = await asyncio.start_server(lambda _reader, _writer: None, "127.0.0.1", 0)
        machine.more = f'[gateway]\ningress = "127.0.0.1:{server.sockets[0].getsockname()[1]}"\n'
        process = await machine.command()
        _, said = await asyncio.wait_for(process.communicate(), SECONDS)
        assert (process.returncode, b"gateway cannot listen" in said) == (78, True)
        server.close()


def _listening_port(pid: int) -> int:
    """Of the process's one TCP listener: /proc/PID/net/tcp, state 0A, by inode (proc(5))."""
    inodes = set()
    for entry in Path(f"/proc/{pid}/fd").iterdir():
        try:
            target = str(entry.readlink())
        except FileNotFoundError:
            continue  # closed since it was listed
        if target.startswith("socket:["):
            inodes.add(target[8:-1])
    for line in Path(f"/proc/{pid}/net/tcp").read_text().splitlines()[1:]:
        words = line.split()
        if words[3] == "0A" and words[9] in inodes:
            return int(words[1].partition(":")[2], 16)
    raise AssertionError("the gateway listens on no TCP port")


@pytest.mark.timeout(120)
def test_egress_trial_holds_and_its_control_does_not(tmp_path: Path) -> None:
    out = tmp_path / "figures.json"
    ran = subprocess.run([sys.executable, "-I", "-m", "clawmates.trials.egress", "--json", str(out)], check=False)
    figures: dict[str, int] = json.loads(out.read_text())
    assert ran.returncode == 0, figures
    assert figures["targets"] >= 80
    assert (figures["connections"], figures["unlisted_lookups"], figures["opened"]) == (0, 0, 0)
    assert figures["weakened_connections"] > 80
    assert sound(figures)
    assert not sound(figures | {"connections": 1})
    assert not sound(figures | {"weakened_connections": 0})
