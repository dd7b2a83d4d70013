"""Control taken over: somebody else's program in its place, with its certificate, its address and its user."""

from __future__ import annotations

import asyncio
import json
import os
import ssl
import sys
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

from starlette.types import Receive, Scope, Send

from clawmates.base.serving.certificate import ServingCertificate
from clawmates.base.serving.server import build_server
from clawmates.base.shape import encode
from clawmates.control.faces import NODES, SERVICES
from clawmates.selfhost import services
from clawmates.selfhost.supervisor import Startable
from clawmates.trials.throwaway import CHECKOUT, Throwaway
from clawmates.wire.desired import BotSpec

PROBE = """
import json, socket, sys
got = []
for how, path in json.loads(sys.argv[1]):
    try:
        if how == 'ask':
            with socket.socket(socket.AF_UNIX) as way:
                way.settimeout(5)
                way.connect(path)
                way.sendall(b'GET /v1/status HTTP/1.1\\r\\nHost: x\\r\\n\\r\\n')
                if not way.recv(1):
                    continue
        else:
            open(path, {'read': 'rb', 'write': 'r+b'}[how]).close()
    except OSError:
        continue
    got.append([how, path])
print(json.dumps(got))
"""


@dataclass
class Impostor:
    """Says to node whatever it likes; each time it is another revision."""

    revision: int = 1000
    """From there on: above what the true one may have said before it was taken over."""
    document: bytes = b""
    over: bool = False
    _news: asyncio.Condition = field(default_factory=asyncio.Condition)

    async def say(self, *bots: Mapping[str, Any], **more: Any) -> int:
        """The next desired state, with words of its own where it has some."""
        async with self._news:
            self.revision += 1
            self.document = json.dumps({"revision": self.revision, "bots": bots, **more}).encode()
            self._news.notify_all()
        return self.revision

    async def end(self) -> None:
        """Lets nobody wait any more."""
        async with self._news:
            self.over = True
            self._news.notify_all()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        while (await receive()).get("more_body"):
            pass
        status, body = 204, b""
        if scope["path"] == "/v1/desired":
            after = int(parse_qs(scope["query_string"].decode())["after"][0])
            async with self._news:
                await self._news.wait_for(lambda: self.over or self.revision > after)
            if not self.over:
                status, body = 200, self.document
        await send({"type": "http.response.start", "status": status, "headers": []})
        await send({"type": "http.response.body", "body": body})


@asynccontextmanager
async def taken_over(trial: Throwaway) -> AsyncIterator[Impostor]:
    """Ends the control of a hosted platform and listens in its place."""
    await trial.platform.supervisor.stop("control")
    impostor, stop = Impostor(), asyncio.Event()
    certificate = ServingCertificate(trial.state.identity("control"), trial.state.authority, ssl.CERT_REQUIRED)
    server = build_server(impostor, certificate.context, NODES, SERVICES, stop=stop)
    listener = trial.platform._listeners[-1].dup()
    serving = asyncio.create_task(server.serve(sockets=[listener]))
    try:
        yield impostor
    finally:
        await impostor.end()
        stop.set()
        await serving
        listener.close()


@dataclass(frozen=True)
class Weakened:
    """A service with a seeded defect: ``lines`` of Python that run in its process before anything else."""

    service: Startable
    lines: str

    @property
    def name(self) -> str:
        return self.service.name

    @property
    def descriptors(self) -> tuple[int, ...]:
        return self.service.descriptors

    def command(self) -> list[str]:
        line = self.service.command()
        at = len(line) - 1 - line[::-1].index("-m")
        module = line[at + 1]
        code = f"import sys; sys.path.insert(0, {str(CHECKOUT)!r})\n{self.lines}\n"
        line[at : at + 2] = ["-c", f"{code}from {module}.__main__ import main; sys.exit(main(sys.argv[1:]))"]
        return line


async def instead(trial: Throwaway, name: str, lines: str = "") -> None:
    """Restarts node or vault, with a defect or without; containers run on."""
    platform = trial.platform
    service = services.node(trial.state) if name == "node" else services.vault(trial.state, platform._listeners[0])
    await platform.supervisor.stop(name)
    await platform.supervisor.start([Weakened(service, lines)])


async def within_reach(trial: Throwaway, wishes: Iterable[tuple[str, Path]]) -> set[tuple[str, Path]]:
    """What of it a program in control's place can *read*, *write* or *ask*: as its user, in its view of the host."""
    web, nodes = trial.platform._listeners[-2:]
    service = services.control(trial.state, trial.platform.settings, (web, nodes))
    line = service.command()
    at = line.index("--") + 1
    line[at:] = [sys.executable, "-I", "-c", PROBE, json.dumps([(how, str(path)) for how, path in wishes])]
    process = await asyncio.create_subprocess_exec(
        *line, stdout=asyncio.subprocess.PIPE, pass_fds=service.descriptors, env={"PATH": os.environ["PATH"]}
    )
    said, _ = await process.communicate()
    return {(how, Path(path)) for how, path in json.loads(said)}


def plain(spec: BotSpec) -> dict[str, Any]:
    """A bot as it stands in a desired state."""
    found: dict[str, Any] = encode(spec)
    return found
