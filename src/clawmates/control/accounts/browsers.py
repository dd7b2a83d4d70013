"""What a browser calls itself, cut down to a closed list: nothing that somebody wrote is kept."""

from __future__ import annotations

_PROGRAMS = (
    # In this order: nearly everybody says Chrome and Safari too.
    ("Edg", "Edge"),
    ("OPR/", "Opera"),
    ("SamsungBrowser/", "Samsung Internet"),
    ("Firefox/", "Firefox"),
    ("FxiOS/", "Firefox"),
    ("CriOS/", "Chrome"),
    ("Chrome/", "Chrome"),
    ("Safari/", "Safari"),
)
_SYSTEMS = (
    ("Android", "Android"),
    ("iPhone", "iPhone"),
    ("iPad", "iPad"),
    ("Windows", "Windows"),
    ("CrOS", "ChromeOS"),
    ("Mac OS X", "macOS"),
    ("Linux", "Linux"),
)


def browser_of(user_agent: str) -> str:
    """``Firefox, Linux`` of a ``User-Agent`` (RFC 9110, section 10.1.5); what is not known is left out, maybe all."""
    found = (next((name for mark, name in known if mark in user_agent), "") for known in (_PROGRAMS, _SYSTEMS))
    return ", ".join(name for name in found if name)
