"""Links in e-mails: good once, for fifteen minutes, and no server's log can hold one.

A link is ``ORIGIN/enter#CODE``. What follows the ``#`` stays in the browser (RFC 3986, 3.5): no request line, no
proxy, no ``Referer`` ever carries it. A script puts it into the form of that page; without scripts the same code is
typed or pasted. So a mail scanner that opens the link finds a form without a code, and what consumes it is a POST by a
person. Twenty characters of 32 are 100 bits; kept is an HMAC under the platform's pepper.
"""

from __future__ import annotations

import hmac
import re
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from sqlalchemy import delete

from clawmates.control.accounts.tables import Link
from clawmates.inventory import spans as kept

if TYPE_CHECKING:
    from collections.abc import Callable

    from sqlalchemy.ext.asyncio import AsyncSession

    from clawmates.control.context import Context

LIFE = kept.LINK
ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
"""Crockford's: without I, L, O and U."""
LENGTH = 20
GROUP = 5
MOST_TYPED = 64
_CODE = re.compile(f"[{ALPHABET}]{{{LENGTH}}}")
_MEANT = {ord("O"): "0", ord("I"): "1", ord("L"): "1", ord(" "): None, ord("-"): None}


class Purpose(StrEnum):
    """What a link is for."""

    SIGN_IN = "sign-in"
    PROVE = "prove"
    CHANGE_OLD = "change-old"
    CHANGE_NEW = "change-new"


@dataclass(frozen=True, slots=True)
class Spent:
    """A link that was good, and is no more."""

    purpose: Purpose
    email: str
    account_id: str | None


def read(text: str) -> str:
    """The code that somebody typed or pasted, in whatever case and groups; empty for what has not a code's shape."""
    if len(text) > MOST_TYPED:
        return ""
    code = text.strip().upper().translate(_MEANT)
    return code if _CODE.fullmatch(code) else ""


def shown(code: str) -> str:
    """In groups of five, as it stands in mails."""
    return "-".join(code[start : start + GROUP] for start in range(0, LENGTH, GROUP))


def address(origin: str, code: str) -> str:
    """The link itself."""
    return f"{origin}/enter#{shown(code)}"


def fresh_code(random: Callable[[int], bytes]) -> str:
    """100 bits."""
    number = int.from_bytes(random(13), "big")
    return "".join(ALPHABET[number >> 5 * place & 31] for place in reversed(range(LENGTH)))


async def make(
    database: AsyncSession, context: Context, purpose: Purpose, email: str, account_id: str | None = None
) -> str:
    """A new link's code; only its keyed hash is kept."""
    code = fresh_code(context.random)
    ends_at = context.clock.now() + LIFE
    database.add(
        Link(proof=_proof(context, code), purpose=purpose, email=email, account_id=account_id, ends_at=ends_at)
    )
    await database.flush()
    return code


async def spend(database: AsyncSession, context: Context, code: str) -> Spent | None:
    """Takes a link away and says what it was for; ``None`` for one that is unknown, used or too old.

    One statement: of two who come at once with one code, one gets it.
    """
    wanted = delete(Link).where(Link.proof == _proof(context, code), Link.ends_at > context.clock.now())
    row = (await database.execute(wanted.returning(Link.purpose, Link.email, Link.account_id))).one_or_none()
    return Spent(Purpose(row[0]), row[1], row[2]) if row is not None else None


async def forget(database: AsyncSession, context: Context, code: str) -> None:
    """A link that reached nobody."""
    await database.execute(delete(Link).where(Link.proof == _proof(context, code)))


async def forget_address(database: AsyncSession, email: str) -> None:
    """All links to an address that is nobody's any more."""
    await database.execute(delete(Link).where(Link.email == email))


def _proof(context: Context, code: str) -> str:
    return hmac.new(context.pepper.reveal(), f"link\0{code}".encode(), "sha256").hexdigest()
