"""The image itself: what is in it, what is not, that it runs, and that a second build is the same bytes."""

import json
import os
import shutil
import subprocess
import sys
import tarfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import pytest
from image import contents
from image.packages import LOCK, read_lock
from image.rebuild import Verdict, check
from image.wheels import pinned
from tests.support.schemas import sbom_complaint

from clawmates.node.engines.podman_files import PodmanFiles
from clawmates.node.engines.runtime import choose_runtime, unified_cgroups
from clawmates.node.release import check_archive, check_sbom
from clawmates.wire.release import Release
from clawmates.wire.releases import load

ROOT = Path(__file__).resolve().parents[2]
MIB = 1 << 20
SHELLS = {"sh", "bash", "dash", "busybox", "ash", "zsh"}
PACKAGE_MANAGERS = {"dpkg", "apt", "apt-get", "pip", "pip3", "rpm", "apk"}
OTHER_INTERPRETERS = {"perl", "openssl", "c_rehash", "awk", "env"}
UID = GID = 1000


@dataclass(frozen=True)
class Built:
    directory: Path
    release: Release

    @contextmanager
    def layer(self) -> Iterator[tarfile.TarFile]:
        """The container's root file system."""
        with tarfile.open(self.directory / self.release.image.archive) as outer:
            manifest = json.loads(self.blob(outer, self.release.image.digest).read())
            with tarfile.open(fileobj=self.blob(outer, manifest["layers"][0]["digest"])) as inner:
                yield inner

    def entries(self) -> list[tarfile.TarInfo]:
        with self.layer() as layer:
            return layer.getmembers()

    def files(self, prefix: str) -> list[tuple[str, bytes]]:
        with self.layer() as layer:
            wanted = [one for one in layer if one.isfile() and one.name.startswith(prefix)]
            return [(one.name, stream.read()) for one in wanted if (stream := layer.extractfile(one)) is not None]

    @staticmethod
    def blob(tar: tarfile.TarFile, digest: str) -> IO[bytes]:
        stream = tar.extractfile(f"blobs/{digest.replace(':', '/')}")
        assert stream is not None
        return stream


def checkout(target: Path, cache: Path, source: Path = ROOT) -> Path:
    """The working tree's part that makes the image, and the packages already fetched."""
    for folder in ("image", "src", "requirements"):
        shutil.copytree(source / folder, target / folder, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(source / "pyproject.toml", target)
    for folder in ("debs", "wheels"):
        if (cache / folder).is_dir():
            shutil.copytree(cache / folder, target / "build" / "cache" / folder)
    return target


def build(tree: Path, umask: int, zone: str, **more: str) -> Built:
    done = subprocess.run(
        [sys.executable, tree / "image" / "build", "--json"],
        check=False,
        capture_output=True,
        text=True,
        umask=umask,
        env={**os.environ, "TZ": zone, "PYTHONPATH": str(tree / "src"), "PYTHONDONTWRITEBYTECODE": "1", **more},
    )
    assert done.returncode == 0, done.stderr
    data = json.loads(done.stdout)["data"]
    directory = Path(data["directory"])
    return Built(directory, load(directory, data["public_key"]))


@pytest.fixture(scope="module")
def built() -> Built:
    """What `make image` has made, as all tests use it; here it is made anew."""
    directory = ROOT / "build" / "release"
    return Built(directory, load(directory, (directory / "release.pub").read_text().strip()))


@pytest.mark.timeout(300)
def test_one_byte_of_the_mates_code_shows(built: Built, tmp_path: Path) -> None:
    """The seeded difference, or the comparison below says nothing."""
    tree = checkout(tmp_path / "an other place", built.directory.parent / "cache")
    with (tree / "src" / "clawmates" / "mate" / "__init__.py").open("a") as stream:
        stream.write("x = 1\n")
    changed = build(tree, 0o022, "UTC")
    assert changed.release.image.digest != built.release.image.digest
    assert changed.release.image.config != built.release.image.config


@pytest.mark.timeout(300)
def test_built_from_nothing_elsewhere_it_is_the_same_bytes(built: Built, tmp_path: Path) -> None:
    """What an outsider runs: every package and wheel is fetched anew, by another clock, umask, zone and path."""
    found = check(built.directory.parents[1], built.directory)
    if found.verdict is Verdict.OUT_OF_REACH:
        # A mirror has lost a pinned version. Two builds from nothing agree with each other, or this has raised; and
        # from the packages that were fetched before, another path, umask and zone give the same.
        assert found.unpinned
        tree = checkout(tmp_path / "an other place", built.directory.parent / "cache")
        assert build(tree, 0o077, "Pacific/Kiritimati").release == built.release
    else:
        assert found.verdict is Verdict.SAME, f"if the sources have changed since, run `make image` first: {found}"


def test_the_list_of_parts_is_valid_and_whole(built: Built) -> None:
    assert built.release.sbom is not None
    document = check_sbom(built.directory, built.release.sbom).read_text()
    assert sbom_complaint(document) is None
    listed = {(one["name"], one["version"]): one for one in json.loads(document)["components"]}
    lock = [package for package in read_lock(LOCK.read_text()) if package.name not in built.release.image.unpinned]
    assert lock
    for package in lock:
        assert listed[package.name, package.version]["hashes"] == [{"alg": "SHA-256", "content": package.sha256}]
    mate = (ROOT / "requirements" / "mate.txt").read_text()
    pins = [line.split()[0].split("==") for line in mate.splitlines() if "==" in line]
    # Pinned because a wheel asks for it, and needed to build that one only: nothing of it is in the image.
    wheels = [(name, version) for name, version in pins if name != "pycparser"]
    assert wheels
    for name, version in wheels:
        (content,) = [one["content"] for one in listed[name, version]["hashes"]]
        assert content in pinned(mate)
    assert len(listed) == len(contents.load().wanted) + len(wheels)


def test_the_archive_is_the_one_that_was_signed(built: Built) -> None:
    assert check_archive(built.directory, built.release.image).is_file()
    assert built.release.image.size <= 60 * MIB


def defects(entries: Iterable[tarfile.TarInfo]) -> list[str]:
    """What would make the image more than Python, its libraries and certificates."""
    found = []
    for entry in entries:
        name = entry.name.rpartition("/")[2]
        if name in SHELLS | PACKAGE_MANAGERS | OTHER_INTERPRETERS and not entry.isdir():
            found.append(f"{entry.name}: a program that has no place here")
        if entry.mode & 0o7000:
            found.append(f"{entry.name}: setuid, setgid or sticky")
        if not entry.issym() and (entry.mode & 0o022 or entry.uid != 0 or entry.gid != 0):
            found.append(f"{entry.name}: uid {UID} may write")
        if not (entry.isfile() or entry.isdir() or entry.issym()):
            found.append(f"{entry.name}: neither file, folder nor link")
        if entry.isfile() and entry.mode & 0o111 and not entry.name.startswith(("usr/bin/python3", "usr/lib")):
            found.append(f"{entry.name}: an unexpected program")
        if entry.name.startswith(("var/lib/dpkg", "etc/apt", "usr/share/doc", "usr/lib/python3.11/test")):
            found.append(f"{entry.name}: ballast")
    return found


def entry(name: str, mode: int = 0o644, uid: int = 0, kind: bytes = tarfile.REGTYPE) -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.mode, info.uid, info.type = mode, uid, kind
    return info


def test_nothing_in_it_but_python_libraries_and_certificates(built: Built) -> None:
    entries = built.entries()
    assert defects(entries) == []
    names = {one.name for one in entries}
    assert {"usr/bin/python3", "run/door", "run/boot", "tmp", "etc/passwd"} <= names
    assert any(name.startswith("etc/ssl/certs/") and name.endswith(".0") for name in names)
    ours = {name.split("/")[4] for name in names if name.startswith("usr/lib/python3.11/clawmates/")}
    assert ours == {"__init__.pyc", "base", "mate", "wire"}


@pytest.mark.parametrize(
    "planted",
    [
        entry("usr/bin/dash", 0o755),
        entry("usr/bin/apt-get", 0o755),
        entry("usr/bin/perl", 0o755),
        entry("usr/bin/python3.11", 0o4755),
        entry("usr/lib/python3.11/ssl.pyc", 0o666),
        entry("usr/lib/python3.11/ssl.pyc", uid=UID),
        entry("tmp", 0o1777, kind=tarfile.DIRTYPE),
        entry("dev/null", kind=tarfile.CHRTYPE),
        entry("opt/tool", 0o755),
        entry("var/lib/dpkg/status"),
    ],
    ids=lambda one: f"{one.name}-{one.mode:o}-{one.uid}",
)
def test_a_planted_defect_is_found(built: Built, planted: tarfile.TarInfo) -> None:
    assert defects([*built.entries(), planted]) != []


@pytest.fixture(scope="module")
def podman(built: Built, tmp_path_factory: pytest.TempPathFactory) -> Iterator[PodmanFiles]:
    """An engine of its own that holds nothing but the image."""
    place = tmp_path_factory.mktemp("engine")
    files = PodmanFiles(storage=place / "storage", run=place / "run")
    unified = unified_cgroups(Path("/proc/self/mountinfo").read_text())
    files.write(choose_runtime("", unified=unified))
    archive = built.directory / built.release.image.archive
    pulled = engine(files, "pull", "--quiet", f"oci-archive:{archive}")
    assert f"sha256:{pulled.splitlines()[-1]}" == built.release.image.config
    yield files
    engine(files, "rm", "--force", "--all")
    engine(files, "rmi", "--force", "--all")
    subprocess.run(["umount", "-l", files.storage / "storage" / "overlay"], check=False, capture_output=True)


def engine(files: PodmanFiles, *arguments: str) -> str:
    done = subprocess.run(
        ["podman", *arguments], check=False, capture_output=True, text=True, env=files.environment, timeout=100
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def inside(files: PodmanFiles, image: str, program: str, *flags: str) -> str:
    """What ``program`` prints in a container as the platform starts them; ``flags`` are Python's."""
    sealed = "--network none --ipc none --read-only --read-only-tmpfs=false --cap-drop ALL --log-driver none"
    limits = "--memory 128m --memory-swap 128m --pids-limit 32"
    ulimits = "--ulimit nofile=1024:1024 --ulimit nproc=64:64 --ulimit core=0"
    users = "--uidmap 0:1000000:1024 --gidmap 0:1000000:1024 --security-opt no-new-privileges"
    options = f"{sealed} {limits} {ulimits} {users}".split()
    python = ("/usr/bin/python3", "-I", *flags, "-OO", "-c", program)
    return engine(files, "run", "--rm", *options, image.removeprefix("sha256:"), *python)


def test_the_manifest_digest_survives_the_engine(built: Built, podman: PodmanFiles) -> None:
    shown = engine(podman, "images", "--all", "--digests", "--format", "{{.Digest}}")
    assert built.release.image.digest in shown.split()


def test_it_runs_and_has_what_a_mate_needs(built: Built, podman: PodmanFiles) -> None:
    program = """
import asyncio, ctypes, h11, json, logging, os, pkgutil, resource, ssl, subprocess, sys, traceback, typing
import clawmates
names = [m.name for m in pkgutil.walk_packages(clawmates.__path__, "clawmates.") if not m.name.endswith("__main__")]
for name in names:
    __import__(name)
context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
context.load_verify_locations(capath=ssl.get_default_verify_paths().capath)
roots = os.listdir("/etc/ssl/certs")
"münchen.example".encode("idna"), "x".encode("utf-16"), ctypes.CDLL(None).getpid()
writable = [p for d, ds, fs in os.walk("/") if not d.startswith(("/proc", "/sys", "/dev"))
            for p in (os.path.join(d, n) for n in ds + fs) if os.access(p, os.W_OK)]
print(json.dumps({"uid": os.getuid(), "modules": names, "roots": len(roots), "writable": writable,
                  "flags": [sys.flags.isolated, sys.flags.optimize], "encoding": sys.getfilesystemencoding()}))
"""
    seen = json.loads(inside(podman, built.release.image.config, program))
    assert seen["uid"] == UID
    assert "clawmates.mate" in seen["modules"]
    assert seen["roots"] > 100
    assert seen["writable"] == []
    assert seen["flags"] == [1, 2]
    assert seen["encoding"] == "utf-8"


def test_an_idle_mate_has_loaded_nothing_that_it_does_not_use(built: Built, podman: PodmanFiles) -> None:
    """As the container starts it, up to the wait for a ticket and through SIGTERM, in what memory that takes."""
    program = """
import os, sys
from clawmates.mate.lean import settle, slim
if {lean}:
    slim()
import asyncio, signal
from clawmates.base.hardening import harden
from clawmates.mate import gate, relay
from clawmates.mate.boot import BootFolder
from clawmates.mate.channels.telegram import api, channel
from clawmates.mate.door import Door
from clawmates.mate.main import run
from clawmates.mate.providers import openai
from clawmates.mate.texts import english

class NoTicket(BootFolder):
    async def ticket(self, after=""):
        os.kill(os.getpid(), signal.SIGTERM)
        await asyncio.sleep(60)

harden()
ended = asyncio.run(run(Door("/nowhere"), NoTicket()))
settle()  # as before the first message is waited for
private = next(int(line.split()[1]) for line in open("/proc/self/status") if line.startswith("RssAnon"))
unused = {{"ast", "argparse", "datetime", "dis", "email", "getpass", "http", "linecache", "locale", "multiprocessing",
          "pathlib", "pickle", "random", "shutil", "tempfile", "tokenize", "unittest", "urllib", "zipfile"}}
real = {{name for name, module in sys.modules.items() if type(module).__name__ != "Later"}}
print(ended, private, *sorted(real & unused))
"""
    ended, private, *loaded = inside(podman, built.release.image.config, program.format(lean=True), "-S").split()
    assert (ended, loaded) == ("0", [])
    assert int(private) < 11_000, "KiB; a feature that makes every idle mate larger shows here"
    _ended, fat, *loaded = inside(podman, built.release.image.config, program.format(lean=False)).split()
    assert {"ast", "dis", "linecache", "locale", "tokenize"} <= set(loaded)
    assert int(fat) - int(private) > 1000


def test_the_child_of_a_hand_over_has_all_that_it_needs(built: Built, podman: PodmanFiles) -> None:
    program = """
import asyncio
from clawmates.mate.handover.helper import opener, sealer
async def main():
    async with opener() as one, sealer() as other:
        sealed = await other.seal(one.public, b"info", b"what was said")
        assert b"what was said" not in sealed
        print(await one.open(b"info", sealed))
asyncio.run(main())
"""
    assert inside(podman, built.release.image.config, program).strip() == "b'what was said'"


def test_nothing_is_compiled_at_start(built: Built, podman: PodmanFiles) -> None:
    """Neither modules nor what the decorator of dataclasses writes: what is not among it is seen."""
    program = """
import asyncio, h11, ssl, sys
loaded = [m.__spec__ for m in sys.modules.values() if getattr(m, "__spec__", None)]
print([s.name for s in loaded if s.origin and s.origin.endswith(".py")])
from clawmates.mate import ahead, lean
texts = []
def noted(code, names, into):
    if isinstance(code, str):
        texts.append(code)
    exec(code, names, into)
ahead.exec = noted
lean.slim()
import clawmates.mate.main, clawmates.mate.gate, clawmates.mate.channels.telegram.channel, dataclasses
print(len(texts), "exec" in vars(dataclasses))
dataclasses.make_dataclass("Strange", ["never_heard_of"])
print(len(texts) > 0)
lean.settle()
print("exec" in vars(dataclasses))
"""
    assert inside(podman, built.release.image.config, program).split("\n") == ["[]", "0 True", "True", "False", ""]


def misnamed(certificates: dict[str, bytes], folder: Path) -> list[str]:
    """Names under which OpenSSL would not look for the certificate they hold (openssl-rehash(1)); this host's own."""
    folder.mkdir()
    files = {name: folder / f"{number}.pem" for number, name in enumerate(certificates)}
    for name, file in files.items():
        file.write_bytes(certificates[name])
    subprocess.run(["openssl", "rehash", folder], check=True, capture_output=True)
    links = {link.readlink().name: link.name.partition(".")[0] for link in folder.iterdir() if link.is_symlink()}
    return [name for name, file in files.items() if links.get(file.name) != name.partition(".")[0]]


def test_certificates_have_the_names_that_openssl_looks_for(built: Built, tmp_path: Path) -> None:
    """A folder of wrong names would verify nobody."""
    certificates = {name.rpartition("/")[2]: data for name, data in built.files("etc/ssl/certs/")}
    assert len(certificates) > 100
    assert misnamed(certificates, tmp_path / "all") == []
    first, second, *_ = certificates
    assert misnamed({first: certificates[second]}, tmp_path / "one") == [first]
