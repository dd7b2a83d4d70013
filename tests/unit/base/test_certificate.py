from __future__ import annotations

import asyncio
import ssl
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

from clawmates.base.serving import certificate
from clawmates.base.serving.certificate import CertificateError, ServingCertificate
from clawmates.base.x509 import Authority, Names

if TYPE_CHECKING:
    from pathlib import Path

NOW = datetime.now(UTC)
AUTHORITY = Authority.create("test", NOW)


def issue(folder: Path, *, key: bool = True) -> None:
    pair = AUTHORITY.issue(Names(dns=("vault",)), NOW)
    (folder / "authority.pem").write_bytes(AUTHORITY.pair.certificate)
    (folder / "cert.pem").write_bytes(pair.certificate)
    if key:
        (folder / "key.pem").write_bytes(pair.key)


def load(folder: Path) -> ServingCertificate:
    return ServingCertificate((folder / "cert.pem", folder / "key.pem"), folder / "authority.pem", ssl.CERT_OPTIONAL)


def test_clients_may_show_a_certificate_and_speak_tls_1_3(tmp_path: Path) -> None:
    issue(tmp_path)
    context = load(tmp_path).context
    assert context.verify_mode is ssl.CERT_OPTIONAL
    assert context.minimum_version is ssl.TLSVersion.TLSv1_3


def test_new_files_are_taken_once_and_unchanged_ones_left(tmp_path: Path) -> None:
    issue(tmp_path)
    serving = load(tmp_path)
    assert not serving.reload()
    issue(tmp_path)
    assert serving.reload()
    assert not serving.reload()


@pytest.mark.parametrize("damage", ["mismatch", "garbage", "missing"])
def test_files_that_do_not_fit_are_left_alone_and_said_so(
    tmp_path: Path, damage: str, capsys: pytest.CaptureFixture[str]
) -> None:
    issue(tmp_path)
    serving = load(tmp_path)
    if damage == "mismatch":
        issue(tmp_path, key=False)
    elif damage == "garbage":
        (tmp_path / "key.pem").write_text("garbage")
    else:
        (tmp_path / "key.pem").unlink()
    assert not serving.reload()
    assert capsys.readouterr().err.startswith("certificate not reloaded: ")
    with pytest.raises(CertificateError, match="cannot use"):
        load(tmp_path)
    issue(tmp_path)
    assert serving.reload()


async def test_it_looks_for_new_files_by_itself(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    issue(tmp_path)
    serving = load(tmp_path)
    looked, loop = asyncio.Event(), asyncio.get_running_loop()
    monkeypatch.setattr(certificate, "LOOK_SECONDS", 0)
    monkeypatch.setattr(ServingCertificate, "reload", lambda _self: loop.call_soon(looked.set))
    task = asyncio.create_task(serving.keep_fresh())
    async with asyncio.timeout(5):
        await looked.wait()
    assert not task.done()
    task.cancel()
