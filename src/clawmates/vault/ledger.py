"""The audit chain as it is kept in ``vault.db``: rows are added and never changed.

Nothing is decided by what stands there, but whether an entry stands there already (:mod:`clawmates.vault.closing`).
Blocking, on the store's thread. Errors are ``sqlite3.Error``.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from clawmates.base.clock import stamp
from clawmates.base.shape import decode_json, encode_json
from clawmates.vault.database import Database
from clawmates.wire.audit import (
    EMPTY,
    GENESIS,
    KEPT_WORDS,
    PAGE,
    Entry,
    Head,
    Line,
    Witness,
    Witnesses,
    chained,
    chained_line,
)
from clawmates.wire.vault_deeds import Detail, Tag

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Sequence

    from clawmates.wire.audit import About, SignedHead
    from clawmates.wire.vault_deeds import Resumed

TABLES = """
CREATE TABLE IF NOT EXISTS audit (
    number INTEGER PRIMARY KEY, at TEXT NOT NULL, tag TEXT NOT NULL, detail TEXT NOT NULL, hash TEXT NOT NULL
) STRICT;
CREATE TABLE IF NOT EXISTS signers (id TEXT PRIMARY KEY, certificate TEXT NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS witnesses (
    id INTEGER PRIMARY KEY, node TEXT NOT NULL, line INTEGER NOT NULL, line_hash TEXT NOT NULL,
    number INTEGER NOT NULL, hash TEXT NOT NULL, at TEXT NOT NULL,
    signer TEXT NOT NULL REFERENCES signers, signature TEXT NOT NULL,
    UNIQUE (node, line)
) STRICT;
CREATE TABLE IF NOT EXISTS control_heads (number INTEGER PRIMARY KEY, line TEXT NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS audit_bots (
    bot TEXT NOT NULL, number INTEGER NOT NULL, PRIMARY KEY (bot, number)
) STRICT, WITHOUT ROWID;
"""

CONTROL = "control/"
"""Under which name control's words are kept: its replicas are one, and no node is called so."""


@dataclass(frozen=True, slots=True)
class Note:
    """Something that happened, not yet a link of the chain."""

    at: datetime
    tag: Tag
    detail: Detail


@dataclass(frozen=True, slots=True)
class Ledger:
    """The chain and what counterparts said of it."""

    database: Database

    def append(self, notes: Sequence[Note]) -> None:
        """Adds entries in one transaction, all or none."""
        with self.database.transaction() as connection:
            self._append(connection, notes)

    def _append(self, connection: sqlite3.Connection, notes: Sequence[Note]) -> None:
        head = self.head()
        previous, rows, bots = bytes.fromhex(head.hash), [], []
        for number, note in enumerate(notes, head.number + 1):
            at, detail = stamp(note.at), encode_json(note.detail).decode()
            previous = chained(previous, number, at, note.tag.value, detail)
            rows.append((number, at, note.tag.value, detail, previous.hex()))
            bots += [(note.detail.bot, number)] if hasattr(note.detail, "bot") else []
        connection.executemany("INSERT INTO audit VALUES (?, ?, ?, ?, ?)", rows)
        # Only to find them: an index on a JSON field is refused where the schema is not trusted.
        connection.executemany("INSERT OR IGNORE INTO audit_bots VALUES (?, ?)", bots)

    def resume(self, order: Resumed, at: datetime) -> bool:
        """Root's order, once: an entry, and with it the words of those whom it names go, who begin anew.

        What they had seen last is in the entry. False for an order that was followed, or is not for this chain.
        """
        note = Note(at, Tag.AUDIT_RESUMED, order)
        if self.at(order.vault.number) != order.vault or self.holds(note):
            return False
        with self.database.transaction() as connection:
            self._append(connection, [note])
            anew = [one.node for one in order.by_nodes] + ([CONTROL] if order.control is not None else [])
            connection.executemany("DELETE FROM witnesses WHERE node = ?", [(one,) for one in anew])
            if order.control is not None:
                connection.execute("DELETE FROM control_heads")
        return True

    def holds(self, note: Note) -> bool:
        """Whether there is an entry of that tag and detail, whenever it was written. Looks through the whole chain."""
        row = self.database.connection.execute(
            "SELECT 1 FROM audit WHERE tag = ? AND detail = ?", (note.tag.value, encode_json(note.detail).decode())
        )
        return row.fetchone() is not None

    def head(self) -> Head:
        """How far the chain has come."""
        row = self.database.connection.execute("SELECT number, hash FROM audit ORDER BY number DESC LIMIT 1").fetchone()
        return EMPTY if row is None else Head(number=row[0], hash=row[1])

    def at(self, number: int) -> Head | None:
        """The head that the chain had at ``number``; ``None`` when it has not come that far."""
        if number == 0:
            return Head(number=0, hash=GENESIS.hex())
        row = self.database.connection.execute("SELECT hash FROM audit WHERE number = ?", (number,)).fetchone()
        return None if row is None else Head(number=number, hash=row[0])

    def entries(self, after: int) -> tuple[Entry, ...]:
        """A page of entries after that number."""
        rows = self.database.connection.execute(
            "SELECT number, at, tag, detail, hash FROM audit WHERE number > ? ORDER BY number LIMIT ?", (after, PAGE)
        )
        return tuple(Entry(number=row[0], at=row[1], tag=row[2], detail=row[3], hash=row[4]) for row in rows)

    def about(self, question: About) -> tuple[Entry, ...]:
        """The newest entries about some bots, the newest first."""
        marks = ",".join("?" * len(question.bots))
        rows = self.database.connection.execute(
            "SELECT a.number, a.at, a.tag, a.detail, a.hash FROM audit_bots b JOIN audit a ON a.number = b.number"  # noqa: S608 - question marks
            f" WHERE b.bot IN ({marks}) AND a.at <= ? ORDER BY a.number DESC LIMIT ?",
            (*question.bots, question.until, question.most),
        )
        return tuple(Entry(number=row[0], at=row[1], tag=row[2], detail=row[3], hash=row[4]) for row in rows)

    def add_control_head(self, said: SignedHead) -> Line | None:
        """Adds control's head to the vault's list of them; ``None`` when it is not what follows there.

        The head that is there last may be said again: its answer was lost.
        """
        last = self.last_control_head()
        known = EMPTY if last is None else last.said.head
        if last is not None and said.head == known:
            return last
        if said.before != known or said.head.number <= known.number:
            return None
        number, previous = (1, GENESIS) if last is None else (last.number + 1, bytes.fromhex(last.hash))
        line = Line(number=number, said=said, hash=chained_line(previous, number, said).hex())
        with self.database.transaction() as connection:
            connection.execute("INSERT INTO control_heads VALUES (?, ?)", (number, encode_json(line).decode()))
            connection.execute("DELETE FROM control_heads WHERE number <= ?", (number - KEPT_WORDS,))
        return line

    def last_control_head(self) -> Line | None:
        """Control's head that was countersigned last."""
        found = self._control_heads("ORDER BY number DESC LIMIT 1", ())
        return found[0] if found else None

    def control_heads(self, after: int) -> tuple[Line, ...]:
        """A page of control's heads, by their number in this list."""
        return self._control_heads("WHERE number > ? ORDER BY number LIMIT ?", (after, PAGE))

    def _control_heads(self, which: str, values: tuple[int, ...]) -> tuple[Line, ...]:
        rows = self.database.connection.execute(f"SELECT line FROM control_heads {which}", values)  # noqa: S608 - ours
        return tuple(decode_json(Line, row[0].encode()) for row in rows)

    def add_witness(self, node: str, witness: Witness) -> bool:
        """Keeps a counterpart's word; false when it contradicts this chain or the counterpart's own list.

        A line that is here already may be repeated: its answer was lost.
        """
        if witness.head != self.at(witness.head.number):
            return False
        last = self._last_line(node)
        if witness.line == last:
            return True
        if witness.line.number <= last.number:
            return False
        signer = hashlib.sha256(witness.certificate.encode()).hexdigest()
        with self.database.transaction() as connection:
            connection.execute("INSERT OR IGNORE INTO signers VALUES (?, ?)", (signer, witness.certificate))
            connection.execute(
                "INSERT INTO witnesses VALUES (NULL, ?, ?, ?, ?, ?, ?, ?, ?)",
                (
                    node,
                    witness.line.number,
                    witness.line.hash,
                    witness.head.number,
                    witness.head.hash,
                    witness.at,
                    signer,
                    witness.signature,
                ),
            )
            connection.execute(
                "DELETE FROM witnesses WHERE node = ? AND line <= ?", (node, witness.line.number - KEPT_WORDS)
            )
        return True

    def witnesses(self, after: int) -> Witnesses:
        """A page of counterparts' words, after that place in the order they came in."""
        rows = self.database.connection.execute(
            "SELECT w.number, w.hash, w.line, w.line_hash, w.at, s.certificate, w.signature, w.id"
            " FROM witnesses w JOIN signers s ON s.id = w.signer WHERE w.id > ? ORDER BY w.id LIMIT ?",
            (after, PAGE),
        ).fetchall()
        found = tuple(
            Witness(
                head=Head(number=row[0], hash=row[1]),
                line=Head(number=row[2], hash=row[3]),
                at=row[4],
                certificate=row[5],
                signature=row[6],
            )
            for row in rows
        )
        return Witnesses(witnesses=found, last=rows[-1][7] if rows else after)

    def witnessed(self) -> int:
        """The highest number that anybody has countersigned."""
        number: int = self.database.connection.execute("SELECT coalesce(max(number), 0) FROM witnesses").fetchone()[0]
        return number

    def _last_line(self, node: str) -> Head:
        row = self.database.connection.execute(
            "SELECT line, line_hash FROM witnesses WHERE node = ? ORDER BY line DESC LIMIT 1", (node,)
        ).fetchone()
        return EMPTY if row is None else Head(number=row[0], hash=row[1])
