"""Pages made from the inventory: for everybody what is stored and by whom else, for a person what is theirs."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from fastapi import APIRouter, Request
from fastapi.responses import RedirectResponse, Response, StreamingResponse

from clawmates.control.accounts import attempts
from clawmates.control.accounts.person import Proved, SignedIn, Visitor  # noqa: TC001 - FastAPI reads them
from clawmates.control.audit import pages as activity
from clawmates.control.audit.chain import note
from clawmates.control.errors import Unavailable
from clawmates.control.frame import Form, Reading, context_of
from clawmates.control.pages.render import language_of, page
from clawmates.control.privacy import telling
from clawmates.control.privacy.export import export
from clawmates.control.privacy.held import held
from clawmates.control.privacy.processors import Part, processors
from clawmates.control.texts.catalogue import words
from clawmates.inventory import words as inventory_words
from clawmates.inventory.files import BACKUPS
from clawmates.wire.deeds import Deed, Plain
from clawmates.wire.vault_client import VaultCallError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from clawmates.control.context import Context

router = APIRouter()
LINES = 10
"""Of what happened lately, on the page; all of it is a click away."""
SENTENCES = ("offline", "opening", "proof-wanted", "sign-in-wanted", "too-often", "unavailable", "internal", "unable")
FILE = "clawmates-export.zip"


@router.get("/privacy/stored")
async def stored(request: Request, _person: Visitor) -> Response:
    """All that is stored: the seven rows first."""
    language = language_of(request)
    return page(
        request,
        "privacy/stored.html",
        seven=telling.seven(language),
        groups=telling.groups(language),
        backups=inventory_words.length(BACKUPS).to(language),
    )


@router.get("/privacy/subprocessors")
async def subprocessors(request: Request, _person: Visitor) -> Response:
    """Who else processes anything. Where the database is, is between the operator and their record."""
    context = context_of(request)
    found = [one for one in processors(context.settings, context.release()) if one.part is not Part.DATABASE]
    return page(
        request,
        "privacy/subprocessors.html",
        chosen=[one for one in found if one.chosen],
        always=[one for one in found if not one.chosen],
        database=any(one.part is Part.DATABASE for one in processors(context.settings, None)),
    )


@router.get("/account/data")
async def data(request: Request, person: SignedIn, session: Reading) -> Response:
    """What is held on the person who asks."""
    context, language = context_of(request), language_of(request)
    found = await held(session, person, language)
    texts = words(language)
    documents = [
        {"bot": one.bot, "name": one.item}
        for datum in found
        for one in datum.sealed
        if one.item in {"prompt", "people"}
    ]
    return page(
        request,
        "privacy/data.html",
        held=found,
        lines=await activity.recent(context, session, person, language, LINES),
        proved=person.proved(context.clock.now()),
        about=json.dumps({"tenant": person.account_id, "region": await _region(context), "documents": documents}),
        sentences=json.dumps({key: texts(f"bots.sealing.{key}") for key in SENTENCES}, ensure_ascii=False),
    )


@router.get("/account/data/proved")
async def prove(_person: Proved) -> Response:
    """Leads who must prove who they are to where they do it, and back."""
    return RedirectResponse("/account/data", status_code=303)


@router.post("/account/export")
async def take_away(request: Request, _form: Form, person: Proved) -> Response:
    """The zip, whole in memory before its first byte leaves; that it was taken stands in the person's own chain."""
    context = context_of(request)
    await attempts.take(context, attempts.EXPORT_ACCOUNT, person.account_id)
    try:
        async with context.database.reading() as session:
            pieces = await export(context, session, person)
    except VaultCallError:
        raise Unavailable from None
    async with context.database.writing() as session:
        note(session, context.clock.now(), Deed.EXPORTED, Plain(), person.subject)
    headers = {
        "Content-Disposition": f'attachment; filename="{FILE}"',
        "Content-Length": str(sum(len(piece) for piece in pieces)),
    }
    return StreamingResponse(_flow(pieces), media_type="application/zip", headers=headers)


async def _flow(pieces: list[bytes]) -> AsyncIterator[bytes]:
    for piece in pieces:
        yield piece


async def _region(context: Context) -> str:
    """The vault's own word, which documents are bound to; the configured one where it does not answer."""
    try:
        return (await context.vault.intake_key()).region
    except VaultCallError:
        return context.settings.platform.region
