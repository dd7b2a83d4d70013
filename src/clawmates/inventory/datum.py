"""The words in which a kept datum is declared. No logic, no I/O: everybody may read this."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum


class Basis(StrEnum):
    """On what a datum is processed: GDPR, article 6(1)."""

    CONTRACT = "contract"
    """(b): without it the service cannot be given."""
    LEGITIMATE_INTEREST = "legitimate-interest"
    """(f): security and accountability of the service."""
    LEGAL_OBLIGATION = "legal-obligation"
    """(c)."""


class Until(StrEnum):
    """What ends a datum's life; a span comes beside it where one is counted."""

    ACCOUNT_DELETED = "account-deleted"
    BOT_DELETED = "bot-deleted"
    CHANGED = "changed"
    """Or the bot or account it belongs to is deleted."""
    AGE = "age"
    """It is as old as ``span``."""
    USED = "used"
    """Or as old as ``span``."""
    UNLINKED = "unlinked"
    """The entry stays. That it was about this person nobody can tell once the account is deleted."""
    NEVER = "never"
    """It is about the platform and about nobody."""


class Viewer(StrEnum):
    """Who can see it in the clear, by what the platform offers."""

    OWNER = "owner"
    OPERATOR = "operator"
    MATE = "mate"
    """The bot's own container."""
    NODE = "node"
    VAULT = "vault"
    """The vault's process, while it hands it over."""
    PROVIDER = "provider"
    """The AI provider that the bot asks."""
    MESSENGER = "messenger"
    """The messenger that the bot speaks through."""
    NOBODY = "nobody"
    """It is a hash or a key, used and not shown."""


class Form(StrEnum):
    """As what it is kept."""

    CLEAR = "clear"
    SEALED = "sealed"
    """Ciphertext: AES-256-GCM under a key of its own, which lies elsewhere."""
    HASH = "hash"
    KEY = "key"
    """A key or what is made with one. It says nothing, and it is not shown."""


class Store(StrEnum):
    """Where it is: the first word of each of its columns."""

    CONTROL = "control"
    """The database of the web service: ``control.TABLE.COLUMN``."""
    VAULT = "vault"
    """``vault.db``: ``vault.TABLE.COLUMN``; ``vault.TABLE/ITEM.COLUMN`` in the rows of one kind of item."""
    KEYS = "keys"
    """``keys.db``, apart from the records that its keys open: as :attr:`VAULT`."""
    FILE = "file"
    """In the state folder: ``file.PATTERN``; ``*`` is any part of a name, ``**`` any number of folders."""
    LOG = "log"
    """A field of the closed events in ``log/``: ``log.PROCESS.FIELD``."""
    RAM = "ram"
    """Memory of a process, or the runtime folder, which is RAM: ``ram.PROCESS.THING``; gone with a restart."""


@dataclass(frozen=True, slots=True)
class Said:
    """One thing in the languages of the pages."""

    en: str
    de: str

    def to(self, language: str) -> str:
        """In that language; of an unknown one, English."""
        return self.de if language == "de" else self.en


@dataclass(frozen=True, slots=True, kw_only=True)
class End:
    """When a row comes to its end; the retention jobs are made from it (:mod:`clawmates.control.retention`).

    Where ``column`` holds a moment, as soon as it is ``after`` old. Where it holds a UTC day, when it is older than
    ``after``: with 90 days the 90th stays, and the 91st goes.
    """

    column: str
    """Of the datum's own, unless ``of`` says whose."""
    after: timedelta = timedelta()
    """None where the column says when the row ends, rather than when it began."""
    only: tuple[str, str] | None = None
    """(column of the datum's table, value): of rows that have another one there this says nothing."""
    of: str = ""
    """The datum's column that names the row of another table in which ``column`` stands; its own table's ``id``."""
    name: str = ""
    """Which of a datum's ends this is, where it has several that are unlike."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Datum:
    """One kept thing. ``columns`` are written as :class:`Store` says."""

    id: str
    what: Said
    why: Said
    until: Until
    basis: Basis
    columns: tuple[str, ...]
    seen_by: tuple[Viewer, ...]
    span: timedelta | None = None
    ends: Said | None = None
    """How its end is told, where ``until`` and ``span`` alone would be read wrongly."""
    form: Form = Form.CLEAR
    over: tuple[End, ...] = ()
    """What takes its rows away by itself; nothing where something that happens does."""
    exported: bool = False
    """Whether it stands in what an owner takes away (GDPR, articles 15 and 20)."""
    about_a_person: bool = True

    def __post_init__(self) -> None:
        if (self.until is Until.AGE) != (self.span is not None) and self.until is not Until.USED:
            raise ValueError(f"{self.id}: an age needs a span, and only an age does")
        if not {end.of or end.column for end in self.over} <= set(self.columns):
            raise ValueError(f"{self.id}: an end is seen by a column of its own")
        if self.about_a_person and self.until is Until.NEVER:
            raise ValueError(f"{self.id}: what is about a person ends")
        if not {column.partition(".")[0] for column in self.columns} <= {one.value for one in Store}:
            raise ValueError(f"{self.id}: a column begins with its store")

    @property
    def stores(self) -> tuple[Store, ...]:
        """Where it is, in the order of :class:`Store`."""
        return tuple(one for one in Store if any(column.startswith(f"{one.value}.") for column in self.columns))


def item(*names: str) -> tuple[str, ...]:
    """The vault's columns of one kind of item: its records, and the keys that open them."""
    record = ("bot", "name", "version", "key_id", "hosts", "received", "box")
    key = ("bot", "name", "version", "tenant", "generation", "wrapped")
    return tuple(
        column
        for name in names
        for column in (
            *(f"vault.records/{name}.{one}" for one in record),
            *(f"keys.data_keys/{name}.{one}" for one in key),
        )
    )
