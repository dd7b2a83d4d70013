"""The commands as a shell sees them: what they print, where, and how they exit."""

from __future__ import annotations

import asyncio
import fcntl
import json
import os
import pty
import signal
import socket
import subprocess
import sys
import tempfile
import termios
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from tests.support.standins import KEY, StandIns, stand_ins

from clawmates.base.paths import Run
from clawmates.base.settings import load
from clawmates.selfhost import layout
from clawmates.selfhost.install import to_toml
from clawmates.trials.throwaway import RELEASE
from clawmates.wire.releases import load as load_release

pytestmark = pytest.mark.timeout(300)

CLAWMATES = [sys.executable, "-I", "-m", "clawmates.cli.main"]
MODEL = load_release(RELEASE, (RELEASE / "release.pub").read_text().strip()).providers[0].models[0].id
SECRETS = {"provider-key": KEY, "prompt": "You are a canary."}


@dataclass(frozen=True)
class Home:
    state: Path
    run: Path

    def run_command(self, *arguments: str, given: str = "") -> subprocess.CompletedProcess[str]:
        line = [*CLAWMATES, *arguments, "--state", str(self.state)]
        return subprocess.run(line, input=given, capture_output=True, text=True, check=False, timeout=120)

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


@pytest.fixture
def home() -> Iterator[Home]:
    with tempfile.TemporaryDirectory(prefix="cm-", dir="/var/tmp") as folder:
        run = Path("/run") / Path(folder).name
        yield Home(Path(folder) / "state", run)
        layout.remove_run(Run(run))


def with_stand_ins(home: Home, there: StandIns) -> None:
    old = load(home.state / "clawmates.toml")
    hosts = {"api.telegram.org": "telegram", "api.openai.com": "openai"}
    sections: dict[str, dict[str, object]] = {
        "platform": {"run": str(home.run)},
        "vault": {"listen": "127.0.0.1:0"},
        "gateway": {"unsafe_resolve": {host: f"127.0.0.1:{there.ports[name]}" for host, name in hosts.items()}},
        "node": {"release_key": old.node.release_key, "unsafe_extra_ca": str(there.authority)},
    }
    (home.state / "clawmates.toml").write_text(to_toml(sections))


@asynccontextmanager
async def up(home: Home) -> AsyncIterator[asyncio.subprocess.Process]:
    process = await asyncio.create_subprocess_exec(
        *CLAWMATES, "up", "--state", str(home.state), stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
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


@pytest.mark.parametrize("command", [["status"], ["logs"], ["restart"], ["bot", "list"], ["prove"]])
def test_without_a_platform_every_command_says_how_to_make_one(home: Home, command: list[str]) -> None:
    done = home.run_command(*command)
    assert done.returncode == 78
    assert done.stdout == ""
    assert "clawmates selfhost init" in done.stderr


def test_a_damaged_configuration_is_named(home: Home) -> None:
    home.state.mkdir()
    (home.state / "clawmates.toml").write_text("[platform]\nregoin = 'eu'\n")
    error = home.json("status", code=78)
    assert "regoin" in error["message"]
    assert error["remedy"]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"model": "gpt-0"}, "it has: "),
        ({"channel": "telegram"}, "@BotFather"),
        ({"secrets": {"provider-key": "short"}}, "no API key"),
        ({"secrets": {"provider-kye": KEY}}, "provider-key"),
    ],
)
def test_bad_input_at_init_is_a_sentence_and_makes_no_bot(home: Home, change: dict[str, Any], words: str) -> None:
    error = home.init(**change, code=2)
    assert words in error["message"]
    assert KEY not in json.dumps(error)
    assert not (home.state / "desired.json").exists()


def test_init_without_anybody_there_says_what_to_give(home: Home) -> None:
    done = home.run_command("selfhost", "init", "--run", str(home.run))
    assert done.returncode == 2
    assert "--stdin" in done.stderr


def test_unknown_commands_and_options_are_usage_errors(home: Home) -> None:
    assert home.run_command("frobnicate").returncode == 2
    assert home.run_command("status", "--frob").returncode == 2


def test_a_port_in_use_is_a_sentence_with_the_remedy(home: Home) -> None:
    home.init()
    with socket.create_server(("127.0.0.1", 0)) as taken:
        config = home.state / "clawmates.toml"
        config.write_text(config.read_text().replace("127.0.0.1:0", f"127.0.0.1:{taken.getsockname()[1]}"))
        done = home.run_command("up")
    assert done.returncode == 78
    assert "Address already in use" in done.stderr
    assert "[vault] listen" in done.stderr


def test_nothing_secret_is_left_in_any_file_by_init(home: Home) -> None:
    home.init()
    files = [path for path in home.state.rglob("*") if path.is_file()]
    assert {"clawmates.toml", "desired.json", "vault.db", "keys.db"} <= {path.name for path in files}
    for path in files:
        assert KEY.encode() not in path.read_bytes()
        assert b"a canary" not in path.read_bytes()


async def test_a_platform_from_its_first_minute_to_its_last(home: Home) -> None:
    async with stand_ins() as there:
        await there.simulator.add_key(KEY)
        await there.simulator.add_model(MODEL)
        spec = await asyncio.to_thread(home.init)
        assert spec["id"] == "home"
        with_stand_ins(home, there)
        async with up(home) as process:
            seen = await until_printed(process, "live")
            assert "UNSAFE: gateway.unsafe_resolve" in seen

            status = await asyncio.to_thread(home.json, "status")
            assert status["bots"][0]["state"] == "live"
            assert status["unsafe"] == ["gateway.unsafe_resolve", "node.unsafe_extra_ca"]
            assert "live" in (await asyncio.to_thread(home.run_command, "status", "--isolation")).stdout

            chat = await asyncio.to_thread(home.run_command, "chat", given="hello there\nand again\n")
            assert chat.returncode == 0, chat.stderr
            assert "hello there" in chat.stdout
            assert "[3 messages]" in chat.stdout
            assert chat.stderr == ""

            second = await asyncio.to_thread(home.run_command, "up")
            assert second.returncode == 1
            assert "running already" in second.stderr

            assert (await asyncio.to_thread(home.json, "restart", "home"))["restarting"] == ["home"]
            await until_printed(process, "live")
            assert "[1 message]" in (await asyncio.to_thread(home.run_command, "chat", given="forgotten?\n")).stdout

            events = (await asyncio.to_thread(home.json, "logs"))["events"]
            assert any(event["code"] == "live" for event in events)
            assert "hello" not in json.dumps(events)

            await asyncio.to_thread(home.json, "bot", "pause", "home")
            await until_printed(process, "paused")
            assert (await asyncio.to_thread(home.json, "bot", "pause", "nobody", code=2))["code"] == "bad-bot"

            assert (await asyncio.to_thread(home.json, "remove", "home", "--yes"))["removed"] == ["home"]
            assert (await asyncio.to_thread(home.json, "bot", "list"))["bots"] == []
            assert (await asyncio.to_thread(home.json, "remove", "--all", "--yes", code=1))["code"] == "still-running"

            process.send_signal(signal.SIGTERM)
            async with asyncio.timeout(60):
                assert await process.wait() == 0
        assert (await asyncio.to_thread(home.json, "remove", "--all", "--yes"))["removed"] == []
        assert not home.run.exists()
        assert not home.state.exists()
        assert not _processes_of(home)


@asynccontextmanager
async def up_at_a_terminal(home: Home) -> AsyncIterator[tuple[asyncio.subprocess.Process, int]]:
    """``clawmates up`` with a controlling terminal of its own; gives the terminal's other end."""
    ours, theirs = pty.openpty()

    def take_terminal() -> None:
        os.setsid()
        fcntl.ioctl(theirs, termios.TIOCSCTTY, 0)

    process = await asyncio.create_subprocess_exec(
        *CLAWMATES,
        "up",
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


async def test_ctrl_c_at_a_terminal_leaves_no_container(home: Home) -> None:
    async with stand_ins() as there:
        await there.simulator.add_key(KEY)
        await asyncio.to_thread(home.init)
        with_stand_ins(home, there)
        async with up_at_a_terminal(home) as (process, terminal):
            await until_shown(terminal, "live")
            assert await asyncio.to_thread(_processes_of, home)
            os.write(terminal, b"\x03")
            await until_shown(terminal, "stopping")
            async with asyncio.timeout(60):
                assert await process.wait() == 0
        assert not _processes_of(home)


async def test_remove_stops_what_a_killed_up_left_running(home: Home) -> None:
    async with stand_ins() as there:
        await there.simulator.add_key(KEY)
        await asyncio.to_thread(home.init)
        with_stand_ins(home, there)
        async with up_at_a_terminal(home) as (process, terminal):
            await until_shown(terminal, "live")
            process.kill()
            await process.wait()
        assert await asyncio.to_thread(_processes_of, home)
        assert (await asyncio.to_thread(home.json, "remove", "--all", "--yes"))["removed"] == ["home"]
        assert not _processes_of(home)
        assert not home.state.exists()


def test_adding_a_bot_again_keeps_what_is_not_said_anew(home: Home) -> None:
    first = home.init()
    home.json("bot", "pause", "home")
    options = ["--bot", "home", "--channel", "terminal", "--provider", "openai", "--model", MODEL, "--stdin"]
    again = home.json("bot", "add", *options, given=json.dumps({"provider-key": KEY + "2"}))
    assert again["paused"] is True
    assert again["items"] == {"prompt": first["items"]["prompt"], "provider-key": first["items"]["provider-key"] + 1}
    without = home.json("bot", "add", *options, given=json.dumps({"provider-key": KEY, "prompt": ""}))
    assert set(without["items"]) == {"provider-key"}


def test_usage_errors_are_json_too_when_asked(home: Home) -> None:
    done = home.run_command("bot", "add", "--json", "--channel", "signal")
    assert done.returncode == 2
    assert json.loads(done.stdout)["error"]["code"] == "usage"


def _processes_of(home: Home) -> list[str]:
    """Processes whose command line names this platform's runtime folder."""
    mark = os.fsencode(home.run)
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            if mark in (folder / "cmdline").read_bytes():
                found.append(folder.name)
    return found
