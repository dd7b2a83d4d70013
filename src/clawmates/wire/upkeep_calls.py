"""Calls about the vault's keys: rotations, destruction, receipts (role control).

All raise what :class:`~clawmates.wire.vault_client.VaultClient` raises. Apart from :mod:`clawmates.wire.vault_calls`
because receipts need ``cryptography``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from clawmates.base.shape import encode_json
from clawmates.wire.backups import BackupKeys
from clawmates.wire.receipt import ReceiptKey, SignedReceipt
from clawmates.wire.upkeep import KeysStatus

if TYPE_CHECKING:
    from clawmates.wire.backups import BackupKeysRequest
    from clawmates.wire.names import ItemName
    from clawmates.wire.upkeep import RotationRequest
    from clawmates.wire.vault_client import VaultClient


async def rotate(vault: VaultClient, request: RotationRequest) -> KeysStatus:
    """Begins a rotation; it goes on by itself."""
    return await vault.ask(KeysStatus, "POST", "/v1/rotations", encode_json(request))


async def keys(vault: VaultClient) -> KeysStatus:
    """How the keys are, and how far rotations have come."""
    return await vault.ask(KeysStatus, "GET", "/v1/keys")


async def destroy_item(vault: VaultClient, bot: str, name: ItemName, version: int) -> None:
    """Destroys the versions of an item up to that one. Where there are none it is no error."""
    await vault.tell("DELETE", f"/v1/bots/{bot}/items/{name.value}/{version}")


async def destroy_bot(vault: VaultClient, bot: str) -> SignedReceipt:
    """Destroys all that the vault has of a bot. The same again gives the receipt again."""
    return await vault.ask(SignedReceipt, "DELETE", f"/v1/bots/{bot}")


async def destroy_tenant(vault: VaultClient, tenant: str) -> SignedReceipt:
    """Destroys a tenant's keys, and with them all its bots."""
    return await vault.ask(SignedReceipt, "DELETE", f"/v1/tenants/{tenant}")


async def backup_keys(vault: VaultClient, request: BackupKeysRequest) -> BackupKeys:
    """What control's rows of these tenants are sealed to in a backup; a tenant without a key is left out."""
    return await vault.ask(BackupKeys, "POST", "/v1/backup-keys", encode_json(request))


async def receipt_key(vault: VaultClient) -> ReceiptKey:
    """The public key that receipts are checked with."""
    return await vault.ask(ReceiptKey, "GET", "/v1/receipt-key")
