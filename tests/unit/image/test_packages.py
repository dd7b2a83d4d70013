import hashlib
import subprocess
from pathlib import Path

import pytest
from image import contents, packages
from image.packages import LOCK, Package, PackageError, obtain, read_lock, unpinned, write_lock

ARCHITECTURE = subprocess.run(
    ["dpkg", "--print-architecture"], check=True, capture_output=True, text=True
).stdout.strip()


def pin(name: str, data: bytes, version: str = "1.0-1") -> Package:
    return Package(name, ARCHITECTURE, version, hashlib.sha256(data).hexdigest())


def test_what_is_written_can_be_read() -> None:
    known = (pin("b", b"2"), pin("a", b"1"))
    assert read_lock(write_lock(known)) == tuple(sorted(known))


@pytest.mark.parametrize("line", ["a amd64 1.0", "a amd64 1.0 abc", f"a amd64 1.0 {'a' * 64} more"])
def test_a_line_of_another_shape_is_refused(line: str) -> None:
    with pytest.raises(PackageError):
        read_lock(line)


def test_the_lock_pins_every_package_and_names_no_address() -> None:
    text = LOCK.read_text()
    assert "://" not in text
    assert {package.name for package in read_lock(text)} == set(contents.load().wanted)


def test_pinned_packages_come_from_the_cache_without_a_mirror(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_network(*_: object) -> None:
        raise AssertionError("a mirror was asked")

    monkeypatch.setattr(packages, "_fetch", no_network)
    one = pin("one", b"deb one")
    (tmp_path / f"one-{one.sha256}.deb").write_bytes(b"deb one")
    found = obtain(("one",), (one,), tmp_path, "bookworm")
    assert found.packages == (one,)
    assert found.unpinned == ()
    assert found.files["one"].read_bytes() == b"deb one"


def test_a_changed_file_in_the_cache_is_fetched_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    one = pin("one", b"deb one")
    (tmp_path / f"one-{one.sha256}.deb").write_bytes(b"something else")
    fresh = tmp_path / "fresh.deb"
    monkeypatch.setattr(packages, "_fetch", lambda *_: {one: fresh})
    assert obtain(("one",), (one,), tmp_path, "bookworm").files == {"one": fresh}


def test_another_version_than_the_pinned_marks_the_image(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    newer = pin("one", b"newer", "1.0-2")
    monkeypatch.setattr(packages, "_fetch", lambda *_: {newer: tmp_path / "newer.deb"})
    assert obtain(("one",), (pin("one", b"old"),), tmp_path, "bookworm").unpinned == ("one",)


def test_a_package_without_a_pin_marks_the_image() -> None:
    assert unpinned((pin("one", b"1"),), {}) == ("one",)
    assert unpinned((pin("one", b"1"),), {"one": pin("one", b"1")}) == ()


def test_the_pinned_version_with_another_hash_is_refused() -> None:
    with pytest.raises(PackageError, match="not the file"):
        unpinned((pin("one", b"forged"),), {"one": pin("one", b"true")})


def test_a_missing_program_is_said_with_the_remedy() -> None:
    with pytest.raises(packages.MissingToolError, match="scripts/setup"):
        packages._run(["no-such-program-here"])
