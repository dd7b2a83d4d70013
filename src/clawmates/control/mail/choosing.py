"""Which way this platform's mails go."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from clawmates.control.mail.post import Terminal

if TYPE_CHECKING:
    from collections.abc import Callable

    from clawmates.base.clock import Clock
    from clawmates.base.settings import Settings
    from clawmates.control.mail.post import Post


def post_of(settings: Settings, clock: Clock, random: Callable[[int], bytes], *, terminal: int = -1) -> Post:
    """Where this platform's mails go. ``terminal`` is a descriptor that the supervisor has opened; -1 for none."""
    smtp = settings.control.smtp
    if not smtp.host:
        return Terminal(terminal)
    from clawmates.control.mail.smtp import Mailbox  # noqa: PLC0415 - without a server nobody waits for it to load

    domain = urlsplit(settings.control.origin).hostname or "localhost"
    return Mailbox(smtp=smtp, domain=domain, clock=clock, random=random)
