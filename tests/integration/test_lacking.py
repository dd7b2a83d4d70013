"""A machine that lacks something: one code with its remedy for the person, and nothing that turns hot."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
import tempfile
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from tests.support import forked
from tests.support.standins import KEY

from clawmates.base.paths import Run, State
from clawmates.node.engines.podman import PodmanEngine
from clawmates.node.engines.podman_files import PodmanFiles
from clawmates.selfhost import layout
from clawmates.trials.throwaway import RELEASE
from clawmates.wire.codes import REMEDY, Trouble
from clawmates.wire.node_client import NodeClient, NodeUnreachableError
from clawmates.wire.releases import load as load_release
from clawmates.wire.status import BotState, NodeStatus

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator

pytestmark = pytest.mark.timeout(200)

CLAWMATES = (sys.executable, "-I", "-m", "clawmates.cli.main")
RELEASED = load_release(RELEASE, (RELEASE / "release.pub").read_text().strip())
WINDOW_SECONDS = 1.5
BUSY = 0.8
"""The share of a core that waiting for a remedy may cost: a try now and then, and a look at a few files."""

WITHOUT_PODMAN = """
mount --bind /dev/null "$(PATH=$SEARCH command -v podman)" && exec "$@"
"""
IN_A_USER_NAMESPACE = """
import ctypes, os, sys
told, heard = map(int, sys.argv[1:3])
assert ctypes.CDLL(None).unshare(0x10020000) == 0
os.write(told, b"x")
os.read(heard, 1)
with open("/proc/sys/user/max_user_namespaces", "w") as limit:
    limit.write(os.environ.pop("NAMESPACES"))
os.execv(sys.argv[3], sys.argv[3:])
"""
"""CLONE_NEWUSER and CLONE_NEWNS; the limit is that of the namespace which the writer is in (namespaces(7))."""


@dataclass(frozen=True)
class Home:
    state: Path
    run: Path

    async def command(self, *arguments: str, given: str = "") -> tuple[int, str, str]:
        done = await asyncio.to_thread(forked.command, *arguments, "--state", str(self.state), given=given)
        return done.returncode, done.stdout, done.stderr

    async def init(self) -> None:
        bot = ("--bot", "home", "--channel", "terminal", "--provider", "openai")
        model = ("--model", RELEASED.providers[0].models[0].id)
        where = ("--run", str(self.run), "--listen", "127.0.0.1:0", "--stdin")
        code, _, said = await self.command("selfhost", "init", *bot, *model, *where, given=json.dumps(SECRETS))
        assert code == 0, said

    async def until(self, condition: Callable[[NodeStatus], bool]) -> NodeStatus:
        """Asked without a process for every look."""
        async with asyncio.timeout(60):
            while True:
                with suppress(NodeUnreachableError):
                    now = await NodeClient(Run(self.run).node).status()
                    if condition(now):
                        return now
                await asyncio.sleep(0.05)

    async def until_told(self, trouble: Trouble) -> None:
        """Until a person who asks reads the code and the remedy; while a try is under way a bot is *starting*."""
        async with asyncio.timeout(60):
            while True:
                await self.until(lambda now: trouble in {now.trouble, *(bot.code for bot in now.bots)})
                code, out, _ = await self.command("status")
                if code == 0 and trouble in out and REMEDY[trouble] in out:
                    return

    def node_seconds(self) -> float:
        """Processor time of node, and of every child it has waited for (proc_pid_stat(5))."""
        pid = json.loads(Run(self.run).pids.read_bytes())["node"]
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        return sum(int(ticks) for ticks in fields[11:15]) / os.sysconf("SC_CLK_TCK")


SECRETS = {"provider-key": KEY, "prompt": "You are a canary."}


@pytest.fixture
def home() -> Iterator[Home]:
    """The runtime folder lies in RAM already: nothing is mounted that only one namespace would see."""
    with (
        tempfile.TemporaryDirectory(prefix="cm-", dir="/var/tmp") as disk,
        tempfile.TemporaryDirectory(prefix="cm-", dir="/dev/shm") as ram,
    ):
        Path(ram).chmod(0o755)
        yield Home(Path(disk) / "state", Path(ram) / "run")
        layout.unmount_below(Path(disk))


@asynccontextmanager
async def up(home: Home, *before: str, **more: Any) -> AsyncIterator[asyncio.subprocess.Process]:
    """``clawmates up``, by way of ``before``."""
    process = await asyncio.create_subprocess_exec(
        *(*before, *CLAWMATES, "up", "--state", str(home.state)),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
        **more,
    )
    try:
        yield process
    finally:
        process.send_signal(signal.SIGTERM)
        async with asyncio.timeout(60):
            await process.wait()


async def stays_cool(home: Home) -> None:
    before = home.node_seconds()
    await asyncio.sleep(WINDOW_SECONDS)  # not for anything to happen: it is what is measured
    assert home.node_seconds() - before < BUSY * WINDOW_SECONDS


async def test_a_machine_without_the_engine(home: Home) -> None:
    await home.init()
    hide = ("unshare", "--mount", "sh", "-c", WITHOUT_PODMAN.replace("$SEARCH", os.environ["PATH"]), "sh")
    async with up(home, *hide):
        assert (await home.until(lambda now: bool(now.trouble))).trouble == Trouble.ENGINE_MISSING
        await home.until_told(Trouble.ENGINE_MISSING)
        await stays_cool(home)


def _map_every_id(pid: int) -> None:
    for name in ("uid_map", "gid_map"):
        Path(f"/proc/{pid}/{name}").write_text("0 0 4294967295\n")


@asynccontextmanager
async def up_with_user_namespaces(home: Home, limit: int) -> AsyncIterator[None]:
    """In a user namespace of its own that maps every id to itself, so that the limit there is nobody else's."""
    told, tell = os.pipe()
    heard, hear = os.pipe()
    before = (sys.executable, "-I", "-c", IN_A_USER_NAMESPACE, str(tell), str(heard))
    environment = {**os.environ, "NAMESPACES": str(limit)}
    try:
        async with up(home, *before, pass_fds=(tell, heard), env=environment) as process:
            await asyncio.to_thread(os.read, told, 1)
            _map_every_id(process.pid)
            os.write(hear, b"x")
            yield
    finally:
        for descriptor in (told, tell, heard, hear):
            os.close(descriptor)


async def _load(home: Home) -> None:
    """The image, by the machine's real root: in a user namespace some file systems cannot take it."""
    engine = await PodmanEngine.open(PodmanFiles(State(home.state).engine, Run(home.run).engine))
    await engine.load(State(home.state).release / RELEASED.image.archive)
    engine.close()


def _decided(now: NodeStatus) -> bool:
    """Whether node has looked at the bot and made up its mind."""
    return bool(now.bots) and all(bot.state is not BotState.STARTING for bot in now.bots)


async def test_a_machine_without_user_namespaces(home: Home) -> None:
    await home.init()
    await _load(home)
    async with up_with_user_namespaces(home, 0):
        tried = await home.until(_decided)
        assert [bot.code for bot in tried.bots] == [Trouble.NO_USER_NAMESPACES]
        await home.until_told(Trouble.NO_USER_NAMESPACES)
        await stays_cool(home)


async def test_where_there_are_user_namespaces_the_code_is_another(home: Home) -> None:
    """The same surroundings with a limit that is not used up: they may refuse something else, and say that."""
    await home.init()
    await _load(home)
    async with up_with_user_namespaces(home, 1000):
        tried = await home.until(_decided)
        assert [bot.code for bot in tried.bots] != [Trouble.NO_USER_NAMESPACES]


async def test_a_machine_where_nothing_can_be_mounted_in_ram(home: Home) -> None:
    """Without CAP_SYS_ADMIN nobody mounts anything."""
    await home.init()
    config = home.state / "clawmates.toml"
    config.write_text(config.read_text().replace(str(home.run), str(home.state.parent / "run")))
    assert not layout.is_tmpfs(home.state.parent)
    process = await asyncio.create_subprocess_exec(
        *("setpriv", "--bounding-set=-sys_admin", "--inh-caps=-sys_admin"),
        *(*CLAWMATES, "up", "--state", str(home.state)),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    async with asyncio.timeout(60):
        out, said = await process.communicate()
    assert (process.returncode, out) == (4, b"")
    assert b"is not in RAM and no tmpfs can be mounted there: mount one yourself" in said
    assert said.count(b"error:") == 1
