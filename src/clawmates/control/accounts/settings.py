"""The account's own page: language, address, passkeys, and where one is signed in."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fastapi import APIRouter, Request
from fastapi.responses import RedirectResponse, Response
from sqlalchemy import delete, update

from clawmates.control.accounts import addresses, attempts, changes, passkeys, sessions
from clawmates.control.accounts.links import Purpose
from clawmates.control.accounts.person import Person, Proved, SignedIn  # noqa: TC001 - FastAPI reads them
from clawmates.control.accounts.tables import Account, Passkey
from clawmates.control.audit.chain import note
from clawmates.control.errors import Malformed, NotFound
from clawmates.control.frame import Form, Writing, context_of
from clawmates.control.mail import errands
from clawmates.control.pages.render import LANGUAGE_COOKIE, language_of, page
from clawmates.control.texts.catalogue import LANGUAGES
from clawmates.wire.deeds import Deed, Plain, Revoked

if TYPE_CHECKING:
    from datetime import datetime

router = APIRouter(prefix="/account")


def shown(moment: datetime | None) -> str:
    """A moment for people: to the minute."""
    return f"{moment:%Y-%m-%d %H:%M} UTC" if moment is not None else ""


@router.get("")
async def account(request: Request, person: SignedIn) -> Response:
    """All of it on one page."""
    return await _page(request, person)


@router.post("/language")
async def language(form: Form, person: SignedIn, database: Writing) -> Response:
    """The language of pages here, and of mails anywhere."""
    wanted = form.get("language", "")
    if wanted not in LANGUAGES:
        raise Malformed
    await database.execute(update(Account).where(Account.id == person.account_id).values(language=wanted))
    answer = _back()
    answer.set_cookie(LANGUAGE_COOKIE, wanted, max_age=365 * 86_400, secure=True, httponly=True, samesite="lax")
    return answer


@router.post("/sessions/end")
async def end_session(request: Request, form: Form, person: SignedIn, database: Writing) -> Response:
    """Signs another browser out. Of somebody else's session one learns nothing."""
    proof = form.get("session", "")
    if not await sessions.end(database, person.account_id, proof):
        raise NotFound
    now = context_of(request).clock.now()
    answer = _back()
    if proof == person.session:
        note(database, now, Deed.SIGNED_OUT, Plain(), person.subject)
        sessions.drop_cookie(answer)
    else:
        note(database, now, Deed.SESSIONS_REVOKED, Revoked(sessions=1), person.subject)
    return answer


@router.post("/sessions/end-others")
async def end_others(request: Request, _form: Form, person: SignedIn, database: Writing) -> Response:
    """Signs all other browsers out."""
    ended = await sessions.end_others(database, person.account_id, person.session)
    if ended:
        now = context_of(request).clock.now()
        note(database, now, Deed.SESSIONS_REVOKED, Revoked(sessions=ended), person.subject)
    return _back()


@router.post("/passkeys/rename")
async def rename(form: Form, person: SignedIn, database: Writing) -> Response:
    """Calls a passkey by another name."""
    name = passkeys.name_of(form.get("name", ""))
    if not name:
        raise Malformed
    mine = (Passkey.account_id == person.account_id, Passkey.id == form.get("passkey", ""))
    if (await database.execute(update(Passkey).where(*mine).values(name=name).returning(Passkey.id))).first() is None:
        raise NotFound
    return _back()


@router.post("/passkeys/remove")
async def remove(request: Request, form: Form, person: Proved, database: Writing) -> Response:
    """Takes a passkey away. The address always stays as a way in."""
    mine = (Passkey.account_id == person.account_id, Passkey.id == form.get("passkey", ""))
    if (await database.execute(delete(Passkey).where(*mine).returning(Passkey.id))).first() is None:
        raise NotFound
    note(database, context_of(request).clock.now(), Deed.PASSKEY_REMOVED, Plain(), person.subject)
    return _back()


@router.post("/email")
async def change_email(request: Request, form: Form, person: Proved) -> Response:
    """Wants another address: a mail to each. Nothing here looks whether the new one has an account."""
    context = context_of(request)
    address = addresses.read(form.get("email", ""))
    if isinstance(address, addresses.Unusable):
        said = form.get("email", "")[: addresses.MOST]
        return await _page(request, person, status=400, email=said, error=address)
    if address == person.email:
        return await _page(request, person, status=400, email=address, error="same")
    await attempts.take(context, attempts.CHANGE_ACCOUNT, person.account_id)
    await attempts.take(context, attempts.MAIL_ADDRESS, address)
    async with context.database.writing() as database:
        await changes.begin(database, person.account_id, address, context.clock.now())
        for purpose, recipient in ((Purpose.CHANGE_OLD, person.email), (Purpose.CHANGE_NEW, address)):
            await errands.ask(
                database,
                context,
                errands.Wanted(
                    purpose=purpose, email=recipient, language=language_of(request), account_id=person.account_id
                ),
            )
    return _back()


@router.post("/email/cancel")
async def cancel_email(_form: Form, person: SignedIn, database: Writing) -> Response:
    """Keeps the address."""
    await changes.cancel(database, person.account_id)
    return _back()


async def _page(request: Request, person: Person, *, status: int = 200, email: str = "", error: str = "") -> Response:
    context = context_of(request)
    now = context.clock.now()
    async with context.database.look() as look:
        signed_in = await sessions.of_account(look, person.account_id, now)
        keys = await passkeys.seen(look, person.account_id)
        change = await changes.seen(look, person.account_id, now)
    return page(
        request,
        "accounts/account.html",
        status=status,
        sessions=signed_in,
        passkeys=keys,
        change=change,
        proved=person.proved(now),
        shown=shown,
        email=email,
        error=error,
    )


def _back() -> Response:
    return RedirectResponse("/account", status_code=303)
