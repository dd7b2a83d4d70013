"""``/.well-known/security.txt`` (RFC 9116): whom to tell of a weakness. Pure."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from clawmates.control.texts.catalogue import LANGUAGES

if TYPE_CHECKING:
    from clawmates.base.settings import Settings

PATH = "/.well-known/security.txt"
MEDIA_TYPE = "text/plain; charset=utf-8"
"""Section 3: in UTF-8, and said so."""
GOOD_FOR = timedelta(days=180)
"""From midnight (UTC) of the day it is read: less than a year (section 2.5.5), and nobody has to remember it."""


def security_txt(settings: Settings, now: datetime) -> str | None:
    """The file, its lines ended by CR and LF; ``None`` where the configuration names no contact."""
    contact, origin = settings.control.security_contact, settings.control.origin.rstrip("/")
    if not contact:
        return None
    expires = now.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0) + GOOD_FOR
    fields = (
        ("Contact", contact),
        ("Expires", f"{expires:%Y-%m-%dT%H:%M:%SZ}"),
        ("Preferred-Languages", ", ".join(LANGUAGES)),
        ("Canonical", f"{origin}{PATH}"),
        ("Policy", f"{origin}/faq#vulnerability"),
    )
    return "".join(f"{name}: {value}\r\n" for name, value in fields)
