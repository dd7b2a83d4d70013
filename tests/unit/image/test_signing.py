import base64
import subprocess
from pathlib import Path

import pytest

from clawmates.selfhost import signing
from clawmates.selfhost.signing import KeyOpenError, KeyUnreadableError, SignatureError
from clawmates.wire.release import SIGNED_PREFIX


def test_the_key_is_made_once_and_nobody_else_reads_it(tmp_path: Path) -> None:
    path = tmp_path / "new" / "release.key"
    first = signing.key_at(path)
    assert path.stat().st_mode & 0o777 == 0o600
    assert signing.public_text(signing.key_at(path)) == signing.public_text(first)


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o666])
def test_a_key_that_others_can_read_is_refused(tmp_path: Path, mode: int) -> None:
    path = tmp_path / "release.key"
    signing.key_at(path)
    path.chmod(mode)
    with pytest.raises(KeyOpenError):
        signing.key_at(path)


@pytest.mark.parametrize("text", ["", "not base64!", base64.b64encode(b"short").decode()])
def test_another_file_is_not_taken_for_a_key_and_not_replaced(tmp_path: Path, text: str) -> None:
    path = tmp_path / "release.key"
    path.write_text(text)
    path.chmod(0o600)
    with pytest.raises(KeyUnreadableError):
        signing.key_at(path)
    assert path.read_text() == text


def test_a_link_is_not_followed(tmp_path: Path) -> None:
    signing.key_at(tmp_path / "elsewhere")
    (tmp_path / "release.key").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(OSError, match="symbolic"):
        signing.key_at(tmp_path / "release.key")


def test_a_signature_holds_for_its_document_and_key_only(tmp_path: Path) -> None:
    key, other = signing.key_at(tmp_path / "a"), signing.key_at(tmp_path / "b")
    signature = signing.sign(key, b"document")
    signing.verify(signing.public_text(key), b"document", signature)
    for public, document, shown in (
        (signing.public_text(other), b"document", signature),
        (signing.public_text(key), b"documenT", signature),
        (signing.public_text(key), b"document", signing.sign(other, b"document")),
        (signing.public_text(key), b"document", "nonsense"),
        (signing.public_text(key), b"document", base64.b64encode(key.sign(b"document")).decode()),
    ):
        with pytest.raises(SignatureError):
            signing.verify(public, document, shown)


def test_another_program_agrees(tmp_path: Path) -> None:
    key = signing.key_at(tmp_path / "key")
    (tmp_path / "pub.pem").write_bytes(signing.public_pem(key))
    (tmp_path / "signed").write_bytes(SIGNED_PREFIX + b"document")
    (tmp_path / "signature").write_bytes(base64.b64decode(signing.sign(key, b"document")))
    command = ["openssl", "pkeyutl", "-verify", "-pubin", "-inkey", "pub.pem", "-rawin", "-in", "signed"]
    done = subprocess.run([*command, "-sigfile", "signature"], cwd=tmp_path, check=False, capture_output=True)
    assert done.returncode == 0, done.stderr
