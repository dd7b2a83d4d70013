"""The commands as a shell sees them: what they print, where, and how they exit."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.support.declared import fields_of, files_of
from tests.support.home import (
    MODEL,
    SECRETS,
    Home,
    a_home,
    at_a_terminal,
    processes_of,
    until_gone,
    until_printed,
    until_shown,
    up,
    vault_kept,
    with_stand_ins,
)
from tests.support.schemas import check
from tests.support.standins import KEY, stand_ins

from clawmates.inventory.packing import ABOUT_FILE, SCHEMA_FILE
from clawmates.selfhost import leaving
from clawmates.trials.interop import THEIRS

pytestmark = pytest.mark.timeout(300)


@pytest.fixture
def home() -> Iterator[Home]:
    with a_home() as made:
        yield made


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
        kept, said = files_of(home.state), fields_of(home.state / "log")
        strange = ("stand-ins.pem",)  # this test's own
        unused = ("control/control.db", "control/erased", "control/pepper")
        assert (kept.undeclared, kept.missing, said.undeclared) == (strange, unused, ())
        assert (await asyncio.to_thread(home.json, "remove", "--all", "--yes"))["removed"] == []
        assert not home.run.exists()
        assert not home.state.exists()
        await until_gone(home)


async def test_ctrl_c_at_a_terminal_leaves_no_container(home: Home) -> None:
    async with stand_ins() as there:
        await there.simulator.add_key(KEY)
        await asyncio.to_thread(home.init)
        with_stand_ins(home, there)
        async with at_a_terminal(home, "up") as (process, terminal):
            await until_shown(terminal, "live")
            assert await asyncio.to_thread(processes_of, home)
            os.write(terminal, b"\x03")
            await until_shown(terminal, "stopping")
            async with asyncio.timeout(60):
                assert await process.wait() == 0
        await until_gone(home)


async def test_remove_stops_what_a_killed_up_left_running(home: Home) -> None:
    async with stand_ins() as there:
        await there.simulator.add_key(KEY)
        await asyncio.to_thread(home.init)
        with_stand_ins(home, there)
        async with at_a_terminal(home, "up") as (process, terminal):
            await until_shown(terminal, "live")
            process.kill()
            await process.wait()
        assert await asyncio.to_thread(processes_of, home)
        assert (await asyncio.to_thread(home.json, "remove", "--all", "--yes"))["removed"] == ["home"]
        await until_gone(home)
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


def test_who_may_talk_to_a_bot_is_shown_and_changed(home: Home) -> None:
    token = "424242:" + "A" * 35
    made = home.init(channel="telegram", secrets=SECRETS | {"channel-token": token})
    assert (made["access"], made["items"]["people"], made["pairings"]) == ("paired", 1, [])
    with vault_kept(home):
        _people_come_and_go(home)
    files = [path for path in home.state.rglob("*") if path.is_file()]
    assert not any(number in path.read_bytes() for path in files for number in (b"730001957", b"730002957"))


def _people_come_and_go(home: Home) -> None:
    pair = home.json("bot", "pair", "home")
    assert (len(pair["code"]), pair["link"]) == (8, ""), "nobody knows the bot's username before it ran"
    for _ in range(2):
        home.json("bot", "pair", "home")
    refused = home.json("bot", "pair", "home", code=1)
    assert (refused["code"], "--replace" in refused["message"]) == ("cannot-pair", True)
    shown = home.run_command("bot", "pair", "home", "--replace").stdout
    desired = (home.state / "desired.json").read_text()
    assert len(json.loads(desired)["bots"][0]["pairings"]) == 1
    assert pair["code"] not in desired
    assert "until" in shown

    given = json.dumps({"admit": ["730001957", "730002957"]})
    people = home.json("bot", "people", "home", "--stdin", given=given)
    assert (people["owner"], people["people"]) == ("730001957", ["730001957", "730002957"])
    home.json("bot", "people", "home", "--stdin", "--set", "list", given='{"remove": ["730001957"]}')
    people = home.json("bot", "people", "home")
    assert people == {"bot": "home", "access": "list", "owner": "", "people": ["730002957"]}
    assert "takes no codes" in home.json("bot", "pair", "home", code=1)["message"]
    for bad, code in (('{"admit": "730001957"}', 2), ('{"admit": [7]}', 2), ("[]", 2), ('{"admit": ["@a"]}', 1)):
        error = home.json("bot", "people", "home", "--stdin", given=bad, code=code)
        assert "730001957" not in json.dumps(error)
    assert home.run_command("bot", "people", "home", "--admit").returncode == 2, "nobody is there to type"
    assert home.json("bot", "people", "home", "--clear")["people"] == []


def test_a_bot_moves_with_an_export_and_without_a_key(home: Home, tmp_path: Path) -> None:
    token, out = "424242:" + "A" * 35, tmp_path / "mine.zip"
    home.init(channel="telegram", secrets=SECRETS | {"channel-token": token})
    with vault_kept(home):
        home.json("bot", "people", "home", "--stdin", given='{"admit": ["730001957"]}')
        home.json("bot", "pair", "home")
        made = home.json("export", "--out", str(out))
        assert (made["bots"], out.stat().st_mode & 0o777) == (["home"], 0o600)
        assert home.json("export", "--out", str(out), code=1)["code"] == "exists"
    with zipfile.ZipFile(out) as package:
        files = {name: json.loads(package.read(name)) for name in package.namelist()}
    assert files.keys() == {ABOUT_FILE, SCHEMA_FILE} | leaving.exported()
    for name, schema in files[SCHEMA_FILE]["properties"].items():
        check(schema, files[name])
    text = json.dumps(files)
    assert files["system-prompt.json"]["documents"][0]["text"] == SECRETS["prompt"]
    assert "730001957" in text
    assert not any(secret in text for secret in (token, KEY))

    with a_home() as other:
        there = ["--run", str(other.run), "--listen", "127.0.0.1:0", "--from", str(out), "--stdin"]
        keys = {"channel-token": token, "provider-key": KEY}
        bare = other.json("selfhost", "init", *there, given="{}", code=2)
        assert "token" in bare["message"]
        came = other.json("selfhost", "init", *there, given=json.dumps(keys))
        assert (came["id"], came["model"], came["access"]) == ("home", MODEL, "paired")
        with vault_kept(other):
            assert other.json("bot", "prompt", "home")["prompt"] == SECRETS["prompt"]
            assert other.json("bot", "people", "home")["people"] == ["730001957"]
            _goes_to_openclaw_and_back(other, tmp_path / "theirs.zip", json.dumps({"home": keys}))
            _comes_from_openclaw(other)


def _goes_to_openclaw_and_back(home: Home, out: Path, secrets: str) -> None:
    """It comes as it went, paused as it was, and only to where there is none of its name."""
    home.json("bot", "pause", "home")
    before = home.json("bot", "list")["bots"][0]
    went = home.json("export", "--format", "openclaw", "--out", str(out))
    assert home.json("import", str(out), "--check")["bots"] == went["bots"] == ["home"]
    assert home.json("import", str(out), code=2)["code"] == "exists"
    home.json("bot", "rm", "home", "--yes")
    assert "token" in home.json("import", str(out), "--stdin", given="{}", code=2)["message"]
    assert home.json("import", str(out), "--stdin", given=secrets)["lost"] == []
    after = home.json("bot", "list")["bots"][0]
    kept = ("id", "channel", "provider", "model", "access", "paused")
    assert {name: after[name] for name in kept} == {name: before[name] for name in kept}
    assert after["paused"] is True
    assert home.json("bot", "prompt", "home")["prompt"] == SECRETS["prompt"]
    assert home.json("bot", "people", "home")["people"] == ["730001957"]


def _comes_from_openclaw(home: Home) -> None:
    """All or none; what lies there in the clear is sealed, and stands nowhere else on the host."""
    words, spare = ["import", str(THEIRS), "--bot", "marvin", "--seal", "--stdin"], {"fallback-key": "AIza" + "k" * 35}
    missing = home.json(*words, given="{}", code=2)
    assert "fallback-key" in missing["message"]
    assert [bot["id"] for bot in home.json("bot", "list")["bots"]] == ["home"]
    came = home.json(*words, given=json.dumps({"marvin": spare}))
    assert (came["made"], came["lost"][-1]["where"]) == (True, "marvin"), "its model takes no temperature"
    assert home.json("bot", "prompt", "marvin")["prompt"] == "You are gloomy, and right.\n"
    assert home.json("bot", "people", "marvin")["people"] == ["12345678", "777"]
    assert "AAaCanary" not in json.dumps([missing, came])
    files = [path for path in home.state.rglob("*") if path.is_file()]
    assert not any(secret in path.read_bytes() for path in files for secret in (b"AAaCanary", b"sk-ant-canary"))


def test_usage_errors_are_json_too_when_asked(home: Home) -> None:
    done = home.run_command("bot", "add", "--json", "--channel", "signal")
    assert done.returncode == 2
    assert json.loads(done.stdout)["error"]["code"] == "usage"
