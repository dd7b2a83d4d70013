from __future__ import annotations

import ssl
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from clawmates.base.tls import client_context, server_context, uri_names
from clawmates.base.x509 import LEAF_LIFE, Authority, Names, expires

NOW = datetime(2026, 11, 22, tzinfo=UTC)


@dataclass
class Made:
    folder: Path
    authority: Path
    server: tuple[Path, Path]
    client: tuple[Path, Path]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Made:
    folder = tmp_path_factory.mktemp("pki")
    now = datetime.now(UTC)
    authority = Authority.create("test", now)
    (folder / "ca.pem").write_bytes(authority.pair.certificate)
    found = []
    for name, names in (
        ("server", Names(("vault", "127.0.0.1"), ("clawmates://local/vault/vault-1",))),
        ("client", Names((), ("clawmates://local/node/node-1",))),
    ):
        pair = authority.issue(names, now)
        (folder / f"{name}.pem").write_bytes(pair.certificate)
        (folder / f"{name}.key").write_bytes(pair.key)
        found.append((folder / f"{name}.pem", folder / f"{name}.key"))
    return Made(folder, folder / "ca.pem", found[0], found[1])


def shake(client: ssl.SSLContext, server: ssl.SSLContext, name: str = "vault") -> tuple[ssl.SSLObject, ssl.SSLObject]:
    """A handshake in memory; raises ``ssl.SSLError``."""
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    ours = client.wrap_bio(to_client, to_server, server_hostname=name)
    theirs = server.wrap_bio(to_server, to_client, server_side=True)
    done = [False, False]
    for _round in range(10):
        for index, side in enumerate((ours, theirs)):
            try:
                side.do_handshake()
                done[index] = True
            except ssl.SSLWantReadError:
                continue
        if all(done):
            break
    with pytest.raises(ssl.SSLWantReadError):
        ours.read()
    return ours, theirs


def server(made: Made, clients: ssl.VerifyMode = ssl.CERT_REQUIRED) -> ssl.SSLContext:
    return server_context(identity=made.server, authority=made.authority, clients=clients)


def test_both_sides_prove_who_they_are_over_tls_1_3(made: Made) -> None:
    ours, theirs = shake(client_context(authority=made.authority, identity=made.client), server(made))
    assert ours.version() == "TLSv1.3"
    assert uri_names(ours.getpeercert()) == ("clawmates://local/vault/vault-1",)
    assert uri_names(theirs.getpeercert()) == ("clawmates://local/node/node-1",)


def test_tls_1_2_is_refused_either_way(made: Made) -> None:
    old = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    old.maximum_version = ssl.TLSVersion.TLSv1_2
    old.load_verify_locations(made.authority)
    with pytest.raises(ssl.SSLError):
        shake(old, server(made, ssl.CERT_NONE))
    weak = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    weak.maximum_version = ssl.TLSVersion.TLSv1_2
    weak.load_cert_chain(*made.server)
    with pytest.raises(ssl.SSLError):
        shake(client_context(authority=made.authority), weak)
    weaker = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    weaker.load_cert_chain(*made.server)
    assert shake(old, weaker)[0].version() == "TLSv1.2"


def test_a_stranger_and_a_wrong_name_are_refused(made: Made) -> None:
    with pytest.raises(ssl.SSLError):
        shake(client_context(authority=made.authority), server(made))
    with pytest.raises(ssl.SSLCertVerificationError):
        shake(client_context(authority=made.authority, identity=made.client), server(made), name="other")
    with pytest.raises(ssl.SSLCertVerificationError):
        shake(client_context(), server(made, ssl.CERT_NONE))


def test_the_key_log_of_the_environment_is_not_read(made: Made, monkeypatch: pytest.MonkeyPatch) -> None:
    log = made.folder / "keys"
    monkeypatch.setenv("SSLKEYLOGFILE", str(log))
    shake(client_context(authority=made.authority, identity=made.client), server(made))
    assert not log.exists()
    assert ssl.create_default_context().keylog_filename == str(log)


def test_a_leaf_lives_a_week_and_cannot_sign() -> None:
    authority = Authority.create("test", NOW)
    leaf = authority.issue(Names(("a.example",)), NOW)
    assert expires(leaf.certificate) == NOW + LEAF_LIFE == NOW + timedelta(days=7)
    assert b"PRIVATE KEY" in leaf.key


def test_no_certificate_has_no_names() -> None:
    assert uri_names(None) == uri_names({}) == ()
