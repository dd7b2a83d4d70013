"""How a bot is, as it changes: server-sent events (HTML standard, section 9.2) for the page that shows it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from fastapi import APIRouter, Request
from fastapi.responses import StreamingResponse

from clawmates.control.accounts import sessions
from clawmates.control.accounts.person import Person, SignedIn  # noqa: TC001 - FastAPI reads it
from clawmates.control.bots import queries
from clawmates.control.bots.standing import remedy, sentence
from clawmates.control.errors import NotFound
from clawmates.control.frame import context_of
from clawmates.control.hub import HubClosedError, account_topic
from clawmates.control.pages.render import language_of
from clawmates.control.store.database import AWAY
from clawmates.control.texts.catalogue import words

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from clawmates.control.context import Context
    from clawmates.control.texts.catalogue import Words

LOOK_SECONDS = 2.0
"""What is not announced (an errand that is done, a node's silence) is seen after this."""
LOOKS = 300
"""After ten minutes the browser asks again, and shows again who it is."""
BEAT = 10
"""Looks without news after which a comment shows whether anybody is still there."""
room = APIRouter()


@room.get("/bots/{bot}/live")
async def live(request: Request, bot: str, person: SignedIn) -> StreamingResponse:
    """One event at once, and one after each change."""
    context, texts = context_of(request), words(language_of(request))
    first = await snapshot(context, person, bot, texts)
    return StreamingResponse(
        _events(context, person, bot, texts, first),
        media_type="text/event-stream",
        headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"},
    )


async def _events(context: Context, person: Person, bot: str, texts: Words, first: str) -> AsyncIterator[str]:
    told, quiet = first, 0
    yield f"data: {first}\n\n"
    async with context.hub.watch(account_topic(person.account_id)) as news:
        for _ in range(LOOKS):
            try:
                fresh = await snapshot(context, person, bot, texts)
            except NotFound:
                yield "event: gone\ndata: {}\n\n"
                return
            except AWAY:
                fresh = json.dumps(json.loads(told) | {"why": texts("bots.why.database")}, ensure_ascii=False)
            quiet += 1
            if fresh != told:
                told, quiet = fresh, 0
                yield f"data: {fresh}\n\n"
            elif quiet >= BEAT:
                quiet = 0
                yield ": still here\n\n"
            try:
                await news.changed(LOOK_SECONDS)
            except HubClosedError:
                return  # the browser asks again, and finds another replica or this one's successor


async def snapshot(context: Context, person: Person, bot: str, texts: Words) -> str:
    """What the page shows, in the reader's words; raises :class:`NotFound`, also where they are signed out by now."""
    now = context.clock.now()
    async with context.database.look() as look:
        if not await sessions.lives(look, person.session, now):
            raise NotFound
        found = await queries.seen(look, person, bot)
        known = await queries.known(look, found, now)
        counted = await queries.counts(look, found.id, now.date())
    return json.dumps(
        {
            "kind": known.standing.kind,
            "word": texts(known.standing.word),
            "why": sentence(texts, known.standing.why),
            "remedy": remedy(known.standing.why),
            "underWay": known.under_way and known.standing.kind != "busy",
            "username": known.username,
            "today": counted[-1],
            "total": sum(counted),
            "version": found.version,
        },
        ensure_ascii=False,
    )
