"""One file that only the holder of a private key can read, written and read as a stream.

A fresh key for the file is sealed to an X25519 public key (HPKE, RFC 9180, base mode); under it, pieces of 64 KiB are
sealed with AES-256-GCM. A piece's nonce holds its number and whether it is the last, so pieces cannot be moved, left
out or cut off; the head is associated data of all of them. So nothing is given out that was not authenticated.
"""

from __future__ import annotations

import base64
import hashlib
import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import IO, TypeAlias

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hpke import AEAD, KDF, KEM, Suite

from clawmates.base.secret import Secret
from clawmates.base.shape import ShapeError, decode_json, encode_json
from clawmates.wire.backupfile import FORMAT, MAGIC, MOST_HEAD, Head

PIECE = 64 * 1024
_TAG = 16
_INFO = b"clawmates-backup-v1\0"
_SUITE = Suite(KEM.X25519, KDF.HKDF_SHA256, AEAD.AES_256_GCM)

Random: TypeAlias = Callable[[int], bytes]


class SealedFileError(Exception):
    """The file cannot be read."""


class BadRecipientError(SealedFileError):
    """The key to seal to is not an X25519 public key in Base64."""


class NotSealedError(SealedFileError):
    """This is no backup of ClawMates."""


class OtherVersionError(SealedFileError):
    """The backup was made by a version that this one cannot read."""


class OtherRecipientError(SealedFileError):
    """The backup was made for another key."""


class DamagedError(SealedFileError):
    """The backup is damaged or was cut short."""


def recipient_id(public: str) -> str:
    """A short name of a public key (Base64): the start of its hash. Raises :class:`BadRecipientError`."""
    return hashlib.sha256(_raw_public(public)).hexdigest()[:16]


def _raw_public(public: str) -> bytes:
    try:
        raw = base64.b64decode(public, validate=True)
        X25519PublicKey.from_public_bytes(raw)
    except ValueError:
        raise BadRecipientError(BadRecipientError.__doc__) from None
    return raw


@dataclass(slots=True)
class _Cipher:
    """Seals or opens one piece after the other."""

    key: Secret[bytes]
    about: bytes
    number: int = 0

    def _nonce(self, *, last: bool) -> bytes:
        nonce = self.number.to_bytes(11, "big") + bytes([last])
        self.number += 1
        return nonce

    def seal(self, piece: bytes, *, last: bool) -> bytes:
        return AESGCM(self.key.reveal()).encrypt(self._nonce(last=last), piece, self.about)

    def open(self, sealed: bytes, *, last: bool) -> bytes:
        try:
            return AESGCM(self.key.reveal()).decrypt(self._nonce(last=last), sealed, self.about)
        except InvalidTag:
            raise DamagedError(DamagedError.__doc__) from None


class Sealer:
    """A stream to write into. What was not ended by :meth:`finish` is refused when it is read."""

    def __init__(self, stream: IO[bytes], public: str, random: Random = os.urandom, *, made: str = "") -> None:
        """``made`` stands in the clear, so that a file can be seen to be too old.

        Raises :class:`BadRecipientError` and ``OSError``.
        """
        self.key = Secret(random(32))
        """Of this one file: lets its writer read it back."""
        self._stream = stream
        to = recipient_id(public)
        recipient = X25519PublicKey.from_public_bytes(_raw_public(public))
        sealed = _SUITE.encrypt(self.key.reveal(), recipient, _INFO + to.encode())
        head = Head(to=to, sealed=base64.b64encode(bytes(sealed)).decode(), made=made)
        lines = MAGIC + str(FORMAT).encode() + b"\n" + encode_json(head) + b"\n"
        stream.write(lines)
        self._cipher = _Cipher(self.key, hashlib.sha256(lines).digest())
        self._waiting = bytearray()

    def write(self, data: bytes) -> int:
        """Takes all of ``data``."""
        self._waiting += data
        # Never the last full piece: whether it is the last one is not known before the end.
        while len(self._waiting) > PIECE:
            self._stream.write(self._cipher.seal(bytes(self._waiting[:PIECE]), last=False))
            del self._waiting[:PIECE]
        return len(data)

    def finish(self) -> None:
        """Writes the last piece."""
        self._stream.write(self._cipher.seal(bytes(self._waiting), last=True))
        self._waiting.clear()


class Opener:
    """A stream to read from; raises :class:`SealedFileError` for whatever was not sealed just so."""

    def __init__(self, stream: IO[bytes], private: Secret[bytes] | None, *, key: Secret[bytes] | None = None) -> None:
        """``private`` is the recipient's X25519 key; ``key`` the file's own, for the one who wrote it just now."""
        self._stream = stream
        lines, head = _head(stream)
        self._cipher = _Cipher(key or _file_key(head, private), hashlib.sha256(lines).digest())
        self._next = stream.read(PIECE + _TAG)
        self._ready = b""
        self._over = False

    def read(self, size: int) -> bytes:
        """At most ``size`` bytes; none at the authenticated end."""
        if not self._ready and not self._over:
            self._advance()
        piece, self._ready = self._ready[:size], self._ready[size:]
        return piece

    def _advance(self) -> None:
        sealed, self._next = self._next, b""
        if len(sealed) == PIECE + _TAG:
            self._next = self._stream.read(PIECE + _TAG)
        self._over = not self._next
        self._ready = self._cipher.open(sealed, last=self._over)


def recipient_of(stream: IO[bytes]) -> str:
    """The short name of the key that a file was made for. Raises :class:`SealedFileError`."""
    return _head(stream)[1].to


def _head(stream: IO[bytes]) -> tuple[bytes, Head]:
    first = stream.readline(64)
    if not first.startswith(MAGIC) or not first.endswith(b"\n"):
        raise NotSealedError(NotSealedError.__doc__)
    if first != MAGIC + str(FORMAT).encode() + b"\n":
        raise OtherVersionError(OtherVersionError.__doc__)
    second = stream.readline(MOST_HEAD)
    try:
        return first + second, decode_json(Head, second, MOST_HEAD)
    except ShapeError:
        raise DamagedError(DamagedError.__doc__) from None


def _file_key(head: Head, private: Secret[bytes] | None) -> Secret[bytes]:
    if private is None:
        raise OtherRecipientError(OtherRecipientError.__doc__)
    key = X25519PrivateKey.from_private_bytes(private.reveal())
    mine = recipient_id(base64.b64encode(key.public_key().public_bytes_raw()).decode())
    if mine != head.to:
        raise OtherRecipientError(f"the backup was made for the key {head.to}, not for {mine}")
    try:
        sealed = base64.b64decode(head.sealed, validate=True)
        return Secret(_SUITE.decrypt(sealed, key, _INFO + head.to.encode()))
    except (InvalidTag, ValueError):
        raise DamagedError(DamagedError.__doc__) from None
