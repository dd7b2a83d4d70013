"""Which master keys there are, and how one takes over from another.

A file is replaced in place: ``master.key.new`` is made, wraps from then on, and takes the name at the end, when
nothing is left under the old one; the old file is overwritten. For any other change the configuration names both
(``master_key``, ``old_master_key``), so that a restart half-way finds both.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from clawmates.vault import kms_uri, token_uri
from clawmates.vault.checks import StartError
from clawmates.vault.envelope import KEY_BYTES, Random, fresh_key
from clawmates.vault.master import FILE_SCHEME, MasterRing, load_master, master_path
from clawmates.vault.wipe import clear_former, next_of, put_next, wipe, write_next

if TYPE_CHECKING:
    from clawmates.vault.master import MasterKey

PKCS11_SCHEME = token_uri.SCHEME
KMS_SCHEME = kms_uri.SCHEME


def read_for(settings: Iterable[str]) -> tuple[Path, ...]:
    """Folders that a key service's settings name files in, which are read while the vault serves."""
    found = [kms_uri.parse(setting) for setting in settings if setting.startswith(KMS_SCHEME)]
    return tuple(one.credentials.parent for one in found)


class NoNewMasterError(Exception):
    """There is no other master key to turn to: the configuration must name the new one and the old one."""


@dataclass(frozen=True, slots=True)
class MasterSettings:
    """``[vault] master_key`` and ``old_master_key``."""

    key: str
    old: str = ""


@dataclass(slots=True)
class Masters:
    """The master keys of one vault, whose files lie in ``folder``. ``reread`` looks into the configuration again."""

    folder: Path
    settings: MasterSettings
    random: Random
    reread: Callable[[], MasterSettings]

    def open(self, *, create: bool) -> MasterRing:
        """The configured master key, made where ``create`` says so and it is a file. Raises :class:`StartError`."""
        current, *retiring = self._of(self.settings.key, create=create)
        return MasterRing(current, tuple(retiring))

    def open_old(self, ring: MasterRing) -> None:
        """Adds those that ``old_master_key`` names, if any; raises :class:`StartError`."""
        if self.settings.old:
            ring.retiring = (*ring.retiring, *self._of(self.settings.old, create=False))

    def begin(self, ring: MasterRing) -> None:
        """Makes or finds the next master key and turns the ring to it; nothing to do while one is taking over.

        Raises :class:`NoNewMasterError`, :class:`StartError` and ``OSError``; the ring is then as before.
        """
        if ring.retiring:
            return
        wanted = self.reread()
        if wanted.key != self.settings.key:
            if wanted.old != self.settings.key:
                raise NoNewMasterError
            ring.turn_to(self._of(wanted.key, create=True)[0])
            self.settings = wanted
        elif wanted.key.startswith(FILE_SCHEME):
            path = master_path(self.folder, wanted.key)
            write_next(path, fresh_key(self.random).reveal())
            ring.turn_to(load_master(next_of(path), self.random, create=False))
        else:
            raise NoNewMasterError

    def finish(self, ring: MasterRing) -> None:
        """Nothing is left under the old master key: a file's takes its place, and the ring lets go of it.

        Raises ``OSError``; may be repeated.
        """
        if self.settings.key.startswith(FILE_SCHEME):
            path = master_path(self.folder, self.settings.key)
            if next_of(path).exists():
                put_next(path)
        ring.retire()

    def _of(self, setting: str, *, create: bool) -> tuple[MasterKey, ...]:
        if setting.startswith(FILE_SCHEME):
            return self._files(master_path(self.folder, setting), create=create)
        if setting.startswith(PKCS11_SCHEME):
            from clawmates.vault.token import open_token  # noqa: PLC0415 - 7 MiB that only a token needs

            return (open_token(setting, self.random),)
        if setting.startswith(KMS_SCHEME):
            from clawmates.vault.kms import open_kms  # noqa: PLC0415 - only a key service needs it

            return (open_kms(setting),)
        scheme = setting.partition(":")[0] if ":" in setting else ""
        raise StartError(
            f"[vault] master_key has the unknown scheme {scheme!r}:"
            f" there are {FILE_SCHEME} {PKCS11_SCHEME} {KMS_SCHEME}"
        )

    def _files(self, path: Path, *, create: bool) -> tuple[MasterKey, ...]:
        """The key in ``path``; before it the one that is taking over from it."""
        fresh = next_of(path)
        try:
            clear_former(path)
            if fresh.exists() and not _whole(fresh):
                wipe(fresh)
        except OSError as error:
            raise StartError(f"cannot clear what a rotation left beside {path}: {error.strerror}") from None
        present = load_master(path, self.random, create=create)
        if fresh.exists():
            return load_master(fresh, self.random, create=False), present
        return (present,)


def _whole(path: Path) -> bool:
    """Whether a next key was written to its end; one cut short, or half overwritten, never wrapped anything."""
    raw = path.read_bytes()
    return len(raw) == KEY_BYTES and any(raw)
