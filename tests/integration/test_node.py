"""Node with a real engine and the signed image; gateway and vault are the fakes that ship beside their seams."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import pytest
from tests.support.engines import SEALED, FolderGateway, Rig, bot, quiet, rig

from clawmates.base.clock import SystemClock
from clawmates.base.eventlog import EventLog
from clawmates.base.files import write_atomic
from clawmates.base.paths import State
from clawmates.base.settings import Settings, load
from clawmates.base.shape import encode_json
from clawmates.node import host as hosting
from clawmates.node.engines.podman import PodmanEngine
from clawmates.node.node import Node, podman
from clawmates.node.spec import container_spec
from clawmates.node.tickets import FakeVault
from clawmates.wire.boot import BOOT_FILE
from clawmates.wire.codes import Code, Event, Trouble
from clawmates.wire.desired import BotSpec, DesiredState
from clawmates.wire.names import ItemName
from clawmates.wire.node_client import NodeClient, NodeUnreachableError
from clawmates.wire.status import BotState, BotStatus, NodeStatus

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator
    from pathlib import Path

    from clawmates.node.engines.base import ContainerSpec


@pytest.fixture(scope="module")
def host() -> Iterator[Rig]:
    with rig() as made:
        (made.disk / "pki").mkdir()
        (made.disk / "log").mkdir()
        (made.disk / "pki" / "authority.pem").write_text("authority")
        (made.disk / "clawmates.toml").write_text(
            f'[platform]\nrun = "{made.ram}"\n[node]\nrelease_key = "{made.key}"\n'
        )
        yield made


@pytest.fixture(autouse=True)
def sealed_sleeper(monkeypatch: pytest.MonkeyPatch) -> None:
    """A program that hardens itself and waits, instead of a mate that would look for a vault."""

    def quiet_container(*arguments: Any, **named: Any) -> ContainerSpec:
        return replace(container_spec(*arguments, **named), command=SEALED)

    monkeypatch.setattr(hosting, "container_spec", quiet_container)


@dataclass
class Live:
    """A node that runs, and its surroundings."""

    host: Rig
    node: Node
    gateway: FolderGateway
    vault: FakeVault
    revision: int = 0

    @property
    def client(self) -> NodeClient:
        return NodeClient(self.node.settings.run.node)

    def want(self, *bots: BotSpec) -> None:
        self.revision += 1
        write_atomic(self.host.disk / "desired.json", encode_json(DesiredState(revision=self.revision, bots=bots)))

    async def until(self, condition: Callable[[NodeStatus], bool]) -> NodeStatus:
        async with asyncio.timeout(60):
            while True:
                status = await self.status()
                if condition(status):
                    return status
                await asyncio.sleep(0.01)

    async def status(self) -> NodeStatus:
        return await self.client.status()

    def ticket(self, name: str = "anna") -> object:
        newest = max((self.host.ram / "boot" / name).iterdir(), key=lambda folder: int(folder.name))
        return json.loads((newest / BOOT_FILE).read_bytes())["ticket"]


def ticketed(live: Live, name: str = "anna") -> bool:
    try:
        return live.ticket(name) is not None
    except FileNotFoundError:
        return False


def one(status: NodeStatus) -> BotStatus:
    (found,) = status.bots
    return found


def running(status: NodeStatus) -> bool:
    return bool(status.bots) and all(found.pid for found in status.bots)


@asynccontextmanager
async def living(host: Rig, *, gateway: FolderGateway | None = None, keep: bool = False) -> AsyncIterator[Live]:
    """A node; ``keep`` leaves its containers for the next one."""
    settings: Settings = load(host.disk / "clawmates.toml")
    state, clock, stop = State(host.disk), SystemClock(), asyncio.Event()
    opened: list[PodmanEngine] = []

    async def engine() -> PodmanEngine:
        made = await podman(settings, state)()
        assert isinstance(made, PodmanEngine)
        opened.append(made)
        return made

    if gateway is None:
        write_atomic(host.disk / "desired.json", encode_json(DesiredState(revision=0)))
    vault = FakeVault()
    node = Node(
        settings=settings,
        state=state,
        clock=clock,
        jitter=lambda: 0.0,
        log=EventLog(state.log, "node", clock),
        gateway=gateway or FolderGateway(settings.run),
        vault=vault,
        open_engine=engine,
    )
    assert isinstance(node.gateway, FolderGateway)
    async with asyncio.TaskGroup() as group:
        group.create_task(node.run(stop))
        live = Live(host, node, node.gateway, vault)
        try:
            async with asyncio.timeout(60):
                while node.keeper is None or not node.keeper.images:  # noqa: ASYNC110 - set by another part
                    await asyncio.sleep(0.01)
            yield live
        finally:
            if not keep:
                async with asyncio.timeout(60):
                    await node.halt()
            stop.set()
    for made in opened:
        made.close()
    if not keep:
        await quiet(host)


async def test_a_bot_comes_to_life_and_the_status_shows_its_walls(host: Rig) -> None:
    async with living(host) as live:
        live.want(bot())
        status = await live.until(lambda status: running(status) and ticketed(live))
        found = one(status)
        assert found.container == f"mate-anna-{found.generation}"
        assert found.isolation
        assert all(finding.ok for finding in found.isolation)
        assert 0 < found.memory_bytes < 128 << 20
        assert status.gateway
        assert (status.trouble, status.revision) == ("", 1)
        assert status.engine.startswith("podman ")
        live.gateway.say("anna", Event(code=Code.LIVE, username="some_bot"))
        assert one(await live.until(lambda status: one(status).state is BotState.LIVE)).username == "some_bot"


async def test_a_killed_container_is_back_with_a_new_ticket(host: Rig) -> None:
    async with living(host) as live:
        live.want(bot())
        before = one(await live.until(lambda status: running(status) and ticketed(live)))
        os.kill(before.pid, signal.SIGKILL)
        after = one(await live.until(lambda s: running(s) and one(s).generation > before.generation and ticketed(live)))
        assert after.restarts == 1
        assert [request.generation for request in live.vault.requests] == [before.generation, after.generation]


async def test_a_restarted_node_adopts_what_runs(host: Rig) -> None:
    async with living(host, keep=True) as live:
        live.want(bot())
        before = one(await live.until(lambda status: running(status) and ticketed(live)))
        gateway = live.gateway
    async with living(host, gateway=gateway) as live:
        after = one(await live.until(lambda status: running(status) and bool(one(status).isolation)))
        assert (after.pid, after.generation, after.state) == (before.pid, before.generation, BotState.LIVE)
        assert live.vault.requests == []
        os.kill(after.pid, signal.SIGKILL)
        await live.until(lambda status: running(status) and one(status).generation > before.generation)


async def test_a_new_credential_is_a_new_ticket_in_the_same_container(host: Rig) -> None:
    async with living(host) as live:
        live.want(bot())
        before = one(await live.until(lambda status: running(status) and ticketed(live)))
        first = live.ticket()
        live.want(bot(items={ItemName.CHANNEL_TOKEN: 1, ItemName.PROVIDER_KEY: 2}))
        await live.until(lambda _: live.gateway.doors["anna"].config.items[ItemName.PROVIDER_KEY] == 2)
        assert live.ticket() not in {None, first}
        assert one(await live.status()).pid == before.pid


async def test_an_invalid_document_is_said_and_changes_nothing(host: Rig) -> None:
    async with living(host) as live:
        live.want(bot())
        before = one(await live.until(lambda status: running(status) and ticketed(live)))
        write_atomic(host.disk / "desired.json", b'{"revision": 9, "bots": [{"id": "anna"')
        await live.until(lambda status: status.trouble == Trouble.DESIRED_INVALID)
        assert one(await live.status()).pid == before.pid
        live.want(bot())
        await live.until(lambda status: not status.trouble)


async def test_a_release_whose_signature_breaks_starts_nothing_new(host: Rig) -> None:
    async with living(host) as live:
        live.want(bot())
        before = one(await live.until(lambda status: running(status) and ticketed(live)))
        path = host.disk / "release" / "release.json"
        good = path.read_bytes()
        try:
            write_atomic(path, good.replace(b'"number":1', b'"number":2'))
            await live.until(lambda status: status.trouble == Trouble.RELEASE_UNSIGNED)
            live.want(bot(), bot("ben"))
            status = await live.until(lambda status: len(status.bots) == 2)
            assert [(found.bot, bool(found.pid), found.code) for found in status.bots] == [
                ("anna", True, ""),
                ("ben", False, Trouble.RELEASE_UNSIGNED),
            ]
            assert status.bots[0].pid == before.pid
        finally:
            write_atomic(path, good)
        await live.until(lambda status: running(status) and not status.trouble)


async def test_stop_leaves_nothing_and_starts_nothing(host: Rig) -> None:
    async with living(host) as live:
        live.want(bot(), bot("ben"))
        await live.until(lambda status: len(status.bots) == 2 and running(status))
        await live.client.stop()
        keeper = live.node.keeper
        assert keeper is not None
        assert await keeper.steps.engine.list() == ()
        assert list((host.ram / "boot").iterdir()) == []
        assert list((host.ram / "doors").iterdir()) == []
        assert (await live.status()).bots == ()


async def test_an_archive_that_is_not_the_signed_one_is_never_loaded(host: Rig, tmp_path: Path) -> None:
    (tmp_path / "release").mkdir()
    for name in ("release.json", "release.sig"):
        (tmp_path / "release" / name).write_bytes((host.release / name).read_bytes())
    archive = bytearray((host.release / "mate.oci.tar").read_bytes())
    archive[len(archive) // 2] ^= 1
    (tmp_path / "release" / "mate.oci.tar").write_bytes(archive)
    (tmp_path / "pki").mkdir()
    (tmp_path / "log").mkdir()
    (tmp_path / "pki" / "authority.pem").write_text("authority")
    settings = load(host.disk / "clawmates.toml")
    run = str(host.ram / "other")
    settings = replace(settings, platform=replace(settings.platform, run=run))
    state, stop = State(tmp_path), asyncio.Event()
    gateway = FolderGateway(settings.run)
    node = Node(
        settings=settings,
        state=state,
        clock=SystemClock(),
        jitter=lambda: 0.0,
        log=EventLog(state.log, "node", SystemClock()),
        gateway=gateway,
        vault=FakeVault(),
        open_engine=podman(settings, state),
    )
    async with asyncio.TaskGroup() as group:
        group.create_task(node.run(stop))
        try:
            async with asyncio.timeout(60):
                while node.status().trouble != Trouble.IMAGE_MISSING:  # noqa: ASYNC110 - set by another part
                    await asyncio.sleep(0.01)
            keeper = node.keeper
            assert keeper is not None
            assert not await keeper.steps.engine.has(host.image)
        finally:
            stop.set()


async def _process(config: Path) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        *(sys.executable, "-I", "-m", "clawmates.node", "--config", str(config)),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )


async def _refused(config: Path) -> tuple[int | None, str]:
    process = await _process(config)
    async with asyncio.timeout(60):
        _, said = await process.communicate()
    return process.returncode, said.decode()


async def test_the_process_serves_and_leaves_quietly(host: Rig) -> None:
    process = await _process(host.disk / "clawmates.toml")
    try:
        client = NodeClient(load(host.disk / "clawmates.toml").run.node)
        async with asyncio.timeout(60):
            while True:
                try:
                    status = await client.status()
                    break
                except NodeUnreachableError:
                    await asyncio.sleep(0.01)
        assert (status.node, status.gateway) == ("node-1", False)
    finally:
        process.terminate()
        async with asyncio.timeout(60):
            out, said = await process.communicate()
    assert (process.returncode, out, said) == (0, b"", b"")
    await quiet(host)


@pytest.mark.parametrize(
    ("text", "code", "sentence"),
    [
        ("[nod]\n", 78, "unknown key"),
        ("[node\n", 78, "not valid TOML"),
        ('[platform]\nrun = "{disk}/run"\n', 4, "not in RAM"),
        ('[platform]\nrun = "{ram}"\n', 78, "authority"),
        ('[platform]\nrun = "{ram}"\n[node]\nunsafe_extra_ca = "nothing.pem"\n', 78, "unsafe_extra_ca"),
    ],
)
async def test_what_node_cannot_run_with_is_one_sentence_and_a_code(
    host: Rig, tmp_path: Path, text: str, code: int, sentence: str
) -> None:
    config = tmp_path / "clawmates.toml"
    config.write_text(text.replace("{disk}", str(tmp_path)).replace("{ram}", str(host.ram / "refused")))
    if "extra" in sentence:
        (tmp_path / "pki").mkdir()
        (tmp_path / "pki" / "authority.pem").write_text("authority")
    returned, said = await _refused(config)
    assert returned == code
    assert sentence in said
    assert said.count("\n") == 1
