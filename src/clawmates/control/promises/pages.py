"""Pages for everybody: each claim and what checks it, the way of a message, questions, whom to tell of a weakness."""

from __future__ import annotations

from fastapi import APIRouter, Request
from fastapi.responses import Response

from clawmates.control.accounts.person import Visitor  # noqa: TC001 - FastAPI reads it
from clawmates.control.errors import NotFound
from clawmates.control.frame import context_of
from clawmates.control.pages.render import language_of, page
from clawmates.control.promises import questions, telling
from clawmates.control.promises.security_txt import MEDIA_TYPE, PATH, security_txt
from clawmates.inventory import words
from clawmates.inventory.files import BACKUPS
from clawmates.inventory.whole import INVENTORY

router = APIRouter()


@router.get("/privacy")
async def privacy(request: Request, _person: Visitor) -> Response:
    """Security and privacy: the claims, the five steps, and the mission page sentence by sentence."""
    language = language_of(request)
    return page(
        request,
        "promises/privacy.html",
        steps=telling.STEPS,
        promises=telling.promises(language),
        sections=telling.parts(language),
        facts={
            "region": context_of(request).settings.platform.region,
            "count": len(INVENTORY),
            "span": words.length(BACKUPS).to(language),
        },
    )


@router.get("/faq")
async def faq(request: Request, _person: Visitor) -> Response:
    """Questions with short answers."""
    return page(request, "promises/faq.html", groups=questions.GROUPS)


@router.get(PATH)
async def weakness(request: Request) -> Response:
    """RFC 9116; not there where the operator has named no contact."""
    context = context_of(request)
    text = security_txt(context.settings, context.clock.now())
    if text is None:
        raise NotFound
    return Response(text.encode(), headers={"Content-Type": MEDIA_TYPE})
