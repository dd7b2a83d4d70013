"""SQLite as the vault needs it: checked when opened, ours alone, and without memory of what was deleted.

The journal is kept and overwritten (``PERSIST``), not WAL: one thread in one process does all reading and writing,
so WAL's readers gain nothing, while a truncated WAL or an unlinked journal leaves old pages on the raw disk. A
journal that stays in place can be overwritten with zeros in place: :meth:`Database.forget`.
"""

from __future__ import annotations

import os
import sqlite3
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from clawmates.base.files import write_atomic
from clawmates.vault.checks import StartError, require_private_file

if TYPE_CHECKING:
    from collections.abc import Iterator

_ZEROS = bytes(64 * 1024)


@dataclass(frozen=True, slots=True)
class Schema:
    """What a file of ours looks like: its mark (``application_id``), version and tables."""

    mark: int
    version: int
    tables: str
    additions: str = ""
    """Tables that came later, made where they are missing (``IF NOT EXISTS``)."""


@dataclass(frozen=True, slots=True)
class Database:
    """One open file, locked against every other process."""

    path: Path
    connection: sqlite3.Connection

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """Committed at the end, rolled back on any error."""
        self.connection.execute("BEGIN IMMEDIATE")
        try:
            yield self.connection
            self.connection.execute("COMMIT")
        except BaseException:
            if self.connection.in_transaction:
                self.connection.execute("ROLLBACK")
            raise

    def forget(self) -> None:
        """Overwrites what deletions left behind: stale copies in the file's pages, and the journal's old pages.

        ``secure_delete`` clears a deleted cell where it lies, but not the copies that earlier page splits left in
        unused space (seen: 6 of 2,700 deleted keys); only VACUUM rewrites every page.
        """
        self.connection.execute("VACUUM")
        self.scrub_journal()

    def image(self) -> bytes:
        """The whole file as it would be read now."""
        return bytes(self.connection.serialize())

    def scrub_journal(self) -> None:
        """Overwrites the idle rollback journal with zeros, in place."""
        try:
            descriptor = os.open(f"{self.path}-journal", os.O_WRONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
        except FileNotFoundError:
            return
        try:
            left = os.fstat(descriptor).st_size
            while left > 0:
                left -= os.write(descriptor, _ZEROS[:left])
            os.fsync(descriptor)
        finally:
            os.close(descriptor)

    def close(self) -> None:
        """Closes the file."""
        self.connection.close()


def create_database(path: Path, schema: Schema, rows: tuple[tuple[str, tuple[object, ...]], ...] = ()) -> None:
    """Writes a fresh file with ``rows`` (statement, values) in it: whole or not at all. Raises ``OSError``."""
    memory = sqlite3.connect(":memory:", isolation_level=None)
    try:
        memory.executescript(
            f"PRAGMA application_id={schema.mark}; PRAGMA user_version={schema.version};"
            f"{schema.tables}{schema.additions}"
        )
        for statement, values in rows:
            memory.execute(statement, values)
        write_atomic(path, memory.serialize())
    finally:
        memory.close()


def open_database(path: Path, schema: Schema) -> Database:
    """Opens and checks an existing file; raises :class:`StartError`."""
    for name in (path, path.with_name(f"{path.name}-journal")):
        require_private_file(name)
    # Made here, used by the store's thread only; the library itself is serialised (sqlite3.threadsafety 3).
    connection = sqlite3.connect(
        f"{path.resolve().as_uri()}?mode=rw", uri=True, timeout=0, isolation_level=None, check_same_thread=False
    )
    try:
        _prepare(connection, path, schema)
    except sqlite3.Error as error:
        connection.close()
        if getattr(error, "sqlite_errorname", "") == "SQLITE_BUSY":
            raise StartError(f"{path} is in use by another process: stop that first") from None
        raise StartError(f"{path} cannot be trusted, SQLite does not read it: restore it from a backup") from None
    except StartError:
        connection.close()
        raise
    database = Database(path, connection)
    database.scrub_journal()
    return database


def _prepare(connection: sqlite3.Connection, path: Path, schema: Schema) -> None:
    for pragma in (
        "locking_mode=EXCLUSIVE",
        "journal_mode=PERSIST",
        "synchronous=FULL",
        "secure_delete=ON",
        "foreign_keys=ON",
        "temp_store=MEMORY",
        "trusted_schema=OFF",
        "cell_size_check=ON",
    ):
        connection.execute(f"PRAGMA {pragma}").fetchall()
    connection.execute("BEGIN EXCLUSIVE")
    connection.execute("COMMIT")
    if _pragma(connection, "quick_check") != "ok":
        raise StartError(f"{path} cannot be trusted, it fails SQLite's quick_check: restore it from a backup")
    if _pragma(connection, "application_id") != schema.mark:
        raise StartError(f"{path} is not a database of the vault")
    if _pragma(connection, "user_version") != schema.version:
        raise StartError(f"{path} was written by another version of the vault")
    connection.executescript(schema.additions)


def _pragma(connection: sqlite3.Connection, name: str) -> object:
    return connection.execute(f"PRAGMA {name}").fetchone()[0]
