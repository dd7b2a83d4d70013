"""``clawmates backup`` as far as it needs no running platform; the rest is in tests/integration/test_backup.py."""

import json
import os
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from clawmates.cli.main import clawmates
from clawmates.selfhost import keyfile


def run(*arguments: str, typed: str = "") -> tuple[int, Any]:
    """Exit code, and the data or the error."""
    done = CliRunner().invoke(clawmates, ["backup", *arguments, "--json"], input=typed)
    answer = json.loads(done.stdout)
    return done.exit_code, answer.get("data") or answer["error"]


@pytest.fixture
def key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(keyfile, "COST", 1 << 14)
    code, made = run("keygen", "--out", str(tmp_path / "key"), "--passphrase-file", "-", typed="correct horse\n")
    assert (code, len(made["public"]), made["passphrase"]) == (0, 44, True)
    return tmp_path / "key"


def restored(key: Path, file: Path, typed: str = "correct horse\n") -> tuple[int, Any]:
    copy = key.with_name("keys.db")
    copy.touch()
    where = ["--keys-copy", str(copy), "--state", str(key.with_name("state")), "--passphrase-file", "-"]
    return run("restore", str(file), "--key", str(key), *where, typed=typed)


def test_another_file_is_no_backup(key: Path, tmp_path: Path) -> None:
    (tmp_path / "notes").write_bytes(os.urandom(500))
    code, error = restored(key, tmp_path / "notes")
    assert (code, error["code"], "no backup" in error["message"]) == (1, "bad-backup", True)
    assert not (tmp_path / "state").exists()


def test_a_wrong_passphrase_is_the_keys_fault(key: Path, tmp_path: Path) -> None:
    (tmp_path / "notes").write_bytes(b"")
    code, error = restored(key, tmp_path / "notes", "wrong horse\n")
    assert (code, error["code"]) == (78, "bad-key")


def test_a_release_key_opens_no_backup(tmp_path: Path) -> None:
    keyfile.make(tmp_path / "key", keyfile.Kind.RELEASE, None)
    (tmp_path / "notes").write_bytes(b"")
    code, error = restored(tmp_path / "key", tmp_path / "notes")
    assert (code, error["code"]) == (78, "bad-key")
    assert "release key" in error["message"]


def test_without_a_platform_there_is_nothing_to_back_up(tmp_path: Path) -> None:
    code, error = run("create", "--to", "x", "--state", str(tmp_path / "state"))
    assert (code, error["code"]) == (78, "not-installed")
