import base64
import hashlib
import io
import json
import tarfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from clawmates.base.shape import encode_json
from clawmates.node.release import ArchiveMismatchError, check_archive
from clawmates.wire.names import ChannelKind
from clawmates.wire.release import SIGNED_PREFIX, Channel, Image, Model, Provider, Release
from clawmates.wire.releases import (
    KeyNotPinnedError,
    NotSignedError,
    ReleaseMissingError,
    ReleaseUnreadableError,
    load,
)

KEY = Ed25519PrivateKey.from_private_bytes(b"k" * 32)
LAYER = b"the one layer"


def text(data: bytes) -> str:
    return base64.b64encode(data).decode()


PUBLIC = text(KEY.public_key().public_bytes_raw())


def digest(data: bytes) -> str:
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


def release(image: Image) -> Release:
    return Release(
        format=1,
        number=7,
        image=image,
        channels=(Channel(kind=ChannelKind.TELEGRAM, hosts=("api.telegram.org",)),),
        providers=(
            Provider(
                id="p",
                name="P",
                hosts=("api.p.example",),
                models=(Model(id="m", context_tokens=10, output_tokens=5),),
                inference_region="global",
                keeps="nothing",
                source="https://p.example/keeps",
                verified="2026-11-22",
            ),
        ),
    )


def archive(folder: Path, change: Callable[[dict[str, bytes]], None] = lambda _: None) -> Image:
    """Writes an archive; ``change`` may spoil its files after the image was named."""
    config = json.dumps({"rootfs": {"diff_ids": [digest(LAYER)]}}).encode()
    manifest = json.dumps({"config": {"digest": digest(config)}, "layers": [{"digest": digest(LAYER)}]}).encode()
    files = {f"blobs/{digest(data).replace(':', '/')}": data for data in (config, manifest, LAYER)}
    files["index.json"] = json.dumps({"manifests": [{"digest": digest(manifest)}]}).encode()
    change(files)
    with tarfile.open(folder / "mate.oci.tar", "w") as tar:
        for name, data in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    return Image(digest=digest(manifest), config=digest(config), archive="mate.oci.tar", size=len(LAYER))


def publish(folder: Path, document: bytes, key: Ed25519PrivateKey = KEY, prefix: bytes = SIGNED_PREFIX) -> None:
    (folder / "release.json").write_bytes(document)
    (folder / "release.sig").write_text(text(key.sign(prefix + document)) + "\n")


def test_a_signed_release_is_read(tmp_path: Path) -> None:
    known = release(archive(tmp_path))
    publish(tmp_path, encode_json(known))
    assert load(tmp_path, PUBLIC) == known
    assert check_archive(tmp_path, known.image) == tmp_path / "mate.oci.tar"


def test_one_changed_byte_is_refused(tmp_path: Path) -> None:
    document = encode_json(release(archive(tmp_path)))
    publish(tmp_path, document)
    (tmp_path / "release.json").write_bytes(document.replace(b"api.p.example", b"api.q.example"))
    with pytest.raises(NotSignedError):
        load(tmp_path, PUBLIC)


def test_another_key_and_another_purpose_are_refused(tmp_path: Path) -> None:
    document = encode_json(release(archive(tmp_path)))
    publish(tmp_path, document, Ed25519PrivateKey.from_private_bytes(b"x" * 32))
    with pytest.raises(NotSignedError):
        load(tmp_path, PUBLIC)
    publish(tmp_path, document, prefix=b"something else\0")
    with pytest.raises(NotSignedError):
        load(tmp_path, PUBLIC)


def test_the_key_beside_the_release_is_not_trusted(tmp_path: Path) -> None:
    stranger = Ed25519PrivateKey.from_private_bytes(b"s" * 32)
    publish(tmp_path, encode_json(release(archive(tmp_path))), stranger)
    (tmp_path / "release.pub").write_text(text(stranger.public_key().public_bytes_raw()))
    with pytest.raises(NotSignedError):
        load(tmp_path, PUBLIC)


@pytest.mark.parametrize("key", ["", "not base64!", text(b"short")])
def test_without_a_pinned_key_nothing_is_believed(tmp_path: Path, key: str) -> None:
    publish(tmp_path, encode_json(release(archive(tmp_path))))
    with pytest.raises(KeyNotPinnedError):
        load(tmp_path, key)


@pytest.mark.parametrize("name", ["release.json", "release.sig"])
def test_a_missing_file_is_said(tmp_path: Path, name: str) -> None:
    publish(tmp_path, encode_json(release(archive(tmp_path))))
    (tmp_path / name).unlink()
    with pytest.raises(ReleaseMissingError, match=name):
        load(tmp_path, PUBLIC)


@pytest.mark.parametrize("signature", ["", "nonsense!", text(b"short")])
def test_a_signature_that_is_none_is_refused(tmp_path: Path, signature: str) -> None:
    publish(tmp_path, encode_json(release(archive(tmp_path))))
    (tmp_path / "release.sig").write_text(signature)
    with pytest.raises(NotSignedError):
        load(tmp_path, PUBLIC)


def test_a_signed_document_of_another_format_is_refused(tmp_path: Path) -> None:
    publish(tmp_path, encode_json(replace(release(archive(tmp_path)), format=2)))
    with pytest.raises(ReleaseUnreadableError, match="format 2"):
        load(tmp_path, PUBLIC)
    publish(tmp_path, b'{"format": 1}')
    with pytest.raises(ReleaseUnreadableError, match="is missing"):
        load(tmp_path, PUBLIC)


def blob(files: dict[str, bytes], part: bytes) -> str:
    return next(name for name, data in files.items() if part in data and name != "index.json")


def other_layer(files: dict[str, bytes]) -> None:
    files[blob(files, LAYER)] = b"the one Layer"


def other_manifest(files: dict[str, bytes]) -> None:
    files[blob(files, b"layers")] += b" "


def other_config(files: dict[str, bytes]) -> None:
    files[blob(files, b"diff_ids")] += b" "


def other_index(files: dict[str, bytes]) -> None:
    files["index.json"] = json.dumps({"manifests": [{"digest": digest(b"another")}]}).encode()


def second_manifest(files: dict[str, bytes]) -> None:
    index = json.loads(files["index.json"])
    files["index.json"] = json.dumps({"manifests": index["manifests"] * 2}).encode()


def no_layer(files: dict[str, bytes]) -> None:
    del files[blob(files, LAYER)]


def huge_index(files: dict[str, bytes]) -> None:
    files["index.json"] += b" " * (1 << 20)


@pytest.mark.parametrize(
    "defect", [other_layer, other_manifest, other_config, other_index, second_manifest, no_layer, huge_index]
)
def test_an_archive_that_is_not_the_named_one_is_refused(
    tmp_path: Path, defect: Callable[[dict[str, bytes]], None]
) -> None:
    image = archive(tmp_path, defect)
    with pytest.raises(ArchiveMismatchError):
        check_archive(tmp_path, image)


def test_an_image_of_another_size_or_configuration_is_refused(tmp_path: Path) -> None:
    image = archive(tmp_path)
    for wrong in (replace(image, size=image.size + 1), replace(image, config=digest(b"another"))):
        with pytest.raises(ArchiveMismatchError):
            check_archive(tmp_path, wrong)


def test_a_missing_or_broken_archive_is_said(tmp_path: Path) -> None:
    image = archive(tmp_path)
    (tmp_path / "mate.oci.tar").write_bytes(b"no tar at all")
    with pytest.raises(ArchiveMismatchError):
        check_archive(tmp_path, image)
    (tmp_path / "mate.oci.tar").unlink()
    with pytest.raises(ReleaseMissingError):
        check_archive(tmp_path, image)
