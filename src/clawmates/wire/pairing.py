"""Pairing codes: short enough to type, good for one hour and one person, kept by nobody.

Eight characters of 32 are 40 bits. What is written down is PBKDF2-HMAC-SHA256 of the code under a salt of its own and
the bot's id: who reads ``desired.json`` has one hour for 2⁴⁰ slow guesses, and a hash that is copied to another bot
admits nobody there. A mate, which everybody may write to, bounds how often it compares.
"""

from __future__ import annotations

import re
from _hashlib import pbkdf2_hmac
from hmac import compare_digest
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from clawmates.wire.desired import Pairing

ALPHABET = "23456789ABCDEFGHJKLMNPQRSTUVWXYZ"
"""Without 0 and O, 1 and I."""
LENGTH = 8
SECONDS = 3600
ROUNDS = 200_000
"""About a tenth of a second."""
FORMAT = "clawmates-pairing-v1"
MOST_TYPED = 32
"""Characters of what may be a code as somebody typed it."""
_CODE = re.compile(f"[{ALPHABET}]{{{LENGTH}}}")


def read(text: str) -> str:
    """The code that somebody typed, in whatever case and groups; empty for what has not a code's shape."""
    if len(text) > MOST_TYPED:
        return ""
    code = text.translate({ord(" "): None, ord("-"): None}).strip().upper()
    return code if _CODE.fullmatch(code) else ""


def digest(bot: str, salt: str, code: str) -> str:
    """The slow hash of a code, hexadecimal."""
    bound = b"\0".join((FORMAT.encode(), bot.encode(), bytes.fromhex(salt)))
    return pbkdf2_hmac("sha256", code.encode(), bound, ROUNDS).hex()


def find(bot: str, code: str, pairings: tuple[Pairing, ...]) -> Pairing | None:
    """The pairing that a code belongs to. Every one is compared, whichever fits, in constant time."""
    found = None
    for pairing in pairings:
        if compare_digest(digest(bot, pairing.salt, code), pairing.digest):
            found = pairing
    return found
