"""How somebody leaves: a hosted platform with 10,000 accounts on SQLite, exports, deletions one by one, a cancellation.

A deletion's clock runs from the operator's word to the signed receipt: the vault's destruction, the last mail, the
rows, the files written anew, both signatures. The floor is one writing of the same file anew: no deletion can be
quicker. A cancellation's runs from the request until no container of the account's bots is left.
"""

from __future__ import annotations

import asyncio
import os
import time
from datetime import UTC, datetime, timedelta
from statistics import median, quantiles
from typing import TYPE_CHECKING

from sqlalchemy import insert, select

from clawmates.control.accounts.tables import Account
from clawmates.control.bots.tables import Bot, BotDay
from clawmates.control.erasure.tables import Erasure
from clawmates.control.store.database import open_database
from clawmates.control.store.scrub import scrub
from clawmates.trials import bench_export
from clawmates.trials.bench_launch import browser_of, launch, send
from clawmates.trials.hosted import free_port, hosted, terminal
from clawmates.trials.measure import NoFigureError
from clawmates.trials.throwaway import throwaway
from clawmates.wire.operator_client import OperatorClient
from clawmates.wire.status import BotState

if TYPE_CHECKING:
    from clawmates.control.store.database import Database
    from clawmates.trials.throwaway import Throwaway

ACCOUNTS = 10_000
DAYS = 30
"""On which each account's bot has counted."""
ERASURES = 20
BOTS, CANCELLATIONS = 5, 3
FLOORS = 5
AT_ONCE = 1_000
LONGEST_SECONDS = 60.0
LOOK_SECONDS = 0.02


async def figures() -> dict[str, float]:
    """``erasure_s_p95`` and what goes with it, in seconds."""
    with terminal() as (handed, screen):
        async with throwaway(settings=hosted(free_port()), terminal=handed) as trial:
            database = open_database(trial.platform.settings.control, trial.state)
            try:
                await _inhabit(database)
                exported = await bench_export.figures(trial, database, screen)
                client = OperatorClient(trial.platform.settings.run.control)
                taken = [await _erase(client, database, number) for number in range(ERASURES)]
                floor = [await _rewrite(database) for _ in range(FLOORS)]
            finally:
                await database.close()
            stopped = await _cancellations(trial, screen)
    return {
        "erasure_s_p50": median(taken),
        "erasure_s_p95": quantiles(taken, n=20)[-1],
        "floor_erasure_s": median(floor),
        "cancel_stop_s": max(stopped),
        **exported,
    }


async def _cancellations(trial: Throwaway, screen: int) -> list[float]:
    """Seconds from the request until no container of the account is left; it is taken up again between two."""
    taken = []
    async with browser_of(trial, "leaving@example.org", screen) as browser:
        for number in range(BOTS):
            await launch(trial, browser, number)
        for _ in range(CANCELLATIONS):
            began = time.perf_counter()
            await send(browser, "/account/cancel", {"now": "no"})
            await trial.until_only(seconds=LONGEST_SECONDS)
            taken.append(time.perf_counter() - began)
            await send(browser, "/account/resume", {"now": "yes"})
            async with asyncio.timeout(LONGEST_SECONDS):
                while await _running(trial) < BOTS:  # noqa: ASYNC110 - another process changes
                    await asyncio.sleep(LOOK_SECONDS)
    return taken


async def _running(trial: Throwaway) -> int:
    return sum(one.state is BotState.LIVE for one in (await trial.live.status()).bots)


async def _erase(client: OperatorClient, database: Database, number: int) -> float:
    began = time.perf_counter()
    found = await client.erase(_account(number))
    if found is None:
        raise NoFigureError("an account that was just made is not there")
    async with asyncio.timeout(LONGEST_SECONDS):
        while not await _receipt(database, found.receipt):  # noqa: ASYNC110 - another process changes
            await asyncio.sleep(LOOK_SECONDS)
    return time.perf_counter() - began


async def _receipt(database: Database, erasure: str) -> bool:
    async with database.reading() as session:
        return bool(await session.scalar(select(Erasure.receipt).where(Erasure.id == erasure)))


async def _rewrite(database: Database) -> float:
    began = time.perf_counter()
    await scrub(database)
    return time.perf_counter() - began


def _account(number: int) -> str:
    return f"a-{number:032x}"


async def _inhabit(database: Database) -> None:
    now = datetime.now(UTC)
    for start in range(0, ACCOUNTS, AT_ONCE):
        numbers = range(start, start + AT_ONCE)
        async with database.writing() as session:
            await session.execute(
                insert(Account),
                [
                    {
                        "id": _account(number),
                        "email": f"person-{number}@example.org",
                        "language": "en",
                        "plan": "free",
                        "created_at": now,
                        "pseudonym_key": os.urandom(32),
                        "leaving_at": None,
                    }
                    for number in numbers
                ],
            )
            await session.execute(
                insert(Bot), [bench_export.bot_row(f"b-{number}", _account(number), now) for number in numbers]
            )
            days = [(now - timedelta(days=day)).date() for day in range(DAYS)]
            counts = [
                {"bot_id": f"b-{number}", "day": day, "messages": 7, "tokens": 900}
                for number in numbers
                for day in days
            ]
            await session.execute(insert(BotDay), counts)
