"""A release's archive becomes a folder: a layout's own files, and nothing that points elsewhere."""

from __future__ import annotations

import errno
import io
import json
import shutil
import tarfile
from typing import TYPE_CHECKING

import pytest

from clawmates.node.engines.base import DiskFullError, EngineError, ImageMissingError
from clawmates.node.engines.oci import unpack

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

MANIFEST, CONFIG = "a" * 64, f"sha256:{'c' * 64}"
CONTENTS = {
    "oci-layout": b"{}",
    "index.json": json.dumps({"manifests": [{"digest": f"sha256:{MANIFEST}"}]}).encode(),
    f"blobs/sha256/{MANIFEST}": json.dumps({"config": {"digest": CONFIG}}).encode(),
}
LAYOUT = tuple(CONTENTS)


def archive(path: Path, *members: tarfile.TarInfo, instead: Mapping[str, bytes] = CONTENTS) -> Path:
    with tarfile.open(path, "w") as tar:
        for member in members:
            data = instead.get(member.name, b"x") if member.isreg() else b""
            member.size = len(data)
            tar.addfile(member, io.BytesIO(data))
    return path


def linked(name: str, kind: bytes, target: str) -> tarfile.TarInfo:
    member = tarfile.TarInfo(name)
    member.type, member.linkname = kind, target
    return member


def test_a_layout_comes_out_as_it_went_in(tmp_path: Path) -> None:
    assert unpack(archive(tmp_path / "a.tar", *map(tarfile.TarInfo, LAYOUT)), tmp_path / "out") == CONFIG
    found = {str(path.relative_to(tmp_path / "out")) for path in (tmp_path / "out").rglob("*") if path.is_file()}
    assert found == set(LAYOUT)
    assert all((tmp_path / "out" / name).read_bytes() == data for name, data in CONTENTS.items())


@pytest.mark.parametrize(
    "instead",
    [
        {"index.json": b"{"},
        {"index.json": b'{"manifests": []}'},
        {"index.json": b'{"manifests": [{"digest": "sha256:../../../etc/passwd"}]}'},
        {"index.json": b'{"manifests": [{"digest": 7}]}'},
        {f"blobs/sha256/{MANIFEST}": b'{"config": 7}'},
        {f"blobs/sha256/{MANIFEST}": b"[]"},
    ],
)
def test_what_names_no_image_is_refused(tmp_path: Path, instead: dict[str, bytes]) -> None:
    members = map(tarfile.TarInfo, LAYOUT)
    with pytest.raises(ImageMissingError):
        unpack(archive(tmp_path / "a.tar", *members, instead=CONTENTS | instead), tmp_path / "out")


@pytest.mark.parametrize(
    "member",
    [
        tarfile.TarInfo("../outside"),
        tarfile.TarInfo("/outside"),
        tarfile.TarInfo("blobs/sha256/../../../outside"),
        tarfile.TarInfo("blobs/sha256/short"),
        tarfile.TarInfo("manifest.json"),
        linked("index.json", tarfile.SYMTYPE, "/etc/passwd"),
        linked("index.json", tarfile.LNKTYPE, "oci-layout"),
        linked("index.json", tarfile.CHRTYPE, ""),
    ],
    ids=lambda member: f"{member.name}-{member.type!r}",
)
def test_whatever_else_is_in_it_is_refused(tmp_path: Path, member: tarfile.TarInfo) -> None:
    with pytest.raises(ImageMissingError):
        unpack(archive(tmp_path / "a.tar", tarfile.TarInfo("oci-layout"), member), tmp_path / "deep" / "er" / "out")
    assert not list(tmp_path.rglob("outside"))


def test_what_is_there_twice_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ImageMissingError):
        unpack(archive(tmp_path / "a.tar", *map(tarfile.TarInfo, ("index.json", "index.json"))), tmp_path / "out")


def test_no_tar_and_no_file_are_a_missing_image(tmp_path: Path) -> None:
    (tmp_path / "a.tar").write_bytes(b"not a tar" * 100)
    for name in ("a.tar", "b.tar"):
        with pytest.raises(ImageMissingError):
            unpack(tmp_path / name, tmp_path / f"out-{name}")


def test_no_room_is_said_to_be_no_room(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "")

    monkeypatch.setattr(shutil, "copyfileobj", full)
    with pytest.raises(EngineError) as refused:
        unpack(archive(tmp_path / "a.tar", tarfile.TarInfo("index.json")), tmp_path / "out")
    assert isinstance(refused.value, DiskFullError)
