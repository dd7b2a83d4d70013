"""Under what circumstances claims were tried: software, machine, time, and what was unsafe."""

from __future__ import annotations

import os
import platform as machine
import ssl
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING

from clawmates.base.clock import Clock, stamp
from clawmates.proofs.errors import ProofError
from clawmates.wire.releases import ReleaseError, load

if TYPE_CHECKING:
    from clawmates.proofs.platform import Platform

PACKAGES = ("clawmates", "cryptography", "h11", "starlette", "uvicorn")


@dataclass(frozen=True, slots=True, kw_only=True)
class Circumstances:
    """What stands at the head of a report for people; names and digests only."""

    began: str
    ended: str
    seconds: float
    throwaway: bool
    """Made for this trial, with stand-ins outside; else a platform of somebody's."""
    full: bool = False
    """The long form."""
    facts: Mapping[str, str] = field(default_factory=dict)
    unsafe: tuple[str, ...] = ()


@dataclass(slots=True)
class Watch:
    """Notes when a trial began."""

    clock: Clock
    began: str = ""
    _at: float = 0.0

    def start(self) -> None:
        """Now."""
        self.began, self._at = stamp(self.clock.now()), self.clock.monotonic()

    async def stop(self, platform: Platform, *, full: bool) -> Circumstances:
        """Everything, at the end; ``full`` says in which form it was tried.

        Raises :class:`~clawmates.proofs.errors.ProofError`.
        """
        status = await platform.status()
        return Circumstances(
            began=self.began,
            ended=stamp(self.clock.now()),
            seconds=round(self.clock.monotonic() - self._at, 1),
            throwaway=platform.world is not None,
            full=full,
            facts={**_software(), **_release(platform), **_host(), "node": f"{status.node}, region {status.region}"},
            unsafe=status.unsafe,
        )


def _software() -> dict[str, str]:
    found = {}
    for name in PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = "not installed as a package"
    return {**found, "Python": sys.version.split()[0], "OpenSSL": ssl.OPENSSL_VERSION}


def _release(platform: Platform) -> dict[str, str]:
    try:
        release = load(platform.state.release, platform.settings.node.release_key)
    except ReleaseError:
        raise ProofError("the signed release cannot be read") from None
    return {
        "release": f"number {release.number}, signed by {platform.settings.node.release_key}",
        "image": release.image.digest,
        "image, configuration": release.image.config,
    }


def _host() -> dict[str, str]:
    pages, page = os.sysconf("SC_PHYS_PAGES"), os.sysconf("SC_PAGE_SIZE")
    return {
        "operating system": _system(),
        "kernel": machine.release(),
        "machine": f"{machine.machine()}, {os.cpu_count()} processors, {pages * page / (1 << 30):.1f} GiB",
    }


def _system(path: Path = Path("/etc/os-release")) -> str:
    try:
        lines = dict(line.split("=", 1) for line in path.read_text().splitlines() if "=" in line)
    except OSError:
        return machine.system()
    return lines.get("PRETTY_NAME", machine.system()).strip('"')
