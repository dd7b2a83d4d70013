"""Everything that a platform keeps, held against the declaration; and the same look at what is certainly undeclared."""

from __future__ import annotations

import asyncio
import sqlite3
from contextlib import ExitStack, closing
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sqlalchemy import text

from clawmates.inventory.datum import Store
from clawmates.inventory.whole import Difference, compare, compare_files, owner_of
from clawmates.proofs.control import control_file
from clawmates.proofs.errors import BlindError, ProofError
from clawmates.proofs.kept import places, schemas
from clawmates.proofs.vaultfile import UnreadableError, raw

if TYPE_CHECKING:
    from pathlib import Path

    from clawmates.proofs.canary import Canary
    from clawmates.proofs.platform import Platform

CONTROL_DB = "control.db"
EXTRA = "prove_undeclared"
SECOND_LOOK_SECONDS = 1.0
"""A file that is written under another name first is there for a moment, and nobody keeps it."""


@dataclass(frozen=True, slots=True)
class Look:
    """One store: how much is there, what speaks against the declaration, and what was rightly not there."""

    where: str
    found: int
    difference: Difference
    excused: tuple[str, ...] = ()


async def control(platform: Platform) -> Look:
    """The live database of the web service. Raises :class:`ProofError`."""
    if platform.settings.control.database:
        async with schemas.of_server(platform) as connection:
            there = await schemas.of_postgresql(connection)
            await connection.execute(text(f"CREATE TEMPORARY TABLE {EXTRA} ({EXTRA} int)"))
            wider = await schemas.of_postgresql(connection)
            await connection.rollback()
        _see(Store.CONTROL, wider - there, ())
        return Look("control's database, PostgreSQL", len(there), compare(Store.CONTROL, there))
    path = platform.state.control / CONTROL_DB
    try:
        with closing(schemas.beside(path)) as connection:
            return _of_sqlite("control's database, SQLite", Store.CONTROL, connection)
    except sqlite3.Error:
        raise ProofError(f"{path} cannot be read: run this as root, where the platform runs") from None


def vault(platform: Platform) -> tuple[Look, ...]:
    """Records and keys, as their files are, with the kinds of things in them. Raises :class:`ProofError`."""
    looks = []
    for store, table in ((Store.VAULT, "records"), (Store.KEYS, "data_keys")):
        path = platform.state.vault / f"{store.value}.db"
        try:
            with closing(schemas.image(raw(path))) as connection:
                look = _of_sqlite(f"the vault's {path.name}", store, connection)
                kinds = [name for (name,) in connection.execute(f"SELECT DISTINCT name FROM {table}")]  # noqa: S608 - one of two names
        except (UnreadableError, sqlite3.Error):
            raise ProofError(f"{path} cannot be read: run this as root, where the platform runs") from None
        column = {Store.VAULT: "records.box", Store.KEYS: "data_keys.wrapped"}[store]
        strange = tuple(f"{table}/{kind}" for kind in sorted(kinds) if owner_of(store, column, kind) is None)
        if owner_of(store, column, EXTRA) is not None:
            raise BlindError("an item of a kind that nobody declared was taken for declared")
        looks.append(
            Look(look.where, look.found, Difference((*look.difference.undeclared, *strange), look.difference.missing))
        )
    return tuple(looks)


async def files(platform: Platform, canary: Canary) -> Look:
    """The state folder, looked at twice: what was there only once is kept by nobody. Raises :class:`ProofError`."""
    root = platform.state.root
    try:
        with ExitStack() as stack:
            planted = str(stack.enter_context(control_file(platform.state.log, canary)).relative_to(root))
            first = places.files(root)
            await asyncio.sleep(SECOND_LOOK_SECONDS)
            there = first & places.files(root)
    except OSError as error:
        raise ProofError(f"the state folder cannot be read: {error.strerror}") from None
    found = compare_files(there)
    if planted not in found.undeclared:
        raise BlindError("a file that nobody declared was not noticed: this look shows nothing")
    reasons = {pattern: places.elsewhere(pattern, platform.settings) for pattern in found.missing}
    return Look(
        "files of the state folder",
        len(there) - 1,
        Difference(
            tuple(one for one in found.undeclared if one != planted),
            tuple(pattern for pattern, why in reasons.items() if not why),
        ),
        tuple(f"{pattern} ({why})" for pattern, why in reasons.items() if why),
    )


def log(folder: Path) -> Look:
    """The fields of every line that was ever written and is still there. Raises :class:`ProofError`."""
    try:
        said = list(places.lines(folder))
    except OSError as error:
        raise ProofError(f"the log cannot be read: {error.strerror}") from None
    if not said:
        raise BlindError("the log holds no line: what its lines are made of cannot be seen")
    there = places.fields(said)
    process, _ = said[0]
    _see(Store.LOG, places.fields([(process, b'{"%s": 1}' % EXTRA.encode())]), ())
    found = compare(Store.LOG, there)
    # Not everything happens on every platform: a field without a line yet says nothing against anybody.
    return Look("fields of the log's lines", len(there), Difference(found.undeclared, ()), found.missing)


def _of_sqlite(where: str, store: Store, connection: sqlite3.Connection) -> Look:
    there = schemas.of_sqlite(connection)
    if not there:
        raise BlindError(f"{where} has no table: this look shows nothing")
    changed = schemas.altered(connection, EXTRA)
    _see(store, changed - there, tuple(there - changed))
    return Look(where, len(there), compare(store, there))


def _see(store: Store, more: frozenset[str], fewer: tuple[str, ...]) -> None:
    """What was added must be undeclared, and what was left out must be missed: by the comparison itself."""
    declared = compare(store, ()).missing
    seen = compare(store, (frozenset(declared) - frozenset(fewer)) | more)
    if not more or not more <= set(seen.undeclared) or not set(fewer) & set(declared) <= set(seen.missing):
        raise BlindError("a column that nobody declared was not noticed: this look shows nothing")
