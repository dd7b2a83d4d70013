"""What is said to and by the vault.

Over TLS 1.3; *roles* are those of the client certificate, the empty role is a mate with a ticket.

================================================ ======== ==================================================
``GET /v1/intake-key``                           control  :class:`IntakeKey`
``PUT /v1/bots/{bot}``                           control  :class:`Assignment` → 204
``PUT /v1/bots/{bot}/items/{name}/{version}``    control  :class:`SealedItem` → 204
``DELETE /v1/bots/{bot}/items/{name}/{version}`` control  destroys the keys of the versions up to that one → 204
``DELETE /v1/bots/{bot}``                        control  destroys keys, then records → ``SignedReceipt``
``DELETE /v1/tenants/{tenant}``                  control  the same for a tenant and all its bots → ``SignedReceipt``
``GET /v1/receipt-key``                          control  :class:`~clawmates.wire.receipt.ReceiptKey`
``POST /v1/rotations``                           control  :class:`~clawmates.wire.upkeep.RotationRequest` → status
``GET /v1/keys``                                 control  :class:`~clawmates.wire.upkeep.KeysStatus`
``POST /v1/backup``                              control  ``vault.db`` as it is now, bytes (octet-stream)
``POST /v1/backup-keys``                         control  ``BackupKeysRequest`` → ``BackupKeys``
``POST /v1/bots/{bot}/unfreeze``                 control  lifts the freeze that a reused ticket caused → 204
``POST /v1/tickets``                             node     :class:`TicketRequest` → :class:`Ticket`
``POST /v1/redeem``                              (none)   :class:`Redemption` → :class:`Release`
``PUT /v1/session/items/{name}``                 (none)   :class:`SessionItem` → 204
``POST /v1/leases``                              node     :class:`~clawmates.wire.leases.LeaseRenewal` → ``Leases``
``POST /v1/bots/{bot}/documents/{name}``         control  :class:`~clawmates.wire.documents.ReadBack` → sealed
``GET /v1/status``                               control  :class:`~clawmates.wire.vault_status.VaultStatus`
``GET /v1/audit/head/{number}``                  both     :class:`~clawmates.wire.audit.SignedHead`
``POST /v1/audit/witnesses``                     both     :class:`~clawmates.wire.audit.Witness` → 204
``GET /v1/audit/control``                        control  ``Witness`` of control's head that was signed last
``POST /v1/audit/control``                       control  control's ``SignedHead`` → the vault's ``Witness``
``GET /v1/audit/control/{number}``               control  :class:`~clawmates.wire.audit.Lines` after that number
``POST /v1/audit/about``                         control  :class:`~clawmates.wire.audit.About` → ``Entries``
``GET /v1/audit/entries/{number}``               control  :class:`~clawmates.wire.audit.Entries` after that number
``GET /v1/audit/witnesses/{number}``             control  :class:`~clawmates.wire.audit.Witnesses` after that place
``GET /healthz``                                 (none)   204
================================================ ======== ==================================================

Errors are ``{"error": {"code": VaultRefusal}}`` with a matching HTTP status.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from clawmates.base.secret import Secret
from clawmates.wire.names import ItemName, check_bot_id, check_host

MAX_ITEM_BYTES = 64 * 1024
"""The largest plaintext the vault keeps."""
MAX_IMAGE_BYTES = 256 << 20
"""The largest ``vault.db`` that leaves for a backup."""
TICKET_SECONDS = 60
MAX_LEASE_SECONDS = 7 * 24 * 3600
HPKE_SUITE = "DHKEM(X25519, HKDF-SHA256), HKDF-SHA256, AES-256-GCM"
FORMAT = "clawmates-seal-v1"


class VaultRefusal(StrEnum):
    """Why the vault said no."""

    MALFORMED = "malformed"
    NOT_ALLOWED = "not-allowed"
    UNKNOWN_BOT = "unknown-bot"
    UNKNOWN_ITEM = "unknown-item"
    UNKNOWN_KEY = "unknown-key"
    NOT_ASSIGNED = "not-assigned"
    LEASE_ENDED = "lease-ended"
    REVOKED = "revoked"
    SESSION_UNKNOWN = "session-unknown"
    TOO_MANY = "too-many"
    DIVERGED = "diverged"
    CANNOT_OPEN = "cannot-open"
    HOSTS_NOT_LISTED = "hosts-not-listed"
    """A credential names hosts that are not those of one messenger or provider of the signed release."""
    RELEASE_MISSING = "release-missing"
    RELEASE_UNSIGNED = "release-unsigned"
    """Not by the pinned key, so no host can be believed; no key pinned is the same."""
    VERSION_EXISTS = "version-exists"
    TOO_LARGE = "too-large"
    TICKET_UNKNOWN = "ticket-unknown"
    TICKET_EXPIRED = "ticket-expired"
    TICKET_REUSED = "ticket-reused"
    FROZEN = "frozen"
    STORAGE_FAILED = "storage-failed"
    UNKNOWN_TENANT = "unknown-tenant"
    BEING_DESTROYED = "being-destroyed"
    NO_NEW_MASTER = "no-new-master"
    MASTER_UNAVAILABLE = "master-unavailable"
    KEYS_COPY_FAILED = "keys-copy-failed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Binding:
    """What a ciphertext is bound to: HPKE ``info`` at intake, associated data at rest.

    ``hosts`` are the only hosts a credential may be sent to; empty for documents.
    """

    key_id: str
    region: str
    tenant: str
    bot: str
    name: ItemName
    version: int
    hosts: tuple[str, ...]

    def encode(self) -> bytes:
        """Every field as four bytes of big-endian length and UTF-8; unambiguous."""
        fields = (
            FORMAT,
            self.key_id,
            self.region,
            self.tenant,
            self.bot,
            self.name.value,
            str(self.version),
            str(len(self.hosts)),
            *self.hosts,
        )
        return b"".join(len(raw).to_bytes(4, "big") + raw for raw in (field.encode() for field in fields))


@dataclass(frozen=True, slots=True, kw_only=True)
class IntakeKey:
    """The vault's public key for sealing: raw X25519, Base64."""

    key_id: str
    region: str
    public: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Assignment:
    """Whose bot it is, which node may run it, and for how long: an endless lease is ``None``.

    A lease begins anew with every assignment. Node renews it while it runs; once it has ended, only another assignment
    helps. Counted by the vault's own clock.
    """

    tenant: str
    node: str
    lease_seconds: int | None = None

    def __post_init__(self) -> None:
        check_bot_id(self.tenant)
        check_bot_id(self.node)
        if self.lease_seconds is not None and not 1 <= self.lease_seconds <= MAX_LEASE_SECONDS:
            raise ValueError("a lease is out of range")


@dataclass(frozen=True, slots=True, kw_only=True)
class SealedItem:
    """A plaintext sealed to the vault: ``sealed`` is Base64 of HPKE enc ‖ ciphertext (RFC 9180 §6.1)."""

    key_id: str
    tenant: str
    hosts: tuple[str, ...]
    sealed: str

    def __post_init__(self) -> None:
        for host in self.hosts:
            check_host(host)


@dataclass(frozen=True, slots=True, kw_only=True)
class TicketRequest:
    """Node asks for a single-use right to these versions, for one generation of one bot's container.

    Of what a mate keeps itself (:attr:`~clawmates.wire.names.ItemName.is_born_inside`) at least that version is meant.
    """

    bot: str
    generation: int
    items: Mapping[ItemName, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Ticket:
    """Valid once, for 60 seconds."""

    ticket: Secret[str]
    expires_in: int
    lease: int | None = None
    """Seconds that are left of the node's lease; ``None`` when it is endless."""

    def plain(self) -> dict[str, object]:
        """The JSON form, opened: for the vault's answer."""
        return {"ticket": self.ticket.reveal(), "expires_in": self.expires_in, "lease": self.lease}


@dataclass(frozen=True, slots=True, kw_only=True)
class Redemption:
    """A mate shows its ticket; with ``session`` it also asks for the right to keep what is born inside it.

    With ``kin`` it asks for what only containers of this bot can have, by which they know each other.
    """

    bot: str
    ticket: Secret[str]
    session: bool = False
    kin: bool = False

    def plain(self) -> dict[str, object]:
        """The JSON form, opened: for the mate's request."""
        wishes = {"session": self.session, "kin": self.kin}
        asked: dict[str, object] = {name: True for name, wish in wishes.items() if wish}
        return {"bot": self.bot, "ticket": self.ticket.reveal()} | asked


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenItem:
    """One released item; ``hosts`` are the only hosts it may be sent to. Values are UTF-8 text."""

    name: ItemName
    version: int
    hosts: tuple[str, ...]
    value: Secret[str]

    def plain(self) -> dict[str, object]:
        """The JSON form, opened: for the vault's answer to a redemption."""
        return {
            "name": self.name.value,
            "version": self.version,
            "hosts": list(self.hosts),
            "value": self.value.reveal(),
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Release:
    """What a ticket opened, and the session where one was asked for: good for this one life of the mate."""

    items: tuple[OpenItem, ...]
    session: Secret[str] | None = None
    kin: Secret[str] | None = None
    """The same for every container of the bot while its channel token stays the same; never kept, never logged.

    It is derived from the data key of the token's record, so it is gone with that key. ``None`` for a bot without one.
    """

    def plain(self) -> dict[str, object]:
        """The JSON form, opened."""
        opened: dict[str, object] = {"session": self.session.reveal()} if self.session else {}
        opened |= {"kin": self.kin.reveal()} if self.kin else {}
        return {"items": [item.plain() for item in self.items]} | opened


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionItem:
    """A mate hands over what was born inside it: UTF-8 text, at exactly the version after the newest one."""

    bot: str
    session: Secret[str]
    version: int
    value: Secret[str]

    def plain(self) -> dict[str, object]:
        """The JSON form, opened: for the mate's request."""
        return {
            "bot": self.bot,
            "session": self.session.reveal(),
            "version": self.version,
            "value": self.value.reveal(),
        }


def sealed_text(enc_and_ciphertext: bytes) -> str:
    """The Base64 form that :class:`SealedItem` carries."""
    return b64encode(enc_and_ciphertext).decode()
