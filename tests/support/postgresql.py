"""A PostgreSQL of the tests' own: TLS 1.3 alone, on loopback, and a fresh database for every place."""

from __future__ import annotations

import asyncio
import os
import pwd
import shutil
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import mkdtemp

import psycopg
from tests.support.mail import Trust

from clawmates.base.paths import State
from clawmates.base.settings import Control
from clawmates.control.store.database import open_database
from clawmates.control.store.migrate import migrate

USER = "clawmates"
SETTINGS = """
listen_addresses = '127.0.0.1'
unix_socket_directories = ''
ssl = on
ssl_min_protocol_version = 'TLSv1.3'
fsync = off
full_page_writes = off
shared_buffers = '16MB'
max_connections = 60
timezone = 'Asia/Kathmandu'
log_error_verbosity = terse
"""
# The last but one: whoever forgets that moments have a zone is found out.


@dataclass
class Server:
    """``fresh`` gives the settings that lead to a new database; ``sweep`` drops all of them."""

    folder: Path
    port: int
    _made: dict[Path, str] = field(default_factory=dict)
    _count: int = 0

    def settings(self, name: str) -> Control:
        return Control(
            database=f"postgresql://{USER}@localhost:{self.port}/{name}",
            database_authority=str(self.folder / "authority.pem"),
        )

    def tell(self, statement: str) -> None:
        """As its owner."""
        with psycopg.connect(
            host="localhost",
            port=self.port,
            user=USER,
            dbname="postgres",
            sslmode="verify-full",
            sslrootcert=str(self.folder / "authority.pem"),
            autocommit=True,
        ) as connection:
            connection.execute(statement)

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


def programs() -> Path:
    """The newest version's."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: int(path.parent.name))
    assert found, "PostgreSQL is not installed; remedy: scripts/setup"
    return found[-1]


@contextmanager
def postgresql() -> Iterator[Server]:
    """Runs one until the end of the block; for root, as the user that Debian's package made: it refuses to be root."""
    folder = Path(mkdtemp(prefix="clawmates-pg-"))
    try:
        Trust(folder)
        user = pwd.getpwnam("postgres") if os.geteuid() == 0 else None

        def run(*command: str) -> None:
            subprocess.run(
                [programs() / command[0], *command[1:]],
                check=True,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                cwd=folder,
                user=user.pw_uid if user else None,
                group=user.pw_gid if user else None,
                extra_groups=[] if user else None,
                env={"PATH": os.environ["PATH"], "LC_ALL": "C.UTF-8"},
            )

        for path in (folder, *folder.iterdir()):
            if user is not None:
                os.chown(path, user.pw_uid, user.pw_gid)
        (folder / "key.pem").chmod(0o600)
        data = folder / "data"
        run("initdb", "-D", str(data), "-U", USER, "--auth=reject", "--no-sync", "--encoding=UTF8", "--locale=C.UTF-8")
        with socket.create_server(("127.0.0.1", 0)) as probe:
            port = probe.getsockname()[1]
        (data / "pg_hba.conf").write_text("hostssl all all 127.0.0.1/32 trust\n")
        certificate = f"ssl_cert_file = '{folder}/cert.pem'\nssl_key_file = '{folder}/key.pem'\nport = {port}\n"
        with (data / "postgresql.conf").open("a") as file:
            file.write(SETTINGS + certificate)
        run("pg_ctl", "-D", str(data), "-w", "-t", "60", "-l", str(folder / "log"), "-s", "start", "-o", "-h 127.0.0.1")
        try:
            server = Server(folder, port)
            server.tell("CREATE DATABASE migrated")
            asyncio.run(_migrate(server.settings("migrated")))
            yield server
        finally:
            run("pg_ctl", "-D", str(data), "-w", "-s", "-m", "immediate", "stop")
    finally:
        shutil.rmtree(folder, ignore_errors=True)
