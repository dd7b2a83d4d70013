"""The ways in and out: ask for a link, enter its code, prove oneself again, sign out."""

from __future__ import annotations

from typing import TYPE_CHECKING, assert_never

from fastapi import APIRouter, Request
from fastapi.responses import RedirectResponse, Response

from clawmates.control.accounts import addresses, attempts, changes, familiar, links, people, sessions, way
from clawmates.control.accounts.browsers import browser_of
from clawmates.control.accounts.links import Purpose, Spent
from clawmates.control.accounts.person import Person, SignedIn, Visitor  # noqa: TC001 - FastAPI reads them
from clawmates.control.audit.chain import note, pseudonym
from clawmates.control.errors import Leaving, LinkSpent, OtherBrowser
from clawmates.control.frame import Form, context_of
from clawmates.control.mail import errands
from clawmates.control.mail.notices import Notice, Told, tell
from clawmates.control.pages.render import LANGUAGE_COOKIE, language_of, page
from clawmates.wire.deeds import Deed, Plain, Way
from clawmates.wire.deeds import SignedIn as SignedInBy

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncSession

    from clawmates.control.accounts.tables import Account
    from clawmates.control.context import Context

router = APIRouter()


@router.get("/sign-in")
async def sign_in(request: Request, person: Visitor) -> Response:
    """Signing up and signing in are one form."""
    if person is not None:
        return RedirectResponse(way.HOME, status_code=303)
    return page(request, "accounts/sign-in.html", email="", error="")


@router.post("/sign-in")
async def ask(request: Request, form: Form) -> Response:
    """Wants a mail. Nothing here looks whether there is such an account: the answer and the work are the same."""
    context = context_of(request)
    address = addresses.read(form.get("email", ""))
    if isinstance(address, addresses.Unusable):
        said = form.get("email", "")[: addresses.MOST]
        return page(request, "accounts/sign-in.html", status=400, email=said, error=address)
    await attempts.take_network(request, attempts.MAIL_NETWORK)
    await attempts.take(context, attempts.MAIL_ADDRESS, address)
    async with context.database.writing() as database:
        await errands.ask(
            database,
            context,
            errands.Wanted(purpose=Purpose.SIGN_IN, email=address, language=language_of(request)),
        )
    return RedirectResponse("/enter", status_code=303)


@router.get("/enter")
async def enter(request: Request, _person: Visitor) -> Response:
    """Where links lead: a form. The code behind the ``#`` never reaches us with a GET."""
    async with context_of(request).database.look() as look:
        held_up = await errands.held_up(look)
    return page(request, "accounts/enter.html", error="", held_up=held_up)


@router.post("/enter")
async def use(request: Request, form: Form, person: Visitor) -> Response:
    """Uses a code up and does what it is for."""
    context = context_of(request)
    await attempts.take_network(request, attempts.CODE_NETWORK)
    code = links.read(form.get("code", ""))
    if not code:
        return page(request, "accounts/enter.html", status=400, error="shape", held_up=False)
    async with context.database.writing() as database:
        spent = await links.spend(database, context, code)
        if spent is None:
            raise LinkSpent
        match spent.purpose:
            case Purpose.SIGN_IN:
                answer = await _sign_in(request, context, database, spent, person)
            case Purpose.PROVE:
                # Raised inside the transaction: the link stays good for the right browser.
                mine = _owner(spent, person)
                await sessions.prove(database, mine.session, context.clock.now())
                answer = arrive(request)
            case Purpose.CHANGE_OLD | Purpose.CHANGE_NEW:
                mine = _owner(spent, person)
                now = context.clock.now()
                state = await changes.confirm(database, now, mine.account_id, spent)
                if state is changes.State.DONE:
                    note(database, now, Deed.ADDRESS_CHANGED, Plain(), mine.subject)
                    what, who = Notice.ADDRESS_CHANGED, mine.account_id
                    gone = Told(notice=what, email=mine.email, language=mine.language, account_id=who)
                    await tell(database, context, gone)
                answer = page(request, "accounts/changed.html", state=state)
            case _:
                assert_never(spent.purpose)
    return answer


@router.get("/prove")
async def prove(request: Request, person: SignedIn) -> Response:
    """Step-up: by passkey, or by a fresh mail."""
    return page(request, "accounts/prove.html", email=person.email)


@router.post("/prove")
async def ask_again(request: Request, _form: Form, person: SignedIn) -> Response:
    """Wants a mail for a step-up, to the account's own address."""
    context = context_of(request)
    await attempts.take(context, attempts.MAIL_ADDRESS, person.email)
    async with context.database.writing() as database:
        await errands.ask(
            database,
            context,
            errands.Wanted(
                purpose=Purpose.PROVE,
                email=person.email,
                language=language_of(request),
                account_id=person.account_id,
            ),
        )
    return RedirectResponse("/enter", status_code=303)


@router.post("/sign-out")
async def sign_out(request: Request, _form: Form, person: Visitor) -> Response:
    """Ends this browser's session, in the database too."""
    if person is not None:
        async with context_of(request).database.writing() as database:
            if await sessions.end(database, person.account_id, person.session):
                note(database, context_of(request).clock.now(), Deed.SIGNED_OUT, Plain(), person.subject)
    answer = RedirectResponse("/", status_code=303)
    sessions.drop_cookie(answer)
    return answer


async def admit(
    request: Request,
    database: AsyncSession,
    response: Response,
    account: Account,
    person: Person | None,
    by: Way,
    *,
    new: bool = False,
) -> None:
    """Signs this browser in with a session that is new, always; one it had before ends.

    In a browser that the account was never used in, its person is told: but not at its very beginning.
    """
    context = context_of(request)
    now = context.clock.now()
    if account.leaving_at is not None:
        raise Leaving
    if person is not None and await sessions.end(database, person.account_id, person.session):
        note(database, now, Deed.SIGNED_OUT, Plain(), person.subject)
    browser = browser_of(request.headers.get("user-agent", ""))
    if not new and not familiar.knows(request, context, account.id):
        what = Told(
            notice=Notice.NEW_BROWSER,
            email=account.email,
            language=account.language,
            account_id=account.id,
            browser=browser,
        )
        await tell(database, context, what)
    token = await sessions.start(database, context.random, account.id, browser, now)
    note(database, now, Deed.SIGNED_IN, SignedInBy(way=by), pseudonym(account.id, account.pseudonym_key))
    sessions.set_cookie(response, token)
    familiar.remember(response, context, account.id)
    way.arrived(response)
    if LANGUAGE_COOKIE not in request.cookies:
        year = 365 * 86_400
        response.set_cookie(LANGUAGE_COOKIE, account.language, max_age=year, secure=True, httponly=True, samesite="lax")


def arrive(request: Request) -> Response:
    """To where the person wanted to go."""
    answer = RedirectResponse(way.wanted(request), status_code=303)
    way.arrived(answer)
    return answer


async def _sign_in(
    request: Request, context: Context, database: AsyncSession, spent: Spent, person: Person | None
) -> Response:
    account = await people.of_email(database, spent.email)
    new = account is None
    if account is None:
        account = await people.open_account(
            database, context.random, spent.email, language_of(request), context.clock.now()
        )
    answer = RedirectResponse(way.wanted(request), status_code=303)
    await admit(request, database, answer, account, person, Way.LINK, new=new)
    return answer


def _owner(spent: Spent, person: Person | None) -> Person:
    """Who is signed in here, where the link is theirs: nobody confirms for an account that is not their own."""
    if person is None or person.account_id != spent.account_id:
        raise OtherBrowser
    return person
