from __future__ import annotations

import json
import shutil
import tempfile
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from clawmates.base.clock import SystemClock
from clawmates.base.http.client import Connection, Response
from clawmates.base.tls import client_context
from clawmates.simulator.client import Simulator
from clawmates.simulator.model import Ports, Service
from clawmates.simulator.process import Folder, running
from clawmates.simulator.world import World

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator


TOKEN = "123456:" + "A" * 35
KEY = "sk-test-0123456789"


@dataclass
class FakeClock:
    """Time that stands still until it is moved."""

    moment: datetime = field(default_factory=lambda: datetime(2026, 11, 22, 9, 0, tzinfo=UTC))
    seconds: float = 1000.0

    def now(self) -> datetime:
        return self.moment

    def monotonic(self) -> float:
        return self.seconds

    def move(self, seconds: float) -> None:
        self.moment += timedelta(seconds=seconds)
        self.seconds += seconds


@dataclass
class Bench:
    """A simulator in this process, and ways to call it as a bot or a provider's customer would."""

    folder: Folder
    ports: Ports
    control: Simulator
    world: World

    @asynccontextmanager
    async def connect(self, service: Service) -> AsyncIterator[Connection]:
        context = client_context(authority=self.folder.authority) if service.encrypted else None
        port = self.ports.of(service)
        connection = await Connection.tcp("127.0.0.1", port, tls=context, server_name=service.host)
        try:
            yield connection
        finally:
            await connection.close()

    async def telegram(self, method: str, token: str = TOKEN, **parameters: Any) -> tuple[int, Any]:
        """(status, answer) of one Bot API call."""
        async with self.connect(Service.TELEGRAM) as connection:
            response = await connection.request(
                "POST",
                f"/bot{token}/{method}",
                headers=[("Content-Type", "application/json")],
                body=json.dumps(parameters).encode(),
            )
            return response.status, json.loads(await response.read(1 << 23))

    async def result(self, method: str, **parameters: Any) -> Any:
        status, answer = await self.telegram(method, **parameters)
        assert (status, answer["ok"]) == (200, True), answer
        return answer["result"]

    async def refusal(self, method: str, **parameters: Any) -> str:
        """The description of a refused call, after checking its form."""
        status, answer = await self.telegram(method, **parameters)
        assert answer["ok"] is False
        assert answer["error_code"] == status
        return str(answer["description"])

    @asynccontextmanager
    async def openai_response(self, *, key: str = KEY, **body: Any) -> AsyncIterator[Response]:
        async with self.connect(Service.OPENAI) as connection:
            yield await connection.request(
                "POST",
                "/v1/responses",
                headers=[("Content-Type", "application/json"), ("Authorization", f"Bearer {key}")],
                body=json.dumps({"model": "gpt-5-mini"} | body).encode(),
            )

    @asynccontextmanager
    async def ask(
        self, service: Service, path: str, body: Any, headers: dict[str, str], method: str = "POST"
    ) -> AsyncIterator[Response]:
        """One request to an AI provider; ``body`` is JSON, or bytes as they are."""
        async with self.connect(service) as connection:
            yield await connection.request(
                method,
                path,
                headers=[("Content-Type", "application/json"), *headers.items()],
                body=body if isinstance(body, bytes) else json.dumps(body).encode(),
            )

    async def openai(self, **body: Any) -> tuple[int, Any]:
        async with self.openai_response(**body) as response:
            return response.status, json.loads(await response.read(1 << 23))

    async def events(self, **body: Any) -> list[tuple[str, Any]]:
        """(event, data) of a streamed response."""
        async with self.openai_response(stream=True, **body) as response:
            assert response.headers[b"content-type"] == b"text/event-stream; charset=utf-8"
            return parse_events(await response.read(1 << 23))


def parse_events(text: bytes) -> list[tuple[str, Any]]:
    found = []
    for block in text.decode().split("\n\n")[:-1]:
        event, data = block.split("\n")
        found.append((event.removeprefix("event: "), json.loads(data.removeprefix("data: "))))
    return found


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def short_path() -> Iterator[Path]:
    """A folder with a name short enough for a unix socket (unix(7): 108 bytes)."""
    path = Path(tempfile.mkdtemp(prefix="sim"))
    yield path
    shutil.rmtree(path)


@pytest.fixture
async def bench(short_path: Path) -> AsyncIterator[Bench]:
    folder = Folder(short_path / "s")
    async with running(folder, Ports(telegram=0, openai=0), SystemClock()) as world:
        ports = Ports(**json.loads(folder.ports.read_bytes()))
        control = Simulator(folder.admin)
        await control.add_bot(TOKEN, "test_bot")
        for service in (Service.OPENAI, Service.ANTHROPIC, Service.GOOGLE):
            await control.add_key(KEY, service)
        yield Bench(folder, ports, control, world)
