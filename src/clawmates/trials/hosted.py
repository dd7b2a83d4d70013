"""A hosted platform for one trial: what it is configured with, and how one is let in without a mail."""

from __future__ import annotations

import asyncio
import os
import re
import socket
from contextlib import ExitStack, asynccontextmanager, contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from clawmates.base.http.client import Connection
from clawmates.base.tls import client_context
from clawmates.proofs.result import Claim
from clawmates.trials.measure import NoFigureError
from clawmates.trials.postgresql import postgresql
from clawmates.trials.throwaway import Throwaway, TrialError, throwaway

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

LINK_SECONDS = 20.0
LEAST_DESCRIPTOR = 100
"""Below it stand the sockets that a service is handed."""
CLAIMS = frozenset({Claim.INVENTORY, Claim.RETENTION})
"""Those that are about people's accounts: tried on a platform that has some."""
_LINK = re.compile(rb"https://[^\s]+/enter#[0-9A-Z-]+")


def free_port() -> int:
    """One that is free at this moment: an origin must be known before anything listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def hosted(port: int) -> dict[str, dict[str, object]]:
    """The sections of a platform whose people make their bots in a browser, at ``https://localhost:PORT``."""
    return {
        "platform": {"mode": "hosted"},
        "control": {
            "listen": f"127.0.0.1:{port}",
            "nodes": "127.0.0.1:0",
            "origin": f"https://localhost:{port}",
        },
    }


@asynccontextmanager
async def a_hosted_one(*, on_postgresql: bool = False) -> AsyncIterator[Throwaway]:
    """A hosted platform without a bot and without a mail server, for :data:`CLAIMS`.

    Raises :class:`TrialError`, also where a PostgreSQL is wanted that is not installed.
    """
    settings = hosted(free_port())
    with ExitStack() as stack:
        if on_postgresql:
            try:
                cluster = stack.enter_context(postgresql())
            except NoFigureError as problem:
                raise TrialError(str(problem)) from None
            cluster.tell("CREATE DATABASE trial")
            there = cluster.settings("trial")
            # Control has a user of its own, and may read it as anybody may.
            Path(there.database_authority).chmod(0o644)  # noqa: ASYNC240 - one call, before anything else runs
            settings["control"] |= {"database": there.database, "database_authority": there.database_authority}
        async with throwaway(settings=settings) as trial:
            yield trial


@contextmanager
def terminal() -> Iterator[tuple[int, int]]:
    """(what a platform is handed, where we read it) of a terminal of our own."""
    ours, theirs = os.openpty()
    handed = os.dup2(theirs, LEAST_DESCRIPTOR + theirs, inheritable=False)
    os.close(theirs)
    os.set_blocking(ours, False)
    try:
        yield handed, ours
    finally:
        os.close(handed)
        os.close(ours)


async def sign_in_link(trial: Throwaway, email: str, screen: int) -> str:
    """Asks for a link as a browser does, and reads it from the terminal. Raises :class:`TrialError`."""
    origin = trial.platform.settings.control.origin
    body = f"email={email.replace('@', '%40')}".encode()
    headers = [("Content-Type", "application/x-www-form-urlencoded"), ("Origin", origin)]
    tls = client_context(authority=trial.state.authority)
    port = int(origin.rpartition(":")[2])
    connection = await Connection.tcp("127.0.0.1", port, tls=tls, server_name="localhost")
    try:
        answer = await connection.request("POST", "/sign-in", headers=headers, body=body)
        await answer.read(1 << 20)
    finally:
        await connection.close()
    seen = b""
    came = asyncio.Event()
    loop = asyncio.get_running_loop()
    loop.add_reader(screen, came.set)
    try:
        async with asyncio.timeout(LINK_SECONDS):
            while (found := _LINK.search(seen)) is None:
                await came.wait()
                came.clear()
                with suppress(BlockingIOError):  # of two signs of one writing the second comes after it was read
                    seen += os.read(screen, 4096)
    except TimeoutError:
        raise TrialError(f"no sign-in link after {LINK_SECONDS:.0f} s") from None
    finally:
        loop.remove_reader(screen)
    return found[0].decode()
