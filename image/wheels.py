"""Python code for the image: pinned wheels from the index, and one of the mate's packages only."""

from __future__ import annotations

import ast
import base64
import fnmatch
import hashlib
import io
import platform
import re
import subprocess
import sys
import zipfile
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from pathlib import Path

    from image.contents import Wheels

PACKAGE = "clawmates"
THIRD_PARTY: Mapping[str, str] = {"h11": PACKAGE, "cryptography": f"{PACKAGE}.mate.handover.child"}
"""What else the image holds, and who alone may import it: a module of ours, and those below it."""
PYTHON = "3.11"
"""The image's, whatever the building host's is."""
GLIBC = ("2_34", "2_28", "2_17")
"""Of the manylinux wheels that run on the image's C library, the best first (PEP 600)."""
_EPOCH = (1980, 1, 1, 0, 0, 0)


class WheelError(Exception):
    """The Python code for the image cannot be had."""


def pinned(requirements: str) -> frozenset[str]:
    """The SHA-256 hashes that a requirements file allows."""
    return frozenset(re.findall(r"--hash=sha256:([0-9a-f]{64})", requirements))


def download(requirements: Path, cache: Path) -> tuple[Path, ...]:
    """The wheels of ``requirements``, hashes checked, from the cache when it holds them. Raises :class:`WheelError`."""
    text = requirements.read_text()
    names = {line.partition("==")[0].strip().lower() for line in text.splitlines() if "==" in line}
    folder = cache / hashlib.sha256(text.encode()).hexdigest()[:16]
    kept = _checked(folder, names, pinned(text))
    if not kept:
        folder.mkdir(parents=True, exist_ok=True)
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--require-hashes", "--no-deps"]
        command += ["--only-binary=:all:", "--implementation", "cp", "--python-version", PYTHON]
        command += [f"--platform=manylinux_{glibc}_{platform.machine()}" for glibc in GLIBC]
        command += ["--dest", str(folder), "--requirement", str(requirements)]
        done = subprocess.run(command, check=False, capture_output=True, stdin=subprocess.DEVNULL)  # noqa: S603 - fixed program
        if done.returncode:
            said = "\n".join(done.stderr.decode(errors="replace").splitlines()[-5:])
            raise WheelError(f"pip could not download {', '.join(sorted(names))}:\n{said}")
        kept = _checked(folder, names, pinned(text))
    if not kept:
        raise WheelError(f"no wheel of {', '.join(sorted(names))} has a pinned hash")
    return kept


def _checked(folder: Path, names: set[str], hashes: frozenset[str]) -> tuple[Path, ...]:
    wheels = tuple(
        wheel for wheel in sorted(folder.glob("*.whl")) if hashlib.sha256(wheel.read_bytes()).hexdigest() in hashes
    )
    return wheels if {wheel.name.partition("-")[0].lower() for wheel in wheels} == names else ()


def mate_sources(src: Path) -> dict[str, bytes]:
    """Archive name → source: the mate's own package, and of the rest only what it reaches by import.

    Raises :class:`WheelError` when it reaches for a package that the image does not hold.
    """
    waiting = {_module(file, src) for file in (src / PACKAGE / "mate").rglob("*.py")}
    seen: dict[str, Path] = {}
    while waiting:
        module = waiting.pop()
        file = _file(module, src)
        if file is None or module in seen:
            continue
        seen[module] = file
        parent = module.rpartition(".")[0]
        for name in {*imported(file.read_text(), module), *([parent] if parent else [])}:
            top = name.partition(".")[0]
            if top == PACKAGE:
                waiting.add(name)
            elif top not in sys.stdlib_module_names and not _may_import(module, top):
                raise WheelError(f"{module} imports {top}, which is not in the image for it")
    return {file.relative_to(src).as_posix(): file.read_bytes() for _, file in sorted(seen.items())}


def _may_import(module: str, top: str) -> bool:
    allowed = THIRD_PARTY.get(top)
    return allowed is not None and f"{module}.".startswith(f"{allowed}.")


def imported(source: str, module: str) -> frozenset[str]:
    """Dotted names that a module imports when it runs; ``from a import b`` gives both ``a`` and ``a.b``."""
    names: set[str] = set()
    for node in _runtime_nodes(ast.parse(source)):
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            if node.level:
                raise WheelError(f"{module} has a relative import")
            base = node.module or ""
            names.update({base, *(f"{base}.{alias.name}" for alias in node.names)})
    return frozenset(names)


def _runtime_nodes(node: ast.AST) -> Iterator[ast.AST]:
    """Like ``ast.walk`` without what stands under ``if TYPE_CHECKING``."""
    yield node
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.If) and isinstance(child.test, ast.Name) and child.test.id == "TYPE_CHECKING":
            for other in child.orelse:
                yield from _runtime_nodes(other)
        else:
            yield from _runtime_nodes(child)


def _file(module: str, src: Path) -> Path | None:
    base = src / module.replace(".", "/")
    return next((file for file in (base.with_suffix(".py"), base / "__init__.py") if file.is_file()), None)


def _module(file: Path, src: Path) -> str:
    parts = file.relative_to(src).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def build_wheel(sources: Mapping[str, bytes], version: str) -> bytes:
    """A pure-Python wheel, the same bytes for the same sources (binary distribution format specification 1.0)."""
    info = f"{PACKAGE}_mate-{version}.dist-info"
    files = dict(sources)
    files[f"{info}/METADATA"] = f"Metadata-Version: 2.1\nName: {PACKAGE}-mate\nVersion: {version}\n".encode()
    files[f"{info}/WHEEL"] = b"Wheel-Version: 1.0\nGenerator: clawmates\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
    record = "".join(f"{name},sha256={_record_hash(data)},{len(data)}\n" for name, data in sorted(files.items()))
    files[f"{info}/RECORD"] = f"{record}{info}/RECORD,,\n".encode()
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:
        for name, data in sorted(files.items()):
            entry = zipfile.ZipInfo(name, _EPOCH)
            entry.external_attr = 0o100644 << 16
            archive.writestr(entry, data)
    return buffer.getvalue()


def modules_of(wheels: Iterable[bytes]) -> dict[str, bytes]:
    """Archive name → source of every Python module in the wheels."""
    found: dict[str, bytes] = {}
    for wheel in wheels:
        with zipfile.ZipFile(io.BytesIO(wheel)) as archive:
            for name in archive.namelist():
                if name.endswith(".py") and "/tests/" not in name:
                    found[name] = archive.read(name)
    return found


def kept(wheels: Iterable[bytes], keep: Wheels) -> dict[str, bytes]:
    """Archive name → bytes of what the image takes out of foreign wheels.

    Raises :class:`WheelError` when they do not hold something that it is to take.
    """
    found: dict[str, bytes] = {}
    for wheel in wheels:
        found |= taken(wheel, keep)
    for pattern in (*keep.extensions, *keep.modules):
        if not any(fnmatch.fnmatchcase(name, pattern) or fnmatch.fnmatchcase(_dotted(name), pattern) for name in found):
            raise WheelError(f"no wheel holds {pattern}")
    return found


def taken(wheel: bytes, keep: Wheels) -> dict[str, bytes]:
    """What the image takes out of one of them."""
    with zipfile.ZipFile(io.BytesIO(wheel)) as archive:
        return {name: archive.read(name) for name in archive.namelist() if _keeps(name, keep)}


def _keeps(name: str, keep: Wheels) -> bool:
    if name.endswith(".py"):
        tests = "/tests/" in name
        return not tests and any(fnmatch.fnmatchcase(_dotted(name), pattern) for pattern in keep.modules)
    return any(fnmatch.fnmatchcase(name, pattern) for pattern in keep.extensions)


def _dotted(name: str) -> str:
    return name.removesuffix(".py").removesuffix("/__init__").replace("/", ".")


def _record_hash(data: bytes) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()
