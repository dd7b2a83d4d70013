"""Who asks. A route takes ``SignedIn`` or, for what is dangerous, ``Proved``; ``Visitor`` may be nobody."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Annotated

from fastapi import BackgroundTasks, Depends, Request
from sqlalchemy.exc import SQLAlchemyError

from clawmates.control.accounts import sessions
from clawmates.control.accounts.leave import Leave, leave_of
from clawmates.control.audit.chain import pseudonym
from clawmates.control.errors import Cancelled, ProofWanted, SignInWanted
from clawmates.control.frame import context_of

if TYPE_CHECKING:
    from clawmates.control.context import Context

PROVED_FOR = timedelta(minutes=10)


@dataclass(frozen=True, slots=True, kw_only=True)
class Person:
    """Somebody signed in."""

    account_id: str
    email: str
    language: str
    cancelled_at: datetime | None
    """When they cancelled the subscription, or nothing."""
    proved_at: datetime
    """When they last proved who they are."""
    session: str
    """The hash of this browser's cookie; it opens nothing."""
    subject: str
    """What the audit chain calls them."""

    @property
    def leave(self) -> Leave | None:
        """Of a cancelled subscription: until when they can come back, and when all is gone."""
        return leave_of(self.cancelled_at) if self.cancelled_at is not None else None

    def check_active(self) -> None:
        """Raises :class:`Cancelled`."""
        if self.cancelled_at is not None:
            raise Cancelled

    def proved(self, now: datetime) -> bool:
        """Whether that was just now."""
        return now - self.proved_at < PROVED_FOR


async def visitor(request: Request, background: BackgroundTasks) -> Person | None:
    """Who asks, or ``None``; templates find them as ``person``.

    The transaction is over before the route begins, so no request holds two connections. That the session was used
    is written after the answer has left.
    """
    context, token = context_of(request), request.cookies.get(sessions.COOKIE, "")
    now = context.clock.now()
    person = None
    if token:
        async with context.database.look() as look:
            found = await sessions.find(look, token, now)
        if found is not None:
            person = Person(
                account_id=found.account_id,
                email=found.email,
                language=found.language,
                cancelled_at=found.cancelled_at,
                proved_at=found.proved_at,
                session=found.proof,
                subject=pseudonym(found.account_id, found.pseudonym_key),
            )
            if found.seen_at <= now - sessions.SEEN_EVERY:
                background.add_task(_see, context, found.proof, now)
    request.state.person = person
    return person


async def _see(context: Context, proof: str, now: datetime) -> None:
    # Lost where the database is busy: the next request says it again.
    with suppress(SQLAlchemyError):
        async with context.database.writing() as database:
            await sessions.see(database, proof, now)


Visitor = Annotated[Person | None, Depends(visitor)]


async def signed_in(person: Visitor) -> Person:
    """Raises :class:`SignInWanted`."""
    if person is None:
        raise SignInWanted
    return person


SignedIn = Annotated[Person, Depends(signed_in)]


async def proved(request: Request, person: SignedIn) -> Person:
    """Raises :class:`ProofWanted` unless the person proved who they are within ten minutes (step-up)."""
    if not person.proved(context_of(request).clock.now()):
        raise ProofWanted
    return person


Proved = Annotated[Person, Depends(proved)]
