"""A backup that outlives somebody: opened by its formats, before and after they were deleted.

Read from docs/adr/0025 alone, with none of the code that makes or restores one: the file's pieces, the tar in them,
control's lines, and in each account's line a box that only a key in ``keys.db`` opens.
"""

from __future__ import annotations

import hashlib
import io
import json
import sqlite3
import tarfile
import zlib
from base64 import b64decode
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass, field

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hpke import AEAD, KDF, KEM, Suite

from clawmates.proofs.errors import ProofError
from clawmates.proofs.kept.schemas import image
from clawmates.proofs.vaultfile import lengths, unseal

PIECE, TAG = 64 * 1024, 16
ROWS, SOFTWARE = "control/rows", "release/"
_SUITE = Suite(KEM.X25519, KDF.HKDF_SHA256, AEAD.AES_256_GCM)
_FILE, _ACCOUNT, _KEY = b"clawmates-backup-v1\0", b"clawmates-account-rows-v1\0", b"clawmates-backup-key-v1\0"


@dataclass(frozen=True, slots=True)
class Opened:
    """The inside of a backup, as its operator's key shows it."""

    region: str
    members: Mapping[str, bytes] = field(repr=False)
    boxes: Mapping[str, bytes] = field(repr=False)
    """By account."""

    def of(self, account: str, keys: bytes, master: bytes) -> bytes:
        """Everything that can be read of an account, with these keys: all that is in the clear, and its own box."""
        clear = b"".join(self.members.values())
        private = private_key(keys, master, self.region, account)
        if private is None or account not in self.boxes:
            return clear
        key = X25519PrivateKey.from_private_bytes(private)
        try:
            rows = _SUITE.decrypt(self.boxes[account], key, _ACCOUNT + lengths(self.region, account))
            return clear + zlib.decompress(bytes(rows))
        except (InvalidTag, zlib.error):
            return clear


def opened(data: bytes, private: X25519PrivateKey) -> Opened:
    """Opens a backup's file with its operator's key. Raises :class:`ProofError`."""
    first, second, rest = data.split(b"\n", 2)
    lines = first + b"\n" + second + b"\n"
    try:
        head = json.loads(second)
        key = bytes(_SUITE.decrypt(b64decode(head["sealed"]), private, _FILE + head["to"].encode()))
        packed = _pieces(rest, key, hashlib.sha256(lines).digest())
        with tarfile.open(fileobj=io.BytesIO(packed)) as tar:
            members = {one.name: _read(tar, one) for one in tar if not one.name.startswith(SOFTWARE)}
        said, *others = [json.loads(line) for line in members[ROWS].splitlines()]
        boxes = {one["tenant"]: b64decode(one["box"]) for one in others if "box" in one}
        return Opened(said["region"], members, boxes)
    except (InvalidTag, ValueError, KeyError, tarfile.TarError):
        raise ProofError("a backup that was just made does not open by its own formats") from None


def _read(tar: tarfile.TarFile, member: tarfile.TarInfo) -> bytes:
    stream = tar.extractfile(member)
    return stream.read() if stream is not None else b""


def _pieces(data: bytes, key: bytes, about: bytes) -> bytes:
    """AES-256-GCM piece by piece; a nonce is the piece's number and whether it is the last."""
    found = []
    for number, start in enumerate(range(0, len(data), PIECE + TAG)):
        last = start + PIECE + TAG >= len(data)
        nonce = number.to_bytes(11, "big") + bytes([last])
        found.append(AESGCM(key).decrypt(nonce, data[start : start + PIECE + TAG], about))
    return b"".join(found)


def wrapped_key(keys: bytes, account: str) -> bytes:
    """An account's backup key as it stands in ``keys.db``; empty where there is none. Raises :class:`ProofError`."""
    try:
        with closing(image(keys)) as connection:
            row = connection.execute("SELECT wrapped FROM backup_keys WHERE tenant = ?", (account,)).fetchone()
    except sqlite3.Error:
        raise ProofError("the trial's vault has files that cannot be read") from None
    return bytes(row[0]) if row else b""


def private_key(keys: bytes, master: bytes, region: str, account: str) -> bytes | None:
    """The same, opened with the master key; ``None`` where it does not open."""
    return unseal(master, _KEY + lengths(region, account), wrapped_key(keys, account))
