"""Calls to the vault that no mate makes: leases, reading back, its status, the audit chain.

All raise what :class:`~clawmates.wire.vault_client.VaultClient` raises.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from clawmates.base.shape import encode_json
from clawmates.wire.audit import Entries, Lines, SignedHead, Witness, Witnesses
from clawmates.wire.documents import SealedDocument
from clawmates.wire.leases import Leases
from clawmates.wire.vault import MAX_IMAGE_BYTES
from clawmates.wire.vault_status import VaultStatus

if TYPE_CHECKING:
    from clawmates.wire.audit import About
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
    """The audit chain's head, and the one it had at ``number`` (roles node and control)."""
    return await vault.ask(SignedHead, "GET", f"/v1/audit/head/{number}")


async def witness(vault: VaultClient, signed: Witness) -> None:
    """Hands a countersignature over (roles node and control)."""
    await vault.tell("POST", "/v1/audit/witnesses", encode_json(signed))


async def audit_control(vault: VaultClient) -> Witness:
    """The vault's word on the head of control's chain that it has signed last; number 0 when none (role control)."""
    return await vault.ask(Witness, "GET", "/v1/audit/control")


async def countersign(vault: VaultClient, said: SignedHead) -> Witness:
    """The vault's word on control's head; the same head again gets it again (role control)."""
    return await vault.ask(Witness, "POST", "/v1/audit/control", encode_json(said))


async def audit_lines(vault: VaultClient, after: int) -> Lines:
    """A page of control's heads in the vault's list (role control)."""
    return await vault.ask(Lines, "GET", f"/v1/audit/control/{after}")


async def audit_about(vault: VaultClient, question: About) -> Entries:
    """The newest entries about some bots, the newest first (role control)."""
    return await vault.ask(Entries, "POST", "/v1/audit/about", encode_json(question))


async def audit_entries(vault: VaultClient, after: int) -> Entries:
    """A page of the audit chain (role control)."""
    return await vault.ask(Entries, "GET", f"/v1/audit/entries/{after}")


async def audit_witnesses(vault: VaultClient, after: int) -> Witnesses:
    """A page of countersignatures (role control)."""
    return await vault.ask(Witnesses, "GET", f"/v1/audit/witnesses/{after}")
