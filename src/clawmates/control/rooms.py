"""The rooms that browsers can enter, in the order of the menu."""

from __future__ import annotations

from typing import TYPE_CHECKING

from clawmates.control.accounts import pages as accounts
from clawmates.control.agreement import pages as agreement
from clawmates.control.audit import pages as activity
from clawmates.control.bots import rooms as bots
from clawmates.control.cancelling import pages as cancelling
from clawmates.control.erasure import pages as erasure
from clawmates.control.privacy import pages as privacy
from clawmates.control.promises import pages as promises

if TYPE_CHECKING:
    from fastapi import APIRouter

ROOMS: tuple[APIRouter, ...] = (
    *(
        bots.room,
        activity.router,
        cancelling.room,
        privacy.router,
        promises.router,
        agreement.router,
        accounts.router,
        erasure.router,
    ),
)
