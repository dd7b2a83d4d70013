"""Control as its own process, beside a vault of its own: a house as the vault's tests have it, and both faces."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from tests.support import releases
from tests.support.forked import Process, born
from tests.support.vault import House, finish, first_word

from clawmates.base.http.client import Connection
from clawmates.base.shape import encode_json
from clawmates.base.x509 import Names
from clawmates.wire.control import Report

CONTROL_NAMES = Names(dns=("control", "localhost"), uri=("clawmates://local/control/control-1",))
CONTROL = ("clawmates.control.__main__", "clawmates.control.process")
RUN = "0" * 32
START_SECONDS = 60.0
"""Its libraries take two seconds to load, and ten times that on a machine with other work."""


@dataclass
class Control:
    """A control that said it is ready. ``web`` and ``nodes`` are ports."""

    house: House
    process: Process
    web: int
    nodes: int

    async def as_node(self, name: str = "local/node/node-1") -> Connection:
        identity = self.house.certify(name.replace("/", "-"), Names(uri=(f"clawmates://{name}",))) if name else None
        return await Connection.tcp("127.0.0.1", self.nodes, tls=self.house.tls(identity), server_name="control")

    async def browser(self) -> Connection:
        return await Connection.tcp("127.0.0.1", self.web, tls=self.house.tls(), server_name="localhost")

    async def say(self, node: Connection, report: Report) -> int:
        response = await node.request("POST", "/v1/report", body=encode_json(report))
        await response.read(1 << 16)
        return response.status


def configure(house: House, *, vault: int = 1, control: str = "", database: str = "") -> None:
    """``control`` stands in ``[control]``."""
    house.certify("control", CONTROL_NAMES)
    house.state.config.write_text(
        f'[platform]\nmode = "hosted"\nregion = "local"\nrun = "{house.root}/run"\n'
        f'[vault]\nlisten = "127.0.0.1:{vault}"\n'
        f'[control]\nlisten = "127.0.0.1:0"\nnodes = "127.0.0.1:0"\n{control}'
        f'[node]\nrelease_key = "{releases.PUBLIC}"\n'
    )


async def launch(house: House, *, weaken: str = "", notify: str = "", anew: bool = False) -> Process:
    """Starts the process; ``weaken`` is a line of Python that seeds a defect into it first.

    ``anew``: from nothing, as a supervisor starts it.
    """
    arguments = ["--config", str(house.state.config)]
    environment = {"NOTIFY_SOCKET": notify, "PATH": os.environ["PATH"]}
    counted = {name: value for name, value in os.environ.items() if name.startswith("COVERAGE")}
    run = f"import sys; {weaken}\nfrom clawmates.control.__main__ import main; sys.exit(main({arguments!r}))"
    if not (anew or counted):
        return await born(*CONTROL, run=run, environment=environment)
    command = ("-c", run) if weaken else ("-m", "clawmates.control", *arguments)
    return await asyncio.create_subprocess_exec(
        *(sys.executable, "-I", *command),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        env=environment | counted,
    )


@asynccontextmanager
async def serving(
    house: House, *, weaken: str = "", name: str = "notify-control", silent: bool = True, anew: bool = False
) -> AsyncIterator[Control]:
    """A control until the end of the block; it must end well and, if ``silent``, have said nothing."""
    path = house.root / name
    path.unlink(missing_ok=True)
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notify:
        notify.bind(str(path))
        notify.settimeout(0)
        process = await launch(house, weaken=weaken, notify=str(path), anew=anew)
        try:
            told = await first_word(notify, process, START_SECONDS)
            assert told.startswith("READY=1\nSTATUS=127.0.0.1:"), told
            web, nodes = (int(where.rpartition(":")[2]) for where in told.split()[-2:])
            yield Control(house, process, web, nodes)
            if process.returncode is None:
                process.send_signal(signal.SIGTERM)
                code, said = await finish(process, START_SECONDS)
                assert (code, said if silent else "") == (0, "")
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
