"""A PostgreSQL of our own: TLS 1.3 alone, on loopback, gone afterwards."""

from __future__ import annotations

import os
import pwd
import shutil
import socket
import subprocess
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from tempfile import mkdtemp
from typing import TYPE_CHECKING

import psycopg

from clawmates.base.settings import Control
from clawmates.base.x509 import Authority, Names
from clawmates.trials.measure import NoFigureError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

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
class Cluster:
    """It runs; ``folder`` holds its data, its log and ``authority.pem``."""

    folder: Path
    port: int

    def settings(self, name: str) -> Control:
        """Those that lead to one of its databases."""
        return Control(
            database=f"postgresql://{USER}@localhost:{self.port}/{name}",
            database_authority=str(self.folder / "authority.pem"),
        )

    def tell(self, statement: str, database: str = "postgres") -> tuple[object, ...] | None:
        """As its owner; ``statement`` is ours. Returns the first row of the last answer."""
        with psycopg.connect(
            host="localhost",
            port=self.port,
            user=USER,
            dbname=database,
            sslmode="verify-full",
            sslrootcert=str(self.folder / "authority.pem"),
            autocommit=True,
        ) as connection:
            cursor = connection.execute(statement.encode())
            while cursor.nextset():
                pass
            return cursor.fetchone() if cursor.description else None


def programs() -> Path:
    """The newest version's; raises :class:`NoFigureError` where there is none."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: int(path.parent.name))
    if not found:
        raise NoFigureError("PostgreSQL is not installed; remedy: scripts/setup")
    return found[-1]


@contextmanager
def postgresql(more: str = "") -> Iterator[Cluster]:
    """Runs one until the end of the block; for root, as the user that Debian's package made: it refuses to be root.

    ``more`` are lines of ``postgresql.conf``.
    """
    folder = Path(mkdtemp(prefix="clawmates-pg-"))
    try:
        authority = Authority.create("database", datetime.now(UTC))
        leaf = authority.issue(Names(dns=("localhost",)), datetime.now(UTC))
        for name, content in (
            ("authority.pem", authority.pair.certificate),
            ("cert.pem", leaf.certificate),
            ("key.pem", leaf.key),
        ):
            (folder / name).touch(0o600)
            (folder / name).write_bytes(content)
        user = pwd.getpwnam("postgres") if os.geteuid() == 0 else None
        for path in (folder, *folder.iterdir()):
            if user is not None:
                os.chown(path, user.pw_uid, user.pw_gid)
        run = _runner(folder, user)
        data = folder / "data"
        run("initdb", "-D", str(data), "-U", USER, "--auth=reject", "--no-sync", "--encoding=UTF8", "--locale=C.UTF-8")
        with socket.create_server(("127.0.0.1", 0)) as probe:
            port = probe.getsockname()[1]
        (data / "pg_hba.conf").write_text("hostssl all all 127.0.0.1/32 trust\n")
        certificate = f"ssl_cert_file = '{folder}/cert.pem'\nssl_key_file = '{folder}/key.pem'\nport = {port}\n"
        with (data / "postgresql.conf").open("a") as file:
            file.write(SETTINGS + certificate + more)
        run("pg_ctl", "-D", str(data), "-w", "-t", "60", "-l", str(folder / "log"), "-s", "start", "-o", "-h 127.0.0.1")
        try:
            yield Cluster(folder, port)
        finally:
            run("pg_ctl", "-D", str(data), "-w", "-s", "-m", "immediate", "stop")
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _runner(folder: Path, user: pwd.struct_passwd | None) -> Callable[..., None]:
    def run(program: str, *arguments: str) -> None:
        subprocess.run(  # noqa: S603 - a program of Debian's package
            [programs() / program, *arguments],
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

    return run
