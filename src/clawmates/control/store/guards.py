"""What the database itself refuses, whoever asks: to change or take away what the audit chain holds.

It is a second lock, not the proof: who owns the database can take it off, and then the countersignatures betray them.
Of the countersignatures the oldest may go, because newer heads cover what older ones did.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import text

from clawmates.wire.audit import KEPT_WORDS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlalchemy import Connection

SAID = "the audit chain is only added to"
_NEWEST = f"(SELECT max(number) - {KEPT_WORDS} FROM audit_witnesses WHERE chain = OLD.chain)"  # noqa: S608 - ours
_SQLITE = (
    ("audit_entries", "UPDATE", ""),
    ("audit_entries", "DELETE", ""),
    ("audit_witnesses", "UPDATE", ""),
    ("audit_witnesses", "DELETE", f"WHEN OLD.number > {_NEWEST}"),
)
_POSTGRESQL = (
    f"""CREATE OR REPLACE FUNCTION audit_refused() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN RAISE EXCEPTION '{SAID}'; END $$""",
    f"""CREATE OR REPLACE FUNCTION audit_old_witness() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
    IF OLD.number > {_NEWEST} THEN RAISE EXCEPTION '{SAID}'; END IF;
    RETURN OLD;
    END $$""",
    """CREATE TRIGGER audit_entries_kept BEFORE UPDATE OR DELETE OR TRUNCATE ON audit_entries
    FOR EACH STATEMENT EXECUTE FUNCTION audit_refused()""",
    """CREATE TRIGGER audit_witnesses_kept BEFORE UPDATE OR TRUNCATE ON audit_witnesses
    FOR EACH STATEMENT EXECUTE FUNCTION audit_refused()""",
    """CREATE TRIGGER audit_witnesses_pruned BEFORE DELETE ON audit_witnesses
    FOR EACH ROW EXECUTE FUNCTION audit_old_witness()""",
)
_THERE = "SELECT count(*) FROM pg_trigger WHERE tgname = 'audit_entries_kept' AND NOT tgisinternal"


def guard(connection: Connection) -> None:
    """Puts the guards up where they are missing; each replica calls it when it starts."""
    for statement in _statements(connection):
        connection.execute(text(statement))


def _statements(connection: Connection) -> Iterator[str]:
    if connection.dialect.name == "postgresql":
        yield from () if connection.scalar(text(_THERE)) else _POSTGRESQL
        return
    for table, verb, when in _SQLITE:
        yield (
            f"CREATE TRIGGER IF NOT EXISTS {table}_{verb.lower()} BEFORE {verb} ON {table} {when}"
            f" BEGIN SELECT RAISE(ABORT, '{SAID}'); END"
        )
