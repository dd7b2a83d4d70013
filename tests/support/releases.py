"""A signed release, for what asks it where a credential may go."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from tests.support import node

from clawmates.selfhost import signing
from clawmates.wire.names import ChannelKind
from clawmates.wire.release import Channel, Release

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
    providers = tuple(replace(provider, id=name, hosts=hosts) for name, hosts in PROVIDER_HOSTS.items())
    return replace(some, channels=channels, providers=providers)


def publish(folder: Path, signed: Release | None = None, key: Ed25519PrivateKey = KEY) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    signing.write(folder, signed or release(), key)
