from __future__ import annotations

import json
import os
from base64 import b64decode
from dataclasses import replace
from pathlib import Path

import cryptography_vectors
import pytest
from cryptography.hazmat.bindings._rust import openssl
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from hypothesis import given
from hypothesis import strategies as st

from clawmates.base.secret import Secret
from clawmates.vault import envelope
from clawmates.vault.envelope import EnvelopeError, Layer, context, fresh_key, lock, receive, unlock
from clawmates.wire.names import ItemName
from clawmates.wire.sealing import SealingError, seal
from clawmates.wire.vault import MAX_ITEM_BYTES, Binding, sealed_text

KEY = Secret(bytes(range(32)))
BINDING = Binding(
    key_id="k1", region="local", tenant="acme", bot="b1", name=ItemName.PROVIDER_KEY, version=3, hosts=("a.example",)
)
OTHERS = (
    replace(BINDING, key_id="k2"),
    replace(BINDING, region="eu"),
    replace(BINDING, tenant="other"),
    replace(BINDING, bot="b2"),
    replace(BINDING, name=ItemName.CHANNEL_TOKEN),
    replace(BINDING, version=4),
    replace(BINDING, hosts=("evil.example",)),
    replace(BINDING, hosts=("a.example", "evil.example")),
    replace(BINDING, hosts=()),
)


def test_a_key_is_32_bytes_of_the_given_randomness() -> None:
    assert fresh_key(lambda count: b"r" * count).reveal() == b"r" * 32


@given(st.binary(max_size=2000), st.binary(max_size=100))
def test_what_is_locked_opens_with_the_same_key_layer_and_context(plaintext: bytes, about: bytes) -> None:
    box = lock(KEY, Layer.RECORD, about, Secret(plaintext), os.urandom)
    assert unlock(KEY, Layer.RECORD, about, box).reveal() == plaintext
    assert len(box) == 1 + 12 + len(plaintext) + 16


@given(st.integers(min_value=0, max_value=8 * 60 - 1))
def test_no_single_bit_of_a_box_can_change(bit: int) -> None:
    box = bytearray(lock(KEY, Layer.RECORD, b"about", Secret(b"x" * 31), os.urandom))
    assert len(box) == 60
    box[bit // 8] ^= 1 << bit % 8
    with pytest.raises(EnvelopeError):
        unlock(KEY, Layer.RECORD, b"about", bytes(box))


@pytest.mark.parametrize("length", [0, 1, 28, 29])
def test_a_box_too_short_to_hold_a_tag_is_refused(length: int) -> None:
    with pytest.raises(EnvelopeError):
        unlock(KEY, Layer.RECORD, b"", b"\x01" * length)


@pytest.mark.parametrize("layer", [layer for layer in Layer if layer is not Layer.RECORD])
def test_a_box_of_one_layer_never_opens_as_anothers(layer: Layer) -> None:
    box = lock(KEY, Layer.RECORD, b"about", Secret(b"x"), os.urandom)
    with pytest.raises(EnvelopeError):
        unlock(KEY, layer, b"about", box)


@pytest.mark.parametrize("other", OTHERS)
def test_a_box_of_one_binding_never_opens_as_anothers(other: Binding) -> None:
    box = lock(KEY, Layer.RECORD, BINDING.encode(), Secret(b"x"), os.urandom)
    with pytest.raises(EnvelopeError):
        unlock(KEY, Layer.RECORD, other.encode(), box)


@pytest.mark.parametrize("other", OTHERS)
def test_without_associated_data_boxes_could_be_swapped(other: Binding, monkeypatch: pytest.MonkeyPatch) -> None:
    """The seeded defect: the two tests above are red against it."""

    monkeypatch.setattr(envelope, "AESGCM", _Unbound)
    box = lock(KEY, Layer.RECORD, BINDING.encode(), Secret(b"x"), os.urandom)
    assert unlock(KEY, Layer.TENANT_KEY, other.encode(), box).reveal() == b"x"


class _Unbound:
    def __init__(self, key: bytes) -> None:
        self._inner = AESGCM(key)

    def encrypt(self, nonce: bytes, data: bytes, _associated: bytes) -> bytes:
        return self._inner.encrypt(nonce, data, None)

    def decrypt(self, nonce: bytes, data: bytes, _associated: bytes) -> bytes:
        return self._inner.decrypt(nonce, data, None)


def test_context_tells_fields_apart() -> None:
    assert context("ab", "c") != context("a", "bc")
    assert context("a") == b"\0\0\0\x01a"


def test_errors_say_nothing_of_the_content() -> None:
    box = lock(KEY, Layer.RECORD, b"", Secret(b"do not print me"), os.urandom)
    with pytest.raises(EnvelopeError) as caught:
        unlock(KEY, Layer.RECORD, b"other", box)
    assert str(caught.value) == ""
    assert caught.value.__suppress_context__


# HPKE


def test_what_the_cli_seals_the_vault_receives() -> None:
    private, public = _pair()
    item = seal(public, BINDING, Secret("schlüssel"))
    assert (item.key_id, item.tenant, item.hosts) == ("k1", "acme", ("a.example",))
    assert receive(private, BINDING, _blob(item.sealed)).reveal() == "schlüssel".encode()


@pytest.mark.parametrize("other", OTHERS)
def test_what_was_sealed_for_one_binding_is_not_received_for_another(other: Binding) -> None:
    private, public = _pair()
    blob = _blob(seal(public, BINDING, Secret("x")).sealed)
    with pytest.raises(EnvelopeError):
        receive(private, other, blob)


@pytest.mark.parametrize("other", OTHERS)
def test_without_info_a_sealed_item_would_open_for_anyone(other: Binding, monkeypatch: pytest.MonkeyPatch) -> None:
    """The seeded defect: the test above is red against it."""
    private, public = _pair()
    monkeypatch.setattr(Binding, "encode", lambda _self: b"")
    blob = _blob(seal(public, BINDING, Secret("x")).sealed)
    assert receive(private, other, blob).reveal() == b"x"


@given(st.binary(max_size=200))
def test_no_foreign_blob_opens(blob: bytes) -> None:
    private, _ = _pair()
    with pytest.raises(EnvelopeError):
        receive(private, BINDING, blob)


@pytest.mark.parametrize("public", ["", "not base64!", sealed_text(bytes(31)), "ü"])
def test_sealing_refuses_a_key_that_is_none(public: str) -> None:
    with pytest.raises(SealingError):
        seal(public, BINDING, Secret("x"))


@pytest.mark.parametrize("text", ["x" * (MAX_ITEM_BYTES + 1), "\ud800"])
def test_sealing_refuses_what_the_vault_would_not_keep(text: str) -> None:
    with pytest.raises(SealingError) as caught:
        seal(_pair()[1], BINDING, Secret(text))
    assert text[:8] not in str(caught.value)


def test_the_published_vector_opens_in_our_suite() -> None:
    """RFC 9180's own vectors (mode base, KEM 0x20, KDF 1, AEAD 2), as packaged; they carry associated data."""
    vector = next(
        one
        for one in json.loads((_VECTORS / "HPKE" / "test-vectors.json").read_text())
        if (one["mode"], one["kem_id"], one["kdf_id"], one["aead_id"]) == (0, 0x20, 1, 2)
    )
    first = vector["encryptions"][0]
    private = X25519PrivateKey.from_private_bytes(bytes.fromhex(vector["skRm"]))

    def opened(info: str, associated: str) -> bytes:
        return bytes(
            openssl.hpke._decrypt_with_aad(
                envelope.SUITE,
                bytes.fromhex(vector["enc"] + first["ct"]),
                private,
                bytes.fromhex(info),
                bytes.fromhex(associated),
            )
        )

    assert opened(vector["info"], first["aad"]) == bytes.fromhex(first["pt"])
    with pytest.raises(Exception, match=r"^$"):
        opened(vector["info"] + "00", first["aad"])


def test_the_published_aes_256_gcm_vectors_open() -> None:
    """NIST's CAVP file as packaged: the cases with our nonce and tag lengths, good and forged."""
    good = forged = 0
    for case in _nist(_VECTORS / "ciphers" / "AES" / "GCM" / "gcmDecrypt256.rsp"):
        if len(case["IV"]) != 24 or len(case["Tag"]) != 32:
            continue
        arguments = (case["IV"], case["CT"] + case["Tag"], case["AAD"])
        nonce, sealed, associated = (bytes.fromhex(value) for value in arguments)
        cipher = AESGCM(bytes.fromhex(case["Key"]))
        if "PT" in case:
            assert cipher.decrypt(nonce, sealed, associated) == bytes.fromhex(case["PT"])
            good += 1
        else:
            with pytest.raises(Exception, match=r"^$"):
                cipher.decrypt(nonce, sealed, associated)
            forged += 1
    assert good > 100
    assert forged > 100


_VECTORS = Path(cryptography_vectors.__file__).parent


def _nist(path: Path) -> list[dict[str, str]]:
    cases: list[dict[str, str]] = []
    for line in path.read_text().splitlines():
        name, equals, value = (part.strip() for part in line.partition("="))
        if name == "Count":
            cases.append({})
        elif cases and equals and not name.startswith("["):
            cases[-1][name] = value
    return cases


def _pair() -> tuple[Secret[bytes], str]:
    private = X25519PrivateKey.generate()
    return Secret(private.private_bytes_raw()), sealed_text(private.public_key().public_bytes_raw())


def _blob(sealed: str) -> bytes:
    return b64decode(sealed)
