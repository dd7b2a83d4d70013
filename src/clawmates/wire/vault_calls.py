"""Calls to the vault that no mate makes: leases, reading back, its status, the audit chain.

All raise what :class:`~clawmates.wire.vault_client.VaultClient` raises.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from clawmates.base.shape import encode_json
from clawmates.wire.audit import Entries, SignedHead, Witnesses
from clawmates.wire.documents import SealedDocument
from clawmates.wire.leases import Leases
from clawmates.wire.vault import MAX_IMAGE_BYTES
from clawmates.wire.vault_status import VaultStatus

if TYPE_CHECKING:
    from clawmates.wire.audit import Witness
    from clawmates.wire.documents import ReadBack
    from clawmates.wire.leases import LeaseRenewal
    from clawmates.wire.names import ItemName
    from clawmates.wire.vault_client import VaultClient


async def renew(vault: VaultClient, renewal: LeaseRenewal) -> Leases:
    """Lets the leases of this node's bots run on (role node)."""
    return await vault.ask(Leases, "POST", "/v1/leases", encode_json(renewal))


async def read_back(vault: VaultClient, bot: str, name: ItemName, request: ReadBack) -> SealedDocument:
    """The newest version of a document, sealed to the key in ``request`` (role control)."""
    return await vault.ask(SealedDocument, "POST", f"/v1/bots/{bot}/documents/{name.value}", encode_json(request))


async def status(vault: VaultClient) -> VaultStatus:
    """What the vault says of itself (role control)."""
    return await vault.ask(VaultStatus, "GET", "/v1/status")


async def image(vault: VaultClient) -> bytes:
    """``vault.db`` at this moment, after the separate copy of the keys was brought up to date (role control)."""
    return await vault.fetch("POST", "/v1/backup", MAX_IMAGE_BYTES)


async def audit_head(vault: VaultClient, number: int) -> SignedHead:
    """The audit chain's head, and the one it had at ``number`` (role node)."""
    return await vault.ask(SignedHead, "GET", f"/v1/audit/head/{number}")


async def witness(vault: VaultClient, signed: Witness) -> None:
    """Hands a countersignature over (role node)."""
    await vault.tell("POST", "/v1/audit/witnesses", encode_json(signed))


async def audit_entries(vault: VaultClient, after: int) -> Entries:
    """A page of the audit chain (role control)."""
    return await vault.ask(Entries, "GET", f"/v1/audit/entries/{after}")


async def audit_witnesses(vault: VaultClient, after: int) -> Witnesses:
    """A page of countersignatures (role control)."""
    return await vault.ask(Witnesses, "GET", f"/v1/audit/witnesses/{after}")
