"""How long somebody with all that an account can hold waits for the file of what is held on them, in their browser.

The whole request over TLS, to the last byte of the zip: control's rows, and the vault's entries over mTLS. The floor is
packing the very same files once more.
"""

from __future__ import annotations

import io
import json
import os
import time
import zipfile
from datetime import UTC, datetime, timedelta
from statistics import quantiles
from typing import TYPE_CHECKING

import httpx2
from sqlalchemy import insert, select

from clawmates.base.shape import encode_json
from clawmates.control.accounts.tables import Account, Passkey, Session
from clawmates.control.audit.chain import note, pseudonym
from clawmates.control.bots.launch import MOST_BOTS
from clawmates.control.bots.tables import Bot, BotDay, BotError, BotItem, BotReceipt, BotState
from clawmates.inventory.spans import COUNTS, ERRORS, SESSION
from clawmates.selfhost.install import vault_of
from clawmates.trials.bench_launch import browser_of
from clawmates.trials.measure import NoFigureError
from clawmates.wire.deeds import Deed, Plain
from clawmates.wire.desired import Limits
from clawmates.wire.names import ItemName
from clawmates.wire.vault import Assignment

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncSession

    from clawmates.control.store.database import Database
    from clawmates.trials.throwaway import Throwaway

PEOPLE, EXPORTS = 2, 10
"""More than ten in an hour nobody may have."""
FORM = {"wanted": "yes"}
"""Without a field it would not be a form."""
ERRORS_A_DAY = 3
SESSIONS, PASSKEYS, ENTRIES = 20, 10, 1_000
LEAST_ROWS = MOST_BOTS * COUNTS.days


async def figures(trial: Throwaway, database: Database, screen: int) -> dict[str, float]:
    """``export_s_p95`` and its floor, in seconds. Raises :class:`NoFigureError` for a file that holds too little."""
    taken, floors, size = [], [], 0
    for number in range(PEOPLE):
        email = f"full-{number}@example.org"
        async with browser_of(trial, email, screen) as browser:
            await _furnish(trial, database, email, number)
            for _ in range(EXPORTS):
                began = time.perf_counter()
                answer = await browser.post("/account/export", data=FORM)
                taken.append(time.perf_counter() - began)
                if answer.status_code != httpx2.codes.OK:
                    raise NoFigureError(f"an export was answered with {answer.status_code}")
                files = _opened(answer.content)
                began = time.perf_counter()
                _packed(files)
                floors.append(time.perf_counter() - began)
                size = len(answer.content)
    return {
        "export_s_p95": quantiles(taken, n=20)[-1],
        "floor_export_s": quantiles(floors, n=20)[-1],
        "export_kib": size / 1024,
    }


def _opened(data: bytes) -> dict[str, bytes]:
    with zipfile.ZipFile(io.BytesIO(data)) as package:
        files = {name: package.read(name) for name in package.namelist()}
    found = [json.loads(content) for content in files.values()]
    rows = sum(len(some) for one in found for some in one.values() if isinstance(some, list))
    counted = [len(one["bot_days"]) for one in found if "bot_days" in one]
    vaults = [len(one["entries"]) for one in found if "entries" in one]
    if rows < LEAST_ROWS or max(counted, default=0) < LEAST_ROWS or max(vaults, default=0) < MOST_BOTS:
        raise NoFigureError("the export of a full account does not hold what it must")
    return files


def _packed(files: dict[str, bytes]) -> None:
    with zipfile.ZipFile(io.BytesIO(), "w", zipfile.ZIP_DEFLATED) as package:
        for name, content in files.items():
            package.writestr(name, content)


async def _furnish(trial: Throwaway, database: Database, email: str, number: int) -> None:
    now, names = datetime.now(UTC), [f"f{number}-{one}" for one in range(MOST_BOTS)]
    async with database.writing() as session:
        account = (await session.scalars(select(Account).where(Account.email == email))).one()
        await session.execute(insert(Bot), [bot_row(name, account.id, now) for name in names])
        await _rows_of_bots(session, names, account.id, now)
        ends_at = now + SESSION
        browser = {"created_at": now, "seen_at": now, "ends_at": ends_at, "proved_at": now, "browser": "Firefox, Linux"}
        sessions = [{"proof": os.urandom(32).hex(), "account_id": account.id} | browser for _ in range(SESSIONS)]
        await session.execute(insert(Session), sessions)
        key = {
            "account_id": account.id,
            "public_key": os.urandom(77),
            "sign_count": 1,
            "name": "Key",
            "created_at": now,
        }
        await session.execute(insert(Passkey), [{"id": os.urandom(32).hex()} | key for _ in range(PASSKEYS)])
        subject = pseudonym(account.id, account.pseudonym_key)
        for _ in range(ENTRIES):
            note(session, now, Deed.SIGNED_OUT, Plain(), subject)
    async with vault_of(trial.state, trial.platform.settings) as vault:
        node = trial.platform.settings.node.name
        for name in names:
            await vault.assign(name, Assignment(tenant=account.id, node=node, lease_seconds=3600))


async def _rows_of_bots(session: AsyncSession, names: list[str], account: str, now: datetime) -> None:
    days = [(now - timedelta(days=day)).date() for day in range(COUNTS.days)]
    counts = [{"bot_id": name, "day": day, "messages": 7, "tokens": 900} for name in names for day in days]
    failed = [now - timedelta(days=day, hours=hour) for day in range(ERRORS.days) for hour in range(ERRORS_A_DAY)]
    errors = [{"bot_id": name, "at": at, "code": "bad-key"} for name in names for at in failed]
    item = {"version": 3, "kept": 3, "trouble": "", "changed_at": now}
    items = [{"bot_id": name, "name": one.value} | item for name in names for one in ItemName]
    state = {"node": "node", "state": "live", "code": "", "username": "a_bot", "since": now, "reported_at": now}
    gone = [{"bot_id": f"gone-{name}", "account_id": account, "at": now, "body": "{}"} for name in names]
    await session.execute(insert(BotDay), counts)
    await session.execute(insert(BotError), errors)
    await session.execute(insert(BotItem), items)
    await session.execute(insert(BotState), [{"bot_id": name} | state for name in names])
    await session.execute(insert(BotReceipt), gone)


def bot_row(name: str, account: str, now: datetime) -> dict[str, object]:
    """A paused bot, as a row of the table."""
    return {
        "id": name,
        "account_id": account,
        "name": f"Bot {name}",
        "stage": "active",
        "channel": "telegram",
        "provider": "openai",
        "model": "model",
        "limits": encode_json(Limits()).decode(),
        "access": "paired",
        "paused": True,
        "restarts": 0,
        "region": "bench",
        "node": None,
        "version": 1,
        "created_at": now,
        "changed_at": now,
    }
