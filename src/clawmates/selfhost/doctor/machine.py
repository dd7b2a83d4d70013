"""What there is to know of a machine."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from clawmates.selfhost.layout import Folder


@dataclass(frozen=True, slots=True, kw_only=True)
class Machine:
    """Everything that was looked up."""

    python: tuple[int, int]
    root: bool
    podman: str
    """Its version, or empty."""
    runtime: str
    """The OCI runtime that would be used, or empty."""
    seccomp: bool
    """Whether the engine's seccomp profile is there."""
    kernel: str
    user_namespaces: int
    unshares: bool
    """Whether a process with namespaces of its own can be made."""
    controllers: frozenset[str]
    counts_swap: bool
    run: str
    in_memory: bool
    """Whether the runtime folder is, or can be made, a tmpfs."""
    overlays: bool
    swap: bool
    free_mib: int
    now: datetime
    mmdebstrap: bool
    taken: tuple[str, ...]
    """Addresses that another program listens on."""
    settings: str
    """What is wrong with clawmates.toml, or empty."""
    release: str
    """What is wrong with the release, or empty."""
    installed: bool = True
    """Whether there is a platform in the state folder yet."""
    missing_users: tuple[str, ...] = ()
    """Service users that are not there."""
    mounted: bool = True
    """Whether the runtime folder lies in RAM already."""
    reserved: bool = True
    """Whether the bots' user ids are kept from being given to anybody else (subuid(5))."""
    overlaps: tuple[str, ...] = ()
    """Entries that give some of them to others."""
    wrong_folders: tuple[Folder, ...] = ()
    """The platform's folders that have another owner or mode than they should."""
    unsaid: frozenset[str] = frozenset()
    """What a hosted platform's operator has left empty below [control]: names of its keys."""
