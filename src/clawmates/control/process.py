"""Control as a process: both faces and the jobs beside them, from the configuration to the last signal."""

from __future__ import annotations

import argparse
import asyncio
import logging
import os
import ssl
import sys
from contextlib import suppress
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy.exc import SQLAlchemyError

from clawmates.base import notify
from clawmates.base.clock import SystemClock
from clawmates.base.hardening import HardeningError, harden, quiet_loop
from clawmates.base.serving.certificate import CertificateError, ServingCertificate
from clawmates.base.serving.server import ListenError, build_server, listen, signals
from clawmates.base.settings import Settings, SettingsError, load, proxies, state_of
from clawmates.control.admin import door
from clawmates.control.admin.door import DoorError
from clawmates.control.audit.meeting import keep_meeting
from clawmates.control.backups import daily
from clawmates.control.context import Context
from clawmates.control.erasure.restored import bury
from clawmates.control.erasure.tombstones import FILE as ERASED
from clawmates.control.erasure.tombstones import Tombstones, TombstonesError
from clawmates.control.faces import BROWSERS, NODES, SERVICES, WEB
from clawmates.control.hub import Hub
from clawmates.control.jobs import handlers, takers
from clawmates.control.nodes.api import build_nodes
from clawmates.control.nodes.keeping import NodeKeeper
from clawmates.control.outbox.worker import Worker
from clawmates.control.pepper import PepperError, read_pepper
from clawmates.control.releases import SignedRelease
from clawmates.control.retention import backups
from clawmates.control.retention.keeper import Keeper
from clawmates.control.retention.rules import JOBS
from clawmates.control.rooms import ROOMS
from clawmates.control.store.database import DatabaseError, check_logs, open_database
from clawmates.control.store.migrate import SchemaError, migrate
from clawmates.control.vault import vault_line
from clawmates.control.web import build_web
from clawmates.wire.notary import Notary
from clawmates.wire.resumption import read_resumed
from clawmates.wire.revocations import Revocations, RevocationsError

if TYPE_CHECKING:
    import socket
    from collections.abc import Sequence

    from clawmates.base.paths import State

EXIT_CONFIGURATION = 78
EXIT_UNAVAILABLE = 69
REFUSALS = (
    *(SettingsError, HardeningError, CertificateError, ListenError),
    *(RevocationsError, PepperError, DatabaseError, SchemaError, DoorError, TombstonesError),
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Serves until a signal; the exit code is 0, or 69 or 78 with one sentence on stderr."""
    parser = argparse.ArgumentParser(prog="clawmates.control")
    parser.add_argument("--config", type=Path, required=True)
    parser.add_argument("--terminal", type=int, default=-1, help="descriptor of the operator's terminal")
    wanted = parser.parse_args(arguments)
    config: Path = wanted.config
    logging.disable(logging.CRITICAL)
    try:
        harden()
        os.umask(0o077)
        asyncio.run(_serve(load(config), state_of(config), wanted.terminal))
    except REFUSALS as error:
        sys.stderr.write(f"control: {error}\n")
        return EXIT_CONFIGURATION
    except SQLAlchemyError:
        # Its text may hold what was asked of the database. Not a matter of configuration: the supervisor tries again.
        sys.stderr.write("control: the database does not answer, or refuses: see [control] database\n")
        return EXIT_UNAVAILABLE
    return 0


async def _serve(settings: Settings, state: State, terminal: int) -> None:
    quiet_loop(asyncio.get_running_loop())
    clock = SystemClock(timedelta(seconds=settings.platform.unsafe_clock_offset))
    relays = proxies(settings)
    own = state.identity("control")
    web_certificate = ServingCertificate(_shown(settings, own), None, ssl.CERT_NONE)
    certificate = ServingCertificate(own, state.authority, ssl.CERT_REQUIRED)
    revocations = Revocations(state.revoked)
    pepper = read_pepper(state.control, os.urandom)
    database = open_database(settings.control, state)
    vault = vault_line(settings, state, clock)
    sockets: list[socket.socket] = []
    try:
        sockets += notify.inherited_sockets() or [
            listen(where) for where in (settings.control.listen, settings.control.nodes)
        ]
        await check_logs(database)
        await migrate(database)
        context = Context(
            settings=settings,
            database=database,
            clock=clock,
            random=os.urandom,
            pepper=pepper,
            tombstones=Tombstones(state.control / ERASED, pepper),
            release=SignedRelease(state.release, settings.node.release_key),
            hub=Hub(database),
            vault=vault,
            backups=state.backup,
        )
        await bury(context)
        notary = Notary(settings.platform.region, own, state.authority)
        errands = handlers(context, notary, terminal=terminal, order=partial(read_resumed, settings.run.resumed))
        worker = Worker(database=database, clock=clock, random=os.urandom, handlers=errands)
        watched = (daily.NAME,) if settings.backup.recipient else ()
        keeper = Keeper(
            database=database,
            clock=clock,
            holder=os.urandom(16).hex(),
            jobs=(*JOBS, backups.JOB),
            takers=takers(context),
            watched=watched,
        )
        stop = asyncio.Event()
        listening = _Listening(sockets)

        def reload() -> None:
            certificate.reload()
            web_certificate.reload()

        web = build_server(
            build_web(context, ROOMS),
            web_certificate.context,
            WEB,
            BROWSERS,
            stop=stop,
            started=listening.one,
            relays=relays,
        )
        nodes = build_server(
            build_nodes(context, revocations.revoked),
            certificate.context,
            NODES,
            SERVICES,
            stop=stop,
            started=listening.one,
        )
        with signals(stop, reload):
            async with door.serving(settings.run.control, context), asyncio.TaskGroup() as group:
                jobs = [
                    group.create_task(job)
                    for job in (
                        context.hub.keep(),
                        NodeKeeper(database, clock).keep(),
                        keeper.keep(),
                        keep_meeting(context),
                        worker.run(stop),
                        certificate.keep_fresh(),
                        web_certificate.keep_fresh(),
                    )
                ]
                faces = [
                    group.create_task(web.serve(sockets=sockets[:1])),
                    group.create_task(nodes.serve(sockets=sockets[1:])),
                ]
                await stop.wait()
                context.hub.close()
                await asyncio.wait(faces)
                for job in jobs:
                    job.cancel()
    finally:
        await database.close()
        for sock in sockets:
            with suppress(OSError):
                sock.close()


class _Listening:
    """Says that the process is ready once both faces listen."""

    def __init__(self, sockets: list[socket.socket]) -> None:
        self._names = [sock.getsockname()[:2] for sock in sockets]
        self._missing = len(sockets)

    def one(self) -> None:
        """One more listens."""
        self._missing -= 1
        if not self._missing:
            notify.ready(" ".join(f"{host}:{port}" for host, port in self._names))


def _shown(settings: Settings, own: tuple[Path, Path]) -> tuple[Path, Path]:
    """(certificate, key) that browsers see."""
    control = settings.control
    if bool(control.certificate) != bool(control.key):
        raise SettingsError("[control] certificate and key go together: name both, or neither")
    return (Path(control.certificate), Path(control.key)) if control.certificate else own
