"""``vault.db``: whose bot it is, and sealed records that mean nothing without ``keys.db``."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime

from clawmates.base.clock import stamp
from clawmates.vault.database import Database, Schema
from clawmates.vault.leases import Term
from clawmates.vault.ledger import TABLES as AUDIT
from clawmates.wire.names import ItemName
from clawmates.wire.vault import Binding

LEASES = """
CREATE TABLE IF NOT EXISTS leases (bot TEXT PRIMARY KEY REFERENCES bots, seconds INTEGER NOT NULL, until TEXT NOT NULL)
STRICT;
"""
SPENT = """
CREATE TABLE IF NOT EXISTS spent (
    bot TEXT NOT NULL REFERENCES bots, name TEXT NOT NULL, version INTEGER NOT NULL, PRIMARY KEY (bot, name)
) STRICT;
"""
"""The newest version that was destroyed of each item: no number is taken twice, so no old blob comes back."""
SCHEMA = Schema(
    mark=int.from_bytes(b"CMVT", "big"),
    version=1,
    tables="""
CREATE TABLE bots (
    bot TEXT PRIMARY KEY, tenant TEXT NOT NULL, node TEXT NOT NULL, frozen INTEGER NOT NULL DEFAULT 0
) STRICT;
CREATE TABLE records (
    bot TEXT NOT NULL REFERENCES bots, name TEXT NOT NULL, version INTEGER NOT NULL,
    key_id TEXT NOT NULL, hosts TEXT NOT NULL, received BLOB NOT NULL, box BLOB NOT NULL,
    PRIMARY KEY (bot, name, version)
) STRICT;
""",
    additions=LEASES + SPENT + AUDIT,
)
KEPT_VERSIONS = 2
"""The newest and the one before it, which a bot may still be started with while desired state catches up."""


@dataclass(frozen=True, slots=True)
class Bot:
    """One bot as the vault knows it."""

    id: str
    tenant: str
    node: str
    frozen: bool


@dataclass(frozen=True, slots=True)
class Record:
    """One sealed item. ``received`` is the SHA-256 of the blob that it came as, to know a repeated put."""

    binding: Binding
    received: bytes
    box: bytes


@dataclass(frozen=True, slots=True)
class RecordStore:
    """The open ``vault.db``. Errors are ``sqlite3.Error``."""

    database: Database
    region: str

    def bot(self, bot: str) -> Bot | None:
        """The bot of that id."""
        row = self.database.connection.execute(
            "SELECT bot, tenant, node, frozen FROM bots WHERE bot = ?", (bot,)
        ).fetchone()
        return None if row is None else Bot(row[0], row[1], row[2], bool(row[3]))

    def assign(self, bot: str, tenant: str, node: str, term: Term | None) -> None:
        """Makes the bot known, or moves it to another node; its lease is the new one."""
        with self.database.transaction() as connection:
            connection.execute(
                "INSERT INTO bots (bot, tenant, node) VALUES (?, ?, ?) ON CONFLICT (bot) DO UPDATE SET node = ?",
                (bot, tenant, node, node),
            )
            connection.execute("DELETE FROM leases WHERE bot = ?", (bot,))
            if term is not None:
                connection.execute("INSERT INTO leases VALUES (?, ?, ?)", (bot, term.seconds, stamp(term.until)))

    def term(self, bot: str) -> Term | None:
        """The bot's lease; ``None`` when it is endless."""
        row = self.database.connection.execute("SELECT seconds, until FROM leases WHERE bot = ?", (bot,)).fetchone()
        return None if row is None else Term(row[0], datetime.fromisoformat(row[1]))

    def renew(self, bot: str, term: Term) -> None:
        """Lets a lease run longer."""
        with self.database.transaction() as connection:
            connection.execute("UPDATE leases SET until = ? WHERE bot = ?", (stamp(term.until), bot))

    def frozen(self) -> tuple[str, ...]:
        """Bots that an alarm stopped."""
        rows = self.database.connection.execute("SELECT bot FROM bots WHERE frozen = 1 ORDER BY bot")
        return tuple(bot for (bot,) in rows)

    def freeze(self, bot: str, *, frozen: bool) -> None:
        """Sets or clears the mark that stops all tickets."""
        with self.database.transaction() as connection:
            connection.execute("UPDATE bots SET frozen = ? WHERE bot = ?", (int(frozen), bot))

    def record(self, bot: Bot, name: ItemName, version: int) -> Record | None:
        """One record, whole."""
        row = self.database.connection.execute(
            "SELECT key_id, hosts, received, box FROM records WHERE bot = ? AND name = ? AND version = ?",
            (bot.id, name.value, version),
        ).fetchone()
        if row is None:
            return None
        binding = Binding(
            key_id=row[0],
            region=self.region,
            tenant=bot.tenant,
            bot=bot.id,
            name=name,
            version=version,
            hosts=tuple(json.loads(row[1])),
        )
        return Record(binding, row[2], row[3])

    def versions(self, bot: str, name: ItemName) -> tuple[int, ...]:
        """The versions kept of one item, oldest first."""
        rows = self.database.connection.execute(
            "SELECT version FROM records WHERE bot = ? AND name = ? ORDER BY version", (bot, name.value)
        )
        return tuple(version for (version,) in rows)

    def spent(self, bot: str, name: ItemName) -> int:
        """The newest version that was destroyed of an item that its bot lives on without; 0 where none was."""
        row = self.database.connection.execute(
            "SELECT version FROM spent WHERE bot = ? AND name = ?", (bot, name.value)
        ).fetchone()
        return 0 if row is None else int(row[0])

    def spend(self, bot: str, name: ItemName, version: int) -> None:
        """Takes the numbers up to this one."""
        with self.database.transaction() as connection:
            connection.execute(
                "INSERT INTO spent VALUES (?, ?, ?)"
                " ON CONFLICT (bot, name) DO UPDATE SET version = max(version, excluded.version)",
                (bot, name.value, version),
            )

    def add(self, record: Record) -> None:
        """Keeps one more record."""
        about = record.binding
        with self.database.transaction() as connection:
            connection.execute(
                "INSERT INTO records VALUES (?, ?, ?, ?, ?, ?, ?)",
                (
                    about.bot,
                    about.name.value,
                    about.version,
                    about.key_id,
                    json.dumps(about.hosts),
                    record.received,
                    record.box,
                ),
            )

    def binding(self, bot: str, name: str, version: int) -> Binding | None:
        """What one record is bound to; ``None`` where there is none."""
        known = self.bot(bot)
        record = self.record(known, ItemName(name), version) if known is not None else None
        return None if record is None else record.binding

    def bots_of(self, tenant: str) -> frozenset[str]:
        """The tenant's bots."""
        rows = self.database.connection.execute("SELECT bot FROM bots WHERE tenant = ?", (tenant,))
        return frozenset(bot for (bot,) in rows)

    def items_of(self, bot: str) -> frozenset[tuple[str, int]]:
        """(name, version) of every record of a bot."""
        rows = self.database.connection.execute("SELECT name, version FROM records WHERE bot = ?", (bot,))
        return frozenset((name, version) for name, version in rows)

    def known(self) -> frozenset[tuple[str, str, int]]:
        """(bot, name, version) of every record."""
        rows = self.database.connection.execute("SELECT bot, name, version FROM records")
        return frozenset((bot, name, version) for bot, name, version in rows)

    def forget(self, bot: str) -> None:
        """Deletes the bot and all its records."""
        with self.database.transaction() as connection:
            connection.execute("DELETE FROM records WHERE bot = ?", (bot,))
            connection.execute("DELETE FROM leases WHERE bot = ?", (bot,))
            connection.execute("DELETE FROM spent WHERE bot = ?", (bot,))
            connection.execute("DELETE FROM bots WHERE bot = ?", (bot,))
        self.database.scrub_journal()

    def forget_versions(self, bot: str, *versions: tuple[str, int]) -> None:
        """Deletes single records of a bot, by (name, version)."""
        with self.database.transaction() as connection:
            connection.executemany(
                "DELETE FROM records WHERE bot = ? AND name = ? AND version = ?",
                [(bot, name, version) for name, version in versions],
            )
        self.database.scrub_journal()
