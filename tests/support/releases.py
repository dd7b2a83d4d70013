"""A signed release, for what asks it where a credential may go."""

from __future__ import annotations

import json
import tarfile
from dataclasses import replace
from typing import TYPE_CHECKING

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from image import main, oci
from tests.support import node

from clawmates.selfhost import signing
from clawmates.wire.names import ChannelKind
from clawmates.wire.release import Channel, Release
from clawmates.wire.releases import load

if TYPE_CHECKING:
    from pathlib import Path

KEY = Ed25519PrivateKey.from_private_bytes(b"the release key of all the tests")
PUBLIC = signing.public_text(KEY)
TELEGRAM_HOSTS, WHATSAPP_HOSTS = ("api.telegram.org",), ("graph.facebook.com", "lookaside.fbsbx.com")
PROVIDER_HOSTS = {"openai": ("api.openai.com",), "anthropic": ("api.anthropic.com",)}


def release() -> Release:
    """Two messengers and two providers."""
    some = node.release()
    (provider,) = some.providers
    channels = (
        Channel(kind=ChannelKind.TELEGRAM, hosts=TELEGRAM_HOSTS),
        Channel(kind=ChannelKind.WHATSAPP, hosts=WHATSAPP_HOSTS),
        Channel(kind=ChannelKind.TERMINAL),
    )
    models = (*provider.models, replace(provider.models[0], id="second-test"))
    providers = tuple(replace(provider, id=name, hosts=hosts, models=models) for name, hosts in PROVIDER_HOSTS.items())
    return replace(some, channels=channels, providers=providers)


def publish(folder: Path, signed: Release | None = None, key: Ed25519PrivateKey = KEY) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    signing.write(folder, signed or release(), key)


def another_image(built: Path, folder: Path, number: int, command: tuple[str, ...] = main.START.command) -> Release:
    """A release of the same contents that starts ``command``: another image, signed with the checkout's own key."""
    known = load(built, (built / "release.pub").read_text().strip())
    with tarfile.open(built / known.image.archive) as tar:
        manifest = json.loads(_blob(tar, known.image.digest))
        config = json.loads(_blob(tar, known.image.config))
        rootfs = _blob(tar, manifest["layers"][0]["digest"])
    start = replace(main.START, command=command)
    made = oci.archive(rootfs, start, config["architecture"], f"2025-01-01T00:00:{number:02}Z")
    folder.mkdir()
    (folder / known.image.archive).write_bytes(made.data)
    image = replace(known.image, digest=made.digest, config=made.config, size=made.size)
    fresh = replace(known, number=number, image=image, sbom=None)
    signing.write(folder, fresh, signing.key_at(built.parent / "release.key"))
    return fresh


def _blob(tar: tarfile.TarFile, digest: str) -> bytes:
    stream = tar.extractfile(f"blobs/{digest.replace(':', '/')}")
    assert stream is not None
    return stream.read()
