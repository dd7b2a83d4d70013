"""Names that travel: bots, tenants, items, services."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum

BOT_ID = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,38}[a-z0-9])?")
RECEIPT_ID = re.compile(r"[0-9a-f]{24}")
HOST = re.compile(r"[a-z0-9](?:[a-z0-9.-]{0,251}[a-z0-9])?")

NOBODY = "nobody"
"""The node that a bot is assigned to when it must run nowhere; no node is called so."""


class ChannelKind(StrEnum):
    """Where a person talks to the bot."""

    TELEGRAM = "telegram"
    WHATSAPP = "whatsapp"
    TERMINAL = "terminal"


class ItemName(StrEnum):
    """What the vault keeps for a bot."""

    CHANNEL_TOKEN = "channel-token"  # noqa: S105 - a name, not a secret
    PROVIDER_KEY = "provider-key"
    FALLBACK_KEY = "fallback-key"
    """For the fallback, where that is another provider."""
    PROMPT = "prompt"
    PEOPLE = "people"
    INGRESS_KEY = "ingress-key"

    @property
    def is_document(self) -> bool:
        """Documents can be read back by their owner; credentials never."""
        return self in {ItemName.PROMPT, ItemName.PEOPLE}

    @property
    def is_born_inside(self) -> bool:
        """A mate may keep newer versions of these itself, which desired state does not know of.

        So a ticket names *at least* that version of them, and opens the newest; of all others exactly the one it names.
        """
        return self in {ItemName.PEOPLE, ItemName.INGRESS_KEY}


class Role(StrEnum):
    """What a service certificate says its holder is."""

    CONTROL = "control"
    GATEWAY = "gateway"
    NODE = "node"
    VAULT = "vault"


@dataclass(frozen=True, slots=True)
class ServiceName:
    """A service's identity, carried as URI subject alternative name: ``clawmates://region/role/name``.

    ``generation`` counts how often the name was revoked; from the first on it stands behind the name: ``…/name/1``.
    """

    region: str
    role: Role
    name: str
    generation: int = 0

    def __str__(self) -> str:
        return self.base + (f"/{self.generation}" if self.generation else "")

    @property
    def base(self) -> str:
        """The name without its generation: what a revocation list knows it by."""
        return f"clawmates://{self.region}/{self.role.value}/{self.name}"

    def stands_for(self, wanted: ServiceName) -> bool:
        """Whether this is ``wanted``, at its generation or a later one."""
        return self.base == wanted.base and self.generation >= wanted.generation

    @classmethod
    def parse(cls, uri: str) -> ServiceName:
        """Raises ``ValueError`` for anything else."""
        found = re.fullmatch(r"clawmates://([a-z0-9-]{1,32})/([a-z]+)/([a-z0-9-]{1,40})(?:/([1-9][0-9]{0,8}))?", uri)
        if found is None:
            raise ValueError("not a clawmates service name")
        return cls(found[1], Role(found[2]), found[3], int(found[4] or 0))


def check_bot_id(bot: str) -> str:
    """``bot`` itself; raises ``ValueError`` unless it is safe as a name, a path component and a label."""
    if not BOT_ID.fullmatch(bot):
        raise ValueError("a bot's name has 1 to 40 of a-z, 0-9 and '-', and no '-' at either end")
    return bot


def check_receipt_id(receipt: str) -> str:
    """``receipt`` itself; raises ``ValueError`` unless it is the number of a receipt of destruction."""
    if not RECEIPT_ID.fullmatch(receipt):
        raise ValueError("not the number of a receipt")
    return receipt


def check_host(host: str) -> str:
    """``host`` itself; raises ``ValueError`` unless it is a lower-case DNS name or reserved name."""
    if not HOST.fullmatch(host) or ".." in host:
        raise ValueError("not a host name")
    return host
