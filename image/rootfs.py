"""The container's root file system, put together in memory from packages and modules.

Nothing is copied from a disk tree, so neither umask nor owner nor clock of the building host can show.
"""

from __future__ import annotations

import fnmatch
import io
import json
import os
import re
import subprocess
import tarfile
import tempfile
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from image.oci import Entry, Kind

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from image.contents import Contents

PYTHON = "usr/lib/python3.11"
CODE = PYTHON
"""Beside the standard library: started with -S, Python looks nowhere else, and a mate is 0.3 MiB smaller."""
AHEAD = f"{CODE}/clawmates/mate/ahead.bin"
CERTIFICATES = "usr/share/ca-certificates/"
_MULTIARCH = re.compile(r"usr/lib/[a-z0-9_]+-linux-gnu[a-z0-9]*/([^/]+)")
_DYNLOAD = f"{PYTHON}/lib-dynload/"

_FIXED = {
    "etc/passwd": b"root:x:0:0::/:\nmate:x:1000:1000::/:\n",
    "etc/group": b"root:x:0:\nmate:x:1000:\n",
    "etc/nsswitch.conf": b"hosts: files\n",
}
_FOLDERS = ("dev", "proc", "sys", "tmp", "run/door", "run/boot")
"""Mount points; the container mounts over each of them."""
_LINKS = {
    "bin": "usr/bin",
    "lib": "usr/lib",
    "lib64": "usr/lib64",
    "usr/bin/python3": "python3.11",
    "usr/lib/ssl/certs": "/etc/ssl/certs",
}


class RootError(Exception):
    """The root file system cannot be put together."""


def unpack(archives: Iterable[bytes]) -> dict[str, Entry]:
    """All files of the packages by path, ``/lib`` and its like merged below ``/usr`` as a Debian system has them."""
    found: dict[str, Entry] = {}
    for data in archives:
        with tarfile.open(fileobj=io.BytesIO(data)) as tar:
            for member in tar:
                path = merged(member.name.removeprefix("./"))
                if member.isfile():
                    stream = tar.extractfile(member)
                    if stream is not None:
                        found[path] = Entry(Kind.FILE, stream.read(), runs=bool(member.mode & 0o111))
                elif member.issym():
                    found[path] = Entry(Kind.LINK, member.linkname.encode())
    return found


def merged(path: str) -> str:
    """``lib/x`` as ``usr/lib/x``: where a merged-/usr system keeps it."""
    top = path.partition("/")[0]
    return f"usr/{path}" if top in {"bin", "sbin", "lib", "lib32", "lib64", "libx32"} else path


def keeps(path: str, contents: Contents) -> bool:
    """Whether a file of a package goes into the image as it is."""
    if path in contents.keep.programs:
        return True
    name = PurePosixPath(path).name
    if path.startswith("usr/lib64/") or _MULTIARCH.fullmatch(path):
        return any(fnmatch.fnmatchcase(name, pattern) for pattern in contents.keep.libraries)
    return path.startswith(_DYNLOAD) and name.partition(".")[0] in contents.keep.extensions


def keeps_module(path: str, contents: Contents) -> bool:
    """Whether a standard library source file is compiled into the image."""
    if not path.startswith(f"{PYTHON}/") or not path.endswith(".py"):
        return False
    parts = path[len(PYTHON) + 1 : -3].split("/")
    dotted = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
    return not any(fnmatch.fnmatchcase(parts[0], one) for one in contents.drop.modules) and not any(
        fnmatch.fnmatchcase(dotted, one) for one in contents.drop.submodules
    )


def assemble(
    packages: Mapping[str, Entry], tools: Mapping[str, Entry], code: Mapping[str, bytes], contents: Contents
) -> dict[str, Entry]:
    """Path → entry of the whole image. ``code`` is archive name → source, or extension module as it is.

    Raises :class:`RootError`.
    """
    root = {path: entry for path, entry in packages.items() if keeps(path, contents)}
    sources = {
        path: entry.data for path, entry in packages.items() if entry.kind is Kind.FILE and keeps_module(path, contents)
    }
    modules = {name: data for name, data in code.items() if name.endswith(".py")}
    sources |= {f"{CODE}/{name}": data for name, data in modules.items()}
    root |= {f"{CODE}/{name}": Entry(Kind.FILE, data) for name, data in code.items() if name not in modules}
    with tempfile.TemporaryDirectory(prefix="clawmates-root-") as folder:
        bench = Bench(Path(folder), {**packages, **tools})
        root |= {f"{path}c": Entry(Kind.FILE, data) for path, data in bench.compiled(sources).items()}
        roots = {path: entry.data for path, entry in packages.items() if path.startswith(CERTIFICATES)}
        root |= {f"etc/ssl/certs/{name}": Entry(Kind.FILE, data) for name, data in bench.hashed(roots).items()}
    root |= {path: Entry(Kind.FILE, data) for path, data in _FIXED.items()}
    root |= {path: Entry(Kind.FOLDER) for path in _FOLDERS}
    root |= {path: Entry(Kind.LINK, target.encode()) for path, target in _LINKS.items()}
    with tempfile.TemporaryDirectory(prefix="clawmates-root-") as folder:
        bench = Bench(Path(folder), root)
        table = bench.ahead(bench.imports(sorted(modules)))
    return root | {AHEAD: Entry(Kind.FILE, table)}


class Bench:
    """The packages unpacked on disk, to run their own Python and OpenSSL without root or a chroot."""

    def __init__(self, folder: Path, packages: Mapping[str, Entry]) -> None:
        self._folder = folder
        self._root = folder / "root"
        for path, entry in packages.items():
            target = self._root / path
            target.parent.mkdir(parents=True, exist_ok=True)
            if entry.kind is Kind.FILE:
                target.write_bytes(entry.data)
                target.chmod(0o755 if entry.runs else 0o644)
            elif entry.kind is Kind.LINK:
                target.unlink(missing_ok=True)
                target.symlink_to(entry.data.decode())

    def compiled(self, sources: Mapping[str, bytes]) -> dict[str, bytes]:
        """Source path → compiled module, header included."""
        jobs = []
        for number, (path, data) in enumerate(sorted(sources.items())):
            source, output = self._folder / f"{number}.py", self._folder / f"{number}.pyc"
            source.write_bytes(data)
            jobs.append((path, [str(source), f"/{path}", str(output)]))
        self._python("inside.py", text=json.dumps([job for _, job in jobs]))
        return {path: Path(output).read_bytes() for path, (_, _, output) in jobs}

    def hashed(self, roots: Mapping[str, bytes]) -> dict[str, bytes]:
        """Certificates under the names that OpenSSL looks up in a folder: subject hash, dot, number."""
        folder = self._folder / "certificates"
        folder.mkdir()
        for number, (_, data) in enumerate(sorted(roots.items())):
            (folder / f"{number:04}.pem").write_bytes(data)
        self._run("usr/bin/openssl", "rehash", str(folder))
        links = sorted(
            (link.name.partition(".")[0], link.readlink().name) for link in folder.iterdir() if link.is_symlink()
        )
        named: dict[str, bytes] = {}
        for digest, name in links:
            number = sum(1 for other in named if other.startswith(f"{digest}."))
            named[f"{digest}.{number}"] = (folder / name).read_bytes()
        if len(named) < len(roots) or not named:
            raise RootError(f"{len(roots)} certificates gave {len(named)} hashed names")
        return named

    def imports(self, names: Iterable[str]) -> list[str]:
        """Imports every module of ours by archive name, as a mate does; raises :class:`RootError` where one is lacking.

        Returns what `dataclasses` had compiled meanwhile (:mod:`image.ahead`).
        """
        parts = [name.removesuffix(".py").removesuffix("/__init__").replace("/", ".") for name in names]
        modules = [name for name in parts if not name.endswith(".__main__")]
        found: list[str] = json.loads(self._python("ahead.py", "texts", text=json.dumps(modules)))
        return found

    def ahead(self, texts: list[str]) -> bytes:
        """These texts compiled, for :mod:`clawmates.mate.ahead`."""
        output = self._folder / "ahead.bin"
        self._python("ahead.py", "table", str(output), text=json.dumps(texts))
        return output.read_bytes()

    def _python(self, program: str, *arguments: str, text: str) -> str:
        """A program of this folder, with nothing but what is below the root to import."""
        flags = ("-S", "-P", "-OO", "-B", "-X", "no_debug_ranges")
        file = str(Path(__file__).with_name(program))
        return self._run("usr/bin/python3.11", *flags, file, *arguments, text=text)

    def _run(self, program: str, *arguments: str, text: str = "") -> str:
        loader = next(iter(sorted((self._root / "usr").glob("lib*/**/ld-linux*.so.*"))), None)
        if loader is None:
            raise RootError("the packages hold no loader")
        libraries = ":".join(str(folder) for folder in sorted((self._root / "usr/lib").glob("*-linux-gnu*")))
        command = [str(loader), "--library-path", libraries, str(self._root / program), *arguments]
        environment = {
            "PYTHONHOME": str(self._root / "usr"),
            "PYTHONHASHSEED": "0",
            "LC_ALL": "C.UTF-8",
            "PATH": os.defpath,
        }
        done = subprocess.run(command, input=text, text=True, check=False, capture_output=True, env=environment)  # noqa: S603 - the image's own programs
        if done.returncode:
            raise RootError(f"{program} failed with {done.returncode}:\n{done.stderr[-2000:]}")
        return done.stdout
