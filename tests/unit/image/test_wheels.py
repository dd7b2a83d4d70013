import base64
import hashlib
import io
import zipfile
from pathlib import Path

import pytest
from image.contents import Wheels, load
from image.wheels import WheelError, build_wheel, imported, kept, mate_sources, modules_of, pinned

ROOT = Path(__file__).resolve().parents[3]


def tree(tmp_path: Path, **files: str) -> Path:
    for name, text in files.items():
        path = tmp_path / "clawmates" / f"{name.replace('__', '/')}.py"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    for folder in (tmp_path / "clawmates", *(tmp_path / "clawmates").iterdir()):
        if folder.is_dir():
            (folder / "__init__.py").touch()
    return tmp_path


def test_only_what_the_mate_reaches_is_taken(tmp_path: Path) -> None:
    src = tree(
        tmp_path,
        mate__main="from clawmates.base import near\nimport h11\n",
        base__near="import json\n",
        base__far="import cryptography\n",
        vault__main="",
    )
    assert sorted(mate_sources(src)) == [
        "clawmates/__init__.py",
        "clawmates/base/__init__.py",
        "clawmates/base/near.py",
        "clawmates/mate/__init__.py",
        "clawmates/mate/main.py",
    ]


def test_a_package_that_is_not_in_the_image_stops_the_build(tmp_path: Path) -> None:
    src = tree(
        tmp_path, mate__main="def late():\n    from clawmates.base import far\n", base__far="import cryptography\n"
    )
    with pytest.raises(WheelError, match=r"clawmates\.base\.far imports cryptography"):
        mate_sources(src)


def test_only_the_child_of_a_hand_over_reaches_for_cryptography(tmp_path: Path) -> None:
    src = tree(tmp_path, mate__handover__child="import cryptography\n")
    assert "clawmates/mate/handover/child.py" in mate_sources(src)
    for elsewhere in ("mate__main", "mate__handover__giving"):
        other = tree(tmp_path / elsewhere, **{elsewhere: "import cryptography.hazmat\n"})
        with pytest.raises(WheelError, match="imports cryptography"):
            mate_sources(other)


def wheel_of(**files: bytes) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, data in files.items():
            archive.writestr(name.replace("__", "/"), data)
    return buffer.getvalue()


def test_of_a_foreign_wheel_only_what_is_named_is_taken() -> None:
    wheel = wheel_of(**{
        "lib____init__.py": b"", "lib__near.py": b"", "lib__far.py": b"", "lib__tests__near.py": b"", "lib__cli": b"#!",
        "lib__fast.so": b"ELF", "other.so": b"ELF", "lib-1.dist-info__METADATA": b"",
    })  # fmt: skip
    wanted = Wheels(modules=("lib.near", "lib.tests.*", "lib."), extensions=("lib/fast.so",))
    with pytest.raises(WheelError, match=r"lib\.tests"):
        kept([wheel], wanted)
    wanted = Wheels(modules=("lib.near",), extensions=("lib/fast.so",))
    assert sorted(kept([wheel], wanted)) == ["lib/fast.so", "lib/near.py"]


def test_the_image_takes_no_program_and_no_more_of_cryptography_than_hpke_needs() -> None:
    wanted = load().wheels
    assert set(wanted.extensions) == {"_cffi_backend.*.so", "cryptography/hazmat/bindings/_rust.abi3.so"}
    assert not any(pattern in {"*", "cryptography.*", "cryptography.hazmat.*"} for pattern in wanted.modules)


def test_imports_for_type_checkers_do_not_count() -> None:
    source = "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import starlette\nelse:\n    import json\n"
    assert imported(source, "m") == {"typing", "typing.TYPE_CHECKING", "json"}


def test_relative_imports_are_refused() -> None:
    with pytest.raises(WheelError):
        imported("from . import x", "m")


def test_the_real_mate_needs_nothing_that_holds_keys_of_others() -> None:
    names = mate_sources(ROOT / "src")
    assert "clawmates/mate/__init__.py" in names
    assert "clawmates/base/x509.py" not in names
    assert {name.split("/")[1] for name in names} == {"__init__.py", "base", "mate", "wire"}


def test_the_same_sources_give_the_same_wheel_and_its_record_holds() -> None:
    sources = {"clawmates/b.py": b"x = 1\n", "clawmates/a.py": b""}
    wheel = build_wheel(sources, "1.2")
    assert wheel == build_wheel(dict(reversed(sources.items())), "1.2")
    with zipfile.ZipFile(io.BytesIO(wheel)) as archive:
        record = archive.read("clawmates_mate-1.2.dist-info/RECORD").decode().splitlines()
        for line in record[:-1]:
            name, digest, size = line.split(",")
            data = archive.read(name)
            expected = base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()
            assert (digest, size) == (f"sha256={expected}", str(len(data)))
    assert modules_of([wheel]) == sources


def test_hashes_are_read_from_a_requirements_file() -> None:
    assert pinned(f"h11==0.1 \\\n    --hash=sha256:{'a' * 64} \\\n    --hash=sha256:{'b' * 64}\n") == {
        "a" * 64,
        "b" * 64,
    }
