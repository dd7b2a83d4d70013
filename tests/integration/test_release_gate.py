"""A new release meets a platform that runs: a broken one goes back by itself, a good one comes in, nobody notices."""

from __future__ import annotations

import asyncio
import json
import os
import signal
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
from image import main
from tests.support.releases import another_image

from clawmates.node.events import Happening
from clawmates.selfhost.install import adopt_release
from clawmates.trials.throwaway import RELEASE, Bot, Throwaway, throwaway
from clawmates.wire.codes import Trouble
from clawmates.wire.names import ChannelKind
from clawmates.wire.release import Release
from clawmates.wire.status import BotState, NodeStatus

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(300)]

BOTS = tuple(Bot.invent(name, ChannelKind.TELEGRAM) for name in ("anna", "ben"))
PERSON = 7
SECONDS = 60.0


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def trial() -> AsyncIterator[Throwaway]:
    async with throwaway() as there:
        await there.add(BOTS)
        await there.until_live("anna", "ben")
        yield there


async def ask(trial: Throwaway, bot: Bot, text: str) -> str:
    before = await trial.simulator.sent(bot.token, PERSON)
    await trial.simulator.say(bot.token, PERSON, text)
    after = before[-1].message_id if before else 0
    return (await trial.simulator.wait_reply(bot.token, PERSON, after=after, timeout=SECONDS)).text


def install(trial: Throwaway, folder: Path) -> None:
    adopt_release(folder, trial.state, trial.platform.settings)


def count(trial: Throwaway, code: str) -> int:
    paths = trial.state.log.glob("node-*.jsonl")
    return sum(json.loads(line)["code"] == code for path in paths for line in path.read_text().splitlines())


async def until(trial: Throwaway, code: str, times: int) -> NodeStatus:
    async with asyncio.timeout(SECONDS):
        while count(trial, code) < times:  # noqa: ASYNC110 - a log sets no event
            await asyncio.sleep(0.02)
    return await trial.live.status()


async def test_a_release_whose_mate_exits_at_once_goes_back_by_itself(trial: Throwaway, tmp_path: Path) -> None:
    for bot in BOTS:
        assert "[1 message]" in await ask(trial, bot, "remember me")
    before = await trial.live.status()
    another_image(RELEASE, tmp_path / "broken", 2, ("/usr/bin/python3", "-I", "-c", "pass"))
    install(trial, tmp_path / "broken")
    after = await until(trial, Trouble.RELEASE_REFUSED, 1)
    assert {bot.bot: bot.pid for bot in after.bots} == {bot.bot: bot.pid for bot in before.bots}
    assert all(bot.state is BotState.LIVE for bot in after.bots)
    assert (after.trouble, after.refused, after.number, after.trying) == (Trouble.RELEASE_REFUSED, 2, 1, 0)
    assert after.release == before.release
    for bot in BOTS:
        assert "[3 messages]" in await ask(trial, bot, "and again")


async def test_it_is_not_tried_again_not_even_by_a_node_that_was_restarted(trial: Throwaway) -> None:
    replacing, adopted = count(trial, Happening.REPLACING), count(trial, Happening.ADOPTED)
    os.kill(trial.platform.supervisor.pid("node"), signal.SIGKILL)
    await until(trial, Happening.ADOPTED, adopted + 2)
    await until(trial, Happening.RELEASE, count(trial, Happening.RELEASE) or 1)
    await trial.until_live("anna", "ben")
    status = await trial.live.status()
    assert (status.refused, status.number, status.trouble) == (2, 1, Trouble.RELEASE_REFUSED)
    assert count(trial, Happening.REPLACING) == replacing
    for bot in BOTS:
        assert "[5 messages]" in await ask(trial, bot, "still here?")


async def test_a_good_release_comes_in_by_one_and_all_remember(trial: Throwaway, tmp_path: Path) -> None:
    fresh: Release = another_image(RELEASE, tmp_path / "good", 3)
    good = count(trial, Happening.RELEASE_GOOD)
    install(trial, tmp_path / "good")
    status = await until(trial, Happening.RELEASE_GOOD, good + 1)
    assert (status.number, status.release, status.trouble) == (3, fresh.image.digest, "")
    assert (status.refused, status.trying) == (0, 0)
    assert count(trial, Happening.RELEASE_TRIED) == 2
    for bot in BOTS:
        assert "[7 messages]" in await ask(trial, bot, "and now?")
        assert all(finding.ok for finding in await trial.live.read_back(bot.name))


async def test_a_release_that_a_later_bot_cannot_live_with_comes_no_further(trial: Throwaway, tmp_path: Path) -> None:
    before = {bot.bot: bot.pid for bot in (await trial.live.status()).bots}
    unless_ben = (
        "import json, os\n"
        f"command = {main.START.command!r}\n"
        "with open('/run/boot/boot.json', 'rb') as boot:\n"
        "    os.execv(command[0], command) if json.load(boot)['bot'] != 'ben' else None"
    )
    another_image(RELEASE, tmp_path / "half", 4, ("/usr/bin/python3", "-I", "-c", unless_ben))
    install(trial, tmp_path / "half")
    status = await until(trial, Trouble.RELEASE_STOPPED, 1)
    assert (status.number, status.trying, status.tried_by, status.stopped_by) == (3, 4, "anna", "ben")
    assert status.trouble == Trouble.RELEASE_STOPPED
    anna, ben = await trial.until_live("anna", "ben")
    assert anna.pid != before["anna"]
    assert ben.pid == before["ben"]
    for bot in BOTS:
        assert "[9 messages]" in await ask(trial, bot, "half a release")


async def test_the_operator_goes_back_by_hand_the_same_way(trial: Throwaway) -> None:
    good = count(trial, Happening.RELEASE_GOOD)
    install(trial, RELEASE)
    status = await until(trial, Happening.RELEASE_GOOD, good + 1)
    assert (status.number, status.trouble, status.stopped_by) == (1, "", "")
    for bot in BOTS:
        assert "[11 messages]" in await ask(trial, bot, "back again")
