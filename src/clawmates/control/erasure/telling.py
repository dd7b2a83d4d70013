"""The mail that says that an account is being deleted, and where its receipt will be: the last use of the address."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

from sqlalchemy import update

from clawmates.base.shape import decode_json
from clawmates.control.accounts import links
from clawmates.control.context import Context
from clawmates.control.erasure import codes
from clawmates.control.erasure.begin import Tell
from clawmates.control.erasure.tables import Erasure
from clawmates.control.mail.letters import Letter
from clawmates.control.mail.post import Post, PostError
from clawmates.control.outbox import outbox
from clawmates.control.outbox.outbox import Done, Later, Outcome, Refused, Task
from clawmates.control.texts.catalogue import words

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncSession

    from clawmates.control.texts.catalogue import Words

PATIENCE = timedelta(hours=1)
"""A mail server that is away holds a deletion up for no longer."""


@dataclass(frozen=True, slots=True)
class TellHandler:
    """The code is born as the mail leaves; of two that were sent the newer one opens."""

    context: Context
    post: Post
    perishes: bool = True

    async def do(self, task: Task) -> Outcome:
        """Sends it."""
        if self.context.clock.now() - task.made_at >= PATIENCE:
            return Refused(outbox.EXPIRED)
        wanted = decode_json(Tell, task.body.encode())
        code, proof = codes.fresh(self.context)
        async with self.context.database.writing() as session:
            await session.execute(update(Erasure).where(Erasure.id == wanted.erasure).values(mail_proof=proof))
        try:
            await self.post.send(letter(words(wanted.language), wanted.email, self.context, code))
        except PostError as error:
            return Refused(error.code) if error.final else Later(error.code)
        return Done()

    async def settle(self, session: AsyncSession, task: Task, outcome: Done | Refused) -> None:  # noqa: ARG002
        """The deletion need not wait for it any more."""
        wanted = decode_json(Tell, task.body.encode())
        await session.execute(update(Erasure).where(Erasure.id == wanted.erasure).values(told=True))


def letter(words: Words, recipient: str, context: Context, code: str) -> Letter:
    """With a link that is good until the receipt goes."""
    link = codes.address(context, code)
    text = words("mail.erasure.text", link=link, page=f"{context.origin}/receipt", code=links.shown(code))
    return Letter(recipient, words("mail.erasure.subject"), text, link)
