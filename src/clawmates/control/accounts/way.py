"""Where somebody wanted to go before they had to sign in: a path of ours, kept by their own browser for 15 minutes."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from clawmates.control.pages.language import back_to

if TYPE_CHECKING:
    from fastapi import Request
    from starlette.responses import Response

COOKIE = "__Host-next"
HOME = "/bots"
_PLAIN = re.compile(r"/[A-Za-z0-9/_-]{0,120}")
_SECONDS = 900


def remember(response: Response, path: str) -> None:
    """Keeps a plain path; any other is forgotten."""
    if _PLAIN.fullmatch(path):
        response.set_cookie(COOKIE, path, max_age=_SECONDS, path="/", secure=True, httponly=True, samesite="lax")


def wanted(request: Request) -> str:
    """The path, or the bots."""
    path = request.cookies.get(COOKIE, "")
    return back_to(path) if _PLAIN.fullmatch(path) else HOME


def arrived(response: Response) -> None:
    """It is used up."""
    response.delete_cookie(COOKIE, path="/", secure=True, httponly=True, samesite="lax")
