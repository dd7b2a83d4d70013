"""The code that opens a deletion's receipt: of a link's shape, kept as a keyed hash, and not bound to any account."""

from __future__ import annotations

import hmac
from typing import TYPE_CHECKING

from clawmates.control.accounts import links

if TYPE_CHECKING:
    from clawmates.control.context import Context


def fresh(context: Context) -> tuple[str, str]:
    """(code, what is kept of it)."""
    code = links.fresh_code(context.random)
    return code, proof_of(context, code)


def proof_of(context: Context, code: str) -> str:
    """HMAC-SHA-256 under the platform's pepper, hexadecimal."""
    return hmac.new(context.pepper.reveal(), f"receipt\0{code}".encode(), "sha256").hexdigest()


def address(context: Context, code: str) -> str:
    """The link: what follows the ``#`` stays in the browser."""
    return f"{context.origin}/receipt#{links.shown(code)}"
