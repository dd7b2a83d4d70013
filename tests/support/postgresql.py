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
from clawmates.trials import postgresql as clusters
from clawmates.trials.postgresql import Cluster


@dataclass
class Server(Cluster):
    """``fresh`` gives the settings that lead to a new database; ``sweep`` drops all of them."""

    _made: dict[Path, str] = field(default_factory=dict)
    _count: int = 0

    def fresh(self, folder: Path) -> Control:
        """That of the test that owns ``folder``, made where it is not there yet."""
        if folder not in self._made:
            self._count += 1
            name = f"place{self._count}"
            self.tell(f"CREATE DATABASE {name} TEMPLATE migrated")
            self._made[folder] = name
        return self.settings(self._made[folder])

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
        self.tell("CHECKPOINT")
        files = [self.folder / "log", *(self.folder / "data").rglob("*")]
        return b"".join(path.read_bytes() for path in files if path.is_file())

    def sweep(self) -> None:
        for name in self._made.values():
            self.tell(f"DROP DATABASE {name} WITH (FORCE)")
        self._made.clear()


async def _migrate(settings: Control) -> None:
    database = open_database(settings, State(Path("/nonexistent")))
    await migrate(database)
    await database.close()


@contextmanager
def postgresql() -> Iterator[Server]:
    """Runs one until the end of the block."""
    with clusters.postgresql() as cluster:
        server = Server(cluster.folder, cluster.port)
        server.tell("CREATE DATABASE migrated")
        asyncio.run(_migrate(server.settings("migrated")))
        yield server
