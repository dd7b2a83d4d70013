"""What is said of the vault's own keys: rotations, and how they are (:mod:`clawmates.wire.vault` lists the calls)."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from clawmates.wire.names import check_bot_id
from clawmates.wire.vault_deeds import KeyKind


class Trouble(StrEnum):
    """What keeps the vault from finishing its work; it tries again by itself every few seconds."""

    STORAGE_FAILED = "storage-failed"
    MASTER_UNAVAILABLE = "master-unavailable"
    KEYS_COPY_FAILED = "keys-copy-failed"


REMEDY: dict[Trouble, str] = {
    Trouble.STORAGE_FAILED: "The vault cannot write: see that its disk has room. It goes on by itself.",
    Trouble.MASTER_UNAVAILABLE: "The master key's token or service does not answer: see that it is there.",
    Trouble.KEYS_COPY_FAILED: "The separate copy of keys.db cannot be replaced: see [vault] keys_copy and its disk.",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class RotationRequest:
    """Asks for a rotation; ``tenant`` is named for that kind only."""

    kind: KeyKind
    tenant: str = ""

    def __post_init__(self) -> None:
        if (self.kind is KeyKind.TENANT) is not bool(self.tenant):
            raise ValueError("a tenant is named for the rotation of a tenant's key, and for no other")
        if self.tenant:
            check_bot_id(self.tenant)


@dataclass(frozen=True, slots=True, kw_only=True)
class Rotation:
    """A rotation under way: ``left`` keys are still under the old one."""

    kind: KeyKind
    tenant: str = ""
    left: int


@dataclass(frozen=True, slots=True, kw_only=True)
class KeysStatus:
    """How the vault's keys are: names, numbers and codes only."""

    region: str
    master: str
    """Its kind and name; a name says nothing of the key."""
    intake_key: str
    intake_keys_honoured: int
    """Old intake keys that are still honoured."""
    rotations: tuple[Rotation, ...]
    destroying: int
    """Destructions whose keys are gone but that are not finished."""
    trouble: tuple[Trouble, ...]
