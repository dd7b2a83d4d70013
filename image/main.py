"""The command: packages and sources in, a signed release out."""

from __future__ import annotations

import argparse
import fcntl
import hashlib
import os
import platform
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from clawmates.base.files import write_atomic
from clawmates.base.shape import ShapeError, decode_json, encode_json
from clawmates.node.release import check_archive, check_sbom
from clawmates.selfhost import signing
from clawmates.wire.release import Image, Release, Sbom
from clawmates.wire.releases import FORMAT, ReleaseError
from image import answers, catalogue, contents, oci, packages, rebuild, rootfs, sbom, wheels
from image.built import Built, Places

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

ROOT = Path(__file__).resolve().parent.parent
ARCHIVE = "mate.oci.tar"
MIB = 1 << 20
LIMIT = 60 * MIB
START = oci.Start(
    command=("/usr/bin/python3", "-I", "-S", "-OO", "-m", "clawmates.mate"),
    user="1000:1000",
    environment=("PATH=/usr/bin", "LANG=C.UTF-8"),
)
_ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}


class BuildError(Exception):
    """The image cannot be built."""


BROKEN = (
    packages.PackageError,
    wheels.WheelError,
    rootfs.RootError,
    rebuild.RebuildError,
    BuildError,
    ShapeError,
    ReleaseError,
)


def run(arguments: Sequence[str]) -> int:
    """The exit code, as DESIGN.md defines them."""
    options = _parser().parse_args(arguments)
    places = Places(options.out, options.cache, options.key or options.out.parent / "release.key")
    try:
        if options.check:
            return answers.compared(rebuild.check(ROOT, places.out), as_json=options.json)
        with _alone(places.cache):
            if options.update_lock:
                _update_lock(places.cache)
            built = build(places, fresh=options.fresh)
            public = release(places, built, options.number)
    except packages.MissingToolError as error:
        return answers.failed("missing", str(error), 4, as_json=options.json)
    except BROKEN as error:
        return answers.failed("build", str(error), 1, as_json=options.json)
    except (signing.SigningError, OSError) as error:
        return answers.failed("files", str(error), 78, as_json=options.json)
    answers.report(built, public, places, as_json=options.json)
    return 0


def build(places: Places, *, fresh: bool = False) -> Built:
    """Makes the archive, or finds that the one in ``places.out`` was made from the same inputs."""
    declared = contents.load()
    lock = packages.read_lock(packages.LOCK.read_text()) if packages.LOCK.exists() else ()
    requirements = ROOT / "requirements" / "mate.txt"
    sources = wheels.mate_sources(ROOT / "src")
    inputs = _inputs(sources, requirements)
    if not fresh and (known := _known(places, inputs)):
        return known
    debs = packages.obtain(declared.wanted, lock, places.cache / "debs", declared.suite)
    fetched = {wheel.name: wheel.read_bytes() for wheel in wheels.download(requirements, places.cache / "wheels")}
    pinned = {name: wheel for name, wheel in fetched.items() if wheels.taken(wheel, declared.wheels)}
    kept = wheels.kept(pinned.values(), declared.wheels)
    mate = wheels.build_wheel(sources, _version())
    write_atomic(places.cache / f"clawmates_mate-{_version()}-py3-none-any.whl", mate, mode=0o644, sync=False)
    content = rootfs.unpack(packages.members(debs.files[name]) for name in sorted(declared.packages))
    tools = rootfs.unpack(packages.members(debs.files[name]) for name in sorted(declared.tools))
    root = rootfs.assemble(content, tools, kept | wheels.modules_of([mate]), declared)
    created = datetime.fromtimestamp(declared.created, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    archive = oci.archive(oci.layer(root, declared.created), START, _architecture(), created)
    if archive.size > LIMIT:
        raise BuildError(f"the image holds {archive.size / MIB:.1f} MiB, more than {LIMIT // MIB}")
    listed = sbom.document(
        sbom.Subject(version=_version(), digest=archive.digest, created=declared.created),
        declared,
        debs.packages,
        (sbom.Wheel.of(name, hashlib.sha256(data).hexdigest()) for name, data in pinned.items()),
    )
    places.out.mkdir(parents=True, exist_ok=True)
    write_atomic(places.out / ARCHIVE, archive.data, mode=0o644)
    write_atomic(places.out / sbom.FILE, listed, mode=0o644)
    built = Built(
        inputs=inputs,
        image=Image(
            digest=archive.digest,
            config=archive.config,
            archive=ARCHIVE,
            size=archive.size,
            unpinned=debs.unpinned,
        ),
        sbom=Sbom(file=sbom.FILE, digest=f"sha256:{hashlib.sha256(listed).hexdigest()}"),
        packages=tuple(f"{package.name} {package.version}" for package in debs.packages),
    )
    write_atomic(places.cache / "built.json", encode_json(built), mode=0o644, sync=False)
    return built


def release(places: Places, built: Built, number: int) -> str:
    """Signs the image, its list of parts and the catalogue; returns the public key."""
    known = catalogue.load(ROOT / "image" / "catalogue.toml")
    document = Release(
        format=FORMAT,
        number=number,
        image=built.image,
        channels=known.channels,
        providers=known.providers,
        sbom=built.sbom,
    )
    key = signing.key_at(places.key)
    signing.write(places.out, document, key)
    return signing.public_text(key)


def _known(places: Places, inputs: str) -> Built | None:
    try:
        built = decode_json(Built, (places.cache / "built.json").read_bytes())
        if built.inputs != inputs:
            return None
        check_archive(places.out, built.image)
        check_sbom(places.out, built.sbom)
    except (OSError, ShapeError, ReleaseError):
        return None
    return built


def _inputs(sources: dict[str, bytes], requirements: Path) -> str:
    hasher = hashlib.sha256(platform.machine().encode())
    own = {file.name: file.read_bytes() for file in sorted((ROOT / "image").iterdir()) if file.is_file()}
    del own["catalogue.toml"]  # signed, not built in
    for name, data in (*sorted(own.items()), ("requirements", requirements.read_bytes()), *sorted(sources.items())):
        hasher.update(f"{name} {len(data)}\n".encode())
        hasher.update(data)
    return hasher.hexdigest()


def _update_lock(cache: Path) -> None:
    declared = contents.load()
    found = packages.obtain(declared.wanted, (), cache / "debs", declared.suite)
    write_atomic(packages.LOCK, packages.write_lock(found.packages).encode(), mode=0o644)


@contextmanager
def _alone(cache: Path) -> Iterator[None]:
    """One build at a time: two would write the same files."""
    cache.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(cache / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _architecture() -> str:
    machine = platform.machine()
    if machine not in _ARCHITECTURES:
        raise BuildError(f"no image for {machine}: Debian's Python here is not known to the OCI names in use")
    return _ARCHITECTURES[machine]


def _version() -> str:
    import tomllib  # noqa: PLC0415 - needed for a build only

    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    return str(version)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="image/build", description="Builds the container image and signs a release.")
    parser.add_argument("--out", type=Path, default=ROOT / "build" / "release", help="release directory")
    parser.add_argument("--cache", type=Path, default=ROOT / "build" / "cache", help="packages already fetched")
    parser.add_argument("--key", type=Path, help="signing key, made on first use (default: beside --out)")
    parser.add_argument("--number", type=int, default=1, help="number of the release")
    parser.add_argument("--fresh", action="store_true", help="build even when nothing changed")
    parser.add_argument("--check", action="store_true", help="build again from nothing, elsewhere, and compare")
    parser.add_argument("--update-lock", action="store_true", help="pin the newest packages, then build")
    parser.add_argument("--json", action="store_true", help="JSON alone on stdout")
    return parser
