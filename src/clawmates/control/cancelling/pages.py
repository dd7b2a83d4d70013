"""Pages: cancelling, what comes of it, and coming back."""

from __future__ import annotations

from fastapi import APIRouter, Request
from fastapi.responses import RedirectResponse, Response

from clawmates.control.accounts.leave import leave_of
from clawmates.control.accounts.person import Proved, SignedIn  # noqa: TC001 - FastAPI reads them
from clawmates.control.accounts.settings import shown
from clawmates.control.cancelling import subscription
from clawmates.control.frame import Form, Writing, context_of
from clawmates.control.pages.render import page

room = APIRouter(prefix="/account")


@room.get("/cancel")
async def ask(request: Request, person: Proved) -> Response:
    """What happens when; or, of a subscription that is cancelled, what can still be done."""
    leave = leave_of(person.cancelled_at or context_of(request).clock.now())
    return page(request, "cancelling/cancel.html", until=shown(leave.until), gone=shown(leave.gone))


@room.post("/cancel")
async def cancel(request: Request, form: Form, person: Proved, session: Writing) -> Response:
    """Cancels, and with *now* destroys too."""
    context = context_of(request)
    now = context.clock.now()
    await subscription.cancel(session, context, person.account_id, now)
    if form.get("now") == "yes":
        await subscription.destroy(session, context, person.account_id, now)
    return _back()


@room.post("/resume")
async def resume(request: Request, _form: Form, person: SignedIn, session: Writing) -> Response:
    """One click."""
    context = context_of(request)
    await subscription.resume(session, context, person.account_id, context.clock.now())
    return _back()


@room.post("/cancel/destroy")
async def destroy(request: Request, _form: Form, person: Proved, session: Writing) -> Response:
    """Of a cancelled subscription: now, not in a month."""
    if person.cancelled_at is not None:
        context = context_of(request)
        await subscription.destroy(session, context, person.account_id, context.clock.now())
    return _back()


def _back() -> Response:
    return RedirectResponse("/account", status_code=303)
