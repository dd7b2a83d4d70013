"""Signed-in browsers: the cookie is 32 random bytes, and the database knows only its hash."""

from __future__ import annotations

import re
from base64 import urlsafe_b64encode
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from hashlib import sha256
from typing import TYPE_CHECKING

from sqlalchemy import and_, bindparam, delete, select, update

from clawmates.control.accounts.tables import Account, Session
from clawmates.control.store.look import Question, first, rows
from clawmates.inventory import spans as kept

if TYPE_CHECKING:
    from collections.abc import Callable

    from sqlalchemy.ext.asyncio import AsyncSession
    from starlette.responses import Response

    from clawmates.control.store.look import Look

COOKIE = "__Host-session"
"""A browser takes a cookie of such a name only from its own host, with Secure and for every path (RFC 6265bis)."""
LIFE = kept.SESSION
IDLE = kept.IDLE
SEEN_EVERY = timedelta(minutes=1)
AHEAD = timedelta(days=1)
"""Two replicas' clocks differ by less."""
_TOKEN = re.compile(r"[A-Za-z0-9_-]{43}")


def proof_of(token: str) -> str:
    """What is kept of a cookie: SHA-256 in hexadecimal. 256 random bits need no salt and no slow hash."""
    return sha256(token.encode()).hexdigest()


async def start(
    database: AsyncSession, random: Callable[[int], bytes], account_id: str, browser: str, now: datetime
) -> str:
    """Signs a browser in and returns its cookie's value, which nobody else will ever see."""
    token = urlsafe_b64encode(random(32)).rstrip(b"=").decode()
    database.add(
        Session(
            proof=proof_of(token),
            account_id=account_id,
            created_at=now,
            seen_at=now,
            ends_at=now + LIFE,
            proved_at=now,
            browser=browser,
        )
    )
    await database.flush()
    return token


@dataclass(frozen=True, slots=True)
class Living:
    """A session and whose it is, as every request asks for it."""

    proof: str
    proved_at: datetime
    seen_at: datetime
    account_id: str
    email: str
    language: str
    cancelled_at: datetime | None
    pseudonym_key: bytes = field(repr=False)


_ALIVE = and_(
    Session.ends_at > bindparam("now", type_=Session.ends_at.type),
    Session.ends_at < bindparam("latest", type_=Session.ends_at.type),
    Session.seen_at > bindparam("idle", type_=Session.seen_at.type),
)
"""Neither at its end nor idle for too long; nor of a clock that ran ahead, which would never see either."""
_LIVING = Question(
    select(Session.proof, Session.proved_at, Session.seen_at)
    .add_columns(Account.id, Account.email, Account.language, Account.cancelled_at, Account.pseudonym_key)
    .join(Account, Account.id == Session.account_id)
    .where(Session.proof == bindparam("proof"), _ALIVE, Account.leaving_at.is_(None)),
    Living,
)
_OF_ACCOUNT = rows(
    Session,
    lambda wanted: wanted.where(Session.account_id == bindparam("account"), _ALIVE).order_by(Session.seen_at.desc()),
)


def _moments(now: datetime) -> dict[str, datetime]:
    return {"now": now, "latest": now + LIFE + AHEAD, "idle": now - IDLE}


async def find(look: Look, token: str, now: datetime) -> Living | None:
    """The living session of a cookie, and whose it is."""
    if not _TOKEN.fullmatch(token):
        return None
    return await first(look, _LIVING, proof=proof_of(token), **_moments(now))


async def lives(look: Look, proof: str, now: datetime) -> bool:
    """Whether a session that was found a while ago is still one, for what goes on after a request was let in."""
    return await first(look, _LIVING, proof=proof, **_moments(now)) is not None


async def see(database: AsyncSession, proof: str, now: datetime) -> None:
    """Notes that a session was used just now; at most once a minute."""
    await database.execute(
        update(Session).where(Session.proof == proof, Session.seen_at <= now - SEEN_EVERY).values(seen_at=now)
    )


async def prove(database: AsyncSession, proof: str, now: datetime) -> None:
    """Notes that the person has just proved who they are."""
    await database.execute(update(Session).where(Session.proof == proof).values(proved_at=now, seen_at=now))


async def of_account(look: Look, account_id: str, now: datetime) -> list[Session]:
    """Where a person is signed in, the last used first."""
    return await look.all(_OF_ACCOUNT, account=account_id, **_moments(now))


async def end(database: AsyncSession, account_id: str, proof: str) -> bool:
    """Ends one session of this account; whether there was one."""
    gone = await database.execute(
        delete(Session).where(Session.account_id == account_id, Session.proof == proof).returning(Session.proof)
    )
    return gone.one_or_none() is not None


async def end_others(database: AsyncSession, account_id: str, mine: str) -> int:
    """Ends all sessions of this account but one; returns how many that were."""
    others = delete(Session).where(Session.account_id == account_id, Session.proof != mine).returning(Session.proof)
    return len((await database.scalars(others)).all())


def set_cookie(response: Response, token: str) -> None:
    """Gives the browser its session."""
    response.set_cookie(
        COOKIE, token, max_age=int(LIFE.total_seconds()), path="/", secure=True, httponly=True, samesite="lax"
    )


def drop_cookie(response: Response) -> None:
    """Takes it away again."""
    response.delete_cookie(COOKIE, path="/", secure=True, httponly=True, samesite="lax")
