"""Sockets found in /proc, called, and judged; each with a weak one that must be objected to."""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from datetime import UTC, datetime
from ipaddress import ip_address
from pathlib import Path
from ssl import CERT_REQUIRED, SSLContext
from tempfile import TemporaryDirectory
from threading import Thread

import pytest

from clawmates.base.paths import Run, State
from clawmates.base.settings import Control, Gateway, Mode, Platform, Settings, Vault
from clawmates.base.tls import server_context
from clawmates.base.x509 import Authority, Names
from clawmates.proofs.claims import listening as listening_module
from clawmates.proofs.claims.listening import examine
from clawmates.proofs.net.declared import Declared, Must
from clawmates.proofs.net.packets import End
from clawmates.proofs.net.probe import probe, read_answer
from clawmates.proofs.net.sockets import Listener, connections, descendants, inodes, listeners, parse_inet, parse_unix
from clawmates.proofs.net.strangers import ANSWERED, CLOSED, NO_PERMISSION, call, reachable
from clawmates.proofs.net.weak import old_tls, plain

RUN, STATE = Run(Path("/run/there")), State(Path("/var/there"))


def declared(**settings: object) -> Declared:
    return Declared(STATE, RUN, Settings(**settings), {"mate talker"})  # type: ignore[arg-type]


def tcp(process: str, where: str) -> Listener:
    host, _, port = where.rpartition(":")
    return Listener(process, 1, "tcp", where, End(ip_address(host), int(port)))


def test_the_kernels_tables_are_read() -> None:
    head = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n"
    line = "   0: 0100007F:1D11 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 4242 1 0 100\n"
    (one,) = parse_inet(head + line, "tcp")
    assert (str(one.local), one.listens, one.inode) == ("127.0.0.1:7441", True, 4242)
    six = line.replace("0100007F", "00000000000000000000000001000000").replace(
        "00000000:0000 0A", "0" * 32 + ":0000 01"
    )
    (one,) = parse_inet(head + six, "tcp")
    assert (str(one.local), one.listens) == ("[::1]:7441", False)
    (odd,) = parse_unix("head\n0000: 00000002 00000000 00010000 0001 01 77 /run/a b.sock\n")
    assert (odd.path, odd.accepts, odd.inode, odd.kind) == ("/run/a b.sock", True, 77, 1)


async def test_own_sockets_are_found_with_their_inodes(tmp_path: Path) -> None:
    with (
        closing(socket.create_server(("127.0.0.1", 0))) as server,
        closing(socket.socket(socket.AF_UNIX)) as unix,
        closing(socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)) as notes,
        closing(socket.socket(socket.AF_INET, socket.SOCK_DGRAM)) as udp,
        closing(socket.create_connection(server.getsockname())) as client,
    ):
        unix.bind(str(tmp_path / "a.sock"))
        unix.listen()
        notes.bind(str(tmp_path / "n.sock"))
        udp.bind(("127.0.0.1", 0))
        found = {(one.protocol, one.where) for one in listeners({"me": os.getpid()})}
        assert {
            ("tcp", f"127.0.0.1:{server.getsockname()[1]}"),
            ("udp", f"127.0.0.1:{udp.getsockname()[1]}"),
            ("unix", str(tmp_path / "a.sock")),
            ("unix", str(tmp_path / "n.sock")),
        } <= found
        mine = {(local.port, remote.port) for local, remote in connections({"me": os.getpid()})}
        assert (client.getsockname()[1], server.getsockname()[1]) in mine
        assert inodes(os.getpid())


async def test_children_belong_to_whom_started_them() -> None:
    process = await asyncio.create_subprocess_exec("sleep", "60")
    try:
        assert process.pid in descendants({"me": os.getpid()}).values()
        assert process.pid not in descendants({"other": process.pid + (1 << 22)}).values()
    finally:
        process.kill()
        await process.wait()


@pytest.mark.parametrize(
    ("one", "must"),
    [
        (tcp("vault", "127.0.0.1:7441"), Must.TLS),
        (tcp("gateway", "127.0.0.1:7441"), Must.ABSENT),
        (tcp("vault", "127.0.0.1:7442"), Must.ABSENT),
        (tcp("gateway", "0.0.0.0:443"), Must.RELAY),
        (tcp("clawmates up", "0.0.0.0:443"), Must.RELAY),
        (tcp("node", "0.0.0.0:443"), Must.ABSENT),
        (tcp("mate talker", "127.0.0.1:7460"), Must.INSIDE),
        (tcp("mate other", "127.0.0.1:7460"), Must.ABSENT),
        (tcp("mate talker", "0.0.0.0:7460"), Must.ABSENT),
        (Listener("gateway", 1, "unix", "/run/there/doors/a/door.sock"), Must.PRIVATE),
        (Listener("gateway", 1, "unix", "/run/there/doors/a/.door.sock.1"), Must.PRIVATE),
        (Listener("node", 1, "unix", "/run/there/doors/a/door.sock"), Must.ABSENT),
        (Listener("node", 1, "unix", "/run/there/node/node.sock"), Must.PRIVATE),
        (Listener("gateway", 1, "unix", "@abstract"), Must.ABSENT),
        (Listener("node > podman", 1, "unix", "@00a1f", kind=2), Must.RETURN),
        (Listener("node > podman 7", 1, "unix", "@00a1f", kind=2), Must.RETURN),
        (Listener("node > podman", 1, "unix", "@00a1f", kind=1), Must.ABSENT),
        (Listener("node > podman", 1, "unix", "@chosen", kind=2), Must.ABSENT),
        (Listener("node > python", 1, "unix", "@00a1f", kind=2), Must.ABSENT),
        (Listener("gateway > podman", 1, "unix", "@00a1f", kind=2), Must.ABSENT),
        (Listener("gateway", 1, "unix", "/tmp/elsewhere.sock"), Must.ABSENT),
        (Listener("conmon 7", 1, "unix", "/var/there/engine/x/attach"), Must.PRIVATE),
        (Listener("clawmates up", 1, "unix", "/run/there/supervisor/notify.sock"), Must.NOTES),
        (Listener("vault", 1, "udp", "127.0.0.1:7441"), Must.ABSENT),
        (Listener("gateway", 1, "raw", "every packet"), Must.ABSENT),
    ],
)
def test_everything_has_one_place_and_one_owner(one: Listener, must: Must) -> None:
    there = declared(vault=Vault(listen="127.0.0.1:7441"), gateway=Gateway(ingress="0.0.0.0:443"))
    assert there.must(one) is must


@pytest.mark.parametrize(
    ("process", "where", "must"),
    [
        ("control", "127.0.0.1:8443", Must.TLS),
        ("clawmates up", "127.0.0.1:8443", Must.TLS),
        ("control", "127.0.0.1:7442", Must.TLS),
        ("gateway", "127.0.0.1:8443", Must.ABSENT),
        ("control", "127.0.0.1:8444", Must.ABSENT),
    ],
)
def test_a_hosted_platform_has_controls_two_as_well(process: str, where: str, must: Must) -> None:
    one = tcp(process, where)
    assert declared(platform=Platform(mode=Mode.HOSTED)).must(one) is must
    behind = declared(platform=Platform(mode=Mode.HOSTED), control=Control(proxies=("127.0.0.1",))).must(one)
    assert behind is (Must.INTRODUCED if where.endswith(":8443") and must is Must.TLS else must)
    assert declared().must(one) is Must.ABSENT, "where a file says what runs there is no control"


async def test_who_hears_without_a_relays_word_is_objected_to() -> None:
    async with plain() as end:
        _, objections = await examine(tcp("control", f"127.0.0.1:{end.port}"), Must.INTRODUCED)
    assert "without a relay's word, offered no TLS, it answers: speaks without TLS" in objections


@pytest.mark.parametrize("answers", [False, True])
async def test_a_senders_own_address_answers_nobody(monkeypatch: pytest.MonkeyPatch, *, answers: bool) -> None:
    """A real socket to which the kernel gave its name; one that answers is objected to."""
    monkeypatch.setattr(listening_module, "NOTE_SECONDS", 0.2)
    loop = asyncio.get_running_loop()
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
        sender.setblocking(False)  # noqa: FBT003 - the standard library's own signature
        sender.bind("")
        (one,) = [held for held in listeners({"node > podman": os.getpid()}) if held.where.startswith("@")]
        assert declared().must(one) is Must.RETURN

        def answer() -> None:
            _, caller = sender.recvfrom(1024)
            if answers:
                sender.sendto(b"welcome", caller)

        loop.add_reader(sender.fileno(), answer)
        _, objections = await examine(one, Must.RETURN)
        loop.remove_reader(sender.fileno())
    assert bool(objections) is answers


async def test_what_is_not_declared_counts_against_it() -> None:
    assert await examine(tcp("vault", "127.0.0.1:1"), Must.ABSENT) == ("not tried", ("must not be there",))


async def test_a_good_listener_is_not_objected_to_and_weak_ones_are(tmp_path: Path) -> None:
    now = datetime.now(UTC)
    authority = Authority.create("test", now)
    pair = authority.issue(Names(dns=("localhost",)), now)
    for name, data in (("ca", authority.pair.certificate), ("cert", pair.certificate), ("key", pair.key)):
        (tmp_path / name).write_bytes(data)
    context = server_context(
        identity=(tmp_path / "cert", tmp_path / "key"), authority=tmp_path / "ca", clients=CERT_REQUIRED
    )
    with answering(context) as end:
        good = await probe(end)
    assert good.objections == ()
    assert {one.offered: one.said for one in good.answers} == {
        "TLS 1.0": "protocol_version",
        "TLS 1.1": "protocol_version",
        "TLS 1.2": "protocol_version",
        "TLS 1.3": "TLS 1.3",
        "no TLS": good.answers[-1].said,
    }
    async with old_tls() as end:
        assert "offered TLS 1.2, it answers: TLS 1.2" in (await probe(end)).objections
    async with plain() as end:
        assert "it speaks without TLS" in (await probe(end)).objections


@contextmanager
def answering(context: SSLContext) -> Iterator[End]:
    """OpenSSL on a blocking socket: unlike asyncio's, it says why it refuses."""
    server = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        with suppress(OSError):
            while True:
                sock, _ = server.accept()
                with suppress(OSError), sock:
                    context.wrap_socket(sock, server_side=True)

    thread = Thread(target=serve)
    thread.start()
    try:
        yield End(ip_address("127.0.0.1"), server.getsockname()[1])
    finally:
        server.shutdown(socket.SHUT_RDWR)
        server.close()
        thread.join()


def test_answers_have_names() -> None:
    assert read_answer(None) == "silent"
    assert read_answer(b"") == "closed"
    assert read_answer(b"HTTP/1.1 400") == "something that is no TLS"
    assert read_answer(b"\x15\x03\x01\x00\x02\x02\x28") == "handshake_failure"
    assert read_answer(b"\x15\x03\x01\x00\x02\x02\xfe") == "alert 254"


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """A folder of the test's own that everybody may enter; pytest's lie in one that is root's alone."""
    with TemporaryDirectory(prefix="clawmates-test-") as name:
        Path(name).chmod(0o755)
        yield Path(name)


@pytest.mark.parametrize(
    ("mode", "speaks", "expected"), [(0o600, True, NO_PERMISSION), (0o666, True, ANSWERED), (0o666, False, CLOSED)]
)
async def test_a_stranger_gets_what_the_socket_gives(open_folder: Path, mode: int, speaks: bool, expected: str) -> None:  # noqa: FBT001
    def serve(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if speaks:
            writer.write(b"welcome")
        writer.close()

    # Deeper than an address may be long, and open to everybody on the way.
    folder = open_folder / ("d" * 90)
    folder.mkdir(mode=0o755)
    folder.chmod(0o755)
    path = folder / "a.sock"
    before = Path.cwd()
    os.chdir(folder)
    server = await asyncio.start_unix_server(serve, path="a.sock")
    os.chdir(before)
    path.chmod(mode)
    async with server:
        assert await call(str(path)) == expected
        said, wrong = await examine(Listener("node", os.getpid(), "unix", str(path), kind=1), Must.PRIVATE)
    assert said == expected
    assert bool(wrong) is (expected == ANSWERED)
    assert os.geteuid() == 0
    assert Path.cwd() == before


def test_a_socket_that_was_moved_is_found_where_it_is(tmp_path: Path) -> None:
    assert reachable("/run/x/.door.sock.42", 42) == "/run/x/door.sock"
    assert reachable("/run/x/.door.sock.42", 43) == "/run/x/.door.sock.42"
    folder = os.open(tmp_path, os.O_PATH)
    try:
        assert reachable(f"/proc/self/fd/{folder}/attach", os.getpid()) == f"{tmp_path}/attach"
    finally:
        os.close(folder)
