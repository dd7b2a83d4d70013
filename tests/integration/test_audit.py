"""The audit chain of a whole platform, and what an operator is told when somebody touched it."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import signal
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.support.forked import command

from clawmates.proofs.errors import ProofError
from clawmates.selfhost.evidence import read_lines
from clawmates.trials.throwaway import Bot, Throwaway, throwaway
from clawmates.wire.audit import GENESIS, chained
from clawmates.wire.names import ChannelKind

pytestmark = pytest.mark.timeout(240)


async def cli(state: Path, *words: str) -> tuple[int, dict[str, object]]:
    done = await asyncio.to_thread(command, *words, "--json", "--state", str(state))
    return done.returncode, json.loads(done.stdout)["data"]


async def countersigned(trial: Throwaway, more_than: int) -> int:
    """Lets node meet the vault now instead of within a minute: a fresh node begins with it."""
    os.kill(trial.platform.supervisor.pid("node"), signal.SIGKILL)
    async with asyncio.timeout(60):
        while True:
            lines = [line for line in read_lines(trial.state.heads) if line is not None]
            if lines and lines[-1].said.head.number > more_than:
                return lines[-1].said.head.number
            await asyncio.sleep(0.05)


def edited(database: sqlite3.Connection) -> None:
    database.execute("UPDATE audit SET detail = replace(detail, 'witness', 'another') WHERE number = 2")


def recomputed(database: sqlite3.Connection) -> None:
    edited(database)
    previous = GENESIS
    for number, at, tag, detail in database.execute(
        "SELECT number, at, tag, detail FROM audit ORDER BY number"
    ).fetchall():
        previous = chained(previous, number, at, tag, detail)
        database.execute("UPDATE audit SET hash = ? WHERE number = ?", (previous.hex(), number))


def cut(database: sqlite3.Connection) -> None:
    database.execute("DELETE FROM audit WHERE number > 2")


def without_witnesses(database: sqlite3.Connection) -> None:
    recomputed(database)
    database.execute("DELETE FROM witnesses")


async def test_a_platforms_chain_holds_and_every_hand_on_it_shows() -> None:
    async with throwaway() as trial:
        first = await countersigned(trial, 0)
        await trial.add([Bot.invent("witness", ChannelKind.TERMINAL)], paused=True)
        assert await countersigned(trial, first + 2) >= first + 3
        code, verdict = await cli(trial.state.root, "audit", "verify")
        assert (code, verdict["holds"], verdict["findings"]) == (0, True, [])
        assert (await trial.live.status()).trouble == ""
        await trial.platform.close()
        kept = trial.root / "kept"
        shutil.copytree(trial.state.vault, kept)
        heads = trial.state.heads.read_bytes()
        await tampered(trial, kept, edited, "does not follow")
        await tampered(trial, kept, recomputed, "not the one that was countersigned")
        await tampered(trial, kept, cut, "ends before a head that was countersigned")
        await tampered(trial, kept, without_witnesses, "not the one that was countersigned")
        restore(trial, kept)
        trial.state.heads.write_bytes(heads.splitlines(keepends=True)[0])
        code, verdict = await cli(trial.state.root, "audit", "verify")
        assert code == 1
        assert "the countersigner's list ends before what it told of" in json.dumps(verdict)
        trial.state.heads.write_bytes(heads)
        restore(trial, kept)
        code, verdict = await cli(trial.state.root, "audit", "verify")
        assert (code, verdict["unsigned"]) == (0, 1)  # the start of the vault that this command used
        await diverged(trial)


async def tampered(trial: Throwaway, kept: Path, hand: Callable[[sqlite3.Connection], None], fault: str) -> None:
    restore(trial, kept)
    _touch(trial, hand)
    code, verdict = await cli(trial.state.root, "audit", "verify")
    assert code == 1
    assert fault in json.dumps(verdict)


def _touch(trial: Throwaway, hand: Callable[[sqlite3.Connection], None]) -> None:
    database = sqlite3.connect(trial.state.vault / "vault.db")
    try:
        hand(database)
        database.commit()
    finally:
        database.close()


def restore(trial: Throwaway, kept: Path) -> None:
    for path in kept.iterdir():
        shutil.copy(path, trial.state.vault / path.name)


async def diverged(trial: Throwaway) -> None:
    """A platform whose chain was recomputed says so in its status, and node signs nothing of it."""
    _touch(trial, recomputed)
    lines = len(read_lines(trial.state.heads))
    platform = type(trial.platform)(trial.state)
    try:
        await platform.start()
        async with asyncio.timeout(60):
            while True:
                if await trouble(trial) == "audit-diverged":
                    break
                await asyncio.sleep(0.05)
        assert len(read_lines(trial.state.heads)) == lines
    finally:
        await platform.close()


async def trouble(trial: Throwaway) -> str:
    try:
        return (await trial.live.status()).trouble
    except ProofError:
        return ""
