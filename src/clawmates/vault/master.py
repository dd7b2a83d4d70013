"""The master key: whoever holds it wraps the tenants' keys.

:class:`MasterKey` is the seam. A file is the default (:class:`FileMaster`); a PKCS#11 token
(:mod:`clawmates.vault.token`) and a cloud's key service (:mod:`clawmates.vault.kms`) fit behind the same words
because they, too, wrap and unwrap without showing the key. Calls may take a while: they are made on the store's own
thread.

:class:`MasterRing` holds several of them while one takes over; :mod:`clawmates.vault.masters` finds and exchanges them.
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
from clawmates.vault.envelope import KEY_BYTES, EnvelopeError, Layer, Random, fresh_key, lock, unlock

if TYPE_CHECKING:
    from pathlib import Path


FILE_SCHEME = "file:"


class MasterUnavailableError(Exception):
    """The token or service that holds the master key does not answer, or says no."""


class MasterKey(Protocol):
    """Wraps keys; ``id`` says which master wrapped what, so that two can serve during a rotation."""

    @property
    def id(self) -> str:
        """A name that changes with the key and tells nothing of it."""
        ...

    @property
    def batch(self) -> int:
        """How many keys may be re-wrapped in one go without holding up releases for long."""
        ...

    def wrap(self, layer: Layer, about: bytes, key: Secret[bytes]) -> bytes:
        """Seals ``key`` under the master key; may raise :class:`MasterUnavailableError`."""
        ...

    def unwrap(self, layer: Layer, about: bytes, box: bytes) -> Secret[bytes]:
        """Opens it again; raises :class:`~clawmates.vault.envelope.EnvelopeError`, or as :meth:`wrap`."""
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

    @property
    def batch(self) -> int:
        """Some microseconds each."""
        return 64

    def wrap(self, layer: Layer, about: bytes, key: Secret[bytes]) -> bytes:
        """Seals ``key`` under the master key."""
        return lock(self.key, layer, about, key, self.random)

    def unwrap(self, layer: Layer, about: bytes, box: bytes) -> Secret[bytes]:
        """Opens it again; raises :class:`~clawmates.vault.envelope.EnvelopeError`."""
        return unlock(self.key, layer, about, box)


@dataclass(slots=True)
class MasterRing:
    """The master key that wraps now and, while a rotation lasts, those before it, which still open. A MasterKey."""

    current: MasterKey
    retiring: tuple[MasterKey, ...] = ()

    @property
    def id(self) -> str:
        """The current one's."""
        return self.current.id

    @property
    def ids(self) -> frozenset[str]:
        """Those of all."""
        return frozenset(master.id for master in (self.current, *self.retiring))

    @property
    def batch(self) -> int:
        """The slowest one's."""
        return min(master.batch for master in (self.current, *self.retiring))

    def turn_to(self, master: MasterKey) -> None:
        """From now on ``master`` wraps; what the others wrapped still opens."""
        self.current, self.retiring = master, (self.current, *self.retiring)

    def retire(self) -> None:
        """Nothing is left under any but the current one."""
        self.retiring = ()

    def wrap(self, layer: Layer, about: bytes, key: Secret[bytes]) -> bytes:
        """Seals under the current master key."""
        return self.current.wrap(layer, about, key)

    def unwrap(self, layer: Layer, about: bytes, box: bytes) -> Secret[bytes]:
        """Opens with whichever it was sealed with; a box that none of those who answer opens may be an absent one's."""
        absent: MasterUnavailableError | None = None
        for master in (self.current, *self.retiring):
            try:
                return master.unwrap(layer, about, box)
            except EnvelopeError:
                continue
            except MasterUnavailableError as error:
                absent = error
        raise absent or EnvelopeError


def master_path(folder: Path, setting: str) -> Path:
    """The file that ``file:NAME`` means: below ``folder``, or absolute. Raises :class:`StartError`."""
    name = setting.removeprefix(FILE_SCHEME)
    if name == setting or not name:
        raise StartError("[vault] master_key does not name a file: write file:NAME")
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
    if not any(raw):
        raise StartError(f"{path} was overwritten with zeros: restore the master key")
    return FileMaster(Secret(raw), random)
