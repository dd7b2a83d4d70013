"""Credentials may be sent only where the signed release says, whoever sealed them."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from tests.support import releases
from tests.support.releases import PROVIDER_HOSTS, TELEGRAM_HOSTS, WHATSAPP_HOSTS
from tests.unit.vault.conftest import HOSTS, House

from clawmates.cli.answers import as_command_error
from clawmates.selfhost.signing import public_text
from clawmates.vault import catalogue
from clawmates.vault.catalogue import Catalogue, lists
from clawmates.vault.store import RefusedError
from clawmates.wire.names import ItemName
from clawmates.wire.release import Channel, Provider
from clawmates.wire.vault import VaultRefusal
from clawmates.wire.vault_client import VaultError

if TYPE_CHECKING:
    from pathlib import Path

TOKEN, KEY, FALLBACK = ItemName.CHANNEL_TOKEN, ItemName.PROVIDER_KEY, ItemName.FALLBACK_KEY
OPENAI, ANTHROPIC = PROVIDER_HOSTS["openai"], PROVIDER_HOSTS["anthropic"]
STRANGER = Ed25519PrivateKey.from_private_bytes(b"s" * 32)


@pytest.mark.parametrize(
    ("name", "hosts", "listed"),
    [
        (TOKEN, TELEGRAM_HOSTS, True),
        (TOKEN, WHATSAPP_HOSTS, True),
        (TOKEN, WHATSAPP_HOSTS[1:], True),
        (TOKEN, (*TELEGRAM_HOSTS, *WHATSAPP_HOSTS), False),
        (TOKEN, OPENAI, False),
        (TOKEN, (*TELEGRAM_HOSTS, "evil.example"), False),
        (KEY, OPENAI, True),
        (KEY, ANTHROPIC, True),
        (KEY, (*OPENAI, *ANTHROPIC), False),
        (KEY, TELEGRAM_HOSTS, False),
        (KEY, ("evil.example",), False),
        (KEY, ("api.openai.com.",), False),
        (KEY, ("openai.com",), False),
        (FALLBACK, ANTHROPIC, True),
        (FALLBACK, ("evil.example",), False),
    ],
)
def test_the_hosts_are_those_of_one_messenger_or_one_provider(
    name: ItemName,
    hosts: tuple[str, ...],
    listed: bool,  # noqa: FBT001
) -> None:
    assert lists(releases.release(), name, hosts) is listed


def put(house: House, name: ItemName, hosts: tuple[str, ...], version: int = 1) -> None:
    item = house.sealed(house.binding("b1", name, version, hosts=hosts), "x")
    house.store.put("b1", name, version, item, house.clock.now())


@pytest.mark.parametrize("name", [TOKEN, KEY, FALLBACK])
def test_a_credential_for_another_host_is_refused(
    house: House, name: ItemName, monkeypatch: pytest.MonkeyPatch
) -> None:
    house.assign("b1")
    with pytest.raises(RefusedError) as caught:
        put(house, name, ("evil.example",))
    assert caught.value.refusal is VaultRefusal.HOSTS_NOT_LISTED
    monkeypatch.setattr(catalogue, "lists", lambda *_: True)  # the weakened build
    put(house, name, ("evil.example",))
    assert house.open("b1", (name, 1)) == ["x"]


def test_documents_name_no_hosts_and_need_no_release(house: House) -> None:
    house.assign("b1")
    (house.store.catalogue.folder / "release.json").unlink()
    house.put("b1", ItemName.PROMPT, 1, "be kind")
    assert house.open("b1", (ItemName.PROMPT, 1)) == ["be kind"]


def missing(folder: Path) -> None:
    (folder / "release.json").unlink()


def without_signature(folder: Path) -> None:
    (folder / "release.sig").unlink()


def altered(folder: Path) -> None:
    document = (folder / "release.json").read_bytes()
    (folder / "release.json").write_bytes(document.replace(b"api.openai.com", b"api.evilai.com"))


def by_a_stranger(folder: Path) -> None:
    releases.publish(folder, key=STRANGER)


def of_another_format(folder: Path) -> None:
    releases.publish(folder, replace(releases.release(), format=2))


@pytest.mark.parametrize(
    ("spoil", "refusal"),
    [
        (missing, VaultRefusal.RELEASE_MISSING),
        (without_signature, VaultRefusal.RELEASE_MISSING),
        (altered, VaultRefusal.RELEASE_UNSIGNED),
        (by_a_stranger, VaultRefusal.RELEASE_UNSIGNED),
        (of_another_format, VaultRefusal.RELEASE_UNSIGNED),
    ],
)
def test_without_a_release_of_the_pinned_key_no_credential_is_taken(
    house: House, spoil: object, refusal: VaultRefusal, monkeypatch: pytest.MonkeyPatch
) -> None:
    house.assign("b1")
    put(house, KEY, HOSTS[KEY])
    assert callable(spoil)
    spoil(house.store.catalogue.folder)
    with pytest.raises(RefusedError) as caught:
        put(house, KEY, HOSTS[KEY], version=2)
    assert caught.value.refusal is refusal
    assert house.open("b1", (KEY, 1)) == ["x"], "what is kept is still released"
    monkeypatch.setattr(catalogue, "load", lambda *_: releases.release())  # the weakened build believes what lies there
    put(house, KEY, HOSTS[KEY], version=2)
    releases.publish(house.store.catalogue.folder)
    put(house, KEY, HOSTS[KEY], version=3)


@pytest.mark.parametrize("key", ["", "no key", public_text(STRANGER)])
def test_without_the_pinned_key_nothing_is_believed(tmp_path: Path, key: str) -> None:
    releases.publish(tmp_path)
    assert Catalogue(tmp_path, key).objection(KEY, OPENAI) is VaultRefusal.RELEASE_UNSIGNED
    assert Catalogue(tmp_path, releases.PUBLIC).objection(KEY, OPENAI) is None


def test_another_release_counts_from_the_next_put_on(house: House) -> None:
    """So a self-hoster who signs a release with a host of his own may use it, and one that left it is used no more."""
    house.assign("b1")
    now = releases.release()
    provider: Provider = replace(now.providers[0], id="mine", hosts=("ai.home.example",))
    releases.publish(house.store.catalogue.folder, replace(now, providers=(provider,)))
    put(house, KEY, ("ai.home.example",))
    with pytest.raises(RefusedError):
        put(house, KEY, OPENAI, version=2)
    channels: tuple[Channel, ...] = ()
    releases.publish(house.store.catalogue.folder, replace(now, channels=channels))
    with pytest.raises(RefusedError):
        put(house, TOKEN, TELEGRAM_HOSTS)


def test_the_same_blob_again_is_no_new_credential(house: House) -> None:
    house.assign("b1")
    item = house.sealed(house.binding("b1", KEY), "x")
    house.store.put("b1", KEY, 1, item, house.clock.now())
    missing(house.store.catalogue.folder)
    house.store.put("b1", KEY, 1, item, house.clock.now())


@pytest.mark.parametrize(
    ("refusal", "what_to_do"),
    [
        (VaultRefusal.HOSTS_NOT_LISTED, "image/catalogue.toml"),
        (VaultRefusal.RELEASE_MISSING, "selfhost init --release"),
        (VaultRefusal.RELEASE_UNSIGNED, "clawmates doctor"),
    ],
)
def test_the_command_line_says_what_to_do(refusal: VaultRefusal, what_to_do: str) -> None:
    said = as_command_error(VaultError(refusal))
    assert said is not None
    assert said.code == f"vault-{refusal.value}"
    assert what_to_do in said.remedy
