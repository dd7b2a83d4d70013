"""A PostgreSQL of the tests' own, and a fresh database for every place."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from clawmates.base.paths import State
from clawmates.base.settings import Control
from clawmates.control.store.database import open_database
from clawmates.control.store.migrate import migrate
from clawmates.control.store.tables import METADATA
from clawmates.trials import postgresql as clusters
from clawmates.trials.postgresql import Cluster

QUICK = """
synchronous_commit = off
autovacuum = off
"""
SHAPE = """SELECT (SELECT count(*) FROM pg_class WHERE relkind IN ('r', 'i', 'S', 'v')),
    (SELECT sum(xmin::text::int8) FROM pg_attribute), (SELECT sum(xmin::text::int8) FROM pg_trigger),
    (SELECT string_agg(version_num, ' ') FROM alembic_version)"""
"""What differs once somebody has changed more than rows."""
EMPTY = f"""SET lock_timeout = 10000; SET session_replication_role = replica;
    SELECT pg_terminate_backend(pid) FROM pg_stat_activity
    WHERE datname = current_database() AND pid <> pg_backend_pid();
    {"; ".join(f'DELETE FROM "{table}"' for table in METADATA.tables)};
    SELECT setval(seqrelid::regclass, seqstart, false) FROM pg_sequence;
    {SHAPE}"""
"""The audit chain's guards and the foreign keys are off for it. To truncate the tables costs four times as much."""


@dataclass
class Server(Cluster):
    """``fresh`` gives the settings that lead to an empty database; ``sweep`` takes back those that were given out.

    A new one costs the processor a quarter of a second, one that is emptied and given out again a tenth of that.
    """

    _made: dict[Path, str] = field(default_factory=dict)
    _emptied: list[str] = field(default_factory=list)
    _count: int = 0
    _untouched: bool = False
    _shape: tuple[object, ...] | None = None

    def prepare(self) -> None:
        """Makes the database that all others are copies of."""
        self.tell("CREATE DATABASE migrated STRATEGY file_copy")
        asyncio.run(_migrate(self.settings("migrated")))
        self._shape = self.tell(SHAPE, "migrated")

    def fresh(self, folder: Path) -> Control:
        """That of the test that owns ``folder``, made where it is not there yet."""
        if folder not in self._made:
            self._made[folder] = self._emptied.pop() if self._emptied else self._new()
        return self.settings(self._made[folder])

    def _new(self) -> str:
        self._count += 1
        name = f"place{self._count}"
        self.tell(f"CREATE DATABASE {name} TEMPLATE migrated STRATEGY file_copy")
        return name

    @property
    def given(self) -> bool:
        """Whether anybody has asked for a database since the last sweep."""
        return bool(self._made)

    def untouched(self) -> None:
        """Until the next sweep, databases are new, and none is there that another test has used."""
        while self._emptied:
            self._drop(self._emptied.pop())
        self._untouched = True

    @contextmanager
    def away(self, folder: Path) -> Iterator[None]:
        """The database of the test that owns ``folder`` breaks off all connections, and takes none."""
        name = self._made[folder]
        self.tell(f"ALTER DATABASE {name} ALLOW_CONNECTIONS false")
        self.tell(f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}'")
        try:
            yield
        finally:
            self.tell(f"ALTER DATABASE {name} ALLOW_CONNECTIONS true")

    def kept(self) -> bytes:
        """What is on the disk, of all databases, with the write-ahead log, and what the server has said."""
        assert self._untouched, "rows that other tests have deleted are there too; remedy: mark the test `raw`"
        self.tell("CHECKPOINT")
        files = [self.folder / "log", *(self.folder / "data").rglob("*")]
        # The databases begin as copies of each other, and most of their files stay that: each content once.
        return b"".join(dict.fromkeys(path.read_bytes() for path in files if path.is_file()))

    def sweep(self) -> None:
        for name in self._made.values():
            if not self._untouched and self.tell(EMPTY, name) == self._shape:
                self._emptied.append(name)
            else:
                self._drop(name)
        self._made.clear()
        self._untouched = False

    def _drop(self, name: str) -> None:
        self.tell(f"DROP DATABASE {name} WITH (FORCE)")


async def _migrate(settings: Control) -> None:
    database = open_database(settings, State(Path("/nonexistent")))
    await migrate(database)
    await database.close()


@contextmanager
def postgresql() -> Iterator[Server]:
    """Runs one until the end of the block."""
    with clusters.postgresql(QUICK) as cluster:
        server = Server(cluster.folder, cluster.port)
        server.prepare()
        yield server
