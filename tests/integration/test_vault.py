"""The vault as its own process, over real mutual TLS, on loopback."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import socket
import ssl
import sys
from base64 import b64encode
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from tests.support import releases
from tests.support.vault import (
    HOSTS,
    KEY,
    SECRETS,
    VAULT_NAMES,
    House,
    Running,
    finish,
    furnished,
    launch,
    raw,
    refusal,
    running,
)

from clawmates.base.http.client import Connection, HttpError
from clawmates.base.secret import Secret
from clawmates.base.x509 import Authority, Names
from clawmates.wire.sealing import seal
from clawmates.wire.vault import Assignment, Binding, Redemption, TicketRequest, VaultRefusal
from clawmates.wire.vault_client import VaultClient, VaultUnreachableError, redeem, speaks_as

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator

LET_ALL_IN = "import clawmates.vault.app as app; app.admit = lambda *_: None"


@pytest.fixture
def house() -> Iterator[House]:
    with furnished() as house:
        yield house


@pytest.fixture(scope="module")
def filled() -> Iterator[House]:
    """One whose vault was filled and has ended."""

    async def fill(house: House) -> None:
        async with running(house) as vault:
            await vault.fill()

    with furnished() as house:
        asyncio.run(fill(house))
        yield house


async def test_a_credentials_life(house: House) -> None:
    async with running(house, anew=True) as vault:
        await vault.fill()
        connection = await vault.connect()
        assert speaks_as(connection, "clawmates://local/vault/vault")
        assert not speaks_as(connection, "clawmates://eu/vault/vault")
        ticket = await vault.take()
        released = await redeem(connection, ticket)
        assert {item.name: item.value.reveal() for item in released.items} == SECRETS
        assert {item.name: item.hosts for item in released.items}[KEY] == ("api.openai.com",)
        assert connection.reusable
        assert await refusal(redeem(connection, ticket)) is VaultRefusal.TICKET_REUSED
        await connection.close()
        assert await refusal(vault.take()) is VaultRefusal.FROZEN
        await vault.cli.unfreeze("b1")
        await vault.mate.redeem(await vault.take())
        assert (
            await refusal(vault.client("local/node/node-2").ticket(TicketRequest(bot="b1", generation=1, items={})))
            is VaultRefusal.NOT_ASSIGNED
        )
        await vault.cli.destroy("b1")
        await vault.cli.destroy("b1")
        assert await refusal(vault.take()) is VaultRefusal.UNKNOWN_BOT
    events = "".join(path.read_text() for path in house.state.log.glob("vault-*.jsonl"))
    assert events.count('"code":"ticket-reused"') == 1
    assert not any(secret in events for secret in SECRETS.values())


async def test_kill_9_keeps_what_was_put_and_voids_what_was_given(house: House) -> None:
    async with running(house) as vault:
        await vault.fill()
        ticket = await vault.take()
        assert (await vault.stop(signal.SIGKILL))[0] == -signal.SIGKILL
    async with running(house) as vault:
        assert await refusal(vault.mate.redeem(ticket)) is VaultRefusal.TICKET_UNKNOWN
        released = await vault.mate.redeem(await vault.take())
        assert {item.name: item.value.reveal() for item in released.items} == SECRETS


def found_in(folder: Path) -> list[str]:
    """Files that hold a secret, raw, in hex or in Base64 at any of its three offsets."""
    forms: list[bytes] = []
    for text in SECRETS.values():
        secret = text.encode()
        forms += [secret, secret.hex().encode(), secret.hex().upper().encode()]
        for offset in range(3):
            padded = b64encode(b"\0" * offset + secret)
            forms.append(padded[4 if offset else 0 : -4])
    files = (path for path in folder.rglob("*") if path.is_file())
    return [path.name for path in files if any(form in path.read_bytes() for form in forms)]


async def test_no_file_of_the_state_folder_holds_a_secret(house: House) -> None:
    async with running(house) as vault:
        await vault.fill()
        await vault.mate.redeem(await vault.take())
        assert found_in(house.root) == []
        await vault.stop(signal.SIGKILL)
    assert found_in(house.root) == []
    for number, text in enumerate(SECRETS.values()):
        for form in (text.encode(), text.encode().hex().encode(), b64encode(b"." * number + text.encode())):
            (house.state.vault / "planted").write_bytes(b"#" + form + b"#")
            assert found_in(house.root) == ["planted"]


async def test_tls_1_2_is_refused(house: House) -> None:
    old = house.tls()
    old.minimum_version = ssl.TLSVersion.TLSv1_2
    old.maximum_version = ssl.TLSVersion.TLSv1_2
    weaken = (
        "import ssl, clawmates.base.serving.certificate as c; strong = c.server_context\n"
        "def weak(**kw):\n context = strong(**kw); context.minimum_version = ssl.TLSVersion.TLSv1_2; return context\n"
        "c.server_context = weak"
    )
    async with running(house) as vault:
        # asyncio (CPython 3.11, 3.12) closes without flushing the protocol_version alert.
        with pytest.raises((ssl.SSLError, ConnectionResetError)):
            await asyncio.open_connection("127.0.0.1", vault.port, ssl=old, server_hostname="vault")
    async with running(house, weaken=weaken) as vault:
        _, writer = await asyncio.open_connection("127.0.0.1", vault.port, ssl=old, server_hostname="vault")
        assert writer.get_extra_info("ssl_object").version() == "TLSv1.2"
        writer.close()


async def test_without_a_certificate_only_redeem_answers(house: House) -> None:
    async with running(house) as vault:
        for call in _service_calls(vault.mate):
            assert await refusal(call) is VaultRefusal.NOT_ALLOWED
        assert await refusal(vault.mate.redeem(Redemption(bot="b1", ticket=Secret("x")))) is VaultRefusal.TICKET_UNKNOWN
        assert (await raw(vault, b"GET /healthz HTTP/1.1\r\nHost: vault\r\nConnection: close\r\n\r\n"))[:12] == (
            b"HTTP/1.1 204"
        )
    async with running(house, weaken=LET_ALL_IN) as vault:
        assert (await vault.mate.intake_key()).region == "local"


async def test_a_role_or_region_that_does_not_fit_is_refused(house: House) -> None:
    async with running(house) as vault:
        for name in ("local/node/node-1", "local/gateway/g", "local/vault/vault", "eu/control/cli"):
            assert await refusal(vault.client(name, "other").intake_key()) is VaultRefusal.NOT_ALLOWED
        for name in ("local/control/node-1", "eu/node/node-1"):
            request = TicketRequest(bot="b1", generation=1, items={})
            assert await refusal(vault.client(name, "other").ticket(request)) is VaultRefusal.NOT_ALLOWED
    async with running(house, weaken=LET_ALL_IN) as vault:
        assert (await vault.client("eu/control/cli", "other").intake_key()).region == "local"


async def test_a_credential_for_a_host_outside_the_signed_catalogue_is_refused(house: House) -> None:
    async def bring(vault: Running, version: int, *hosts: str) -> None:
        intake = await vault.cli.intake_key()
        binding = replace(_BINDING, key_id=intake.key_id, version=version, hosts=hosts)
        await vault.cli.put("b1", KEY, version, seal(intake.public, binding, Secret("x")))

    async with running(house) as vault:
        await vault.fill()
        assert await refusal(bring(vault, 2, "evil.example")) is VaultRefusal.HOSTS_NOT_LISTED
        await bring(vault, 2, *HOSTS[KEY])
        (house.state.release / "release.sig").unlink()
        assert await refusal(bring(vault, 3, *HOSTS[KEY])) is VaultRefusal.RELEASE_MISSING
        releases.publish(house.state.release, key=Ed25519PrivateKey.from_private_bytes(b"s" * 32))
        assert await refusal(bring(vault, 3, *HOSTS[KEY])) is VaultRefusal.RELEASE_UNSIGNED
        releases.publish(house.state.release)
        await bring(vault, 3, *HOSTS[KEY])
    async with running(house, weaken="import clawmates.vault.catalogue as c; c.lists = lambda *_: True") as vault:
        await bring(vault, 4, "evil.example")


async def test_another_authoritys_certificate_is_refused_in_the_handshake(house: House) -> None:
    foreign = Authority.create("foreign", datetime.now(UTC))
    identity = house.certify("foreign", Names(uri=("clawmates://local/control/cli",)), foreign)
    async with running(house) as vault:
        with pytest.raises(VaultUnreachableError):
            await replace(vault.mate, tls=house.tls(identity)).intake_key()
    with house.state.authority.open("ab") as trusted:  # the seeded defect
        trusted.write(foreign.pair.certificate)
    async with running(house) as vault:
        assert (await replace(vault.mate, tls=house.tls(identity)).intake_key()).region == "local"


async def test_a_client_does_not_talk_to_anything_but_the_vault(house: House) -> None:
    house.certify("vault", Names(dns=("gateway",), uri=("clawmates://local/gateway/g",)))
    async with running(house) as vault:
        with pytest.raises(VaultUnreachableError):
            await vault.cli.intake_key()
        assert (await replace(vault.cli, server_name="gateway").intake_key()).region == "local"


async def test_answers_carry_nothing_but_the_code(house: House) -> None:
    async with running(house) as vault:
        malformed = b'{"error":{"code":"malformed"}}'
        assert (await raw(vault, b"NOT HTTP\r\n\r\n")).endswith(malformed)
        head, _, body = (await raw(vault, b"GET /secret-path HTTP/1.1\r\nHost: vault\r\n\r\n")).partition(b"\r\n\r\n")
        assert (head[:12], body) == (b"HTTP/1.1 403", b'{"error":{"code":"not-allowed"}}')
        assert {line.partition(b":")[0].lower() for line in head.split(b"\r\n")[1:]} == {
            b"content-length",
            b"content-type",
            b"connection",
        }
        start = b"POST /v1/redeem HTTP/1.1\r\nHost: vault\r\nContent-Length: %d\r\n\r\n"
        assert (await raw(vault, start % 5 + b"{bad}")).endswith(malformed)
        assert (await raw(vault, start % (1 << 30) + b"x" * (201 * 1024))).startswith(b"HTTP/1.1 413")
        long_head = b"GET /healthz HTTP/1.1\r\nHost: vault\r\nX: " + b"x" * (64 << 10)
        assert not (await raw(vault, long_head)).startswith(b"HTTP/1.1 2")


@pytest.mark.parametrize(
    "sent",
    [
        b"",
        b"GET /healthz HT",
        b"POST /v1/redeem HTTP/1.1\r\nHost: vault\r\nContent-Length: 100\r\n\r\n{",
        b"GET /healthz HTTP/1.1\r\nHost: vault\r\n\r\nGET /he",
    ],
)
async def test_slow_senders_are_cut_off(house: House, sent: bytes) -> None:
    patience = (
        "import clawmates.vault.serving as s, clawmates.vault.app as a; s.HEAD_SECONDS = s.KEEP_ALIVE_SECONDS = {0};"
        "a.read_body.__kwdefaults__['seconds'] = {0}"
    )
    async with running(house, weaken=patience.format(0.2)) as vault:
        answer = await raw(vault, sent)
        assert answer[:12] in {b"", b"HTTP/1.1 400", b"HTTP/1.1 204"}
    async with running(house, weaken=patience.format(3600)) as vault:  # the seeded defect
        connection = await vault.connect()
        connection.writer.write(sent)
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(_to_the_end(connection), 0.7)
        await connection.close()


async def test_a_byte_at_a_time_does_not_help(house: House) -> None:
    """Bounds are on the whole of a handshake, a head and a body, however steadily it comes."""
    patience = (
        "import clawmates.vault.serving as s, clawmates.vault.app as a;"
        "s.HEAD_SECONDS = s.KEEP_ALIVE_SECONDS = {0}; a.read_body.__kwdefaults__['seconds'] = {0};"
        "s.HANDSHAKE_SECONDS = 4 * {0}"
    )
    head = b"POST /v1/redeem HTTP/1.1\r\nHost: vault\r\nX-Slow: " + b"x" * 40
    body = b"POST /v1/redeem HTTP/1.1\r\nHost: vault\r\nContent-Length: 100\r\n\r\n"
    for seconds, heard in ((0.25, False), (3600, True)):  # the second is the weakened build
        async with running(house, weaken=patience.format(seconds)) as vault:
            for first, drops in ((b"", head), (body, b"x" * 60)):
                connection = await vault.connect()
                connection.writer.write(first)
                assert await drip(connection.reader, connection.writer, drops) is heard
            shaking = await asyncio.open_connection("127.0.0.1", vault.port)
            assert await drip(*shaking, b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(120)) is heard


async def drip(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, drops: bytes) -> bool:
    """Whether all bytes go out, one every hundredth of a second, before the vault answers or hangs up."""
    try:
        for sent in range(len(drops)):
            writer.write(drops[sent : sent + 1])
            with suppress(TimeoutError):
                async with asyncio.timeout(0.01):
                    await reader.read(1)
                    return False
    except OSError:
        return False
    else:
        return True
    finally:
        writer.transport.abort()


async def test_too_many_connections_are_not_taken(house: House) -> None:
    async with running(
        house, weaken="import clawmates.vault.serving as s; s.MAX_CONNECTIONS, s.KEPT_FOR_SERVICES = 2, 0"
    ) as vault:
        kept = [await vault.connect() for _ in range(2)]
        with pytest.raises(HttpError):
            await (await vault.connect()).request("GET", "/healthz")
        assert (await kept[0].request("GET", "/healthz")).status == 204
        for connection in kept:
            await connection.close()


async def test_strangers_cannot_keep_node_and_control_out(house: House) -> None:
    few = "import clawmates.vault.serving as s; s.MAX_CONNECTIONS, s.KEPT_FOR_SERVICES = 3, {}"
    async with running(house, weaken=few.format(1)) as vault:
        kept = [await vault.connect() for _ in range(2)]
        with pytest.raises(HttpError):
            await (await vault.connect()).request("GET", "/healthz")
        assert (await vault.cli.intake_key()).region == "local"
        for connection in kept:
            await connection.close()
    async with running(house, weaken=few.format(0)) as vault:  # the weakened build: nothing is kept free for them
        kept = [await vault.connect() for _ in range(3)]
        with pytest.raises(VaultUnreachableError):
            await vault.cli.intake_key()
        for connection in kept:
            await connection.close()


async def test_stalled_handshakes_are_bounded(house: House) -> None:
    """Whoever opens connections and says nothing holds at most so many, and gives them back when he goes."""
    few = "import clawmates.vault.serving as s; s.MAX_SHAKING = {}"
    async with running(house, weaken=few.format(2)) as vault:
        stalled = [await asyncio.open_connection("127.0.0.1", vault.port) for _ in range(3)]
        reader, _writer = stalled[-1]
        async with asyncio.timeout(60):
            assert await _ended(reader), "one too many is closed unread"
        for _reader, writer in stalled:
            writer.transport.abort()
        async with asyncio.timeout(60):
            while True:
                with suppress(VaultUnreachableError):
                    assert (await vault.cli.intake_key()).region == "local"
                    break
    async with running(house, weaken=few.format(3)) as vault:  # the weakened build
        stalled = [await asyncio.open_connection("127.0.0.1", vault.port) for _ in range(3)]
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(_ended(stalled[-1][0]), 0.5)
        for _reader, writer in stalled:
            writer.transport.abort()


async def test_a_connection_does_not_outlive_its_time(house: House) -> None:
    """Its certificate was looked at when it began, and would count for ever on one that never ends."""
    short = "import clawmates.vault.serving as s; s.CONNECTION_SECONDS, s.KEEP_ALIVE_SECONDS = {}, 3600"
    async with running(house, weaken=short.format(1.5)) as vault:
        connection = await vault.connect()
        assert (await connection.request("GET", "/healthz")).status == 204
        async with asyncio.timeout(60):
            await _to_the_end(connection)
    async with running(house, weaken=short.format(3600)) as vault:  # the weakened build
        connection = await vault.connect()
        assert (await connection.request("GET", "/healthz")).status == 204
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(_to_the_end(connection), 2.0)
        await connection.close()


async def _ended(reader: asyncio.StreamReader) -> bool:
    try:
        return await reader.read() == b""
    except ConnectionResetError:
        return True


async def test_a_new_certificate_is_taken_into_use_while_serving(house: House) -> None:
    async def serving(vault: Running, wanted: bytes) -> None:
        async with asyncio.timeout(60):
            while True:
                connection = await vault.connect()
                seen = connection.writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
                await connection.close()
                if ssl.DER_cert_to_PEM_cert(seen).encode() == wanted:
                    return

    async with running(house) as vault:
        old = house.state.identity("vault")[0].read_bytes()
        await serving(vault, old)
        new = house.certify("vault", VAULT_NAMES)[0].read_bytes()
        assert new != old
        vault.process.send_signal(signal.SIGHUP)
        await serving(vault, new)


async def test_a_pair_that_does_not_fit_is_not_taken(house: House) -> None:
    async with running(house) as vault:
        certificate, _ = house.state.identity("vault")
        good = certificate.read_bytes()
        certificate.write_bytes(house.authority.issue(VAULT_NAMES, datetime.now(UTC)).certificate)
        vault.process.send_signal(signal.SIGHUP)
        assert vault.process.stdout is not None
        async with asyncio.timeout(60):
            assert (await vault.process.stdout.readline()).startswith(b"certificate not reloaded: SSLError at ")
        connection = await vault.connect()
        seen = connection.writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
        assert ssl.DER_cert_to_PEM_cert(seen).encode() == good
        await connection.close()


async def test_an_inherited_socket_is_served(house: House) -> None:
    house.configure("127.0.0.1:1")  # nobody could bind it
    with socket.create_server(("127.0.0.1", 0)) as listening:
        fd = listening.fileno()
        hand_over = (
            f"import os, sys; os.dup2({fd}, 3); os.set_inheritable(3, True)\n"
            "os.environ |= {'LISTEN_PID': str(os.getpid()), 'LISTEN_FDS': '1'}; os.execv(sys.argv[1], sys.argv[1:])"
        )
        async with running(house, before=(sys.executable, "-c", hand_over), fds=(fd,)) as vault:
            assert vault.port == listening.getsockname()[1]
            assert (await vault.cli.intake_key()).region == "local"


async def test_the_process_protects_its_memory(house: House) -> None:
    async with running(house, anew=True) as vault:
        proc = Path(f"/proc/{vault.process.pid}")
        status = dict(line.split(":\t", 1) for line in (proc / "status").read_text().splitlines() if ":\t" in line)
        assert status["NoNewPrivs"].strip() == "1"
        limits = (proc / "limits").read_text()
        assert "Max core file size        0                    0" in limits
        may_lock = int(status["CapEff"], 16) >> 14 & 1
        assert (int(status["VmLck"].split()[0]) > 0) is bool(may_lock)


def _open_master(house: House) -> None:
    (house.state.vault / "master.key").chmod(0o644)


def _foreign_master(house: House) -> None:
    (house.state.vault / "master.key").write_bytes(os.urandom(32))


def _lost_keys(house: House) -> None:
    (house.state.vault / "keys.db").unlink()


def _lost_records(house: House) -> None:
    (house.state.vault / "vault.db").unlink()


def _damaged(house: House) -> None:
    (house.state.vault / "vault.db").write_bytes(b"x" * 8192)


def _no_certificate(house: House) -> None:
    house.state.identity("vault")[0].unlink()


def _unknown_setting(house: House) -> None:
    house.state.config.write_text("[vault]\ncolour = 1\n")


def _other_region(house: House) -> None:
    house.configure(region="eu")


def _malformed_listen(house: House) -> None:
    house.configure(listen="nowhere")


@pytest.mark.parametrize(
    ("damage", "sentence"),
    [
        (_open_master, "master.key is open to others (mode 0644): chmod 0600 it"),
        (_foreign_master, "the master key does not open"),
        (_lost_keys, "keys.db is missing beside vault.db"),
        (_lost_records, "vault.db is missing beside keys.db"),
        (_damaged, "vault.db cannot be trusted"),
        (_no_certificate, "cannot use"),
        (_unknown_setting, "unknown key 'colour'"),
        (_other_region, "belongs to the region 'local'"),
        (_malformed_listen, "is not HOST:PORT"),
    ],
)
async def test_what_cannot_be_trusted_is_one_sentence_and_78(
    house: House, filled: House, damage: Callable[[House], None], sentence: str
) -> None:
    shutil.copytree(filled.state.root, house.state.root, dirs_exist_ok=True)
    house.configure()
    damage(house)
    code, said = await finish(await launch(house))
    assert code == 78
    assert sentence in said
    assert said.startswith("vault: ")
    assert said.count("\n") == 1


async def test_a_copy_of_a_filled_vault_is_trusted_where_nothing_was_damaged(house: House, filled: House) -> None:
    shutil.copytree(filled.state.root, house.state.root, dirs_exist_ok=True)
    house.authority = filled.authority
    house.configure()
    async with running(house) as vault:
        released = await vault.mate.redeem(await vault.take())
        assert {item.name: item.value.reveal() for item in released.items} == SECRETS


async def test_one_vault_at_a_time(house: House) -> None:
    async with running(house) as vault:
        code, said = await finish(await launch(house))
        assert (code, said.count("\n")) == (78, 1)
        assert "keys.db is in use by another process" in said
        house.configure(f"127.0.0.1:{vault.port}")
        code, said = await finish(await launch(house))
        assert (code, said) == (78, f"vault: cannot listen on 127.0.0.1:{vault.port}: Address already in use\n")
        house.configure()


async def _to_the_end(connection: Connection) -> None:
    while await connection.reader.read(4096):
        pass


def _service_calls(client: VaultClient) -> Iterator[Awaitable[object]]:
    item = seal(b64encode(bytes([9]) + bytes(31)).decode(), _BINDING, Secret("x"))
    yield client.intake_key()
    yield client.assign("b1", Assignment(tenant="acme", node="node-1"))
    yield client.put("b1", KEY, 1, item)
    yield client.destroy("b1")
    yield client.unfreeze("b1")
    yield client.ticket(TicketRequest(bot="b1", generation=1, items={}))


_BINDING = Binding(key_id="k", region="local", tenant="acme", bot="b1", name=KEY, version=1, hosts=("api.openai.com",))
