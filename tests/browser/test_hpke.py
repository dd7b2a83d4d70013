"""The browser's own sealing, against the library that the vault uses and the published vector."""

from __future__ import annotations

import base64
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import cryptography_vectors
import pytest
import pytest_asyncio
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from cryptography.hazmat.primitives.hpke import AEAD, KDF, KEM, Suite
from playwright.async_api import Browser, Page
from tests.support.browser import blank_page

from clawmates.base.secret import Secret
from clawmates.wire.documents import reading_info
from clawmates.wire.names import ItemName
from clawmates.wire.reading import seal_for_reader
from clawmates.wire.vault import Binding

pytestmark = pytest.mark.asyncio(loop_scope="module")
SUITE = Suite(KEM.X25519, KDF.HKDF_SHA256, AEAD.AES_256_GCM)
HPKE = Path(cryptography_vectors.__file__).parent / "HPKE" / "test-vectors.json"
TEXTS = ["", "canary-5b1f", "ünïcode 🦞", "x" * 65536]
BINDING = Binding(
    key_id="k1",
    region="eu-test",
    tenant="a-1",
    bot="b-1",
    name=ItemName.PROVIDER_KEY,
    version=12,
    hosts=("api.openai.com", "eu.api.openai.com"),
)


@pytest_asyncio.fixture(loop_scope="module")
async def page(browser: Browser) -> AsyncIterator[Page]:
    async with blank_page(browser) as page:
        yield page


async def call(page: Page, body: str, *arguments: object) -> Any:
    return await page.evaluate(
        f"async (given) => {{ const hpke = await import('/hpke.js'); const utf8 = new TextEncoder(); {body} }}",
        list(arguments),
    )


def plain(binding: Binding, **changes: object) -> dict[str, object]:
    names = ("key_id", "region", "tenant", "bot", "name", "version", "hosts")
    return {name: getattr(binding, name) for name in names} | changes


async def test_what_the_browser_seals_the_vaults_library_opens_and_for_nothing_else(page: Page) -> None:
    key = X25519PrivateKey.generate()
    public = base64.b64encode(key.public_key().public_bytes_raw()).decode()
    sealing = """
        const [key, binding, text] = given;
        return hpke.toBase64(await hpke.seal(hpke.fromBase64(key), hpke.binding(binding), utf8.encode(text)));
    """
    for text in TEXTS:
        sealed = base64.b64decode(await call(page, sealing, public, plain(BINDING), text))
        assert SUITE.decrypt(sealed, key, BINDING.encode()) == text.encode()
        assert await call(page, sealing, public, plain(BINDING), text) != base64.b64encode(sealed).decode()
    others: list[dict[str, object]] = [{"bot": "b-2"}, {"hosts": ["api.evil.example"]}, {"version": 13}, {"hosts": []}]
    for changed in others:
        other = base64.b64decode(await call(page, sealing, public, plain(BINDING, **changed), "x"))
        with pytest.raises(InvalidTag):
            SUITE.decrypt(other, key, BINDING.encode())


async def test_what_the_vault_seals_for_a_reader_opens_in_the_browser_and_nothing_else_does(page: Page) -> None:
    public = await call(page, "globalThis.mine = await hpke.pair(); return hpke.toBase64(globalThis.mine.public);")
    assert not await call(page, "return globalThis.mine.private.extractable;")
    opening = """
        const [about, sealed] = given;
        try {
          const text = await hpke.open(globalThis.mine, hpke.reading(about), hpke.fromBase64(sealed));
          return new TextDecoder().decode(text);
        } catch (error) { return error.message; }
    """
    about = {"region": "eu-test", "tenant": "a-1", "bot": "b-1", "name": "prompt", "version": 3}
    info = reading_info(region="eu-test", tenant="a-1", bot="b-1", name=ItemName.PROMPT, version=3)
    for text in TEXTS:
        sealed = seal_for_reader(public, info, Secret(text.encode()))
        assert await call(page, opening, about, sealed) == text
        assert "somebody else" in await call(page, opening, {**about, "version": 4}, sealed)
    damaged = base64.b64encode(bytes(base64.b64decode(sealed)[:-1]) + b"\0").decode()
    assert "damaged" in await call(page, opening, about, damaged)
    assert "damaged" in await call(page, opening, about, base64.b64encode(b"short").decode())


async def test_the_published_message_opens(page: Page) -> None:
    """RFC 9180's own, with its key and associated data."""
    (vector,) = (
        one
        for one in json.loads(HPKE.read_text())
        if (one["mode"], one["kem_id"], one["kdf_id"], one["aead_id"]) == (0, 0x20, 1, 2)
    )
    private, public = (
        base64.urlsafe_b64encode(bytes.fromhex(vector[name])).decode().rstrip("=") for name in ("skRm", "pkRm")
    )
    first = vector["encryptions"][0]
    opened = await call(
        page,
        """
        const [d, x, ...rest] = given;
        const [raw, info, sealed, aad] = rest.map(hpke.fromBase64);
        const jwk = { kty: "OKP", crv: "X25519", d, x };
        const key = await crypto.subtle.importKey("jwk", jwk, "X25519", false, ["deriveBits"]);
        const mine = { private: key, public: raw };
        return hpke.toBase64(await hpke.open(mine, info, sealed, aad));
        """,
        private,
        public,
        *(
            base64.b64encode(bytes.fromhex(text)).decode()
            for text in (vector["pkRm"], vector["info"], vector["enc"] + first["ct"], first["aad"])
        ),
    )
    assert base64.b64decode(opened).hex() == first["pt"]


async def test_a_weakened_module_is_found_out(page: Page) -> None:
    source = await page.evaluate("fetch('/hpke.js').then((one) => one.text())")
    key = X25519PrivateKey.generate()
    public = base64.b64encode(key.public_key().public_bytes_raw()).decode()
    for exact, weakened in (('"eae_prk"', '"eae-prk"'), ("setUint32(0, raw.length)", "setUint32(0, raw.length, true)")):
        assert source.count(exact) == 1
        sealed = await page.evaluate(
            """async ([source, key, binding]) => {
              const hpke = await import("data:text/javascript;base64," + btoa(unescape(encodeURIComponent(source))));
              const info = hpke.binding(binding);
              return hpke.toBase64(await hpke.seal(hpke.fromBase64(key), info, new TextEncoder().encode("x")));
            }""",
            [source.replace(exact, weakened), public, plain(BINDING)],
        )
        with pytest.raises(InvalidTag):
            SUITE.decrypt(base64.b64decode(sealed), key, BINDING.encode())
