import io
import tarfile

import pytest
from image.contents import load
from image.oci import Entry, Kind
from image.rootfs import PYTHON, keeps, keeps_module, merged, unpack

CONTENTS = load()


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("lib/x86_64-linux-gnu/libc.so.6", "usr/lib/x86_64-linux-gnu/libc.so.6"),
        ("lib64/ld-linux-x86-64.so.2", "usr/lib64/ld-linux-x86-64.so.2"),
        ("bin/sh", "usr/bin/sh"),
        ("usr/lib/os.py", "usr/lib/os.py"),
        ("library/x", "library/x"),
    ],
)
def test_the_roots_of_old_are_merged_below_usr(path: str, expected: str) -> None:
    assert merged(path) == expected


@pytest.mark.parametrize(
    "path",
    [
        "usr/bin/python3.11",
        "usr/lib64/ld-linux-x86-64.so.2",
        "usr/lib/x86_64-linux-gnu/libc.so.6",
        "usr/lib/aarch64-linux-gnu/libssl.so.3",
        f"{PYTHON}/lib-dynload/_ssl.cpython-311-x86_64-linux-gnu.so",
    ],
)
def test_kept(path: str) -> None:
    assert keeps(path, CONTENTS)


@pytest.mark.parametrize(
    "path",
    [
        "usr/bin/sh",
        "usr/bin/perl",
        "usr/bin/dpkg",
        "usr/bin/openssl",
        "usr/lib/x86_64-linux-gnu/gconv/UTF-16.so",
        "usr/lib/x86_64-linux-gnu/ossl-modules/legacy.so",
        "usr/lib/x86_64-linux-gnu/libsqlite3.so.0",
        f"{PYTHON}/lib-dynload/_sqlite3.cpython-311-x86_64-linux-gnu.so",
        "usr/share/doc/libc6/copyright",
    ],
)
def test_left_out(path: str) -> None:
    assert not keeps(path, CONTENTS)


@pytest.mark.parametrize("name", ["asyncio/__init__", "asyncio/base_events", "ssl", "typing", "encodings/utf_8"])
def test_modules_kept(name: str) -> None:
    assert keeps_module(f"{PYTHON}/{name}.py", CONTENTS)


@pytest.mark.parametrize("name", ["test/support/__init__", "pty", "http/server", "asyncio/windows_events", "_pyio"])
def test_modules_left_out(name: str) -> None:
    assert not keeps_module(f"{PYTHON}/{name}.py", CONTENTS)


def test_a_package_is_read_without_touching_the_disk() -> None:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        program = tarfile.TarInfo("./bin/tool")
        program.mode, program.size = 0o4755, 3
        tar.addfile(program, io.BytesIO(b"ELF"))
        link = tarfile.TarInfo("./lib/x.so")
        link.type, link.linkname = tarfile.SYMTYPE, "x.so.1"
        tar.addfile(link)
    assert unpack([buffer.getvalue()]) == {
        "usr/bin/tool": Entry(Kind.FILE, b"ELF", runs=True),
        "usr/lib/x.so": Entry(Kind.LINK, b"x.so.1"),
    }
