"""Landlock: from here on this process reaches the files it needs and nothing else (landlock(7), Linux 5.13 and later).

It bounds what code that took the vault over could do on the host: read no other process's files, write nowhere but to
its own folder and log, run no program and, where the kernel can say so, connect to nobody.
"""

from __future__ import annotations

import ctypes
import os
import sys
import sysconfig
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING

from clawmates.vault.masters import read_for

if TYPE_CHECKING:
    from collections.abc import Iterable

    from clawmates.base.paths import State
    from clawmates.base.settings import Settings

FILE_SCHEME, TOKEN_SCHEME = "file:", "pkcs11:"
_CREATE_RULESET, _ADD_RULE, _RESTRICT_SELF = 444, 445, 446
_ASK_VERSION = 1
_RULE_PATH_BENEATH = 1

EXECUTE, WRITE_FILE, READ_FILE, READ_DIR = 1, 2, 4, 8
_REMOVE_DIR, _REMOVE_FILE = 1 << 4, 1 << 5
_MAKE_ANY = 0b1111111 << 6
_REFER, _TRUNCATE, _IOCTL_DEV = 1 << 13, 1 << 14, 1 << 15
_MAKE_REG = 1 << 8
_CONNECT_TCP, _BIND_TCP = 2, 1

READ = READ_FILE | READ_DIR
WRITE = READ | WRITE_FILE | _REMOVE_FILE | _MAKE_REG | _TRUNCATE
_OF_A_FILE = EXECUTE | WRITE_FILE | READ_FILE | _TRUNCATE | _IOCTL_DEV


class Confinement(StrEnum):
    """How far the process is confined."""

    OFF = "off"
    """The master key is in a token, whose library reaches for what it likes."""
    FULL = "files and network"
    FILES = "files"
    UNAVAILABLE = "unavailable"


@dataclass(frozen=True, slots=True)
class Reach:
    """What the process may still reach; a path that is not there is left out. Without ``connect`` it calls nobody."""

    reads: tuple[Path, ...]
    writes: tuple[Path, ...]
    connect: bool = False


class _Attributes(ctypes.Structure):
    _fields_ = (("fs", ctypes.c_uint64), ("net", ctypes.c_uint64), ("scoped", ctypes.c_uint64))


class _Beneath(ctypes.Structure):
    _pack_ = 1
    _layout_ = "ms"
    _fields_ = (("access", ctypes.c_uint64), ("parent", ctypes.c_int32))


def runtime() -> tuple[Path, ...]:
    """The interpreter's own files and this package: imports may still happen."""
    places = {sys.prefix, sys.base_prefix, *sysconfig.get_paths().values()}
    package = Path(__file__).resolve().parents[1]
    system = (Path("/usr/lib"), Path("/lib"), Path("/lib64"), Path("/etc/ld.so.cache"), Path("/dev/urandom"))
    return (*(Path(place) for place in sorted(places)), package, *system)


def reach_of(state: State, whole: Settings) -> Reach | None:
    """What the vault needs; ``None`` when that cannot be said, because a token's library decides it."""
    settings = whole.vault
    masters = tuple(filter(None, (settings.master_key, settings.old_master_key)))
    if any(master.startswith(TOKEN_SCHEME) for master in masters):
        return None
    files = tuple(Path(master.removeprefix(FILE_SCHEME)) for master in masters if master.startswith(FILE_SCHEME))
    elsewhere = tuple(path.parent for path in files if path.is_absolute())
    abroad = len(files) < len(masters)
    copy = (Path(settings.keys_copy).parent,) if settings.keys_copy else ()
    own = (state.config, state.authority, state.identity("vault")[0].parent, state.revoked.parent, state.release)
    return Reach(
        reads=(
            *runtime(),
            *own,
            whole.run.resumed.parent,
            *read_for(masters),
            *((Path("/etc"), Path("/usr/share")) if abroad else ()),
        ),
        writes=(state.vault, state.log, *elsewhere, *copy),
        connect=abroad,
    )


def confine(reach: Reach | None) -> Confinement:
    """Confines the calling thread and all that it starts, for good. Needs no_new_privs. Never raises."""
    if reach is None:
        return Confinement.OFF
    version = _landlock(_CREATE_RULESET, None, 0, _ASK_VERSION)
    if version < 1:
        return Confinement.UNAVAILABLE
    handled = _handled(version)
    network = 0 if version < 4 or reach.connect else _CONNECT_TCP | _BIND_TCP
    attributes = _Attributes(handled, network, 0)
    size = 8 if version < 4 else 16
    ruleset = _landlock(_CREATE_RULESET, ctypes.byref(attributes), size, 0)
    if ruleset < 0:
        return Confinement.UNAVAILABLE
    try:
        _allow(ruleset, reach.reads, READ & handled)
        _allow(ruleset, reach.writes, WRITE & handled)
        if _landlock(_RESTRICT_SELF, ruleset, 0) < 0:
            return Confinement.UNAVAILABLE
    finally:
        os.close(ruleset)
    return Confinement.FULL if network else Confinement.FILES


def _handled(version: int) -> int:
    """Every right that this kernel can take away (landlock(7), table of versions)."""
    rights = EXECUTE | WRITE_FILE | READ | _REMOVE_DIR | _REMOVE_FILE | _MAKE_ANY
    for since, right in ((2, _REFER), (3, _TRUNCATE), (5, _IOCTL_DEV)):
        rights |= right if version >= since else 0
    return rights


def _allow(ruleset: int, paths: Iterable[Path], rights: int) -> None:
    for path in paths:
        try:
            descriptor = os.open(path, os.O_PATH | os.O_CLOEXEC)
        except OSError:
            continue
        try:
            rule = _Beneath(rights if path.is_dir() else rights & _OF_A_FILE, descriptor)
            _landlock(_ADD_RULE, ruleset, _RULE_PATH_BENEATH, ctypes.byref(rule), 0)
        finally:
            os.close(descriptor)


def _landlock(number: int, *arguments: object) -> int:
    result: int = ctypes.CDLL(None, use_errno=True).syscall(number, *arguments)
    return result
