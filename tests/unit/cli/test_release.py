"""``clawmates release``, on the release that ``make image`` built."""

import hashlib
import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from clawmates.cli.main import clawmates
from clawmates.selfhost import keyfile

BUILT = Path(__file__).resolve().parents[3] / "build" / "release"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    shutil.copytree(BUILT, tmp_path / "release")
    return tmp_path / "release"


@pytest.fixture
def key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(keyfile, "COST", 1 << 14)
    done = run("keygen", "--out", str(tmp_path / "key"), "--passphrase-file", "-", typed="correct horse\n")
    assert done == (0, {"public": done[1]["public"], "file": str(tmp_path / "key"), "passphrase": True})
    return tmp_path / "key"


def run(*arguments: str, typed: str = "") -> tuple[int, Any]:
    """Exit code, and the data or the error."""
    done = CliRunner().invoke(clawmates, ["release", *arguments, "--json"], input=typed)
    answer = json.loads(done.stdout)
    return done.exit_code, answer.get("data") or answer["error"]


def signed(folder: Path, key: Path) -> str:
    code, found = run("sign", str(folder), "--key", str(key), "--passphrase-file", "-", typed="correct horse\n")
    assert code == 0, found
    return str(found["signed_by"])


def test_what_was_signed_is_verified_and_says_what_was_checked(folder: Path, key: Path) -> None:
    before = (folder / "release.json").read_bytes()
    public = signed(folder, key)
    code, found = run("verify", str(folder), "--key", public)
    assert code == 0
    assert (folder / "release.json").read_bytes() == before
    assert [one.partition(" ")[0].rstrip(":") for one in found["checked"]] == [
        "release.sig",
        "mate.oci.tar",
        "mate.cdx.json",
    ]
    assert found["parts"] > 10
    assert run("verify", str(folder), "--key", str(folder / "release.pub"), "--digest", found["digest"])[0] == 0
    assert run("verify", str(folder), "--key", public, "--digest", found["config"])[0] == 0


def flipped(path: Path, at: int) -> None:
    raw = bytearray(path.read_bytes())
    raw[at] ^= 1
    path.write_bytes(raw)


@pytest.mark.parametrize("name", ["release.json", "release.sig", "mate.oci.tar", "mate.cdx.json"])
def test_one_changed_bit_in_any_file_is_seen(folder: Path, key: Path, name: str) -> None:
    public = signed(folder, key)
    path = folder / name
    flipped(path, path.stat().st_size // 2)
    code, error = run("verify", str(folder), "--key", public)
    assert (code, error["code"]) == (1, "release-broken")


@pytest.mark.parametrize("name", ["release.json", "release.sig", "mate.oci.tar", "mate.cdx.json"])
def test_a_missing_file_is_seen(folder: Path, key: Path, name: str) -> None:
    public = signed(folder, key)
    (folder / name).unlink()
    assert run("verify", str(folder), "--key", public)[0] == 1


@pytest.mark.parametrize("name", ["mate.oci.tar", "mate.cdx.json"])
def test_what_does_not_fit_together_is_not_signed(folder: Path, key: Path, name: str) -> None:
    before = (folder / "release.sig").read_bytes()
    flipped(folder / name, (folder / name).stat().st_size // 2)
    code, error = run("sign", str(folder), "--key", str(key), "--passphrase-file", "-", typed="correct horse\n")
    assert (code, error["code"]) == (1, "release-broken")
    assert (folder / "release.sig").read_bytes() == before


def test_another_key_and_another_digest_are_refused(folder: Path, key: Path) -> None:
    local = (folder / "release.pub").read_text().strip()
    public = signed(folder, key)
    assert run("verify", str(folder), "--key", local)[1]["code"] == "release-broken"
    code, error = run("verify", str(folder), "--key", public, "--digest", f"sha256:{'0' * 64}")
    assert (code, error["code"]) == (1, "release-broken")


def test_a_list_of_another_image_is_refused(folder: Path, key: Path) -> None:
    """Its digest is signed; but its subject is not the image beside it."""
    document = json.loads((folder / "release.json").read_text())
    listed = json.loads((folder / "mate.cdx.json").read_text())
    listed["metadata"]["component"]["hashes"][0]["content"] = "0" * 64
    raw = json.dumps(listed).encode()
    (folder / "mate.cdx.json").write_bytes(raw)
    document["sbom"]["digest"] = f"sha256:{hashlib.sha256(raw).hexdigest()}"
    (folder / "release.json").write_text(json.dumps(document))
    code, error = run("sign", str(folder), "--key", str(key), "--passphrase-file", "-", typed="correct horse\n")
    assert (code, error["code"]) == (1, "release-broken")
    assert "another image" in error["message"]


def test_wrong_passphrase_and_usage(folder: Path, key: Path, tmp_path: Path) -> None:
    wrong = run("sign", str(folder), "--key", str(key), "--passphrase-file", "-", typed="other horse\n")
    assert (wrong[0], wrong[1]["code"]) == (78, "bad-key")
    again = run("keygen", "--out", str(key), "--no-passphrase")
    assert (again[0], again[1]["code"]) == (78, "bad-key")
    nobody = run("keygen", "--out", str(tmp_path / "other"))
    assert (nobody[0], nobody[1]["code"]) == (2, "usage")
    assert not (tmp_path / "other").exists()
