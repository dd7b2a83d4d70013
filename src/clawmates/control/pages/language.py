"""The person's own choice of language, kept in their browser and nowhere else."""

from __future__ import annotations

from fastapi import APIRouter, Request
from fastapi.responses import RedirectResponse

from clawmates.control.errors import Malformed
from clawmates.control.frame import Form  # noqa: TC001 - FastAPI reads it
from clawmates.control.pages.render import LANGUAGE_COOKIE
from clawmates.control.texts.catalogue import LANGUAGES

room = APIRouter()
_YEAR = 365 * 24 * 3600


def back_to(address: str) -> str:
    """The address if it is a path of ours, else the first page: nobody is led elsewhere by a form of ours."""
    ours = address.startswith("/") and address.isascii() and address.isprintable()
    # Browsers read "//host" and "/\\host" as another origin (URL Standard, relative slash state).
    return address if ours and address[1:2] not in ("/", "\\") else "/"


@room.post("/language")
async def choose(_request: Request, form: Form) -> RedirectResponse:
    """Remembers it for a year and goes back to where the person was."""
    language = form.get("language", "")
    if language not in LANGUAGES:
        raise Malformed
    answer = RedirectResponse(back_to(form.get("back", "/")), status_code=303)
    answer.set_cookie(LANGUAGE_COOKIE, language, max_age=_YEAR, secure=True, httponly=True, samesite="lax")
    return answer
