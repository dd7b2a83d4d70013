"""Passkeys (WebAuthn Level 3): which challenge was given for what, and whose key has answered it."""

from __future__ import annotations

import json
from enum import StrEnum
from hashlib import sha256
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from sqlalchemy import bindparam, delete, func, select

from clawmates.control.accounts.tables import Challenge, Passkey
from clawmates.control.audit.chain import note
from clawmates.control.errors import PasskeyRefused, TooMany
from clawmates.control.mail.notices import Notice, Told, tell
from clawmates.control.store.look import rows
from clawmates.inventory import spans as kept
from clawmates.wire.deeds import Deed, Plain

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy.ext.asyncio import AsyncSession

    from clawmates.control.accounts.ceremony import Ceremony
    from clawmates.control.accounts.person import Person
    from clawmates.control.context import Context
    from clawmates.control.store.look import Look

LIFE = kept.CHALLENGE
MOST = 20
MOST_NAME = 60
MOST_ID = 1366


class Purpose(StrEnum):
    """What a challenge was given for; an answer to one counts for no other."""

    ADD = "passkey-add"
    SIGN_IN = "passkey-sign-in"
    PROVE = "passkey-prove"


def name_of(text: str) -> str:
    """What a person calls their passkey, or empty for what is no name: 1 to 60 characters that can be seen."""
    name = " ".join(text.split())
    return name if len(name) <= MOST_NAME and name.isprintable() else ""


_OF_ACCOUNT = rows(
    Passkey,
    lambda wanted: wanted.where(Passkey.account_id == bindparam("account")).order_by(Passkey.created_at, Passkey.id),
)


async def seen(look: Look, account_id: str) -> list[Passkey]:
    """The oldest first, to look at."""
    return await look.all(_OF_ACCOUNT, account=account_id)


async def of_account(database: AsyncSession, account_id: str) -> Sequence[Passkey]:
    """All, in no order."""
    return (await database.scalars(select(Passkey).where(Passkey.account_id == account_id))).all()


async def adding(context: Context, account_id: str, email: str) -> str:
    """Options for ``navigator.credentials.create()``: a key that lives in the authenticator and asks for its owner."""
    async with context.database.writing() as database:
        known = await of_account(database, account_id)
        if len(known) >= MOST:
            raise TooMany
        challenge = await _challenge(database, context, Purpose.ADD, account_id)
    return _ceremony(context).creation(challenge, account_id, email, [one.id for one in known])


async def asking(context: Context, purpose: Purpose, account_id: str | None) -> str:
    """Options for ``navigator.credentials.get()``. No key is named: the authenticator knows whose it holds."""
    async with context.database.writing() as database:
        challenge = await _challenge(database, context, purpose, account_id)
    return _ceremony(context).request(challenge)


async def add(context: Context, person: Person, name: str, credential: dict[str, Any], *, browser: str = "") -> None:
    """Keeps a new key, and tells its owner; raises :class:`PasskeyRefused` or :class:`TooMany`."""
    account_id = person.account_id
    challenge = await _spend(context, Purpose.ADD, account_id, credential)
    made = _ceremony(context).created(challenge, credential)
    if len(made.id) > MOST_ID:
        raise PasskeyRefused
    async with context.database.writing() as database:
        count = await database.scalar(select(func.count()).where(Passkey.account_id == account_id))
        if (count or 0) >= MOST:
            raise TooMany
        if await database.get(Passkey, made.id) is not None:
            raise PasskeyRefused
        database.add(
            Passkey(
                id=made.id,
                account_id=account_id,
                public_key=made.public_key,
                sign_count=made.sign_count,
                name=name,
                created_at=context.clock.now(),
                used_at=None,
            )
        )
        note(database, context.clock.now(), Deed.PASSKEY_ADDED, Plain(), person.subject)
        what = Told(
            notice=Notice.PASSKEY_ADDED,
            email=person.email,
            language=person.language,
            account_id=account_id,
            browser=browser,
        )
        await tell(database, context, what)


async def check(context: Context, purpose: Purpose, account_id: str | None, credential: dict[str, Any]) -> str:
    """Whose key has signed, as an account's id; raises :class:`PasskeyRefused`.

    WebAuthn Level 3, section 7.2: the key must belong to the account that the authenticator names (step 6), be asked on
    our origin, with the owner verified, and its counter must have gone up (step 22) where it counts at all.
    """
    challenge = await _spend(context, purpose, account_id, credential)
    ceremony = _ceremony(context)
    parsed = ceremony.parsed(credential)
    async with context.database.writing() as database:
        passkey = await database.get(Passkey, parsed.id[:MOST_ID], with_for_update=True)
        if passkey is None or (parsed.response.user_handle or b"") != passkey.account_id.encode():
            raise PasskeyRefused
        if account_id is not None and passkey.account_id != account_id:
            raise PasskeyRefused
        passkey.sign_count = ceremony.signed(challenge, parsed, passkey.public_key, passkey.sign_count)
        passkey.used_at = context.clock.now()
        return passkey.account_id


async def _challenge(database: AsyncSession, context: Context, purpose: Purpose, account_id: str | None) -> bytes:
    challenge = context.random(32)
    ends_at = context.clock.now() + LIFE
    database.add(
        Challenge(proof=sha256(challenge).hexdigest(), purpose=purpose, account_id=account_id, ends_at=ends_at)
    )
    return challenge


async def _spend(context: Context, purpose: Purpose, account_id: str | None, credential: dict[str, Any]) -> bytes:
    """Uses the challenge up that an answer contains, whatever becomes of the answer."""
    challenge = _ceremony(context).challenge_in(credential)
    owner = Challenge.account_id.is_(None) if account_id is None else Challenge.account_id == account_id
    wanted = delete(Challenge).where(
        Challenge.proof == sha256(challenge).hexdigest(),
        Challenge.purpose == purpose,
        Challenge.ends_at > context.clock.now(),
        owner,
    )
    async with context.database.writing() as database:
        if (await database.execute(wanted.returning(Challenge.proof))).one_or_none() is None:
            raise PasskeyRefused
    return challenge


def read(body: bytes) -> dict[str, Any]:
    """The JSON object that a script of ours sends; raises :class:`PasskeyRefused`."""
    try:
        found = json.loads(body)
    except (ValueError, RecursionError):
        raise PasskeyRefused from None
    if not isinstance(found, dict):
        raise PasskeyRefused
    return found


def _ceremony(context: Context) -> Ceremony:
    from clawmates.control.accounts.ceremony import Ceremony  # noqa: PLC0415 - 0.1 s that only passkeys need

    return Ceremony(
        host=urlsplit(context.origin).hostname or "",
        origin=context.origin,
        milliseconds=int(LIFE.total_seconds() * 1000),
    )
