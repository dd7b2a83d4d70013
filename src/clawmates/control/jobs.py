"""What a replica does beside answering: the handlers of its errands."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from clawmates.control.audit import meeting
from clawmates.control.audit.meeting import Countersign
from clawmates.control.bots import errands as bots
from clawmates.control.cancelling import subscription
from clawmates.control.erasure import steps as erasure
from clawmates.control.mail import notices
from clawmates.control.mail.choosing import post_of
from clawmates.control.mail.errands import KIND, MailHandler
from clawmates.control.nodes import errands as nodes
from clawmates.control.retention import backups

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from clawmates.control.context import Context
    from clawmates.control.outbox.outbox import Handler
    from clawmates.control.retention.keeper import Taker
    from clawmates.wire.notary import Notary
    from clawmates.wire.vault_deeds import Resumed

CANCELLED = "bot-cancelled"
"""The job of bots whose account was cancelled, as the inventory calls it."""


def takers(context: Context) -> Mapping[str, Taker]:
    """By retention job: those that do more than take rows away."""
    found = {CANCELLED: subscription.taker(context)}
    return found | ({backups.NAME: backups.taker(context.backups)} if context.backups is not None else {})


def handlers(
    context: Context, notary: Notary, *, terminal: int = -1, order: Callable[[], Resumed | None] = lambda: None
) -> Mapping[str, Handler]:
    """By kind of errand. ``terminal`` is a descriptor of the terminal that links are shown on where no mail is sent.

    ``order`` is root's to begin the countersignatures anew.
    """
    post = post_of(context.settings, context.clock, context.random, terminal=terminal)
    lease = timedelta(seconds=context.settings.control.lease_seconds)
    return {
        KIND: MailHandler(context, post),
        notices.KIND: notices.NoticeHandler(context, post),
        meeting.KIND: Countersign(context.database, context.vault, notary, context.clock, order),
        **bots.handlers(context),
        **erasure.handlers(context, post),
        **nodes.handlers(context.vault, context.clock, lease),
    }
