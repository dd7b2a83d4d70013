"""A master key in a PKCS#11 token, tried on SoftHSM2."""

from __future__ import annotations

import os
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pkcs11
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pkcs11.exceptions import DeviceRemoved, PKCS11Error
from tests.support.softhsm import MODULE, PIN, SoftToken
from tests.unit.vault.conftest import FakeClock, House, catalogue_in, masters_in

from clawmates.base.secret import Secret
from clawmates.vault import token as module
from clawmates.vault.checks import StartError
from clawmates.vault.envelope import EnvelopeError, Layer
from clawmates.vault.master import MasterUnavailableError
from clawmates.vault.store import open_store
from clawmates.vault.token import TokenMaster, open_token
from clawmates.vault.token_uri import parse
from clawmates.wire.names import ItemName

KEY = Secret(b"t" * 32)


@pytest.fixture(scope="module")
def hsm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SoftToken]:
    hsm = SoftToken.make(tmp_path_factory.mktemp("hsm"), "vault", "twin", "twin")
    hsm.add_key("master-1", number="01")
    hsm.add_key("master-2", number="02")
    hsm.add_key("double", number="03")
    hsm.add_key("double", number="04")
    hsm.add_key("short", number="05", bits=128)
    hsm.add_key("loose", number="06", extractable=True)
    # The library reads it once, when it is loaded.
    before = os.environ.get("SOFTHSM2_CONF")
    os.environ |= hsm.environment
    yield hsm
    pkcs11.unload(str(MODULE))
    os.environ.pop("SOFTHSM2_CONF")
    assert before is None


@pytest.fixture
def master(hsm: SoftToken) -> TokenMaster:
    return open_token(hsm.uri(), os.urandom)


def test_what_the_token_wraps_it_opens_and_nobody_else(hsm: SoftToken, master: TokenMaster) -> None:
    box = master.wrap(Layer.TENANT_KEY, b"about", KEY)
    assert master.unwrap(Layer.TENANT_KEY, b"about", box) == KEY
    other = open_token(hsm.uri("token=vault;object=master-2"), os.urandom)
    assert other.id != master.id
    damaged = box[:-1] + bytes([box[-1] ^ 1])
    for holder, layer, about, sealed in (
        (master, Layer.DATA_KEY, b"about", box),
        (master, Layer.TENANT_KEY, b"other", box),
        (master, Layer.TENANT_KEY, b"about", damaged),
        (master, Layer.TENANT_KEY, b"about", box[:28]),
        (master, Layer.TENANT_KEY, b"about", b"\x02" + box[1:]),
        (other, Layer.TENANT_KEY, b"about", box),
    ):
        with pytest.raises(EnvelopeError):
            holder.unwrap(layer, about, sealed)


def test_its_name_stays_and_says_nothing(hsm: SoftToken, master: TokenMaster) -> None:
    assert master.id == open_token(hsm.uri("token=vault;id=%01"), os.urandom).id
    assert len(master.id) == 16
    assert PIN not in repr(master)
    assert 1 < master.batch < 64


def test_a_login_that_was_lost_is_made_again(master: TokenMaster) -> None:
    box = master.wrap(Layer.CANARY, b"", KEY)
    assert master._session is not None
    master._session.close()
    assert master.unwrap(Layer.CANARY, b"", box) == KEY
    master._session.close()
    assert master.unwrap(Layer.CANARY, b"", master.wrap(Layer.CANARY, b"", KEY)) == KEY


def test_a_token_that_was_pulled_out_is_absent_and_not_wrong(
    master: TokenMaster, monkeypatch: pytest.MonkeyPatch
) -> None:
    box = master.wrap(Layer.CANARY, b"", KEY)

    def gone(*_args: object) -> bytes:
        raise DeviceRemoved

    with monkeypatch.context() as patched:
        patched.setattr(TokenMaster, "_encrypt", gone)
        patched.setattr(TokenMaster, "_decrypt", gone)
        with pytest.raises(MasterUnavailableError):
            master.unwrap(Layer.CANARY, b"", box)
        with pytest.raises(MasterUnavailableError):
            master.wrap(Layer.CANARY, b"", KEY)
        patched.setattr(TokenMaster, "_token", gone)
        with pytest.raises(MasterUnavailableError):
            master.wrap(Layer.CANARY, b"", KEY)
    assert master.unwrap(Layer.CANARY, b"", box) == KEY


def test_a_pin_that_is_gone_makes_a_running_vault_wait(hsm: SoftToken, master: TokenMaster) -> None:
    box = master.wrap(Layer.CANARY, b"", KEY)
    text = hsm.pin.read_text()
    hsm.pin.unlink()
    try:
        assert master._session is not None
        master._session.close()
        with pytest.raises(MasterUnavailableError):
            master.unwrap(Layer.CANARY, b"", box)
    finally:
        hsm.pin.touch(0o600)
        hsm.pin.write_text(text)
    assert master.unwrap(Layer.CANARY, b"", box) == KEY


def test_without_asking_the_token_a_lost_one_would_look_like_a_broken_box(
    master: TokenMaster, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The seeded defect: a vault would call good boxes broken because a cable was pulled."""

    def gone(*_args: object) -> bytes:
        raise PKCS11Error

    monkeypatch.setattr(TokenMaster, "_decrypt", gone)
    monkeypatch.setattr(TokenMaster, "_answers", lambda _self: True)
    with pytest.raises(EnvelopeError):
        master.unwrap(Layer.CANARY, b"", b"\x01" + bytes(60))


def test_before_a_login_there_is_no_key(hsm: SoftToken) -> None:
    with pytest.raises(MasterUnavailableError):
        TokenMaster(parse(hsm.uri()), os.urandom)._held()


@pytest.mark.parametrize(
    ("path", "sentence"),
    [
        ("token=vault;object=nobody", "names no AES key"),
        ("token=vault;object=double", "names several AES keys"),
        ("token=twin;object=master-1", "fits several tokens"),
        ("token=vault;object=short", "is not a 256-bit AES key"),
        ("token=vault;object=loose", "may leave its token"),
    ],
)
def test_a_key_that_is_not_the_one_or_may_leave_stops_the_start(hsm: SoftToken, path: str, sentence: str) -> None:
    with pytest.raises(StartError, match=sentence):
        open_token(hsm.uri(path), os.urandom)


def test_a_careless_vault_would_take_a_key_that_may_leave(hsm: SoftToken, monkeypatch: pytest.MonkeyPatch) -> None:
    """The seeded defect."""
    monkeypatch.setattr(module, "KEY_BYTES", 16)
    short = open_token(hsm.uri("token=vault;object=short"), os.urandom)
    assert short.unwrap(Layer.CANARY, b"", short.wrap(Layer.CANARY, b"", KEY)) == KEY


@pytest.mark.parametrize("path", ["token=elsewhere;object=master-1", "serial=0000;object=master-1"])
def test_an_absent_token_is_unavailable(hsm: SoftToken, path: str) -> None:
    with pytest.raises(MasterUnavailableError):
        open_token(hsm.uri(path), os.urandom)


@pytest.mark.parametrize("extra", ["manufacturer=Nobody", "model=None"])
def test_every_word_of_the_name_counts(hsm: SoftToken, extra: str) -> None:
    with pytest.raises(MasterUnavailableError):
        open_token(hsm.uri(f"token=vault;object=master-1;{extra}"), os.urandom)


def test_a_library_that_is_none_is_unavailable(hsm: SoftToken) -> None:
    text = hsm.uri().replace(str(MODULE), str(hsm.pin))
    with pytest.raises(MasterUnavailableError):
        open_token(text, os.urandom)


def test_the_pin_is_read_from_a_private_file(hsm: SoftToken, tmp_path: Path) -> None:
    pin = tmp_path / "pin"
    text = hsm.uri().replace(str(hsm.pin), str(pin))
    with pytest.raises(StartError, match="cannot read the PIN file"):
        open_token(text, os.urandom)
    for content in (b"", b"\n", b"\xff\xfe", b"1" * 257):
        pin.write_bytes(content)
        pin.chmod(0o600)
        with pytest.raises(StartError, match="does not hold a PIN"):
            open_token(text, os.urandom)
    pin.write_text(PIN)
    pin.chmod(0o644)
    with pytest.raises(StartError, match="open to others"):
        open_token(text, os.urandom)
    pin.chmod(0o600)
    open_token(text, os.urandom)


def test_a_whole_vault_under_a_token_and_a_change_of_keys_inside_it(hsm: SoftToken, tmp_path: Path) -> None:
    clock = FakeClock(datetime.now(UTC))
    first, second = hsm.uri(), hsm.uri("token=vault;object=master-2")
    folder = tmp_path / "vault"
    store = open_store(masters_in(folder, first), region="local", catalogue=catalogue_in(tmp_path), now=clock.now())
    house = House(folder, store, clock)
    house.assign("b1")
    house.put("b1", ItemName.PROVIDER_KEY, 1, "sk-one")
    house.reopen(master_key=first)
    assert house.open("b1", (ItemName.PROVIDER_KEY, 1)) == ["sk-one"]
    house.old_master_key = first
    house.reopen(master_key=second)
    assert house.open("b1", (ItemName.PROVIDER_KEY, 1)) == ["sk-one"]
    house.work()
    house.old_master_key = ""
    house.reopen(master_key=second)
    assert house.open("b1", (ItemName.PROVIDER_KEY, 1)) == ["sk-one"]
    with pytest.raises(StartError, match="does not open"):
        house.reopen(master_key=first)
    assert not (folder / "master.key").exists()


# The name of a key


FULL = (
    "pkcs11:token=The%20Vault;serial=12ab;manufacturer=Us;model=M1;object=m%3b1;id=%01%ff;type=secret-key"
    "?module-path=/usr/lib/x.so&pin-source=file:/etc/cm/pin"
)


def test_a_whole_name_is_understood() -> None:
    uri = parse(FULL)
    assert (uri.token, uri.serial, uri.manufacturer, uri.model) == ("The Vault", "12ab", "Us", "M1")
    assert (uri.object, uri.id, uri.module, uri.pin) == ("m;1", b"\x01\xff", Path("/usr/lib/x.so"), Path("/etc/cm/pin"))


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("token=a", "does not begin with pkcs11:"),
        (FULL + "&pin-value=8231", "holds a PIN"),
        (FULL.replace("token=", "slot-id="), "and nothing else in that place"),
        (FULL.replace("token=", "token"), "and nothing else in that place"),
        (FULL.replace("model=M1", "token=b"), "names token twice"),
        (FULL.replace("%20", "%2"), "a broken escape in token"),
        (FULL.replace("secret-key", "private"), "must name a secret-key"),
        ("pkcs11:object=x", "must name the token"),
        ("pkcs11:token=x", "must name the key"),
        (FULL.replace("%20", "%ff"), "a token that is not UTF-8"),
        (FULL.replace("/usr/lib/x.so", "x.so"), "must name module-path with an absolute path"),
        ("pkcs11:token=x;object=y", "must name module-path"),
        (FULL.partition("&")[0], "must name pin-source"),
        (FULL + "&color=red", "knows module-path, pin-source"),
    ],
)
def test_a_name_that_cannot_be_one_key_is_refused_without_showing_values(text: str, sentence: str) -> None:
    with pytest.raises(StartError, match=sentence) as caught:
        parse(text)
    assert "8231" not in str(caught.value)


@given(st.text())
def test_no_name_does_anything_but_parse_or_refuse(text: str) -> None:
    for whole in (text, f"pkcs11:{text}", f"pkcs11:token=a;object=b?{text}"):
        try:
            assert parse(whole).module.is_absolute()
        except StartError as error:
            assert str(error).startswith("the pkcs11: master key ")  # noqa: PT017 - either way is right
