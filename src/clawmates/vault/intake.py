"""What the vault accepts: an item sealed to its key, for a known bot, with hosts exactly where they belong."""

from __future__ import annotations

import binascii
from base64 import b64decode
from typing import TYPE_CHECKING

from clawmates.vault.envelope import EnvelopeError, receive
from clawmates.wire.names import ItemName
from clawmates.wire.vault import MAX_ITEM_BYTES, Binding, VaultRefusal

if TYPE_CHECKING:
    from clawmates.base.secret import Secret
    from clawmates.vault.records import Bot
    from clawmates.wire.vault import SealedItem

MAX_HOSTS = 16
SENT_TO_HOSTS = frozenset({ItemName.CHANNEL_TOKEN, ItemName.PROVIDER_KEY, ItemName.FALLBACK_KEY})
"""Credentials that name the hosts they may be sent to; everything else names none."""
BORN_INSIDE = frozenset({ItemName.INGRESS_KEY})
"""Made in the container: nobody outside may bring one."""


def objection(name: ItemName, item: SealedItem) -> VaultRefusal | None:
    """What is wrong with an item before anything is opened."""
    if name in BORN_INSIDE:
        return VaultRefusal.NOT_ALLOWED
    if bool(item.hosts) is not (name in SENT_TO_HOSTS) or len(item.hosts) > MAX_HOSTS:
        return VaultRefusal.MALFORMED
    return None


def binding_of(bot: Bot, region: str, name: ItemName, version: int, item: SealedItem) -> Binding:
    """What the item must have been sealed with; tenant and region are the vault's own word, not the sender's."""
    return Binding(
        key_id=item.key_id,
        region=region,
        tenant=bot.tenant,
        bot=bot.id,
        name=name,
        version=version,
        hosts=item.hosts,
    )


def sealed_bytes(item: SealedItem) -> bytes | None:
    """The blob itself; ``None`` when it is not Base64."""
    try:
        return b64decode(item.sealed, validate=True)
    except (binascii.Error, ValueError):
        return None


def open_sealed(private: Secret[bytes], binding: Binding, blob: bytes) -> Secret[bytes] | VaultRefusal:
    """The plaintext, known to be UTF-8 and of a size that is kept; or the refusal."""
    try:
        plaintext = receive(private, binding, blob)
    except EnvelopeError:
        return VaultRefusal.CANNOT_OPEN
    if len(plaintext.reveal()) > MAX_ITEM_BYTES:
        return VaultRefusal.TOO_LARGE
    return plaintext if _is_utf8(plaintext) else VaultRefusal.MALFORMED


def _is_utf8(plaintext: Secret[bytes]) -> bool:
    try:
        plaintext.reveal().decode()
    except UnicodeDecodeError:
        return False
    return True
