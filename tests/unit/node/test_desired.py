from __future__ import annotations

import base64
from typing import TYPE_CHECKING

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from tests.support.engines import bot
from tests.support.node import release

from clawmates.base.files import write_atomic
from clawmates.base.shape import encode_json
from clawmates.node.desired import DesiredFile, ReleaseFolder
from clawmates.wire.codes import Trouble
from clawmates.wire.desired import DesiredState
from clawmates.wire.release import SIGNED_PREFIX

if TYPE_CHECKING:
    from pathlib import Path


def write(path: Path, revision: int) -> DesiredState:
    desired = DesiredState(revision=revision, bots=(bot(),))
    write_atomic(path, encode_json(desired))
    return desired


def test_a_change_is_told_once(tmp_path: Path) -> None:
    file = DesiredFile(tmp_path / "desired.json")
    first = write(file.path, 1)
    assert file.look() == first
    assert file.look() is None
    second = write(file.path, 2)
    assert file.look() == second
    assert file.look() is None


def test_a_file_replaced_by_one_of_the_same_time_and_size_is_seen(tmp_path: Path) -> None:
    import os  # noqa: PLC0415 - here only

    file = DesiredFile(tmp_path / "desired.json")
    write(file.path, 1)
    os.utime(file.path, ns=(5, 5))
    file.look()
    write(file.path, 2)
    os.utime(file.path, ns=(5, 5))
    found = file.look()
    assert isinstance(found, DesiredState)
    assert found.revision == 2


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"{",
        b"[]",
        b"{}",
        b'{"revision": "1", "bots": []}',
        b'{"revision": 1, "bots": [{"id": "../etc"}]}',
        b'{"revision": 1, "bots": [], "more": 1}',
        b"\xff",
        b"[" * 100_000,
        b"{" + b" " * (17 << 20) + b"}",
    ],
    ids=range(10),
)
def test_an_invalid_file_is_told_once_and_healed(tmp_path: Path, text: bytes) -> None:
    file = DesiredFile(tmp_path / "desired.json")
    write_atomic(file.path, text)
    assert file.look() is Trouble.DESIRED_INVALID
    assert file.look() is None
    good = write(file.path, 3)
    assert file.look() == good


def test_a_missing_file_is_invalid_and_so_is_one_that_vanishes(tmp_path: Path) -> None:
    file = DesiredFile(tmp_path / "desired.json")
    assert file.look() is Trouble.DESIRED_INVALID
    assert file.look() is None
    write(file.path, 1)
    assert isinstance(file.look(), DesiredState)
    file.path.unlink()
    assert file.look() is Trouble.DESIRED_INVALID


def test_a_release_is_believed_only_under_the_pinned_key(tmp_path: Path) -> None:
    key, other = Ed25519PrivateKey.generate(), Ed25519PrivateKey.generate()
    document = encode_json(release())

    def signed_by(one: Ed25519PrivateKey) -> None:
        write_atomic(tmp_path / "release.json", document)
        write_atomic(tmp_path / "release.sig", base64.b64encode(one.sign(SIGNED_PREFIX + document)))

    public = base64.b64encode(key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)).decode()
    folder = ReleaseFolder(tmp_path, public)
    assert folder.look() is Trouble.RELEASE_MISSING
    signed_by(other)
    assert folder.look() is Trouble.RELEASE_UNSIGNED
    signed_by(key)
    assert folder.look() == release()
    assert folder.look() is None
    assert ReleaseFolder(tmp_path, "").look() is Trouble.RELEASE_UNSIGNED
