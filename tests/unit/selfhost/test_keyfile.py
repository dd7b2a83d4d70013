import base64
import json
from pathlib import Path

import pytest

from clawmates.base.secret import Secret
from clawmates.selfhost import keyfile, signing
from clawmates.selfhost.keyfile import (
    KeyExistsError,
    KeyOpenError,
    KeyUnreadableError,
    Kind,
    OtherKindError,
    WrongPassphraseError,
)

WORDS = Secret("correct horse battery")


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """The least cost that is accepted; the real one takes half a second."""
    monkeypatch.setattr(keyfile, "COST", 1 << 14)


def never() -> Secret[str]:
    raise AssertionError("asked for a passphrase that is not needed")


@pytest.mark.parametrize("kind", list(Kind))
@pytest.mark.parametrize("words", [None, WORDS])
def test_what_was_made_is_read(tmp_path: Path, kind: Kind, words: Secret[str] | None) -> None:
    path = tmp_path / "key"
    public = keyfile.make(path, kind, words)
    private = keyfile.read(path, kind, (lambda: WORDS) if words else never)
    assert keyfile.public_of(kind, private) == public
    assert path.stat().st_mode & 0o777 == 0o600


def test_with_a_passphrase_the_file_does_not_hold_the_key(tmp_path: Path) -> None:
    path = tmp_path / "key"
    keyfile.make(path, Kind.BACKUP, WORDS)
    private = keyfile.read(path, Kind.BACKUP, lambda: WORDS).reveal()
    assert base64.b64encode(private) not in path.read_bytes()
    # Without one it does: the check above can fail.
    bare = tmp_path / "bare"
    keyfile.make(bare, Kind.BACKUP, None)
    assert base64.b64encode(keyfile.read(bare, Kind.BACKUP, never).reveal()) in bare.read_bytes()


def test_another_passphrase_opens_nothing(tmp_path: Path) -> None:
    keyfile.make(tmp_path / "key", Kind.RELEASE, WORDS)
    with pytest.raises(WrongPassphraseError):
        keyfile.read(tmp_path / "key", Kind.RELEASE, lambda: Secret("correct horse batterY"))


@pytest.mark.parametrize("field", ["kind", "public", "salt", "nonce", "cost"])
def test_what_the_file_says_of_itself_is_bound(tmp_path: Path, field: str) -> None:
    path = tmp_path / "key"
    keyfile.make(path, Kind.RELEASE, WORDS)
    said = json.loads(path.read_text())
    zeros = {size: base64.b64encode(bytes(size)).decode() for size in (12, 16, 32)}
    other = {"kind": "backup", "public": zeros[32], "salt": zeros[16], "nonce": zeros[12], "cost": 1 << 15}
    (said if field in {"kind", "public"} else said["lock"])[field] = other[field]
    path.write_text(json.dumps(said))
    with pytest.raises(WrongPassphraseError):
        keyfile.read(path, Kind(said["kind"]), lambda: WORDS)


def test_a_key_is_never_overwritten(tmp_path: Path) -> None:
    path = tmp_path / "key"
    keyfile.make(path, Kind.RELEASE, None)
    before = path.read_bytes()
    with pytest.raises(KeyExistsError):
        keyfile.make(path, Kind.RELEASE, None)
    (tmp_path / "link").symlink_to(tmp_path / "nowhere")
    with pytest.raises(KeyExistsError):
        keyfile.make(tmp_path / "link", Kind.RELEASE, None)
    assert path.read_bytes() == before


@pytest.mark.parametrize("mode", [0o640, 0o604])
def test_a_key_that_others_can_read_is_refused(tmp_path: Path, mode: int) -> None:
    path = tmp_path / "key"
    keyfile.make(path, Kind.RELEASE, None)
    path.chmod(mode)
    with pytest.raises(KeyOpenError):
        keyfile.read(path, Kind.RELEASE, never)


def test_a_key_of_another_kind_is_refused(tmp_path: Path) -> None:
    keyfile.make(tmp_path / "key", Kind.RELEASE, None)
    with pytest.raises(OtherKindError):
        keyfile.read(tmp_path / "key", Kind.BACKUP, never)


def test_a_release_key_as_make_image_makes_it_is_read(tmp_path: Path) -> None:
    made = signing.key_at(tmp_path / "release.key")
    private = keyfile.read(tmp_path / "release.key", Kind.RELEASE, never)
    assert private.reveal() == made.private_bytes_raw()
    with pytest.raises(KeyUnreadableError):
        keyfile.read(tmp_path / "release.key", Kind.BACKUP, never)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "nonsense",
        base64.b64encode(b"short").decode(),
        "{}",
        '{"format":1,"kind":"release","public":"AA==","key":"AA=="}',
        '{"format":2,"kind":"release","public":"AA==","key":"AA=="}',
        '{"format":1,"kind":"release","public":"AA==","key":"*"}',
        '{"format":1,"kind":"release","public":"A","key":"AA==","lock":{"salt":"AA==","nonce":"AA==","cost":16384}}',
    ],
)
def test_another_file_is_not_taken_for_a_key(tmp_path: Path, text: str) -> None:
    path = tmp_path / "key"
    path.write_text(text)
    path.chmod(0o600)
    with pytest.raises(KeyUnreadableError):
        keyfile.read(path, Kind.RELEASE, never)


def test_a_file_cannot_ask_for_all_memory(tmp_path: Path) -> None:
    path = tmp_path / "key"
    keyfile.make(path, Kind.RELEASE, WORDS)
    said = json.loads(path.read_text())
    said["lock"]["cost"] = 1 << 30
    path.write_text(json.dumps(said))
    with pytest.raises(KeyUnreadableError):
        keyfile.read(path, Kind.RELEASE, lambda: WORDS)
