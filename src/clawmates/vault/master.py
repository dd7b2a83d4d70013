"""The master key: whoever holds it wraps the tenants' keys.

:class:`MasterKey` is the seam. A file is the default; PKCS#11 and a cloud's key service fit behind the same three
words because they, too, wrap and unwrap without showing the key. Calls may take a while: they are made on the
store's own thread.
"""

from __future__ import annotations

import hashlib
import os
import stat
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from clawmates.base.files import write_atomic
from clawmates.base.secret import Secret
from clawmates.vault.checks import StartError, require_private
from clawmates.vault.envelope import KEY_BYTES, Layer, Random, fresh_key, lock, unlock

if TYPE_CHECKING:
    from pathlib import Path


FILE_SCHEME = "file:"


class MasterKey(Protocol):
    """Wraps keys; ``id`` says which master wrapped what, so that two can serve during a rotation."""

    @property
    def id(self) -> str:
        """A name that changes with the key and tells nothing of it."""
        ...

    def wrap(self, layer: Layer, about: bytes, key: Secret[bytes]) -> bytes:
        """Seals ``key`` under the master key."""
        ...

    def unwrap(self, layer: Layer, about: bytes, box: bytes) -> Secret[bytes]:
        """Opens it again; raises :class:`~clawmates.vault.envelope.EnvelopeError`."""
        ...


@dataclass(frozen=True, slots=True)
class FileMaster:
    """A key of 32 random bytes in a file that only the vault can read."""

    key: Secret[bytes]
    random: Random

    @property
    def id(self) -> str:
        """A hash of the key under a prefix: 256 random bits stay unguessable behind it."""
        return hashlib.sha256(b"clawmates-master-id-v1\0" + self.key.reveal()).hexdigest()[:16]

    def wrap(self, layer: Layer, about: bytes, key: Secret[bytes]) -> bytes:
        """Seals ``key`` under the master key."""
        return lock(self.key, layer, about, key, self.random)

    def unwrap(self, layer: Layer, about: bytes, box: bytes) -> Secret[bytes]:
        """Opens it again; raises :class:`~clawmates.vault.envelope.EnvelopeError`."""
        return unlock(self.key, layer, about, box)


def master_path(folder: Path, setting: str) -> Path:
    """The file that ``[vault] master_key`` names: below ``folder``, or absolute. Raises :class:`StartError`."""
    name = setting.removeprefix(FILE_SCHEME)
    if name == setting or not name:
        raise StartError("[vault] master_key is not file:NAME: this vault knows no other kind of master key")
    return folder / name


def load_master(path: Path, random: Random, *, create: bool) -> FileMaster:
    """Reads the master key, made first where ``create`` says so and there is none. Raises :class:`StartError`."""
    if create and not path.exists():
        write_atomic(path, fresh_key(random).reveal())
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError as error:
        raise StartError(f"cannot read the master key {path}: {error.strerror}") from None
    try:
        require_private(path, os.fstat(descriptor), stat.S_IFREG)
        raw = os.read(descriptor, KEY_BYTES + 1)
    finally:
        os.close(descriptor)
    if len(raw) != KEY_BYTES:
        raise StartError(f"{path} does not hold a master key: it must be {KEY_BYTES} bytes long")
    return FileMaster(Secret(raw), random)
