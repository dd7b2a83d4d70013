from __future__ import annotations

import asyncio
import resource
import socket
from typing import TYPE_CHECKING

import pytest

from clawmates.base.clock import SystemClock
from clawmates.base.paths import State
from clawmates.base.settings import Gateway as GatewaySettings
from clawmates.base.settings import Platform, Settings, SettingsError
from clawmates.gateway.listen import InUseError, bind
from clawmates.gateway.service import Gateway, raise_file_limit
from clawmates.wire.gateway_client import GatewayClient

if TYPE_CHECKING:
    from pathlib import Path


def settings_in(folder: Path, **gateway: object) -> Settings:
    return Settings(platform=Platform(run=str(folder / "run")), gateway=GatewaySettings(**gateway))  # type: ignore[arg-type]


def gateway_in(folder: Path, **gateway: object) -> Gateway:
    return Gateway(settings_in(folder, **gateway), State(folder), SystemClock())


async def test_inherited_control_socket(run_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    inherited = bind(run_folder / "handed.sock", 0o600)
    tcp = socket.socket()
    monkeypatch.setattr("clawmates.gateway.service.inherited_sockets", lambda: [tcp, inherited])
    gateway, stop = gateway_in(run_folder), asyncio.Event()
    async with asyncio.TaskGroup() as group:
        group.create_task(gateway.run(stop))
        await gateway.serving.wait()
        assert (await GatewayClient(run_folder / "handed.sock").status()).doors == ()
        assert not gateway.settings.run.gateway.exists()
        stop.set()
    tcp.close()


async def test_inherited_ingress_socket(run_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for family, where in ((socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1")):
        inherited = socket.create_server((where, 0), family=family)
        inherited.settimeout(0)
        port, control = inherited.getsockname()[1], bind(run_folder / "handed.sock", 0o600)
        handed = [control, inherited]
        monkeypatch.setattr("clawmates.gateway.service.inherited_sockets", lambda handed=handed: handed)
        gateway, stop = gateway_in(run_folder, ingress="127.0.0.1:1"), asyncio.Event()
        async with asyncio.TaskGroup() as group:
            group.create_task(gateway.run(stop))
            await gateway.serving.wait()
            assert gateway.callers == (where, port)
            assert (await GatewayClient(run_folder / "handed.sock").status()).ingress is not None
            stop.set()
        assert inherited.fileno() == -1


async def test_ingress_that_cannot_be_had(run_folder: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        where = f"127.0.0.1:{taken.getsockname()[1]}"
        with pytest.raises(SettingsError, match="cannot listen"):
            await gateway_in(run_folder, ingress=where).run(asyncio.Event())
    for wrong in ({"ingress": "8444"}, {"control": "control.example:1"}):
        with pytest.raises(SettingsError):
            await gateway_in(run_folder, **wrong).run(asyncio.Event())


async def test_second_gateway_is_refused(run_folder: Path) -> None:
    first, stop = gateway_in(run_folder), asyncio.Event()
    async with asyncio.TaskGroup() as group:
        group.create_task(first.run(stop))
        await first.serving.wait()
        with pytest.raises(InUseError):
            await gateway_in(run_folder).run(stop)
        assert (await GatewayClient(first.settings.run.gateway).status()).doors == ()
        stop.set()
    again = gateway_in(run_folder)
    await again.run(stop)
    assert again.serving.is_set()


async def test_bad_settings_and_folders(run_folder: Path) -> None:
    with pytest.raises(SettingsError):
        await gateway_in(run_folder, ollama="model.example:1").run(asyncio.Event())
    assert not (run_folder / "run").exists()
    (run_folder / "run").write_text("")
    with pytest.raises(NotADirectoryError):
        await gateway_in(run_folder).run(asyncio.Event())


def test_file_limit() -> None:
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (256, before[1]))
        raise_file_limit()
        assert resource.getrlimit(resource.RLIMIT_NOFILE) == (before[1], before[1])
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)
