"""What a cancelled subscription comes to, and when. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from clawmates.inventory.spans import CANCELLED

HEADSTART = timedelta(days=1)
"""So long before the last moment that was promised is begun: a vault may be away for some hours."""


@dataclass(frozen=True, slots=True)
class Leave:
    """Until ``until`` one click brings everything back; by ``gone`` the configuration is destroyed."""

    until: datetime
    gone: datetime


def leave_of(cancelled_at: datetime) -> Leave:
    """The two moments that follow from it."""
    gone = cancelled_at + CANCELLED
    return Leave(until=gone - HEADSTART, gone=gone)
