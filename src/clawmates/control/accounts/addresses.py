"""E-mail addresses: what is taken for one, and in which form two are the same."""

from __future__ import annotations

import re
from enum import StrEnum

MOST = 254
"""Characters (RFC 5321, section 4.5.3.1.3, without the brackets)."""
_LOCAL = re.compile(r"[a-z0-9!#$%&'*+/=?^_`{|}~-]+(?:\.[a-z0-9!#$%&'*+/=?^_`{|}~-]+)*")
"""*Dot-atom* (RFC 5322, section 3.2.3); a quoted one is nobody's."""
_LABEL = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?")


class Unusable(StrEnum):
    """Why something is not taken; the key of a sentence with the remedy: ``accounts.address.KEY``."""

    EMPTY = "empty"
    TOO_LONG = "too-long"
    NOT_ASCII = "not-ascii"
    NO_AT = "no-at"
    NAME = "name"
    HOST = "host"


def read(text: str) -> str | Unusable:  # noqa: PLR0911 - one return a reason
    """The address in the one form that is kept, or why not.

    Small letters throughout: no provider of weight tells ``Ada@`` from ``ada@``, and two accounts for one person would
    be a trap. An internationalised domain is asked for in its ``xn--`` form, as browsers send it: of the two ways to
    map one (IDNA 2003 and 2008), the wrong one leads to somebody else's domain.
    """
    found = text.strip().lower()
    if not found:
        return Unusable.EMPTY
    if len(found) > MOST:
        return Unusable.TOO_LONG
    if not found.isascii():
        return Unusable.NOT_ASCII
    name, at, host = found.rpartition("@")
    if not at:
        return Unusable.NO_AT
    if len(name) > 64 or not _LOCAL.fullmatch(name):
        return Unusable.NAME
    labels = host.split(".")
    if len(labels) < 2 or labels[-1].isdigit() or not all(map(_LABEL.fullmatch, labels)):
        return Unusable.HOST
    return found
