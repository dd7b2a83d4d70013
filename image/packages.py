"""Debian packages: which versions, from where, kept where.

``packages.lock`` pins version and SHA-256. Mirrors forget versions: then the one they have is used and the
release says so (``Image.unpinned``).
"""

from __future__ import annotations

import hashlib
import os
import platform
import re
import shlex
import shutil
import subprocess
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from image.sources import KEYRING, carried, mirrors

if TYPE_CHECKING:
    from collections.abc import Iterable

APT = Path("/etc/apt")
LOCK = Path(__file__).with_name("packages.lock")
_TAIL = 12


class PackageError(Exception):
    """Debian's packages cannot be had."""


class MissingToolError(PackageError):
    """A program that fetches packages is not installed."""


@dataclass(frozen=True, slots=True, order=True)
class Package:
    """One pinned package."""

    name: str
    architecture: str
    version: str
    sha256: str

    def line(self) -> str:
        """As it stands in the lock file."""
        return f"{self.name} {self.architecture} {self.version} {self.sha256}"


def read_lock(text: str) -> tuple[Package, ...]:
    """Raises :class:`PackageError` on a line that is not four words."""
    packages = []
    for line in text.splitlines():
        if not line.strip() or line.startswith("#"):
            continue
        words = line.split()
        if len(words) != 4 or not re.fullmatch(r"[0-9a-f]{64}", words[3]):
            raise PackageError("packages.lock: a line is NAME ARCHITECTURE VERSION SHA256")
        packages.append(Package(*words))
    return tuple(packages)


def write_lock(packages: Iterable[Package]) -> str:
    """The lock file's text."""
    head = "# Written by `image/build --update-lock`. Name, architecture, version, SHA-256; no address.\n"
    return head + "".join(f"{package.line()}\n" for package in sorted(packages))


@dataclass(frozen=True, slots=True)
class Fetched:
    """Packages on this disk."""

    files: Mapping[str, Path]
    """Package name → .deb file."""
    packages: tuple[Package, ...]
    unpinned: tuple[str, ...]


def obtain(wanted: tuple[str, ...], lock: tuple[Package, ...], cache: Path, suite: str) -> Fetched:
    """All wanted packages, from the cache when it holds every pinned one, else from the mirrors.

    Raises :class:`PackageError`.
    """
    architecture = _architecture()
    pins = {pin.name: pin for pin in lock if pin.architecture in {architecture, "all"} and pin.name in wanted}
    cache.mkdir(parents=True, exist_ok=True)
    files = {name: cache / f"{pin.name}-{pin.sha256}.deb" for name, pin in pins.items()}
    if set(files) == set(wanted) and all(_is(files[name], pins[name].sha256) for name in wanted):
        return Fetched(files, tuple(pins[name] for name in wanted), ())
    found = _fetch(wanted, tuple(pins.values()), cache, suite)
    packages = tuple(sorted(found))
    return Fetched({package.name: found[package] for package in packages}, packages, unpinned(packages, pins))


def unpinned(packages: Iterable[Package], pins: Mapping[str, Package]) -> tuple[str, ...]:
    """Names of packages that are not the pinned ones.

    Debian never gives one version to two files, so the pinned version with another hash is refused:
    :class:`PackageError`.
    """
    names = []
    for package in packages:
        pin = pins.get(package.name)
        if pin is not None and pin.version == package.version and pin.sha256 != package.sha256:
            raise PackageError(f"{package.name} {package.version} is not the file that packages.lock pins")
        if pin != package:
            names.append(package.name)
    return tuple(names)


def members(deb: Path) -> bytes:
    """The package's files as an uncompressed tar archive."""
    return _run(["dpkg-deb", "--fsys-tarfile", str(deb)])


def _fetch(wanted: tuple[str, ...], pins: tuple[Package, ...], cache: Path, suite: str) -> dict[Package, Path]:
    """Lets mmdebstrap resolve, download and check; keeps the wanted .deb files."""
    if not KEYRING.exists():
        raise MissingToolError(f"{KEYRING} is missing; remedy: apt-get install debian-archive-keyring")
    with tempfile.TemporaryDirectory(prefix="clawmates-debs-") as folder:
        work = Path(folder)
        work.chmod(0o755)  # apt reads the pins as its own user
        debs = work / "debs"
        debs.mkdir()
        (work / "pins").write_text(
            "\n".join(f"Package: {pin.name}\nPin: version {pin.version}\nPin-Priority: 1001\n" for pin in pins)
        )
        (work / "apt.conf").write_text(
            carried(_run(["apt-config", "dump"]).decode(), APT) + f'Dir::Etc::preferences "{work}/pins";\n'
        )
        for file in (work / "pins", work / "apt.conf"):
            file.chmod(0o644)
        lines = mirrors(APT, platform.freedesktop_os_release().get("ID", ""), os.environ, suite)
        _run(
            [
                "mmdebstrap",
                "--variant=extract",
                "--format=null",
                f"--include={','.join(wanted)}",
                f"--aptopt={work}/apt.conf",
                f"--keyring={KEYRING}",
                # Run by a shell that has the new root as $1.
                f'--extract-hook=cp "$1"/var/cache/apt/archives/*.deb {shlex.quote(str(debs))}',
                suite,
                "/dev/null",
                *lines,
            ]
        )
        found = {}
        for deb in sorted(debs.iterdir()):
            package = _describe(deb)
            if package.name in wanted:
                kept = cache / f"{package.name}-{package.sha256}.deb"
                shutil.copyfile(deb, kept)
                found[package] = kept
    if missing := set(wanted) - {package.name for package in found}:
        raise PackageError(f"the mirrors did not give: {', '.join(sorted(missing))}")
    return found


def _describe(deb: Path) -> Package:
    shown = _run(["dpkg-deb", "--show", "--showformat=${Package} ${Architecture} ${Version}", str(deb)])
    name, architecture, version = shown.decode().split()
    return Package(name, architecture, version, _sha256(deb))


def _is(file: Path, sha256: str) -> bool:
    return file.is_file() and _sha256(file) == sha256


def _sha256(file: Path) -> str:
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _architecture() -> str:
    return _run(["dpkg", "--print-architecture"]).decode().strip()


def _run(command: list[str]) -> bytes:
    """Standard output; raises :class:`PackageError` with the last lines the program said."""
    try:
        return subprocess.run(command, check=True, stdin=subprocess.DEVNULL, capture_output=True).stdout  # noqa: S603 - fixed programs, arguments of our own
    except FileNotFoundError:
        raise MissingToolError(f"{command[0]} is not installed; remedy: scripts/setup") from None
    except subprocess.CalledProcessError as error:
        said = "\n".join(error.stderr.decode(errors="replace").splitlines()[-_TAIL:])
        raise PackageError(f"{command[0]} failed with {error.returncode}:\n{said}") from None
