"""What is said to and by the vault.

Over TLS 1.3; *roles* are those of the client certificate, the empty role is a mate with a ticket.

================================================ ======== ==================================================
``GET /v1/intake-key``                           control  :class:`IntakeKey`
``PUT /v1/bots/{bot}``                           control  :class:`Assignment` → 204
``PUT /v1/bots/{bot}/items/{name}/{version}``    control  :class:`SealedItem` → 204
``DELETE /v1/bots/{bot}``                        control  destroys keys, then records → 204
``POST /v1/bots/{bot}/unfreeze``                 control  lifts the freeze that a reused ticket caused → 204
``POST /v1/tickets``                             node     :class:`TicketRequest` → :class:`Ticket`
``POST /v1/redeem``                              (none)   :class:`Redemption` → :class:`Release`
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
TICKET_SECONDS = 60
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
    CANNOT_OPEN = "cannot-open"
    VERSION_EXISTS = "version-exists"
    TOO_LARGE = "too-large"
    TICKET_UNKNOWN = "ticket-unknown"
    TICKET_EXPIRED = "ticket-expired"
    TICKET_REUSED = "ticket-reused"
    FROZEN = "frozen"
    STORAGE_FAILED = "storage-failed"


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
    """Whose bot it is and which node may run it."""

    tenant: str
    node: str

    def __post_init__(self) -> None:
        check_bot_id(self.tenant)
        check_bot_id(self.node)


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
    """Node asks for a single-use right to these versions, for one generation of one bot's container."""

    bot: str
    generation: int
    items: Mapping[ItemName, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Ticket:
    """Valid once, for 60 seconds."""

    ticket: Secret[str]
    expires_in: int

    def plain(self) -> dict[str, object]:
        """The JSON form, opened: for the vault's answer."""
        return {"ticket": self.ticket.reveal(), "expires_in": self.expires_in}


@dataclass(frozen=True, slots=True, kw_only=True)
class Redemption:
    """A mate shows its ticket."""

    bot: str
    ticket: Secret[str]

    def plain(self) -> dict[str, object]:
        """The JSON form, opened: for the mate's request."""
        return {"bot": self.bot, "ticket": self.ticket.reveal()}


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
    """What a ticket opened."""

    items: tuple[OpenItem, ...]

    def plain(self) -> dict[str, object]:
        """The JSON form, opened."""
        return {"items": [item.plain() for item in self.items]}


def sealed_text(enc_and_ciphertext: bytes) -> str:
    """The Base64 form that :class:`SealedItem` carries."""
    return b64encode(enc_and_ciphertext).decode()
