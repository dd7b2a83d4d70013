"""From the wish for a mail to its sending: a row in the outbox, and a link that is born as it leaves.

The row holds an address and what the link is for. The link's code is made when the mail is sent and is never written
down, so no credential lies in the database, not even for a second.
"""

from __future__ import annotations

import hmac
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sqlalchemy import or_, select

from clawmates.base.shape import decode_json, encode_json
from clawmates.control.accounts import changes, links
from clawmates.control.context import Context
from clawmates.control.mail.letters import letter
from clawmates.control.mail.post import OURS, Post, PostError
from clawmates.control.outbox import outbox
from clawmates.control.outbox.outbox import Done, Later, Outcome, Refused, Task
from clawmates.control.outbox.tables import Errand
from clawmates.control.store.look import Question, first
from clawmates.control.texts.catalogue import words

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncSession

    from clawmates.control.store.look import Look

KIND = "mail"
REPLACED = "replaced"
MAILS = "mail/"
"""How the lanes of addresses begin."""
_HELD_UP = Question(
    select(Errand.number).where(Errand.kind == KIND, or_(*(Errand.trouble == one for one in sorted(OURS)))).limit(1),
    int,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """A mail that somebody asked for."""

    purpose: links.Purpose
    email: str
    language: str
    account_id: str = ""


def lane_of(context: Context, email: str) -> str:
    """An address' own: one that cannot be reached holds up nobody else."""
    return MAILS + hmac.new(context.pepper.reveal(), f"lane\0{email}".encode(), "sha256").hexdigest()[:32]


async def ask(database: AsyncSession, context: Context, wanted: Wanted) -> None:
    """Wants a mail, in the transaction at hand; it leaves after the answer, so nobody can tell by the time taken."""
    await outbox.add(
        database, lane_of(context, wanted.email), KIND, encode_json(wanted).decode(), now=context.clock.now()
    )


async def held_up(look: Look) -> bool:
    """Whether any mail waits for our own mail server. Everybody is told alike, so it tells nothing of anybody."""
    return await first(look, _HELD_UP) is not None


@dataclass(frozen=True, slots=True)
class MailHandler:
    """For the outbox's worker."""

    context: Context
    post: Post

    @property
    def perishes(self) -> bool:
        """It does, and sooner than others."""
        return True

    async def do(self, task: Task) -> Outcome:
        """Makes a link and sends it. Who has waited for fifteen minutes waits no more."""
        if self.context.clock.now() - task.made_at >= links.LIFE:
            return Refused(outbox.EXPIRED)
        wanted, now = decode_json(Wanted, task.body.encode()), self.context.clock.now()
        async with self.context.database.writing() as database:
            change = wanted.purpose in changes.BOTH
            if change and not await changes.stands(database, wanted.account_id, task.made_at, now):
                return Refused(REPLACED)
            code = await links.make(database, self.context, wanted.purpose, wanted.email, wanted.account_id or None)
        try:
            text = letter(words(wanted.language), wanted.purpose, wanted.email, self.context.origin, code)
            await self.post.send(text)
        except PostError as error:
            async with self.context.database.writing() as database:
                await links.forget(database, self.context, code)
            return Refused(error.code) if error.final else Later(error.code)
        return Done()

    async def settle(self, session: AsyncSession, task: Task, outcome: Done | Refused) -> None:
        """Nothing is left to be noted."""
