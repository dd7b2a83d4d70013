"""How quick control's pages are, signed in, on SQLite: a process of control's own on loopback, beside a bare page.

Two loads, each bounded in time. *People*: fifty of them, who look at a page, think for a second and look at the next.
*Rush*: connections that never think, nine pages and then an edit. The floor is the same load on a bare page. *News*:
what another replica writes, here a hand of ours in the database, until an open page hears of it.
"""

from __future__ import annotations

import asyncio
import os
import random
import socket
import ssl
import sys
import tempfile
import time
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from statistics import quantiles
from typing import TYPE_CHECKING
from urllib.parse import urlencode

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from sqlalchemy import update

from clawmates.base.http.client import ConnectFailedError, Connection, HttpError
from clawmates.base.paths import State
from clawmates.base.settings import Control
from clawmates.base.shape import encode_json
from clawmates.base.tls import client_context
from clawmates.base.x509 import Authority, Names
from clawmates.control.accounts import people, sessions
from clawmates.control.bots.tables import Bot, BotDay
from clawmates.control.store.database import open_database
from clawmates.control.store.migrate import migrate
from clawmates.selfhost import signing
from clawmates.trials.bench_messages import cpu_seconds
from clawmates.trials.measure import NoFigureError
from clawmates.wire.desired import Access, Limits
from clawmates.wire.names import ChannelKind
from clawmates.wire.release import Channel, Image, Model, Provider, Release

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

PEOPLE = 50
BOTS = 3
"""Of each of them."""
DAYS = 30
"""On each of which a bot has counted."""
THINK_SECONDS = 1.0
PEOPLE_SECONDS = 20.0
RUSH = 16
"""Connections at a time."""
RUSH_SECONDS = 15.0
NEWS = 40
START_SECONDS = 60.0
STOP_SECONDS = 10.0
MAX_PAGE = 256 * 1024
ORIGIN = "https://localhost:8443"
MODEL = "model"
_DIGEST = "sha256:" + "0" * 64
RELEASE = Release(
    format=1,
    number=1,
    image=Image(digest=_DIGEST, config=_DIGEST, archive="none.tar", size=1),
    channels=(Channel(kind=ChannelKind.TELEGRAM, hosts=("api.telegram.org",)),),
    providers=(
        Provider(
            id="openai",
            name="OpenAI",
            hosts=("api.openai.com",),
            models=(Model(id=MODEL, context_tokens=1000, output_tokens=100),),
            inference_region="global",
            keeps="Nothing: it is not asked.",
            source="https://api.openai.com/",
            verified="2026-11-01",
        ),
    ),
)


@dataclass(slots=True)
class Visitor:
    """Somebody signed in, and what they may look at."""

    cookie: str
    bots: tuple[str, ...]
    turn: int = 0
    edits: int = 0

    def next(self, *, every: int) -> tuple[str, str, bytes]:
        """(method, target, body): one in ``every`` is an edit, the others are pages, in turn."""
        self.turn += 1
        bot = self.bots[self.turn % len(self.bots)]
        if self.turn % every == 0:
            first = self.bots[0]
            form = {"name": f"Bot {self.turn}", "model": MODEL, "access": Access.PAIRED.value}
            return "POST", f"/bots/{first}/edit", urlencode(form | {"version": str(self.edits + 1)}).encode()
        pages = ("/bots", f"/bots/{bot}", f"/bots/{bot}/edit", "/account")
        return "GET", pages[self.turn % len(pages)], b""


@dataclass(slots=True)
class Seen:
    """What came of a load."""

    answers: int = 0
    cpu_seconds: float = 0.0
    """Of the server."""
    app_ms: list[float] = field(default_factory=list)
    """Of the pages, as Server-Timing says."""

    @property
    def p95(self) -> float:
        """Milliseconds."""
        return quantiles(self.app_ms, n=20)[-1]


@dataclass(frozen=True, slots=True)
class Door:
    """Where a server of ours is."""

    port: int
    tls: ssl.SSLContext
    pid: int = 0

    async def connect(self) -> Connection:
        """Raises :class:`ConnectFailedError`."""
        return await Connection.tcp("127.0.0.1", self.port, tls=self.tls, server_name="localhost")


async def figures() -> dict[str, float]:
    """``page_ms_p95`` and ``control_requests_per_s``, and their floors; and ``replica_news_s_p95``."""
    with tempfile.TemporaryDirectory(prefix="cm-bench-control-") as name:
        state, listening = State(Path(name)), free_ports()
        _prepare(state, listening)
        visitors = await _inhabit(state)
        tls = client_context(authority=state.authority)
        certificate, key = state.identity("control")
        bare = ("-m", "clawmates.trials.bare_page", str(listening[2]), str(certificate), str(key))
        ours = ("-m", "clawmates.control", "--config", str(state.config))
        async with running(Door(listening[2], tls), bare) as floor:
            floor_people, floor_rush = await _people(floor, visitors), await _rush(floor, visitors)
        for visitor in visitors:
            visitor.edits = 0
        async with running(Door(listening[0], tls), ours) as door:
            seen_people, seen_rush = await _people(door, visitors), await _rush(door, visitors)
            news = await _news(door, visitors[0], state)
    return {
        "replica_news_s_p95": quantiles(news, n=20)[-1],
        "page_ms_p95": seen_people.p95,
        "floor_page_ms_p95": floor_people.p95,
        "control_requests_per_s": seen_rush.answers / RUSH_SECONDS,
        "floor_control_requests_per_s": floor_rush.answers / RUSH_SECONDS,
        "control_cpu_ms_per_request": seen_rush.cpu_seconds / seen_rush.answers * 1000,
        "floor_control_cpu_ms_per_request": floor_rush.cpu_seconds / floor_rush.answers * 1000,
    }


async def _people(door: Door, visitors: list[Visitor]) -> Seen:
    """Closed loop: each waits for the answer, then thinks. They come one after the other within the first second."""
    seen, end = Seen(), time.monotonic() + PEOPLE_SECONDS

    async def one(number: int, visitor: Visitor) -> None:
        await asyncio.sleep(THINK_SECONDS * number / len(visitors))
        while time.monotonic() < end:
            connection = await door.connect()
            with suppress(HttpError):  # kept alive for a while, as browsers do, and then not
                while time.monotonic() < end:
                    await _ask(connection, visitor, seen, every=10)
                    await asyncio.sleep(THINK_SECONDS)
            await connection.close()

    async with asyncio.TaskGroup() as group:
        for number, visitor in enumerate(visitors):
            group.create_task(one(number, visitor))
    return seen


async def _rush(door: Door, visitors: list[Visitor]) -> Seen:
    seen, end = Seen(), time.monotonic() + RUSH_SECONDS
    before = cpu_seconds(door.pid)

    async def one(visitor: Visitor) -> None:
        connection = await door.connect()
        try:
            while time.monotonic() < end:
                await _ask(connection, visitor, seen, every=10)
        finally:
            await connection.close()

    async with asyncio.TaskGroup() as group:
        for visitor in visitors[:RUSH]:
            group.create_task(one(visitor))
    seen.cpu_seconds = cpu_seconds(door.pid) - before
    return seen


async def _news(door: Door, visitor: Visitor, state: State) -> list[float]:
    """Seconds from each commit to the event; changes come at odd moments of control's looking."""
    bot, came, taken = visitor.bots[0], asyncio.Event(), []
    connection, database = await door.connect(), open_database(Control(), state)

    async def listen() -> None:
        headers = [("Cookie", f"{sessions.COOKIE}={visitor.cookie}")]
        response = await connection.request("GET", f"/bots/{bot}/live", headers=headers)
        async for chunk in response.chunks():
            if chunk.startswith(b"data: "):
                came.set()

    listening = asyncio.create_task(listen())
    try:
        async with asyncio.timeout(START_SECONDS):
            await came.wait()
            for _ in range(NEWS):
                await asyncio.sleep(0.1 + random.random() / 2)  # noqa: S311 - spreads measurements, guards nothing
                came.clear()
                async with database.writing() as session:
                    await session.execute(update(Bot).where(Bot.id == bot).values(version=Bot.version + 1))
                began = time.perf_counter()
                await came.wait()
                taken.append(time.perf_counter() - began)
    finally:
        listening.cancel()
        await connection.close()
        await database.close()
    return taken


async def _ask(connection: Connection, visitor: Visitor, seen: Seen, *, every: int) -> None:
    method, target, body = visitor.next(every=every)
    headers = [("Cookie", f"{sessions.COOKIE}={visitor.cookie}"), ("Origin", ORIGIN)]
    if body:
        headers.append(("Content-Type", "application/x-www-form-urlencoded"))
    response = await connection.request(method, target, headers=headers, body=body)
    await response.read(MAX_PAGE)
    if response.status not in (200, 303):
        raise NoFigureError(f"{method} was answered with {response.status}")
    visitor.edits += method == "POST"
    seen.answers += 1
    if method == "GET":
        said = response.headers[b"server-timing"].decode()
        seen.app_ms.append(float(said.removeprefix("app;dur=")))


@asynccontextmanager
async def running(door: Door, command: tuple[str, ...]) -> AsyncIterator[Door]:
    """A process of ours until the end of the block."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-I", *command, stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.DEVNULL
    )
    try:
        async with asyncio.timeout(START_SECONDS):
            while True:
                with suppress(ConnectFailedError):
                    await (await door.connect()).close()
                    break
                if process.returncode is not None:
                    raise NoFigureError(f"{command[1]} ended with {process.returncode}")
                await asyncio.sleep(0.1)
        yield replace(door, pid=process.pid)
    finally:
        if process.returncode is None:
            process.terminate()
            try:
                async with asyncio.timeout(STOP_SECONDS):
                    await process.wait()
            except TimeoutError:
                process.kill()
                await process.wait()


def _prepare(state: State, ports: tuple[int, ...]) -> None:
    now = datetime.now(UTC)
    authority = Authority.create("bench", now)
    pair = authority.issue(Names(dns=("localhost",)), now)
    certificate, key = state.identity("control")
    certificate.parent.mkdir(parents=True)
    state.authority.write_bytes(authority.pair.certificate)
    certificate.write_bytes(pair.certificate)
    key.touch(0o600)
    key.write_bytes(pair.key)
    state.release.mkdir()
    signer = Ed25519PrivateKey.generate()
    signing.write(state.release, RELEASE, signer)
    state.config.write_text(
        f'[platform]\nmode = "hosted"\nregion = "bench"\n'
        f'[node]\nrelease_key = "{signing.public_text(signer)}"\n'
        f'[control]\nlisten = "127.0.0.1:{ports[0]}"\nnodes = "127.0.0.1:{ports[1]}"\norigin = "{ORIGIN}"\n'
    )


async def _inhabit(state: State) -> list[Visitor]:
    """Fifty signed-in people with bots that have counted messages."""
    now = datetime.now(UTC)
    database = open_database(Control(), state)
    found = []
    try:
        await migrate(database)
        for number in range(PEOPLE):
            async with database.writing() as session:
                account = await people.open_account(session, os.urandom, f"person-{number}@example.org", "en", now)
                cookie = await sessions.start(session, os.urandom, account.id, "Firefox, Linux", now)
                bots = tuple(f"b-{number}-{one}" for one in range(BOTS))
                session.add_all(_bot(bot, account.id, now) for bot in bots)
                await session.flush()
                session.add_all(
                    BotDay(bot_id=bot, day=date, messages=day, tokens=day)
                    for bot in bots
                    for day, date in enumerate(_days(now), 1)
                )
                found.append(Visitor(cookie, bots))
    finally:
        await database.close()
    return found


def _bot(name: str, account: str, now: datetime) -> Bot:
    return Bot(
        id=name,
        account_id=account,
        name="Bot",
        stage="active",
        channel=ChannelKind.TELEGRAM.value,
        provider="openai",
        model=MODEL,
        limits=encode_json(Limits()).decode(),
        access=Access.PAIRED.value,
        paused=False,
        restarts=0,
        region="bench",
        created_at=now,
        changed_at=now,
    )


def _days(now: datetime) -> list[date]:
    return [(now - timedelta(days=day)).date() for day in range(DAYS)]


def free_ports() -> tuple[int, ...]:
    """Three on loopback that nobody listens on now."""
    held = [socket.create_server(("127.0.0.1", 0)) for _ in range(3)]
    found = tuple(one.getsockname()[1] for one in held)
    for one in held:
        one.close()
    return found
