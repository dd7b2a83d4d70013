import io
import json
import tarfile

from image.oci import Entry, Kind, Start, archive, layer

ROOT = {
    "usr/bin/python3": Entry(Kind.LINK, b"python3.11"),
    "usr/bin/python3.11": Entry(Kind.FILE, b"\x7fELF", runs=True),
    "etc/passwd": Entry(Kind.FILE, b"root"),
    "tmp": Entry(Kind.FOLDER),
}
START = Start(command=("/usr/bin/python3",), user="1000:1000", environment=("PATH=/usr/bin",))
CREATED = 1735689600


def members(data: bytes) -> list[tarfile.TarInfo]:
    with tarfile.open(fileobj=io.BytesIO(data)) as tar:
        return tar.getmembers()


def test_every_entry_belongs_to_root_and_nobody_else_may_write() -> None:
    for member in members(layer(ROOT, CREATED)):
        assert (member.uid, member.gid, member.uname, member.gname) == (0, 0, "", "")
        assert member.mtime == CREATED
        assert member.issym() or member.mode in {0o755, 0o644}


def test_entries_are_sorted_and_folders_stand_before_their_files() -> None:
    names = [member.name for member in members(layer(ROOT, CREATED))]
    assert names == ["etc", "etc/passwd", "tmp", "usr", "usr/bin", "usr/bin/python3", "usr/bin/python3.11"]


def test_the_order_of_the_input_does_not_show() -> None:
    assert layer(ROOT, CREATED) == layer(dict(reversed(ROOT.items())), CREATED)


def test_digests_are_those_of_the_bytes() -> None:
    rootfs = layer(ROOT, CREATED)
    built = archive(rootfs, START, "amd64", "2025-01-01T00:00:00Z")
    with tarfile.open(fileobj=io.BytesIO(built.data)) as tar:

        def blob(digest: str) -> bytes:
            stream = tar.extractfile(f"blobs/{digest.replace(':', '/')}")
            assert stream is not None
            return stream.read()

        manifest = json.loads(blob(built.digest))
        config = json.loads(blob(built.config))
        assert blob(manifest["layers"][0]["digest"]) == rootfs
    assert manifest["config"]["digest"] == built.config
    assert config["rootfs"]["diff_ids"] == [manifest["layers"][0]["digest"]]
    assert config["config"]["User"] == "1000:1000"
    assert built.size == len(rootfs)
