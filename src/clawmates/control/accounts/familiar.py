"""Browsers that an account has been used in before: each keeps a proof of it itself, and we keep nothing.

The cookie is 16 random bytes and their HMAC with the account's id under the platform's pepper. It opens nothing: who
has it must still sign in, and is only not told on.
"""

from __future__ import annotations

import hmac
import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from fastapi import Request
    from starlette.responses import Response

    from clawmates.control.context import Context

COOKIE = "__Host-familiar"
_SHAPE = re.compile(r"([0-9a-f]{32})([0-9a-f]{64})")
_YEAR = 365 * 86_400


def knows(request: Request, context: Context, account_id: str) -> bool:
    """Whether this browser was signed in to the account before; any doubt is a no."""
    found = _SHAPE.fullmatch(request.cookies.get(COOKIE, ""))
    return found is not None and hmac.compare_digest(found[2], _proof(context, account_id, found[1]))


def remember(response: Response, context: Context, account_id: str) -> None:
    """For a year. One browser, one account: who uses two in turn is told of each."""
    nonce = context.random(16).hex()
    value = nonce + _proof(context, account_id, nonce)
    response.set_cookie(COOKIE, value, max_age=_YEAR, path="/", secure=True, httponly=True, samesite="lax")


def forget(response: Response) -> None:
    """The account is gone: nothing is left to be recognised."""
    response.delete_cookie(COOKIE, path="/", secure=True, httponly=True, samesite="lax")


def _proof(context: Context, account_id: str, nonce: str) -> str:
    return hmac.new(context.pepper.reveal(), f"familiar\0{account_id}\0{nonce}".encode(), "sha256").hexdigest()
