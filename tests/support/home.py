"""A state folder of a test's own, and the commands as a shell sees them."""

from __future__ import annotations

import asyncio
import fcntl
import json
import os
import pty
import shutil
import signal
import subprocess
import sys
import tempfile
import termios
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.support.forked import command
from tests.support.standins import KEY, StandIns

from clawmates.base.paths import Run, State
from clawmates.base.settings import load
from clawmates.selfhost import layout
from clawmates.selfhost.install import to_toml, vault_of
from clawmates.trials.throwaway import RELEASE
from clawmates.wire.releases import load as load_release

CLAWMATES = [sys.executable, "-I", "-m", "clawmates.cli.main"]
MODEL = load_release(RELEASE, (RELEASE / "release.pub").read_text().strip()).providers[0].models[0].id
SECRETS = {"provider-key": KEY, "prompt": "You are a canary."}


@dataclass(frozen=True)
class Home:
    state: Path
    run: Path

    def run_command(self, *arguments: str, given: str = "") -> subprocess.CompletedProcess[str]:
        return command(*arguments, "--state", str(self.state), given=given)

    def json(self, *arguments: str, given: str = "", code: int = 0) -> Any:
        done = self.run_command(*arguments, "--json", given=given)
        assert done.returncode == code, (done.stdout, done.stderr)
        answer = json.loads(done.stdout)
        assert answer["ok"] is (code == 0)
        return answer["data"] if code == 0 else answer["error"]

    def init(
        self, *, secrets: dict[str, str] = SECRETS, model: str = MODEL, channel: str = "terminal", code: int = 0
    ) -> Any:
        options = ["--bot", "home", "--channel", channel, "--provider", "openai", "--model", model, "--stdin"]
        return self.json(
            "selfhost",
            "init",
            "--run",
            str(self.run),
            "--listen",
            "127.0.0.1:0",
            *options,
            given=json.dumps(secrets),
            code=code,
        )


@contextmanager
def a_home() -> Iterator[Home]:
    with tempfile.TemporaryDirectory(prefix="cm-", dir="/var/tmp") as folder:
        run = Path("/run") / Path(folder).name
        yield Home(Path(folder) / "state", run)
        layout.remove_run(Run(run))


@contextmanager
def vault_kept(home: Home) -> Iterator[None]:
    """For the block the vault runs, as beside a platform: commands find it, where each would have started one."""
    settings = load(home.state / "clawmates.toml")
    with asyncio.Runner() as runner:
        vault = vault_of(State(home.state), settings)
        client = runner.run(vault.__aenter__())
        try:
            settings.run.ports.write_text(json.dumps({"vault": client.port}))
            yield
        finally:
            settings.run.ports.unlink()
            runner.run(vault.__aexit__(None, None, None))


def with_stand_ins(home: Home, there: StandIns) -> None:
    old = load(home.state / "clawmates.toml")
    # Where a platform in a container of its own sees it too.
    authority = home.state / "stand-ins.pem"
    shutil.copy(there.authority, authority)
    hosts = {"api.telegram.org": "telegram", "api.openai.com": "openai"}
    sections: dict[str, dict[str, object]] = {
        "platform": {"run": str(home.run)},
        "vault": {"listen": "127.0.0.1:0"},
        "gateway": {"unsafe_resolve": {host: f"127.0.0.1:{there.ports[name]}" for host, name in hosts.items()}},
        "node": {"release_key": old.node.release_key, "unsafe_extra_ca": str(authority)},
    }
    (home.state / "clawmates.toml").write_text(to_toml(sections))


@asynccontextmanager
async def up(home: Home, *prefix: str) -> AsyncIterator[asyncio.subprocess.Process]:
    """``clawmates up``; ``prefix`` is a command that runs it somewhere else (nsenter, say)."""
    process = await asyncio.create_subprocess_exec(
        *prefix,
        *CLAWMATES,
        "up",
        "--state",
        str(home.state),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.send_signal(signal.SIGTERM)
            await process.communicate()


async def until_printed(process: asyncio.subprocess.Process, words: str) -> str:
    assert process.stdout is not None
    seen = ""
    async with asyncio.timeout(60):
        while words not in seen:
            line = await process.stdout.readline()
            assert line, f"it ended before it said {words!r}: {seen}"
            seen += line.decode()
    return seen


@asynccontextmanager
async def at_a_terminal(home: Home, *arguments: str) -> AsyncIterator[tuple[asyncio.subprocess.Process, int]]:
    """A command with a controlling terminal of its own; gives the terminal's other end."""
    ours, theirs = pty.openpty()

    def take_terminal() -> None:
        os.setsid()
        # Started in the background, a shell's children ignore it, and so would this one.
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        fcntl.ioctl(theirs, termios.TIOCSCTTY, 0)

    process = await asyncio.create_subprocess_exec(
        *CLAWMATES,
        *arguments,
        "--state",
        str(home.state),
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        preexec_fn=take_terminal,
    )
    os.close(theirs)
    try:
        yield process, ours
    finally:
        os.close(ours)
        if process.returncode is None:
            process.kill()
            await process.wait()


async def until_shown(terminal: int, words: str) -> str:
    loop = asyncio.get_running_loop()
    seen = ""
    async with asyncio.timeout(60):
        while words not in seen:
            seen += (await loop.run_in_executor(None, os.read, terminal, 4096)).decode(errors="replace")
    return seen


def processes_of(home: Home) -> list[str]:
    """Processes whose command line names this platform's runtime folder."""
    mark = os.fsencode(home.run)
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            if mark in (folder / "cmdline").read_bytes():
                found.append(folder.name)
    return found


async def until_gone(home: Home) -> None:
    """Until nothing of a platform that was stopped runs: the engine's own clean-up ends after what it cleans up."""
    async with asyncio.timeout(60):
        while await asyncio.to_thread(processes_of, home):  # noqa: ASYNC110 - other processes end
            await asyncio.sleep(0.1)


def children(process: int) -> list[int]:
    with suppress(OSError):
        return [int(child) for child in Path(f"/proc/{process}/task/{process}/children").read_text().split()]
    return []
