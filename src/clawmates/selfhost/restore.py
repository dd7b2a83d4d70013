"""From a backup, the separate copy of the keys and the master key back to a platform: whole, or not at all.

What was destroyed after the backup was made has no key in the copy, so it opens nothing here either; its bot is
taken out of what should run, and is named.
"""

from __future__ import annotations

import glob
import os
import shutil
from collections.abc import Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from clawmates.base.files import write_atomic
from clawmates.base.paths import State
from clawmates.base.settings import Settings, SettingsError, load
from clawmates.base.shape import ShapeError, decode_json, encode_json
from clawmates.selfhost import layout, pki
from clawmates.selfhost.accounts import account_of
from clawmates.selfhost.backup import AUTHORITY_KEY, DESIRED, RELEASE, ROWS, BackupError
from clawmates.vault.catalogue import Catalogue
from clawmates.vault.checks import StartError
from clawmates.vault.master import FILE_SCHEME, MasterUnavailableError
from clawmates.vault.masters import Masters, MasterSettings
from clawmates.vault.store import open_store
from clawmates.wire.desired import DesiredState
from clawmates.wire.names import ItemName, ServiceName

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from clawmates.control.backups.putting import Put
    from clawmates.selfhost.backup import Manifest
    from clawmates.vault.store import Store
    from clawmates.wire.desired import BotSpec

_OPEN = frozenset({"clawmates.toml", "pki/authority.pem", "pki/revoked/names.json"})
"""What every process reads."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Keys:
    """What is not in the backup: the separate copy of ``keys.db``, and the master key where it is a file."""

    copy: Path
    master: Path | None = None
    erased: Path | None = None
    """The newest copy of ``control/erased``, where a hosted platform's operator has one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Restored:
    """What came back, and what did not."""

    state: str
    made: str
    """When the backup was made."""
    bots: tuple[str, ...]
    destroyed: tuple[str, ...]
    """Bots that were destroyed after that: they stay destroyed."""
    incomplete: Mapping[str, tuple[str, ...]]
    """Bots that run again once these items were given anew: they were replaced since."""
    release_key: str = ""
    """Whose programs will run. A backup says for whom it is, not from whom: whoever knows the public key makes one."""
    unsafe: tuple[str, ...] = ()
    """Dangerous switches that its configuration has on."""
    accounts: int = 0
    """Of a hosted platform."""
    gone: int = 0
    """Accounts of which the backup holds nothing but noise: their keys are not in the copy."""
    leaving: int = 0
    """Accounts whose deletion was under way: the vault is told once more to destroy what it has of them."""


def restore(manifest: Manifest, files: Mapping[str, bytes], keys: Keys, state: State, now: datetime) -> Restored:
    """Makes the state folder, which must be empty or absent. Raises :class:`BackupError` and ``OSError``."""
    _require_empty(state.root)
    with _beside(state.root) as folder:
        fresh = State(folder)
        _write(fresh, files)
        settings = _settings(fresh)
        _bring_keys(fresh, settings, keys)
        store = _open(fresh, settings, manifest, now)
        try:
            desired, found = _judge(files, store, state, manifest)
            found = replace(found, release_key=settings.node.release_key, unsafe=settings.unsafe)
            _void_old_certificates(fresh, settings)
            if ROWS in files:
                _bring_erased(fresh, keys)
                # Control is loaded with it, more than a second of the processor: not for whoever makes a backup.
                from clawmates.selfhost import putting  # noqa: PLC0415

                found = _with_control(found, putting.put(fresh, settings, files[ROWS], store, now))
        finally:
            store.close()
        if DESIRED in files:
            write_atomic(fresh.desired, encode_json(desired) + b"\n", mode=0o640)
        _hand_over(fresh, settings)
        with suppress(FileNotFoundError):
            state.root.rmdir()
        folder.rename(state.root)
    return found


def _bring_erased(state: State, keys: Keys) -> None:
    if keys.erased is not None:
        write_atomic(state.control / "erased", keys.erased.read_bytes())


def _with_control(found: Restored, put: Put) -> Restored:
    return replace(found, bots=put.bots, accounts=put.accounts, gone=put.gone, leaving=put.leaving)


def _require_empty(root: Path) -> None:
    if (root / "clawmates.toml").exists():
        raise BackupError(f"there is a platform in {root}: nothing is restored over it; name another --state")
    if root.is_symlink() or (root.exists() and (not root.is_dir() or any(root.iterdir()))):
        raise BackupError(f"{root} is not an empty folder: nothing is restored over what is there")


@contextmanager
def _beside(root: Path) -> Iterator[Path]:
    """A private folder on the same file system, gone again unless it was renamed."""
    root.parent.mkdir(parents=True, exist_ok=True)
    for left in root.parent.glob(f".{glob.escape(root.name)}.restoring-*"):
        # What a restore that was killed has left: keys are in it.
        if not Path(f"/proc/{left.name.rpartition('-')[2]}").exists():
            shutil.rmtree(left)
    folder = root.with_name(f".{root.name}.restoring-{os.getpid()}")
    folder.mkdir(mode=0o700)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _write(state: State, files: Mapping[str, bytes]) -> None:
    for name, data in files.items():
        if name == ROWS:
            continue
        path = state.root / name
        path.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
        public = name in _OPEN or name.startswith(RELEASE)
        write_atomic(path, data, mode=0o644 if public else 0o600)
    state.vault.chmod(0o700)


def _settings(state: State) -> Settings:
    try:
        return load(state.config)
    except SettingsError:
        raise BackupError("the configuration in the backup is of another version of ClawMates") from None


def _bring_keys(state: State, settings: Settings, keys: Keys) -> None:
    """Puts the copies where the vault looks for them."""
    try:
        write_atomic(state.vault / "keys.db", keys.copy.read_bytes())
    except FileNotFoundError:
        raise BackupError(
            f"{keys.copy} is not there: without the separate copy of keys.db a backup opens nothing"
        ) from None
    setting = settings.vault.master_key
    if not setting.startswith(FILE_SCHEME):
        return
    path = state.vault / setting.removeprefix(FILE_SCHEME)
    if path.parent != state.vault:
        # An absolute path: the operator puts the key there, and the check that follows says whether it is.
        return
    if keys.master is None:
        raise BackupError(f"the vault's master key is the file {path.name}: give its copy with --master-key")
    write_atomic(path, keys.master.read_bytes())


def _open(state: State, settings: Settings, manifest: Manifest, now: datetime) -> Store:
    """The vault's own checks: the master key opens the keys, region and version fit, SQLite reads both."""
    master = MasterSettings(settings.vault.master_key, settings.vault.old_master_key)
    try:
        return open_store(
            Masters(state.vault, master, os.urandom, lambda: master),
            region=settings.platform.region,
            catalogue=Catalogue(state.release, settings.node.release_key),
            now=now,
        )
    except StartError as error:
        raise BackupError(f"{error} (the backup was made under the master key {manifest.master})") from None
    except MasterUnavailableError:
        raise BackupError(f"the master key {manifest.master} does not answer: see that its token is there") from None


def _judge(files: Mapping[str, bytes], store: Store, state: State, manifest: Manifest) -> tuple[DesiredState, Restored]:
    """Which bots come back, by what has both a record in the backup and a key in the copy."""
    try:
        before = decode_json(DesiredState, files[DESIRED]) if DESIRED in files else DesiredState(revision=0)
    except ShapeError:
        raise BackupError("the list of bots in the backup is of another version of ClawMates") from None
    openable = store.keys.known() & store.records.known()
    alive: list[BotSpec] = []
    destroyed: list[str] = []
    incomplete: dict[str, tuple[str, ...]] = {}
    for bot in before.bots:
        missing = tuple(
            sorted(name.value for name, version in bot.items.items() if not _opens(openable, bot.id, name, version))
        )
        if bot.items and not store.keys.items_of(bot.id):
            destroyed.append(bot.id)
            continue
        alive.append(bot)
        if missing:
            incomplete[bot.id] = missing
    desired = replace(before, revision=before.revision + 1, bots=tuple(alive))
    return desired, Restored(
        state=str(state.root),
        made=manifest.made,
        bots=tuple(bot.id for bot in alive),
        destroyed=tuple(destroyed),
        incomplete=incomplete,
    )


def _opens(openable: frozenset[tuple[str, str, int]], bot: str, name: ItemName, version: int) -> bool:
    """Whether a ticket for it will: of what a mate keeps itself any version from that one on."""
    if name.is_born_inside:
        return any((of, what) == (bot, name.value) and kept >= version for of, what, kept in openable)
    return (bot, name.value, version) in openable


def _void_old_certificates(state: State, settings: Settings) -> None:
    """The backup may know less of revocations than there were: this host's own certificates begin anew."""
    for leaf in pki.leaves(settings.node.name, hosted=settings.hosted):
        pki.revoke(state, ServiceName(settings.platform.region, leaf.role, leaf.name))


def _hand_over(state: State, settings: Settings) -> None:
    """Owners and modes as ``clawmates up`` keeps them, and a place for the next copy of the keys."""
    owner = account_of("vault").owner
    for path in state.vault.iterdir():
        os.chown(path, *owner)
    for path in state.control.iterdir() if settings.hosted else ():
        os.chown(path, *account_of("control").owner)
        path.chmod(0o600)
    (state.root / AUTHORITY_KEY).chmod(0o600)
    layout.make(layout.state_folders(state, hosted=settings.hosted))
    if settings.vault.keys_copy:
        folder = Path(settings.vault.keys_copy).parent
        if not folder.exists():
            folder.mkdir(mode=0o700, parents=True)
            os.chown(folder, *owner)
