"""A backup of a running platform, and the platform that comes of it on an empty state folder: its bot answers."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
from pathlib import Path
from typing import Any

import pytest
from tests.support.forked import command

from clawmates.base.paths import State
from clawmates.proofs.live import LivePlatform
from clawmates.selfhost import layout
from clawmates.selfhost.accounts import account_of
from clawmates.selfhost.backup import CONFIG, HEADS, RECORDS
from clawmates.selfhost.platform import Platform
from clawmates.trials.throwaway import Bot, Throwaway, throwaway
from clawmates.wire.names import ChannelKind
from clawmates.wire.status import BotState

pytestmark = pytest.mark.timeout(300)


async def clawmates(*arguments: str) -> tuple[int, Any]:
    """Exit code, and the data or the error."""
    done = await asyncio.to_thread(command, *arguments, "--json")
    assert done.stdout, done.stderr
    answer = json.loads(done.stdout)
    return done.returncode, answer["data"] if answer["ok"] else answer["error"]


async def good(*arguments: str) -> Any:
    code, data = await clawmates(*arguments)
    assert code == 0, data
    return data


def private_folder(path: Path) -> Path:
    path.mkdir(mode=0o700)
    os.chown(path, *account_of("vault").owner)
    return path


async def answers(state: State, bot: str) -> str:
    """Starts the platform in ``state`` and talks to a bot of it."""
    platform = Platform(state)
    live = LivePlatform(state, platform.settings)
    try:
        await platform.start()
        async with asyncio.timeout(90):
            while not any((one.bot, one.state) == (bot, BotState.LIVE) for one in (await live.status()).bots):  # noqa: ASYNC110
                await asyncio.sleep(0.05)
        reply = await live.chat(bot, "Do you remember me?")
        audit = await good("audit", "verify", "--state", str(state.root))
        assert audit["holds"], audit
        code, error = await clawmates("backup", "restore", *RESTORE, "--state", str(state.root))
        assert (code, error["code"]) == (1, "bad-backup"), error
        assert [one.bot for one in (await live.status()).bots] == [bot]
        return reply
    finally:
        await live.close()
        await platform.close()
        layout.unmount_below(state.root)


RESTORE: list[str] = []


async def prepared(trial: Throwaway, place: Path) -> None:
    """A backup, a destruction after it, and the three things that an operator keeps."""
    made = await good("backup", "keygen", "--out", str(place / "key"), "--no-passphrase")
    state = ["--state", str(trial.state.root)]
    await trial.add([Bot.invent(name, ChannelKind.TERMINAL) for name in ("kept", "gone")])
    await trial.until_live("kept", "gone")
    # The platform runs, and its audit chain has been countersigned at least once.
    async with asyncio.timeout(60):
        while not trial.state.heads.exists():  # noqa: ASYNC110
            await asyncio.sleep(0.05)
    backup = await good("backup", "create", "--to", made["public"], "--out", str(place / "a.backup"), *state)
    assert {CONFIG, HEADS, RECORDS} < set(backup["files"])
    assert not any("keys.db" in name or "master" in name for name in backup["files"])
    await good("remove", "gone", "--yes", *state)
    shutil.copy(trial.state.vault / "master.key", place / "master.copy")
    RESTORE[:] = [str(place / "a.backup"), "--key", str(place / "key")]
    RESTORE.extend(["--keys-copy", str(place / "copies" / "keys.db"), "--master-key", str(place / "master.copy")])


async def test_every_bot_comes_back_but_the_destroyed_one() -> None:
    place = Path("/var/tmp") / f"clawmates-backup-{os.getpid()}"
    place.mkdir(mode=0o700)
    try:
        copies = private_folder(place / "copies")
        async with throwaway(settings={"vault": {"keys_copy": str(copies / "keys.db")}}) as trial:
            await prepared(trial, place)
            await trial.live.close()
            await trial.platform.close()
            state = State(place / "new" / "state")
            found = await good("backup", "restore", *RESTORE, "--state", str(state.root))
            assert (found["bots"], found["destroyed"], found["incomplete"]) == (["kept"], ["gone"], {})
            assert await answers(state, "kept")
    finally:
        shutil.rmtree(place, ignore_errors=True)
