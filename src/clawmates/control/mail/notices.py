"""What a person is told of their account without having asked: somebody may have done it in their name.

No code, no new address, no network: that something happened, when, and in what kind of browser.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from clawmates.base.shape import decode_json, encode_json
from clawmates.control.context import Context
from clawmates.control.mail.errands import lane_of
from clawmates.control.mail.letters import told
from clawmates.control.mail.post import Post, PostError
from clawmates.control.outbox import outbox
from clawmates.control.outbox.outbox import Done, Later, Outcome, Refused, Task
from clawmates.control.texts.catalogue import words

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncSession

KIND = "notice"


class Notice(StrEnum):
    """What has happened."""

    PASSKEY_ADDED = "passkey-added"
    ADDRESS_CHANGED = "address-changed"
    """Told to the address that was: the new one has just confirmed."""
    NEW_BROWSER = "new-browser"
    CANCELLED = "cancelled"
    RESUMED = "resumed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """A mail that nobody asked for. ``browser`` is of a closed list, or empty."""

    notice: Notice
    email: str
    language: str
    account_id: str
    """Whom it is about: the address may not be theirs any more when they go, and the mail goes with them."""
    browser: str = ""


async def tell(database: AsyncSession, context: Context, what: Told) -> None:
    """Wants it told, in the transaction in which it happens."""
    lane = lane_of(context, what.email)
    await outbox.add(database, lane, KIND, encode_json(what).decode(), now=context.clock.now())


@dataclass(frozen=True, slots=True)
class NoticeHandler:
    """For the outbox's worker. Told twice where a replica dies in between, never not, for a day."""

    context: Context
    post: Post
    perishes: bool = True

    async def do(self, task: Task) -> Outcome:
        """Sends it, with the moment at which it happened."""
        what = decode_json(Told, task.body.encode())
        text = words(what.language)
        browser = what.browser or text("accounts.account.sessions-unknown")
        try:
            letter = told(text, what.notice.value, what.email, self.context.origin, task.made_at, browser)
            await self.post.send(letter)
        except PostError as error:
            return Refused(error.code) if error.final else Later(error.code)
        return Done()

    async def settle(self, session: AsyncSession, task: Task, outcome: Done | Refused) -> None:
        """Nothing is left to be noted."""
