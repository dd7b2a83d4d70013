"""The comparison itself, on small images made by hand; the real rebuild is in tests/integration/test_image.py."""

import ast
import hashlib
import subprocess
import sys
import time
from pathlib import Path

import pytest
from image import oci, rebuild
from image.rebuild import Comparison, Made, RebuildError, Verdict

from clawmates.base.files import write_atomic
from clawmates.base.shape import encode_json
from clawmates.wire.release import Image, Release, Sbom
from clawmates.wire.releases import FORMAT, ReleaseError

IMAGE = Path(rebuild.__file__).parent
START = oci.Start(command=("/usr/bin/python3",), user="1000:1000", environment=())


def release(folder: Path, files: dict[str, bytes], *, unpinned: tuple[str, ...] = ()) -> Made:
    folder.mkdir(parents=True)
    root = {name: oci.Entry(oci.Kind.FILE, data) for name, data in files.items()}
    archive = oci.archive(oci.layer(root, 0), START, "amd64", "1970-01-01T00:00:00Z")
    (folder / "mate.oci.tar").write_bytes(archive.data)
    (folder / "parts.json").write_bytes(b"{}")
    document = Release(
        format=FORMAT,
        number=1,
        image=Image(
            digest=archive.digest,
            config=archive.config,
            archive="mate.oci.tar",
            size=archive.size,
            unpinned=unpinned,
        ),
        channels=(),
        providers=(),
        sbom=Sbom(file="parts.json", digest=f"sha256:{hashlib.sha256(b'{}').hexdigest()}"),
    )
    write_atomic(folder / "release.json", encode_json(document), sync=False)
    return Made.at(folder)


@pytest.fixture
def here(tmp_path: Path) -> Made:
    return release(tmp_path / "here", {"usr/a": b"1", "usr/b": b"2"})


def compared(here: Made, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *builds: Made) -> Comparison:
    waiting = list(builds)
    monkeypatch.setattr(rebuild, "again", lambda *_: waiting.pop(0))
    return rebuild.check(tmp_path, here.folder)


def test_the_same_bytes(here: Made, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    other = release(tmp_path / "other", {"usr/a": b"1", "usr/b": b"2"})
    assert compared(here, tmp_path, monkeypatch, other).verdict is Verdict.SAME


def test_a_difference_is_named(here: Made, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    other = release(tmp_path / "other", {"usr/a": b"1", "usr/b": b"3", "usr/c": b""})
    found = compared(here, tmp_path, monkeypatch, other)
    assert found.verdict is Verdict.DIFFERENT
    assert found.differences == ("image", "usr/b", "usr/c")
    assert found.here != found.rebuilt


def test_what_mirrors_have_lost_is_no_difference_of_ours(
    here: Made, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    builds = [release(tmp_path / name, {"usr/a": b"2"}, unpinned=("libc6",)) for name in ("first", "second")]
    found = compared(here, tmp_path, monkeypatch, *builds)
    assert (found.verdict, found.unpinned) == (Verdict.OUT_OF_REACH, ("libc6",))


def test_but_two_builds_from_nothing_must_agree(here: Made, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    builds = [release(tmp_path / name, {name: b""}, unpinned=("libc6",)) for name in ("first", "second")]
    with pytest.raises(RebuildError, match="first, second"):
        compared(here, tmp_path, monkeypatch, *builds)


def test_a_release_whose_bytes_are_not_those_it_names_is_not_compared(here: Made, tmp_path: Path) -> None:
    (here.folder / "parts.json").write_bytes(b"[]")
    with pytest.raises(ReleaseError):
        rebuild.check(tmp_path, here.folder)


def test_many_differences_are_counted(tmp_path: Path) -> None:
    one, other = release(tmp_path / "one", {}), release(tmp_path / "other", {f"f{n}": b"" for n in range(40)})
    assert rebuild.differences(one, other)[-1] == "and 21 more"


def test_only_inputs_are_copied(tmp_path: Path) -> None:
    root = IMAGE.parent
    rebuild.copy_inputs(root, tmp_path / "there")
    assert sorted(path.name for path in (tmp_path / "there").iterdir()) == sorted(rebuild.INPUTS)
    assert not list((tmp_path / "there").rglob("__pycache__"))


def told(program: Path) -> list[float]:
    """What the clocks say to a program that runs as at another time."""
    command = [sys.executable, str(IMAGE / "elsewhen.py"), "7200", str(program)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    return [float(one) for one in done.stdout.split()]


def test_a_clock_that_is_asked_says_another_time(tmp_path: Path) -> None:
    program = tmp_path / "program.py"
    program.write_text(
        "import calendar, datetime, time\n"
        "from datetime import UTC\n"
        "print(time.time(), time.time_ns() / 1e9, datetime.datetime.now(UTC).timestamp(),\n"
        "      calendar.timegm(time.gmtime()), calendar.timegm(datetime.datetime.utcnow().timetuple()))\n"
    )
    before = time.time() + 7200
    assert all(abs(one - before) < 30 for one in told(program))


def clocks(source: str) -> list[str]:
    """Calls in a module that ask what time it is, or when a file was written."""
    asked = {"now", "utcnow", "today", "time", "time_ns", "localtime", "gmtime", "getmtime"}
    return [
        ast.unparse(node)
        for node in ast.walk(ast.parse(source))
        if (isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in asked)
        or (isinstance(node, ast.Attribute) and node.attr.startswith(("st_mtime", "st_ctime")))
    ]


def test_nothing_that_builds_asks_for_the_time() -> None:
    modules = [path for path in IMAGE.glob("*.py") if path.name != "elsewhen.py"]
    assert {path.name: found for path in modules if (found := clocks(path.read_text()))} == {}
    assert clocks("import time\nx = time.time()") == ["time.time()"]
    assert clocks("y = p.stat().st_mtime_ns") == ["p.stat().st_mtime_ns"]
