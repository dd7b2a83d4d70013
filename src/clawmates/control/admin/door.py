"""Control's unix socket for the operator of its host. Who may call is what the kernel says of the peer, nothing else.

What is not in the table of calls is answered 404, who is neither root nor control's own user not at all. A call and the
entry that says so are one transaction: what cannot be written down is not shown.
"""

from __future__ import annotations

import re
from contextlib import asynccontextmanager
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING

from sqlalchemy import select
from sqlalchemy.exc import SQLAlchemyError

from clawmates.base.clock import stamp
from clawmates.base.http import local
from clawmates.base.http.server import Reply, Request
from clawmates.base.shape import encode_json
from clawmates.control.accounts.tables import Account
from clawmates.control.admin import looks
from clawmates.control.audit import chain, words
from clawmates.control.audit.chain import note, pseudonym_of
from clawmates.control.audit.tables import AuditEntry
from clawmates.control.backups import daily
from clawmates.control.backups.taking import take
from clawmates.control.erasure.begin import begin
from clawmates.control.nodes.draining import drain
from clawmates.control.retention import backups
from clawmates.control.retention.looks import retention, standing
from clawmates.control.retention.rules import GRACE
from clawmates.wire.audit import Entries, Lines
from clawmates.wire.deeds import Deed, Look, Looked, Wish
from clawmates.wire.names import BOT_ID
from clawmates.wire.operator import MOST, Due, Leaving
from clawmates.wire.vault_client import VaultCallError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from sqlalchemy.ext.asyncio import AsyncSession

    from clawmates.control.context import Context

AGAIN = timedelta(minutes=1)
"""Who verifies the chain reads it page by page: that is one look."""
_NUMBER = re.compile(r"0|[1-9][0-9]{0,14}")


class DoorError(Exception):
    """The socket cannot be made; the text says why."""


class MalformedError(Exception):
    """No such call, or not so."""


@asynccontextmanager
async def serving(path: Path, context: Context) -> AsyncIterator[None]:
    """Listens while the block runs. Raises :class:`DoorError`."""
    try:
        sock = local.bind(path)
    except OSError as error:
        raise DoorError(f"{path} cannot be made ({error.strerror}): run `clawmates selfhost prepare`") from None
    async with local.serving(sock, partial(answer, context)):
        yield


async def answer(context: Context, request: Request) -> Reply:
    """What a peer that is let in hears."""
    if (request.method, request.path) == ("POST", "/v1/backup"):
        return await _backup(context)
    act = {"GET": _look, "POST": _change}.get(request.method)
    if act is None:
        return Reply.error(404, "not-found")
    try:
        async with context.database.writing() as session:
            found = await act(context, session, request)
    except MalformedError:
        return Reply.error(404, "not-found")
    except (SQLAlchemyError, OSError):
        return Reply.error(503, "unavailable")
    return Reply(200, encode_json(found))


async def _backup(context: Context) -> Reply:
    """In no transaction of ours: it takes seconds, and the vault is asked meanwhile."""
    try:
        return Reply(200, await take(context), "application/octet-stream")
    except VaultCallError:
        return Reply.error(503, "vault")
    except (SQLAlchemyError, OSError):
        return Reply.error(503, "unavailable")


async def _look(context: Context, session: AsyncSession, request: Request) -> object:  # noqa: PLR0911 - one a call
    match request.path.split("/")[1:]:
        case ["v1", "accounts"]:
            _write_down(context, session, Look.ACCOUNTS)
            return await looks.accounts(session, Account.id > _id(request.query("after")), _most(request))
        case ["v1", "accounts", account]:
            _write_down(context, session, Look.ACCOUNTS, await pseudonym_of(session, _id(account)))
            return await looks.accounts(session, Account.id == account, 1)
        case ["v1", "bots"]:
            _write_down(context, session, Look.BOTS)
            return await looks.bots(session, _id(request.query("after")), _most(request))
        case ["v1", "nodes"]:
            _write_down(context, session, Look.NODES)
            return await looks.nodes(session)
        case ["v1", "retention"]:
            _write_down(context, session, Look.RETENTION)
            return await retention(session, context.clock.now(), others=_others(context))
        case ["v1", "standing"]:
            return await standing(session, context.clock.now(), others=_others(context))
        case ["v1", "audit"]:
            _write_down(context, session, Look.AUDIT)
            return await looks.audit(session, _most(request))
        case ["v1", "chain", part, number] if _NUMBER.fullmatch(number):
            return await _chain(context, session, part, int(number))
        case _:
            raise MalformedError


async def _change(context: Context, session: AsyncSession, request: Request) -> object:
    """Written down as what it does; there is nothing to look at here that was not asked for."""
    match request.path.split("/")[1:]:
        case ["v1", "nodes", name, "drain" | "keep" as wish]:
            if not await drain(session, _id(name), context.clock.now(), wanted=wish == "drain"):
                raise MalformedError
            return await looks.nodes(session)
        case ["v1", "accounts", account, "erase"]:
            begun = await begin(session, context, _id(account), Wish.OPERATOR)
            if begun is None:
                raise MalformedError
            return Leaving(account=account, receipt=begun.erasure, asked_at=stamp(begun.asked_at))
        case ["v1", "backups", "due"]:
            return Due(due=await daily.claim(session, context.clock.now()))
        case ["v1", "backups", "made"]:
            await daily.made(session, context.clock.now())
            return Due(due=False)
        case _:
            raise MalformedError


def _others(context: Context) -> dict[str, int]:
    """Jobs about files: backups that are over, and the daily one where there is a key to seal it to."""
    found = {}
    if context.backups is not None:
        found[backups.NAME] = backups.overdue(context.backups, context.clock.now(), GRACE)
    if context.settings.backup.recipient:
        found[daily.NAME] = 0
    return found


async def _chain(context: Context, session: AsyncSession, part: str, after: int) -> object:
    match part:
        case "entries":
            found: object = Entries(entries=await chain.entries(session, after))
        case "witnesses":
            found = await words.words(session, after)
        case "lines":
            found = Lines(lines=await words.lines(session, after))
        case _:
            raise MalformedError
    since = stamp(context.clock.now() - AGAIN)
    lately = select(AuditEntry.number).where(AuditEntry.subject == "", AuditEntry.at > since)
    mine = lately.where(AuditEntry.tag == Deed.ADMIN_LOOKED.value, AuditEntry.detail == _TEXT)
    if await session.scalar(mine.order_by(AuditEntry.number.desc()).limit(1)) is None:
        _write_down(context, session, Look.AUDIT)
    return found


_TEXT = encode_json(Looked(what=Look.AUDIT)).decode()


def _write_down(context: Context, session: AsyncSession, what: Look, subject: str = "") -> None:
    note(session, context.clock.now(), Deed.ADMIN_LOOKED, Looked(what=what), subject)


def _id(text: str) -> str:
    if text and not BOT_ID.fullmatch(text):
        raise MalformedError
    return text


def _most(request: Request) -> int:
    text = request.query("most") or str(MOST)
    if not _NUMBER.fullmatch(text) or not 0 < int(text) <= MOST:
        raise MalformedError
    return int(text)
