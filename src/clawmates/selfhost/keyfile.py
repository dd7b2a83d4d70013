"""Private keys that an operator keeps: the one that signs releases, the one that opens backups.

A file of mode 0600 that says what it is for. With a passphrase its 32 bytes are sealed by AES-256-GCM under a key that
scrypt (RFC 7914) makes of it; what the file says of itself is the associated data.
"""

from __future__ import annotations

import base64
import os
import stat
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, TypeAlias

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.scrypt import Scrypt

from clawmates.base.files import write_atomic
from clawmates.base.secret import Secret
from clawmates.base.shape import ShapeError, decode_json, encode, encode_json

if TYPE_CHECKING:
    from pathlib import Path

FORMAT = 1
COST = 1 << 17
"""scrypt's N, with r = 8 and p = 1: 128 MiB and about half a second."""
_COSTS = range(1 << 14, (1 << 20) + 1)
_SALT, _NONCE, _MOST = 16, 12, 4096
_PREFIX = b"clawmates-key-v1\0"

Random: TypeAlias = Callable[[int], bytes]
Ask: TypeAlias = Callable[[], Secret[str]]
"""Asks for the passphrase, when there is one."""


class Kind(StrEnum):
    """What a key is for."""

    RELEASE = "release"
    """Ed25519: signs releases."""
    BACKUP = "backup"
    """X25519: opens backups."""


class KeyFileError(Exception):
    """The key cannot be used."""


class KeyExistsError(KeyFileError):
    """There is a file of that name, and a key is never overwritten."""


class KeyOpenError(KeyFileError):
    """Others than its owner may read the key."""


class KeyUnreadableError(KeyFileError):
    """The file is no private key of ClawMates."""


class OtherKindError(KeyFileError):
    """The key is for something else."""


class WrongPassphraseError(KeyFileError):
    """The passphrase is not the one that the key was sealed with, or the file was changed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Lock:
    """How a passphrase opens the key."""

    salt: str
    nonce: str
    cost: int


@dataclass(frozen=True, slots=True, kw_only=True)
class _File:
    """The file's JSON; ``key`` is Base64 of 32 bytes, or of 48 sealed ones."""

    format: int
    kind: Kind
    public: str
    key: Secret[str]
    lock: _Lock | None = None

    @property
    def about(self) -> bytes:
        """Associated data: everything but the key itself."""
        return _PREFIX + encode_json((self.format, self.kind, self.public, self.lock))

    def plain(self) -> dict[str, object]:
        """The JSON form, opened: for the file of mode 0600."""
        lock = {} if self.lock is None else {"lock": encode(self.lock)}
        return {"format": self.format, "kind": self.kind, "public": self.public, "key": self.key.reveal()} | lock


def public_of(kind: Kind, private: Secret[bytes]) -> str:
    """Base64 of the public half."""
    match kind:
        case Kind.RELEASE:
            raw = Ed25519PrivateKey.from_private_bytes(private.reveal()).public_key().public_bytes_raw()
        case Kind.BACKUP:
            raw = X25519PrivateKey.from_private_bytes(private.reveal()).public_key().public_bytes_raw()
    return base64.b64encode(raw).decode()


def make(path: Path, kind: Kind, passphrase: Secret[str] | None, random: Random = os.urandom) -> str:
    """Makes a key in a new file and returns its public half; raises :class:`KeyExistsError` and ``OSError``."""
    if path.exists() or path.is_symlink():
        raise KeyExistsError(f"{path} exists, and a key is never overwritten: name another file")
    private = Secret(random(32))
    public = public_of(kind, private)
    if passphrase is None:
        file = _File(format=FORMAT, kind=kind, public=public, key=Secret(_text(private.reveal())))
    else:
        lock = _Lock(salt=_text(random(_SALT)), nonce=_text(random(_NONCE)), cost=COST)
        bare = _File(format=FORMAT, kind=kind, public=public, key=Secret(""), lock=lock)
        sealed = AESGCM(_stretched(passphrase, lock)).encrypt(_raw(lock.nonce), private.reveal(), bare.about)
        file = _File(format=FORMAT, kind=kind, public=public, key=Secret(_text(sealed)), lock=lock)
    write_atomic(path, encode_json(file.plain()) + b"\n", mode=0o600)
    return public


def read(path: Path, kind: Kind, ask: Ask) -> Secret[bytes]:
    """The private key in a file; ``ask`` is called where it needs a passphrase.

    A release key as ``make image`` makes it, bare Base64, is read too. Raises :class:`KeyFileError` and ``OSError``.
    """
    text = _private_text(path)
    file = _parsed(text, path)
    if file is None:
        if kind is not Kind.RELEASE:
            raise KeyUnreadableError(f"{path} is no private key of ClawMates")
        return Secret(_raw(text.decode().strip()))
    if file.kind is not kind:
        raise OtherKindError(f"{path} is a {file.kind.value} key, not a {kind.value} key")
    private = Secret(_raw(file.key.reveal())) if file.lock is None else _unsealed(file, file.lock, ask(), path)
    if len(private.reveal()) != 32 or public_of(kind, private) != file.public:
        raise KeyUnreadableError(f"{path} is damaged: its two halves do not belong together")
    return private


def _private_text(path: Path) -> bytes:
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    with os.fdopen(descriptor, "rb") as stream:
        if stat.S_IMODE(os.fstat(descriptor).st_mode) & 0o077:
            raise KeyOpenError(f"{path} can be read by others; remedy: chmod 600, and think about a new key")
        return stream.read(_MOST)


def _parsed(text: bytes, path: Path) -> _File | None:
    """The file's content; ``None`` for 32 bare bytes in Base64."""
    try:
        file = decode_json(_File, text, _MOST)
        raw = [file.key.reveal(), *([file.lock.salt, file.lock.nonce] if file.lock else [])]
        sizes = [len(_raw(one)) for one in raw]
    except ShapeError:
        if len(_raw_or_nothing(text)) == 32:
            return None
        raise KeyUnreadableError(f"{path} is no private key of ClawMates") from None
    except ValueError:
        raise KeyUnreadableError(f"{path} is damaged") from None
    if file.format != FORMAT:
        raise KeyUnreadableError(f"{path} has format {file.format}, this version reads {FORMAT}")
    if file.lock is not None and (sizes[1:] != [_SALT, _NONCE] or file.lock.cost not in _COSTS):
        raise KeyUnreadableError(f"{path} is damaged")
    return file


def _unsealed(file: _File, lock: _Lock, passphrase: Secret[str], path: Path) -> Secret[bytes]:
    try:
        return Secret(
            AESGCM(_stretched(passphrase, lock)).decrypt(_raw(lock.nonce), _raw(file.key.reveal()), file.about)
        )
    except InvalidTag:
        raise WrongPassphraseError(f"{path}: {WrongPassphraseError.__doc__}") from None


def _stretched(passphrase: Secret[str], lock: _Lock) -> bytes:
    return Scrypt(salt=_raw(lock.salt), length=32, n=lock.cost, r=8, p=1).derive(passphrase.reveal().encode())


def _text(raw: bytes) -> str:
    return base64.b64encode(raw).decode()


def _raw(text: str) -> bytes:
    return base64.b64decode(text, validate=True)


def _raw_or_nothing(text: bytes) -> bytes:
    try:
        return base64.b64decode(text.strip(), validate=True)
    except ValueError:
        return b""
