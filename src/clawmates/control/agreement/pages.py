"""Pages: the form, the PDF, and that there was one."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from fastapi import APIRouter, Request
from fastapi.responses import Response
from sqlalchemy import select

from clawmates.control.accounts import attempts
from clawmates.control.accounts.person import SignedIn  # noqa: TC001 - FastAPI reads it
from clawmates.control.accounts.settings import shown
from clawmates.control.agreement import party as parties
from clawmates.control.agreement.printing import PrintingError, printed
from clawmates.control.agreement.tables import Agreement
from clawmates.control.agreement.terms import Terms, agreement, edition, missing
from clawmates.control.audit.chain import note
from clawmates.control.errors import Unavailable
from clawmates.control.frame import Form, Reading, context_of
from clawmates.control.pages.render import language_of, page
from clawmates.control.store.upsert import insert_into
from clawmates.wire.deeds import Deed, Plain

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sqlalchemy.ext.asyncio import AsyncSession

    from clawmates.control.accounts.person import Person

router = APIRouter(prefix="/account")


@router.get("/agreement")
async def ask(request: Request, person: SignedIn, session: Reading) -> Response:
    """The form, and what was made before."""
    return await _form(request, session, person)


@router.post("/agreement")
async def make(request: Request, form: Form, person: SignedIn) -> Response:
    """The PDF. That it was made is kept, and its hash; what was typed is not."""
    context, language = context_of(request), language_of(request)
    read = parties.read(form, person.email)
    if not isinstance(read, parties.Party) or missing(context.settings):
        async with context.database.reading() as session:
            wrong = {} if isinstance(read, parties.Party) else read
            return await _form(request, session, person, form, wrong)
    await attempts.take(context, attempts.AGREEMENT_ACCOUNT, person.account_id)
    now = context.clock.now()
    try:
        paper = await printed(agreement(Terms(read, now.date(), language, context.settings, context.release())))
    except PrintingError:
        raise Unavailable from None
    row = {
        "account_id": person.account_id,
        "digest": hashlib.sha256(paper).hexdigest(),
        "version": edition(),
        "language": language,
        "made_at": now,
    }
    async with context.database.writing() as session:
        await session.execute(insert_into(session, Agreement).values(row).on_conflict_do_nothing())
        note(session, now, Deed.AGREED, Plain(), person.subject)
    name = f"clawmates-agreement-{now:%Y-%m-%d}.pdf"
    return Response(
        paper, media_type="application/pdf", headers={"Content-Disposition": f'attachment; filename="{name}"'}
    )


async def _form(
    request: Request,
    session: AsyncSession,
    person: Person,
    said: Mapping[str, str] | None = None,
    wrong: Mapping[str, parties.Unfit] | None = None,
) -> Response:
    made = await session.scalars(
        select(Agreement).filter_by(account_id=person.account_id).order_by(Agreement.made_at.desc(), Agreement.digest)
    )
    return page(
        request,
        "agreement/agreement.html",
        status=422 if wrong else 200,
        said={name: (said or {}).get(name, "") for name in (*parties.MOST, "role")},
        wrong={name: unfit.value for name, unfit in (wrong or {}).items()},
        most=parties.MOST,
        most_lines=parties.MOST_LINES,
        roles=[one.value for one in parties.Role],
        missing=missing(context_of(request).settings),
        made=[(shown(one.made_at), one.version, one.language, one.digest) for one in made],
    )
