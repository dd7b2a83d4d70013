"""The face that browsers see."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, RedirectResponse, Response
from starlette.exceptions import HTTPException

from clawmates.base.hardening import place_of
from clawmates.control import static
from clawmates.control.accounts import way
from clawmates.control.accounts.person import Visitor  # noqa: TC001 - FastAPI reads it
from clawmates.control.errors import (
    Malformed,
    MethodNotAllowed,
    NotFound,
    Problem,
    ProofWanted,
    SignInWanted,
    TooLarge,
    Unavailable,
)
from clawmates.control.headers import Headers
from clawmates.control.pages import language
from clawmates.control.pages.render import page
from clawmates.control.store.database import AWAY

if TYPE_CHECKING:
    from collections.abc import Iterable

    from fastapi import APIRouter

    from clawmates.control.context import Context

CALLS = "/call/"
"""Below it live the calls of our own scripts: they are answered with JSON, also when they fail."""
AWAY_SECONDS = 5
_KNOWN: dict[int, type[Problem]] = {404: NotFound, 405: MethodNotAllowed, 413: TooLarge}
_AGAIN = frozenset({"internal", "unavailable", "too-often", "malformed", "forged", "changed"})
"""Problems that the same address may not have a moment later."""


def build_web(context: Context, rooms: Iterable[APIRouter]) -> FastAPI:
    """The application: pages of all rooms, what is static, and one way for everything that goes wrong."""
    # No schema and no page of FastAPI's own; both would load scripts from elsewhere.
    app = FastAPI(openapi_url=None, docs_url=None, redoc_url=None, redirect_slashes=False)
    app.state.context = context
    for room in (*rooms, static.room, language.room):
        app.router.routes.extend(room.routes)  # not included: that costs a search of its own at every request
    app.add_api_route("/", home, methods=["GET"])
    app.add_exception_handler(Problem, _problem)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(HTTPException, _http)
    for error in AWAY:
        app.add_exception_handler(error, _away)
    app.add_exception_handler(Exception, _unexpected)
    app.add_middleware(Headers)
    return app


async def home(request: Request, _person: Visitor) -> Response:
    """The first page."""
    return page(request, "home.html")


def answer(request: Request, problem: Problem) -> Response:
    """A problem as a page, or as ``{"error": {"code"}}`` for a script. Who must sign in, or prove it, is led there."""
    headers = {"Retry-After": str(problem.retry_after)} if problem.retry_after is not None else {}
    if request.url.path.startswith(CALLS):
        return JSONResponse({"error": {"code": problem.key}}, status_code=problem.status, headers=headers)
    if isinstance(problem, (SignInWanted, ProofWanted)) and request.method == "GET":
        led = RedirectResponse("/sign-in" if isinstance(problem, SignInWanted) else "/prove", status_code=303)
        way.remember(led, request.url.path)
        return led
    response = page(request, "problem.html", status=problem.status, key=problem.key, again=_AGAIN)
    response.headers.update(headers)
    return response


async def _problem(request: Request, error: Exception) -> Response:
    return answer(request, error if isinstance(error, Problem) else Problem())


async def _invalid(request: Request, _error: Exception) -> Response:
    # FastAPI's own answer quotes what came.
    return answer(request, Malformed())


async def _http(request: Request, error: Exception) -> Response:
    status = error.status_code if isinstance(error, HTTPException) else 500
    return answer(request, _KNOWN.get(status, Malformed if status < 500 else Problem)())


async def _away(request: Request, error: Exception) -> Response:
    sys.stderr.write(f"database away: {place_of(error)}\n")
    return answer(request, Unavailable(retry_after=AWAY_SECONDS))


async def _unexpected(request: Request, error: Exception) -> Response:
    sys.stderr.write(f"request failed: {place_of(error)}\n")
    return answer(request, Problem())
