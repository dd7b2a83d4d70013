"""What ``static/passkey.js`` calls: two steps each for a new passkey, for signing in, and for a step-up."""

from __future__ import annotations

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse, Response

from clawmates.control.accounts import attempts, passkeys, sessions, way
from clawmates.control.accounts.browsers import browser_of
from clawmates.control.accounts.entry import admit
from clawmates.control.accounts.passkeys import Purpose
from clawmates.control.accounts.person import Proved, SignedIn, Visitor  # noqa: TC001 - FastAPI reads them
from clawmates.control.accounts.tables import Account
from clawmates.control.errors import PasskeyRefused
from clawmates.control.frame import Call, context_of
from clawmates.wire.deeds import Way

router = APIRouter(prefix="/call/passkeys")


@router.post("/add/begin")
async def add_begin(request: Request, _body: Call, person: Proved) -> Response:
    """Options for a new key."""
    return _json(await passkeys.adding(context_of(request), person.account_id, person.email))


@router.post("/add/finish")
async def add_finish(request: Request, body: Call, person: Proved) -> Response:
    """Keeps it, under the browser's name until its owner finds a better one."""
    browser = browser_of(request.headers.get("user-agent", ""))
    name = browser or "Passkey"
    await passkeys.add(context_of(request), person, name, passkeys.read(body), browser=browser)
    return JSONResponse({"next": "/account"})


@router.post("/sign-in/begin")
async def sign_in_begin(request: Request, _body: Call) -> Response:
    """A challenge for anybody."""
    await attempts.take_network(request, attempts.PASSKEY_NETWORK)
    return _json(await passkeys.asking(context_of(request), Purpose.SIGN_IN, None))


@router.post("/sign-in/finish")
async def sign_in_finish(request: Request, body: Call, person: Visitor) -> Response:
    """Signs the browser in to the account whose key has signed."""
    context = context_of(request)
    account_id = await passkeys.check(context, Purpose.SIGN_IN, None, passkeys.read(body))
    answer = JSONResponse({"next": way.wanted(request)})
    async with context.database.writing() as database:
        account = await database.get(Account, account_id)
        if account is None:
            raise PasskeyRefused
        await admit(request, database, answer, account, person, Way.PASSKEY)
    return answer


@router.post("/prove/begin")
async def prove_begin(request: Request, _body: Call, person: SignedIn) -> Response:
    """A challenge for this account."""
    await attempts.take_network(request, attempts.PASSKEY_NETWORK)
    return _json(await passkeys.asking(context_of(request), Purpose.PROVE, person.account_id))


@router.post("/prove/finish")
async def prove_finish(request: Request, body: Call, person: SignedIn) -> Response:
    """The person has proved who they are."""
    context = context_of(request)
    await passkeys.check(context, Purpose.PROVE, person.account_id, passkeys.read(body))
    async with context.database.writing() as database:
        await sessions.prove(database, person.session, context.clock.now())
    answer = JSONResponse({"next": way.wanted(request)})
    way.arrived(answer)
    return answer


def _json(text: str) -> Response:
    return Response(text, media_type="application/json")
