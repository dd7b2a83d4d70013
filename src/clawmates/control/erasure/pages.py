"""Pages: delete one's account, and fetch the receipt afterwards, when there is nobody to sign in as any more."""

from __future__ import annotations

from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING

from fastapi import APIRouter, Request
from fastapi.responses import Response
from sqlalchemy import or_, select

from clawmates.base.shape import decode_json
from clawmates.control.accounts import addresses, attempts, familiar, links, sessions
from clawmates.control.accounts.person import Proved, SignedIn, Visitor  # noqa: TC001 - FastAPI reads them
from clawmates.control.accounts.settings import shown
from clawmates.control.bots.tables import Bot
from clawmates.control.erasure import codes
from clawmates.control.erasure.begin import begin
from clawmates.control.erasure.tables import Erasure
from clawmates.control.errors import LinkSpent, SignInWanted
from clawmates.control.frame import Form, Writing, context_of
from clawmates.control.hub import node_topic
from clawmates.control.pages.render import page
from clawmates.control.store.database import after_commit
from clawmates.wire.deeds import Wish
from clawmates.wire.erasure import ErasureReceipt, key_name
from clawmates.wire.receipt import MAX_RECEIPT

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncSession

    from clawmates.control.context import Context

router = APIRouter()
ONCE_TAKEN = timedelta(hours=1)
"""A code is good once: a download that broke off can be begun again for so long."""


@router.get("/account/delete")
async def ask(request: Request, person: SignedIn) -> Response:
    """What happens, and when."""
    return page(request, "erasure/delete.html", proved=person.proved(context_of(request).clock.now()), error="")


@router.post("/account/delete")
async def delete(request: Request, form: Form, person: Proved, session: Writing) -> Response:
    """Begins it, for whoever has typed the account's own address."""
    context = context_of(request)
    if addresses.read(form.get("email", "")) != person.email:
        return page(request, "erasure/delete.html", status=400, proved=True, error="other")
    nodes = set(await session.scalars(select(Bot.node).where(Bot.account_id == person.account_id)))
    begun = await begin(session, context, person.account_id, Wish.OWNER)
    if begun is None:
        raise SignInWanted
    after_commit(session, partial(_tell, context, frozenset(node for node in nodes if node)))
    request.state.person = None
    answer = page(
        request,
        "erasure/begun.html",
        erasure=begun.erasure,
        asked=shown(begun.asked_at),
        code=links.shown(begun.code) if begun.code else "",
        link=codes.address(context, begun.code) if begun.code else "",
    )
    sessions.drop_cookie(answer)
    familiar.forget(answer)
    return answer


def _tell(context: Context, nodes: frozenset[str]) -> None:
    for node in nodes:
        context.hub.announce(node_topic(node))


@router.get("/receipt")
async def enter(request: Request, _person: Visitor) -> Response:
    """Where the mail's link leads: a form. The code behind the ``#`` never reaches us with a GET."""
    return page(request, "erasure/receipt.html", error="")


@router.post("/receipt")
async def look(request: Request, form: Form, session: Writing, _person: Visitor) -> Response:
    """How far it is; the receipt, as a page or as a file. Raises :class:`LinkSpent`."""
    context = context_of(request)
    await attempts.take_network(request, attempts.CODE_NETWORK)
    code = links.read(form.get("code", ""))
    if not code:
        return page(request, "erasure/receipt.html", status=400, error="shape")
    found = await _find(session, context, code)
    if not found.receipt:
        return page(
            request,
            "erasure/shown.html",
            receipt=None,
            code=links.shown(code),
            asked=shown(found.asked_at),
            keys=bool(found.vault),
            erased=shown(found.erased_at),
            rewritten=shown(found.rewritten_at),
        )
    signed = decode_json(ErasureReceipt, found.receipt.encode(), MAX_RECEIPT)
    if form.get("as") == "file":
        ends = context.clock.now() + ONCE_TAKEN
        found.ends_at = min(found.ends_at or ends, ends)
        headers = {"Content-Disposition": f'attachment; filename="receipt-{found.id}.json"'}
        return Response(found.receipt, media_type="application/json", headers=headers)
    return page(
        request,
        "erasure/shown.html",
        receipt=signed.erasure,
        items=len(signed.vault.receipt.items),
        key=key_name(signed.control_key),
        code=links.shown(code),
        shown=lambda moment: moment[:16].replace("T", " ") + " UTC",
    )


async def _find(session: AsyncSession, context: Context, code: str) -> Erasure:
    proof = codes.proof_of(context, code)
    mine = or_(Erasure.page_proof == proof, Erasure.mail_proof == proof)
    found = (await session.scalars(select(Erasure).where(mine))).one_or_none()
    if found is None or (found.ends_at is not None and found.ends_at <= context.clock.now()):
        raise LinkSpent
    return found
