"""A backup: what brings every bot back on an empty machine, but for the keys.

``vault.db`` is in it, ``keys.db`` and the master key never are: their copies are kept apart, and that of ``keys.db``
is replaced at every destruction. So a backup of any age opens nothing that was destroyed since, whoever reads it.
"""

from __future__ import annotations

import hashlib
import io
import os
import sqlite3
import tarfile
from dataclasses import dataclass
from importlib.metadata import version
from typing import IO, TYPE_CHECKING, cast

from clawmates.base.clock import stamp
from clawmates.base.shape import ShapeError, decode_json, encode_json
from clawmates.selfhost.sealedfile import DamagedError, Opener, Sealer, recipient_id
from clawmates.wire import upkeep_calls, vault_calls
from clawmates.wire.operator_client import OperatorClient
from clawmates.wire.releases import RELEASE_FILE, SIGNATURE_FILE, load

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from datetime import datetime
    from pathlib import Path

    from clawmates.base.paths import State
    from clawmates.base.secret import Secret
    from clawmates.base.settings import Settings
    from clawmates.wire.vault_client import VaultClient

FORMAT = 1
MANIFEST = "manifest.json"
CONFIG, DESIRED, HEADS, RECORDS = "clawmates.toml", "desired.json", "node/heads.jsonl", "vault/vault.db"
AUTHORITY_KEY, AUTHORITY, REVOKED = "pki/authority.key", "pki/authority.pem", "pki/revoked/names.json"
RELEASE = "release/"
ROWS, PEPPER = "control/rows", "control/pepper"
"""Of a hosted platform: control's part (:mod:`clawmates.wire.backups`), and the key of its hashes."""
PUBLIC_FILE = "release.pub"
NEEDED = frozenset({CONFIG, RECORDS, AUTHORITY_KEY, AUTHORITY})
HOSTED = frozenset({ROWS, PEPPER})
KNOWN = NEEDED | HOSTED | {DESIRED, HEADS, REVOKED}
"""Every file there can be, beside those of the release."""
SUFFIX = ".backup"
LARGEST = 1 << 30


class BackupError(Exception):
    """The backup cannot be made or used; the text says why and what to do."""


@dataclass(frozen=True, slots=True, kw_only=True)
class File:
    """One file of a backup."""

    name: str
    size: int
    sha256: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """The first member: what follows, and which keys it needs. Inside the seal like everything else."""

    format: int
    made: str
    software: str
    region: str
    node: str
    master: str
    """The name of the master key that wraps the keys; says nothing of the key."""
    files: tuple[File, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Made:
    """A backup that was written, read back and found whole."""

    file: str
    size: int
    recipient: str
    """The short name of the key that opens it."""
    made: str
    master: str
    files: tuple[str, ...]


def target(state: State, now: datetime) -> Path:
    """Where a backup goes when nothing else is said."""
    return state.backup / f"clawmates-{now:%Y%m%dT%H%M%SZ}{SUFFIX}"


async def collect(
    state: State, settings: Settings, vault: VaultClient, now: datetime
) -> tuple[Manifest, dict[str, bytes]]:
    """Everything that goes in, while the platform runs. Raises :class:`BackupError`, ``OSError``, the clients' errors.

    Order makes it consistent: node's list, the wished-for bots and control's rows are read before ``vault.db``, which
    then holds at least what they speak of.
    """
    if not settings.vault.keys_copy:
        raise BackupError(
            "there is no separate copy of the keys, without which a backup opens nothing: name one as [vault] keys_copy"
            " in clawmates.toml, best on another disk, and restart the platform"
        )
    found: dict[str, bytes] = {}
    optional = {HEADS: state.heads, DESIRED: state.desired, REVOKED: state.revoked}
    needed = {CONFIG: state.config, AUTHORITY: state.authority, AUTHORITY_KEY: state.pki / "authority.key"}
    for name, path in (optional | needed).items():
        if name in needed or path.exists():
            found[name] = path.read_bytes()
    release = load(state.release, settings.node.release_key)
    names = [RELEASE_FILE, SIGNATURE_FILE, PUBLIC_FILE, release.image.archive]
    names += [release.sbom.file] if release.sbom is not None else []
    found |= {RELEASE + name: (state.release / name).read_bytes() for name in names}
    if settings.hosted:
        found[ROWS] = await OperatorClient(settings.run.control).backup()
        found[PEPPER] = (state.control / "pepper").read_bytes()
    keys = await upkeep_calls.keys(vault)
    found[RECORDS] = await vault_calls.image(vault)
    manifest = Manifest(
        format=FORMAT,
        made=stamp(now),
        software=f"clawmates {version('clawmates')}",
        region=settings.platform.region,
        node=settings.node.name,
        master=keys.master,
        files=tuple(
            File(name=name, size=len(data), sha256=hashlib.sha256(data).hexdigest())
            for name, data in sorted(found.items())
        ),
    )
    return manifest, found


def write(
    path: Path, public: str, manifest: Manifest, files: Mapping[str, bytes], owner: tuple[int, int] | None = None
) -> Made:
    """Writes a sealed file of mode 0600 (``owner``'s, where one is named), reads it back, and only then names it.

    Raises :class:`BackupError`, ``SealedFileError`` and ``OSError``.
    """
    if path.exists() or path.is_symlink():
        raise BackupError(f"{path} exists, and a backup is never overwritten: name another file")
    recipient = recipient_id(public)
    fresh = path.with_name(f".{path.name}.{os.getpid()}")
    descriptor = os.open(fresh, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        with os.fdopen(descriptor, "w+b") as stream:
            sealer = Sealer(stream, public, made=manifest.made)
            _pack(sealer, manifest, files)
            sealer.finish()
            stream.flush()
            if owner is not None:
                os.fchown(stream.fileno(), *owner)
            os.fsync(stream.fileno())
            stream.seek(0)
            size = os.fstat(stream.fileno()).st_size
            checked = dict(unpack(Opener(stream, None, key=sealer.key)))
            if read_manifest(checked) != manifest:
                raise BackupError(f"{path} does not read back as it was written: see the disk")
        fresh.rename(path)
    finally:
        fresh.unlink(missing_ok=True)
    _sync(path.parent)
    return Made(
        file=str(path),
        size=size,
        recipient=recipient,
        made=manifest.made,
        master=manifest.master,
        files=tuple(file.name for file in manifest.files),
    )


def _pack(stream: Sealer, manifest: Manifest, files: Mapping[str, bytes]) -> None:
    with tarfile.open(fileobj=cast("IO[bytes]", stream), mode="w|", format=tarfile.USTAR_FORMAT) as tar:
        for name, data in ((MANIFEST, encode_json(manifest)), *sorted(files.items())):
            info = tarfile.TarInfo(name)
            info.mode, info.size = 0o600, len(data)
            tar.addfile(info, io.BytesIO(data))


def unpack(stream: Opener) -> Iterator[tuple[str, bytes]]:
    """(name, bytes) of every member; names are of the known ones only. Raises ``SealedFileError``."""
    try:
        with tarfile.open(fileobj=cast("IO[bytes]", stream), mode="r|") as tar:
            for member in tar:
                content = tar.extractfile(member) if member.isfile() else None
                if content is None or not _known(member.name) or member.size > LARGEST:
                    raise DamagedError("the backup holds something that is in no backup")
                yield member.name, content.read()
        # To the authenticated end, and not only to the end of the archive.
        while stream.read(1 << 16):
            pass
    except tarfile.TarError:
        raise DamagedError(DamagedError.__doc__) from None


def _known(name: str) -> bool:
    rest = name.removeprefix(RELEASE)
    plain = rest and "/" not in rest and not rest.startswith(".")
    return name in KNOWN | {MANIFEST} or (name != rest and bool(plain))


def read_manifest(found: Mapping[str, bytes]) -> Manifest:
    """The manifest, after every other member was held against it. Raises :class:`BackupError`, ``SealedFileError``."""
    try:
        manifest = decode_json(Manifest, found.get(MANIFEST, b""))
    except ShapeError:
        raise DamagedError(DamagedError.__doc__) from None
    if manifest.format != FORMAT:
        raise BackupError(f"the backup was made by {manifest.software}, and this version cannot read it: update first")
    listed = {file.name: file for file in manifest.files}
    part = listed.keys() & HOSTED
    if found.keys() - {MANIFEST} != listed.keys() or not listed.keys() >= NEEDED or part not in (set(), HOSTED):
        raise DamagedError("the backup is not whole")
    for name, file in listed.items():
        data = found[name]
        if len(data) != file.size or hashlib.sha256(data).hexdigest() != file.sha256:
            raise DamagedError(DamagedError.__doc__)
    _check_records(found[RECORDS])
    return manifest


def _check_records(image: bytes) -> None:
    """SQLite's own check of ``vault.db``, in RAM."""
    database = sqlite3.connect(":memory:")
    try:
        database.deserialize(image)
        sound = database.execute("PRAGMA quick_check").fetchone() == ("ok",)
    except sqlite3.Error:
        sound = False
    finally:
        database.close()
    if not sound:
        raise BackupError("vault.db in the backup cannot be read by SQLite")


def open_backup(path: Path, private: Secret[bytes]) -> tuple[Manifest, dict[str, bytes]]:
    """What a backup holds, checked to its last byte. Raises :class:`BackupError`, ``SealedFileError``, ``OSError``."""
    with path.open("rb") as stream:
        found = dict(unpack(Opener(stream, private)))
    manifest = read_manifest(found)
    del found[MANIFEST]
    return manifest, found


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
