"""``selfhost init`` and ``bot add`` as a newcomer meets them: at a terminal, and by flags."""

from __future__ import annotations

import asyncio
import json
import os
import re
import shutil
import socket
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import pytest
from tests.support.home import MODEL, Home, a_home, at_a_terminal, until_gone, until_shown, vault_kept, with_stand_ins
from tests.support.standins import KEY, stand_ins

from clawmates.base.paths import Run
from clawmates.selfhost import layout

pytestmark = pytest.mark.timeout(300)


@pytest.fixture
def home() -> Iterator[Home]:
    with a_home() as made:
        yield made


async def answer(terminal: int, *talk: tuple[str, str]) -> str:
    seen = ""
    for question, line in talk:
        seen += await until_shown(terminal, question)
        os.write(terminal, line.encode() + b"\n")
    return seen


INIT = ("selfhost", "init", "--listen", "127.0.0.1:0", "--run")
TALK = (
    ("[home] ", "newcomer"),
    ("> [1] ", "2"),
    ("> [1] ", "1"),
    ("> [1] ", MODEL),
    ("  > ", KEY),
    ("> [1] ", "editor"),
)


async def test_a_newcomer_answers_the_questions_and_has_a_bot_that_runs(home: Home) -> None:
    async with stand_ins() as there:
        await there.simulator.add_key(KEY)
        await there.simulator.add_model(MODEL)
        async with at_a_terminal(home, *INIT, str(home.run)) as (process, terminal):
            seen = await answer(terminal, *TALK, ("> [y] ", "y"))
            seen += await until_shown(terminal, "Start it now")
            with_stand_ins(home, there)
            os.write(terminal, b"y\n")
            seen += await until_shown(terminal, "newcomer is live. Talk to it in another terminal")
            assert KEY not in seen
            chat = await asyncio.to_thread(home.run_command, "chat", given="hello there\n")
            assert "hello there" in chat.stdout
            os.write(terminal, b"\x03")
            await until_shown(terminal, "stopping")
            async with asyncio.timeout(60):
                assert await process.wait() == 0
    await until_gone(home)


async def test_the_one_who_scans_the_code_is_the_bot_s_owner(home: Home) -> None:
    token = "123456789:AAabcdefghijklmnopqrstuvwxyz0123456"
    async with stand_ins() as there:
        await there.simulator.add_key(KEY)
        await there.simulator.add_model(MODEL)
        await there.simulator.add_bot(token, "newcomer_bot")
        async with at_a_terminal(home, *INIT, str(home.run)) as (process, terminal):
            talk = [TALK[0], ("> [1] ", "1"), ("  > ", token), *TALK[2:], ("> [1] ", "paired")]
            seen = await answer(terminal, *talk, ("> [y] ", "y"))
            seen += await until_shown(terminal, "Start it now")
            with_stand_ins(home, there)
            os.write(terminal, b"y\n")
            seen += await until_shown(terminal, "▀")
            assert "The code is good once" in seen
            assert token not in seen
            link = re.search(r"https://t.me/newcomer_bot\?start=([A-Z0-9]+)", seen)
            assert link is not None
            await there.simulator.say(token, 4711, f"/start {link[1]}")
            welcome = await there.simulator.wait_reply(token, 4711, timeout=100)
            await there.simulator.say(token, 4711, "am I in?")
            reply = await there.simulator.wait_reply(token, 4711, after=welcome.message_id, timeout=100)
            assert "am I in?" in reply.text
            await interrupt(process, terminal, code=0)
    await until_gone(home)


@pytest.mark.parametrize(("answers", "waits"), [(0, "[home]"), (4, "is not shown"), (6, "> [y]")])
async def test_ctrl_c_leaves_without_a_trace(home: Home, answers: int, waits: str) -> None:
    async with at_a_terminal(home, *INIT, str(home.run)) as (process, terminal):
        await answer(terminal, *TALK[:answers])
        await until_shown(terminal, waits)
        await interrupt(process, terminal)
    assert not home.state.exists()
    assert not home.run.exists()


async def interrupt(process: asyncio.subprocess.Process, terminal: int, *, code: int = 1) -> None:
    """Ctrl-C, once more where the first came in between two reads of a dialogue, as a person would.

    Who ends well is heard at once, and needs a while to take down what runs: another one would meet its last breath.
    """
    async with asyncio.timeout(60):
        while process.returncode is None:
            os.write(terminal, b"\x03")
            with suppress(TimeoutError):
                await asyncio.wait_for(process.wait(), 60 if code == 0 else 2)
    assert process.returncode == code


async def test_ctrl_c_while_it_is_made_leaves_no_half_of_it(home: Home) -> None:
    async with at_a_terminal(home, *INIT, str(home.run)) as (process, terminal):
        await answer(terminal, *TALK, ("> [y] ", "y"))
        async with asyncio.timeout(60):
            while not (home.state / "vault" / "keys.db").exists():  # noqa: ASYNC110 - what another process makes
                await asyncio.sleep(0.01)
        await interrupt(process, terminal)
    assert not home.state.exists()
    assert not home.run.exists()
    await until_gone(home)


def test_what_was_in_the_folder_before_stays_when_init_fails(home: Home) -> None:
    home.state.mkdir()
    (home.state / "mine.txt").write_text("mine")
    (home.state / "pki").write_text("in the way")
    error = home.init(code=4)
    assert "pki" in error["message"]
    assert (home.state / "mine.txt").read_text() == "mine"


def test_one_that_fails_leaves_another_s_runtime_folder_alone(home: Home) -> None:
    home.init()
    before = {path.name for path in home.run.iterdir()}
    other = Home(home.state.parent / "other", home.run)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        options = ["--bot", "home", "--channel", "terminal", "--provider", "openai", "--model", MODEL, "--stdin"]
        line = ["selfhost", "init", "--run", str(home.run), "--listen", f"127.0.0.1:{port}", *options]
        assert "in use" in other.json(*line, given=json.dumps({"provider-key": KEY}), code=78)["message"]
    assert not other.state.exists()
    assert {path.name for path in home.run.iterdir()} == before


def test_the_folder_of_one_that_runs_is_refused(home: Home) -> None:
    home.run.mkdir()
    (home.run / "node").mkdir()
    with socket.socket(socket.AF_UNIX) as node:
        node.bind(str(home.run / "node" / "node.sock"))
        node.listen()
        error = home.init(code=4)
    assert "--run" in error["message"]
    assert not home.state.exists()
    assert (home.run / "node" / "node.sock").exists()


def test_after_a_reboot_commands_need_no_platform_that_runs(home: Home) -> None:
    home.init()
    layout.remove_run(Run(home.run))
    # Nor after a restore: a backup holds no certificate of the services.
    shutil.rmtree(home.state / "pki" / "cli")
    assert home.json("vault", "status")
    assert home.json("remove", "--all", "--yes") == {"removed": ["home"]}
    assert not home.state.exists()


def test_options_that_would_not_be_followed_are_refused(home: Home) -> None:
    home.init()
    error = home.json("selfhost", "init", "--listen", "127.0.0.1:7999", code=2)
    assert "127.0.0.1:0" in error["message"]
    error = home.json("selfhost", "init", "--run", "/run/elsewhere", code=2)
    assert str(home.run) in error["message"]


def test_a_failed_init_can_simply_be_repeated(home: Home) -> None:
    home.run.parent.mkdir(exist_ok=True)
    home.run.write_text("in the way")
    home.init(code=4)
    assert not home.state.exists()
    home.run.unlink()
    assert home.init()["id"] == "home"


def test_by_flags_every_part_of_a_bot_can_be_said_and_changed_alone(home: Home) -> None:
    first = home.init()
    with vault_kept(home):
        _every_part_changes_alone(home, first)


def _every_part_changes_alone(home: Home, first: dict[str, Any]) -> None:
    options = ["--bot", "home", "--messages-per-day", "20", "--tokens-trial", "1000", "--trial-ends", "2030-01-31"]
    more = ["--fallback", "anthropic/claude-haiku-5-5", "--max-output-tokens", "500", "--stdin"]
    spec = home.json("bot", "add", *options, *more, given=json.dumps({"fallback-key": "sk-ant-0123456789"}))
    assert spec["limits"] == {
        **first["limits"],
        "messages_per_day": 20,
        "tokens_trial": 1000,
        "trial_ends": "2030-01-31T00:00:00+00:00",
    }
    assert spec["fallback"] == {"provider": "anthropic", "model": "claude-haiku-5-5"}
    assert spec["items"] == {"prompt": 1, "provider-key": 1, "fallback-key": 1}

    spec = home.json("bot", "add", "--bot", "home", "--messages-per-day", "none")
    assert spec["limits"]["messages_per_day"] is None
    assert spec["limits"]["tokens_trial"] == 1000
    assert spec["max_output_tokens"] == 500

    spec = home.json("bot", "add", "--bot", "home", "--fallback", "none")
    assert spec["fallback"] is None
    assert "fallback-key" not in spec["items"]

    spec = home.json("bot", "add", "--bot", "home", "--template", "tutor-de")
    assert spec["items"]["prompt"] == 2
    assert "Nachhilfe" in home.json("bot", "prompt", "home")["prompt"]

    local = ["--bot", "local", "--channel", "terminal", "--provider", "ollama", "--model", "llama3.2:3b"]
    spec = home.json("bot", "add", *local, "--temperature", "0.2")
    assert (spec["items"], spec["temperature"]) == ({}, 0.2)
    rows = home.json("bot", "list")["bots"]
    assert [row["id"] for row in rows] == ["home", "local"]
    shown = home.run_command("bot", "list").stdout
    assert "tokens trial 1000" in shown
    assert "temperature 0.2" in shown

    assert "--yes" in home.json("bot", "rm", "local", code=2)["message"]
    assert home.json("bot", "rm", "local", "--yes")["removed"] == ["local"]
    assert home.json("bot", "rm", "local", "--yes", code=2)["code"] == "bad-bot"


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--fallback", "anthropic"], "PROVIDER/MODEL"),
        (["--messages-per-day", "-1"], "-1"),
        (["--temperature", "3"], "3"),
        (["--trial-ends", "soon"], "2027-01-31"),
        (["--template", "pirate"], "everyday"),
    ],
)
def test_a_wrong_option_is_a_sentence(home: Home, options: list[str], words: str) -> None:
    done = home.run_command("selfhost", "init", "--run", str(home.run), *options)
    assert done.returncode == 2
    assert words in done.stderr
    assert not home.state.exists()
