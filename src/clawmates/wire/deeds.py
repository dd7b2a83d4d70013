"""What control writes down in its own audit chain: one grammar of deeds, and the one form that each one's detail has.

The chain itself is that of :mod:`clawmates.wire.audit`. People are in it under a pseudonym alone (``subject``), hosts
and bots under their ids; there is no field for a name, an address or a text.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum

from clawmates.wire.audit import canonical
from clawmates.wire.names import ItemName, check_bot_id
from clawmates.wire.vault_deeds import OfBot, Resumed

SUBJECT = re.compile(r"(?:[0-9a-f]{32})?")


class Deed(StrEnum):
    """What happened: ``control.SUBJECT.VERB``, and nothing else can be written down."""

    ACCOUNT_OPENED = "control.account.opened"
    ACCOUNT_CANCELLED = "control.account.cancelled"
    """Its bots do not run from then on; a month later they are destroyed."""
    ACCOUNT_RESUMED = "control.account.resumed"
    ACCOUNT_LEFT = "control.account.left"
    """It is to be deleted."""
    ACCOUNT_ERASED = "control.account.erased"
    """Some account was; nothing says which."""
    SIGNED_IN = "control.session.opened"
    SIGNED_OUT = "control.session.closed"
    SESSIONS_REVOKED = "control.session.revoked"
    PASSKEY_ADDED = "control.passkey.added"
    PASSKEY_REMOVED = "control.passkey.removed"
    ADDRESS_CHANGED = "control.address.changed"
    EXPORTED = "control.account.exported"
    AGREED = "control.agreement.made"
    """A data processing agreement; its hash is kept with the account, and not here, where it would stay."""
    BOT_CREATED = "control.bot.created"
    BOT_EDITED = "control.bot.edited"
    BOT_SEALED = "control.bot.sealed"
    BOT_PAUSED = "control.bot.paused"
    BOT_RESUMED = "control.bot.resumed"
    BOT_RESTARTED = "control.bot.restarted"
    BOT_OPENED = "control.bot.opened"
    """A code was made that lets one more person in."""
    BOT_DELETED = "control.bot.deleted"
    """Its owner wants it gone; the vault's chain says when its keys are."""
    BOT_ENDED = "control.bot.ended"
    """The same, by itself: its account was cancelled long enough ago."""
    BOT_MOVED = "control.bot.moved"
    NODE_JOINED = "control.node.joined"
    NODE_LOST = "control.node.lost"
    NODE_RETURNED = "control.node.returned"
    NODE_DRAINED = "control.node.drained"
    """The operator wants it empty."""
    NODE_KEPT = "control.node.kept"
    """And does not any more."""
    ADMIN_LOOKED = "control.admin.looked"
    BACKUP_MADE = "control.backup.made"
    """A sealed copy left; nothing was shown."""
    AUDIT_RESUMED = "control.audit.resumed"
    """Root had control and the vault begin anew to countersign each other's chain."""


class Way(StrEnum):
    """How somebody signed in."""

    LINK = "link"
    PASSKEY = "passkey"


class Wish(StrEnum):
    """Who wanted an account deleted."""

    OWNER = "owner"
    OPERATOR = "operator"
    """Because its owner has asked for it by letter."""


class Look(StrEnum):
    """What an operator asked control for."""

    ACCOUNTS = "accounts"
    BOTS = "bots"
    NODES = "nodes"
    AUDIT = "audit"
    RETENTION = "retention"


@dataclass(frozen=True, slots=True, kw_only=True)
class Plain:
    """The tag says it all."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SignedIn:
    """A browser was signed in."""

    way: Way


@dataclass(frozen=True, slots=True, kw_only=True)
class Revoked:
    """So many other browsers were signed out."""

    sessions: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Sealed:
    """A version of an item was sealed in a browser and is on its way to the vault."""

    bot: str
    item: ItemName
    version: int

    def __post_init__(self) -> None:
        check_bot_id(self.bot)


@dataclass(frozen=True, slots=True, kw_only=True)
class Moved:
    """A bot runs elsewhere, because its node was lost."""

    bot: str
    origin: str
    node: str

    def __post_init__(self) -> None:
        for one in (self.bot, self.origin, self.node):
            check_bot_id(one)


@dataclass(frozen=True, slots=True, kw_only=True)
class OfNode:
    """Something that concerns one host and nothing else."""

    node: str

    def __post_init__(self) -> None:
        check_bot_id(self.node)


@dataclass(frozen=True, slots=True, kw_only=True)
class Looked:
    """An operator looked; the subject is whose account alone it was about, or empty: then it was about everybody's."""

    what: Look


@dataclass(frozen=True, slots=True, kw_only=True)
class Left:
    """An account is to be deleted, on this wish."""

    wish: Wish


@dataclass(frozen=True, slots=True, kw_only=True)
class Erased:
    """An account is gone; its owner has the receipt of this number."""

    receipt: str

    def __post_init__(self) -> None:
        check_bot_id(self.receipt)


Account = Plain | SignedIn | Revoked | Left | Erased
Detail = Account | OfBot | Sealed | Moved | OfNode | Looked | Resumed

DETAILS: dict[Deed, type[Detail]] = {
    Deed.ACCOUNT_OPENED: Plain,
    Deed.ACCOUNT_CANCELLED: Plain,
    Deed.ACCOUNT_RESUMED: Plain,
    Deed.ACCOUNT_LEFT: Left,
    Deed.ACCOUNT_ERASED: Erased,
    Deed.SIGNED_IN: SignedIn,
    Deed.SIGNED_OUT: Plain,
    Deed.SESSIONS_REVOKED: Revoked,
    Deed.PASSKEY_ADDED: Plain,
    Deed.PASSKEY_REMOVED: Plain,
    Deed.ADDRESS_CHANGED: Plain,
    Deed.EXPORTED: Plain,
    Deed.AGREED: Plain,
    Deed.BOT_CREATED: OfBot,
    Deed.BOT_EDITED: OfBot,
    Deed.BOT_SEALED: Sealed,
    Deed.BOT_PAUSED: OfBot,
    Deed.BOT_RESUMED: OfBot,
    Deed.BOT_RESTARTED: OfBot,
    Deed.BOT_OPENED: OfBot,
    Deed.BOT_DELETED: OfBot,
    Deed.BOT_ENDED: OfBot,
    Deed.BOT_MOVED: Moved,
    Deed.NODE_JOINED: OfNode,
    Deed.NODE_LOST: OfNode,
    Deed.NODE_RETURNED: OfNode,
    Deed.NODE_DRAINED: OfNode,
    Deed.NODE_KEPT: OfNode,
    Deed.ADMIN_LOOKED: Looked,
    Deed.BACKUP_MADE: Plain,
    Deed.AUDIT_RESUMED: Resumed,
}


def detail_of(tag: str, detail: str) -> Detail:
    """The typed detail of an entry; raises ``ValueError`` for a tag or a form that is not in the grammar."""
    return canonical(DETAILS[Deed(tag)], detail)


def check_subject(subject: str) -> str:
    """``subject`` itself; raises ``ValueError`` unless it is a pseudonym or empty."""
    if not SUBJECT.fullmatch(subject):
        raise ValueError("not a pseudonym")
    return subject
