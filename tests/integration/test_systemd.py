"""The units of ``deploy/systemd``: read by systemd itself, and run by it, hardening and all."""

from __future__ import annotations

import asyncio
import io
import json
import os
import signal
import socket
import subprocess
import tempfile
from base64 import b64decode
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest
from pypdf import PdfReader
from tests.support.home import MODEL, Home, a_home, with_stand_ins
from tests.support.init_system import UNITS, Manager, service_manager
from tests.support.standins import KEY, stand_ins

from clawmates.base.paths import Run, State
from clawmates.base.settings import load
from clawmates.base.shape import encode_json
from clawmates.control.agreement.document import Block, Document, Kind
from clawmates.selfhost import services
from clawmates.selfhost.supervisor import Phase, Supervisor
from clawmates.trials.hosted import free_port
from clawmates.wire.node_client import NodeClient, NodeUnreachableError
from clawmates.wire.status import BotState

pytestmark = pytest.mark.timeout(300)

CLAWMATES = "/opt/clawmates/.venv/bin/clawmates"
SERVICES = ("vault", "gateway", "node")
BLOCKS = (
    Block(kind=Kind.HEADING, text="An agreement"),
    Block(kind=Kind.ITEM, text="Łódź"),
    Block(kind=Kind.TABLE, rows=(("what", "why"), ("one", "two")), widths=(1, 2)),
)
PAPER = encode_json(
    Document(language="en", title="A title", day="2026-11-30", page_of="{page}", blocks=BLOCKS)
).decode()


@pytest.fixture
def home() -> Iterator[Home]:
    with a_home() as made:
        yield made


def test_systemd_finds_nothing_to_say_about_the_units() -> None:
    with tempfile.TemporaryDirectory() as name:
        for unit in UNITS.iterdir():
            text = unit.read_text().replace("/opt/clawmates/.venv/bin/python", "/usr/bin/python3")
            lines = [line for line in text.splitlines() if not line.startswith("Documentation=")]
            Path(name, unit.name).write_text("\n".join(lines) + "\n")
        done = subprocess.run(
            ["systemd-analyze", "verify", *sorted(map(str, Path(name).iterdir()))],
            capture_output=True,
            text=True,
            check=False,
        )
    assert (done.returncode, done.stderr) == (0, "")


def listen_at(folder: Path, service: str, *ports: int) -> None:
    """The way that an operator has to other ports: a drop-in."""
    place = folder / "drop-ins" / f"clawmates-{service}.socket.d"
    place.mkdir(parents=True)
    lines = "".join(f"ListenStream=127.0.0.1:{port}\n" for port in ports)
    (place / "port.conf").write_text(f"[Socket]\nListenStream=\n{lines}")


async def until_live(manager: Manager) -> int:
    """The pid of the bot's process, as the manager's namespace counts."""
    node = NodeClient(Run(Path(f"/proc/{manager.process}/root/run/clawmates")).node)
    async with asyncio.timeout(60):
        while True:
            with suppress(NodeUnreachableError):
                bots = (await node.status(brief=True)).bots
                if bots and bots[0].state is BotState.LIVE:
                    return bots[0].pid
            await asyncio.sleep(0.1)


async def until_active(manager: Manager, unit: str, *, restarts: int) -> None:
    async with asyncio.timeout(60):
        while True:
            now = await asyncio.to_thread(manager.properties, unit, "ActiveState", "NRestarts")
            if now["ActiveState"] == "active" and int(now["NRestarts"]) >= restarts:
                return
            await asyncio.sleep(0.05)


async def test_systemd_runs_the_platform_hardened_and_brings_it_back(home: Home) -> None:
    async with stand_ins() as there:
        await there.simulator.add_key(KEY)
        await there.simulator.add_model(MODEL)
        await asyncio.to_thread(home.init)
        with_stand_ins(home, there)
        config = home.state / "clawmates.toml"
        text = config.read_text().replace(str(home.run), "/run/clawmates")
        port, web, nodes = free_port(), free_port(), free_port()
        config.write_text(text.replace("127.0.0.1:0", f"127.0.0.1:{port}"))
        listen_at(home.state.parent, "vault", port)
        listen_at(home.state.parent, "control", web, nodes)
        with service_manager(home.state, home.state.parent) as manager:
            pid = await until_live(manager)
            chat = await asyncio.to_thread(manager.run, CLAWMATES, "chat", given="under a service manager\n")
            assert "under a service manager" in chat.stdout, chat.stderr
            for name in SERVICES:
                await until_active(manager, f"clawmates-{name}.service", restarts=0)
                shown = status_of(manager, name)
                confined = name != "node"
                assert (shown["Seccomp"] == "2") is confined, "node must have no filter, the others must"
                assert (int(shown["CapEff"], 16) == 0) is confined
                assert (shown["Uid"].split()[0] == "0") is not confined

            for name in SERVICES:
                os.kill(await asyncio.to_thread(main_pid, manager, name), signal.SIGKILL)
                await until_active(manager, f"clawmates-{name}.service", restarts=1)
            assert await until_live(manager) == pid, "no bot is restarted by it"
            chat = await asyncio.to_thread(manager.run, CLAWMATES, "chat", given="and again\n")
            assert "and again" in chat.stdout, chat.stderr
            status = await asyncio.to_thread(manager.run, CLAWMATES, "status", "--json")
            assert [bot["state"] for bot in json.loads(status.stdout)["data"]["bots"]] == ["live"]
            proved = await asyncio.to_thread(manager.run, CLAWMATES, "prove", "--claim", "isolation", "--json")
            assert proved.returncode == 0, proved.stdout

            assert (await asyncio.to_thread(manager.run, "systemctl", "stop", "clawmates.target")).returncode == 0
            async with asyncio.timeout(60):
                while set(manager.processes) != {manager.process}:  # noqa: ASYNC110 - other processes end
                    await asyncio.sleep(0.1)
            assert manager.properties("clawmates-vault.socket", "ActiveState") == {"ActiveState": "inactive"}
            await asyncio.to_thread(make_hosted, manager, config, web)


def make_hosted(manager: Manager, config: Path, web: int) -> None:
    """The hosted service starts under its unit; and within the same walls, what prints agreements for it prints."""
    text = config.read_text().replace("[platform]\n", '[platform]\nmode = "hosted"\n')
    config.write_text(f'{text}\n[control]\norigin = "https://localhost:{web}"\n')
    started = manager.run("systemctl", "start", "clawmates-control.service")
    assert started.returncode == 0, started.stderr
    shown = status_of(manager, "control")
    assert (shown["Seccomp"], int(shown["CapEff"], 16), shown["NoNewPrivs"]) == ("2", 0, "1")
    assert shown["Uid"].split()[0] != "0"

    walls = (UNITS / "clawmates-control.service").read_text().partition("[Service]\n")[2].partition("[Install]")[0]
    kept = [line for line in walls.splitlines() if not line.startswith(("Type=", "Restart", "ExecStart="))]
    assert "SystemCallFilter=@system-service" in kept
    press = "/opt/clawmates/.venv/bin/python -I -m clawmates.control.agreement.press"
    files = "StandardInput=file:/run/press.in\nStandardOutput=file:/run/press.out\n"
    unit = f"[Service]\nType=oneshot\nExecStart={press}\n{files}" + "\n".join(kept) + "\n"
    for path, content in (("/run/systemd/system/press.service", unit), ("/run/press.in", PAPER)):
        assert manager.run("sh", "-c", f"mkdir -p /run/systemd/system && cat > {path}", given=content).returncode == 0
    assert manager.run("systemctl", "daemon-reload").returncode == 0
    printed = manager.run("systemctl", "start", "press.service")
    assert printed.returncode == 0, (printed.stderr, manager.properties("press.service", "Result", "ExecMainStatus"))
    copied = manager.run("base64", "/run/press.out").stdout
    assert "Łódź" in PdfReader(io.BytesIO(b64decode(copied))).pages[0].extract_text()


def main_pid(manager: Manager, service: str) -> int:
    """As this test's own namespace counts."""
    return next(pid for pid, line in manager.processes.items() if f" -m clawmates.{service} --config " in line)


def status_of(manager: Manager, service: str) -> dict[str, str]:
    return status_of_process(main_pid(manager, service))


def status_of_process(pid: int) -> dict[str, str]:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return {name: value.strip() for name, value in (line.split(":", 1) for line in lines)}


WITH_A_FILTER = (
    *("SystemCallFilter", "SystemCallArchitectures", "SystemCallLog", "RestrictAddressFamilies", "RestrictNamespaces"),
    *("RestrictRealtime", "RestrictSUIDSGID", "RestrictFileSystems", "LockPersonality", "MemoryDenyWriteExecute"),
    *("PrivateDevices", "ProtectClock", "ProtectHostname", "ProtectKernelLogs", "ProtectKernelModules"),
    *("ProtectKernelTunables", "NoNewPrivileges", "DynamicUser"),
)
WITH_A_MOUNT_NAMESPACE = (
    *("ProtectSystem", "ProtectHome", "PrivateTmp", "ReadWritePaths", "ReadOnlyPaths", "InaccessiblePaths"),
    *("BindPaths", "BindReadOnlyPaths", "TemporaryFileSystem", "ProtectControlGroups", "ProtectProc", "ProcSubset"),
    *("PrivateMounts", "MountFlags", "PrivateUsers", "PrivateIPC", "PrivateNetwork", "RootDirectory", "RootImage"),
)


def directives(unit: str) -> dict[str, str]:
    lines = (UNITS / unit).read_text().splitlines()
    return dict(line.split("=", 1) for line in lines if "=" in line and not line.startswith("#"))


def test_node_can_read_filters_and_its_mounts_outlive_it() -> None:
    """systemd.exec(5): each of these brings a seccomp filter or a mount namespace, see the unit's first lines."""
    assert set(directives("clawmates-node.service")).isdisjoint((*WITH_A_FILTER, *WITH_A_MOUNT_NAMESPACE))
    assert directives("clawmates-node.service")["KillMode"] == "process"


@pytest.mark.parametrize("service", ["vault", "gateway", "control"])
def test_what_needs_no_right_has_none(service: str) -> None:
    said = directives(f"clawmates-{service}.service")
    assert said["CapabilityBoundingSet"] == ""
    assert said["User"] == f"clawmates-{service}"
    assert set(WITH_A_FILTER) - {"SystemCallLog", "RestrictFileSystems", "DynamicUser"} <= set(said)


@pytest.mark.parametrize("service", [*SERVICES, "control"])
def test_what_fails_is_tried_again_within_ten_seconds_and_for_ever(service: str) -> None:
    said = directives(f"clawmates-{service}.service")
    assert said["Restart"] == "always"
    assert int(said["RestartSec"]) <= 5
    assert said["StartLimitIntervalSec"] == "0"
    assert "78" in said["RestartPreventExitStatus"].split()


async def test_the_gateway_takes_a_port_below_1024_from_its_supervisor(home: Home) -> None:
    """As clawmates-ingress.socket hands it over: bound by root, served by one who could not bind it."""
    home.init()
    state = State(home.state)
    settings = load(state.config)
    with socket.socket() as listener:
        port = next(number for number in range(1023, 600, -1) if binds(listener, number))
        listener.listen()
        supervisor = Supervisor(settings.run.supervisor)
        try:
            await supervisor.start([replace(services.gateway(state, settings), listeners=(listener,))])
            gateway = supervisor.running["gateway"]
            assert gateway.phase is Phase.READY
            assert status_of_process(gateway.pid)["Uid"].split()[0] != "0"
            async with asyncio.timeout(60):
                reader, writer = await asyncio.open_connection("127.0.0.1", port)
                writer.write(b"this is no ClientHello\r\n\r\n")
                with suppress(ConnectionResetError):
                    assert await reader.read() == b""
            writer.close()
            assert gateway.restarts == 0
        finally:
            await supervisor.close()


def binds(listener: socket.socket, port: int) -> bool:
    try:
        listener.bind(("127.0.0.1", port))
    except OSError:
        return False
    return True
