"""Pages: one bot, and what its owner does with it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fastapi import APIRouter, BackgroundTasks, Request
from fastapi.responses import RedirectResponse, Response
from sqlalchemy import select

from clawmates.base.shape import decode_json
from clawmates.control.accounts.person import Person, Proved, SignedIn  # noqa: TC001 - FastAPI reads it
from clawmates.control.audit.chain import note
from clawmates.control.bots import errands, pairing, queries
from clawmates.control.bots.chart import chart
from clawmates.control.bots.ending import end
from clawmates.control.bots.errands import ACTIVE, DELETING
from clawmates.control.bots.forms import Errors, read_manner
from clawmates.control.bots.launch import apply, manner_fields, manner_page, release_of
from clawmates.control.bots.minds import minds_of
from clawmates.control.bots.offers import offer
from clawmates.control.bots.standing import remedy, sentence
from clawmates.control.bots.tables import Bot, BotReceipt
from clawmates.control.errors import Changed, NotFound, ProofWanted
from clawmates.control.frame import Form, Writing, context_of
from clawmates.control.hub import account_topic, node_topic
from clawmates.control.nodes.revisions import touch
from clawmates.control.pages.render import language_of, page
from clawmates.control.texts.catalogue import words
from clawmates.wire.deeds import Deed
from clawmates.wire.desired import Access
from clawmates.wire.receipt import SignedReceipt
from clawmates.wire.vault_deeds import OfBot

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncSession

    from clawmates.control.context import Context

room = APIRouter()
ITEM_PAGES = {
    "channel-token": "token",
    "provider-key": "key",
    "fallback-key": "fallback",
    "prompt": "prompt",
    "people": "people",
}
"""Where what the vault refused is entered again."""


@room.get("/bots/{bot}")
async def show(request: Request, bot: str, person: SignedIn) -> Response:
    """How it is; a bot that was deleted shows its receipt."""
    context = context_of(request)
    now = context.clock.now()
    async with context.database.look() as look:
        found = await queries.find(look, person, bot)
        if found is None:
            return _gone(request, await queries.receipt(look, person, bot))
        known = await queries.known(look, found, now)
        counted = await queries.counts(look, found.id, now.date())
    release = context.release()
    return page(
        request,
        "bots/bot.html",
        bot=found,
        known=known,
        standing=known.standing,
        why=sentence(words(language_of(request)), known.standing.why),
        refused=[(item, ITEM_PAGES.get(item.name, "")) for item in known.items if item.trouble],
        remedy=remedy(known.standing.why),
        items={item.name: item for item in known.items},
        minds=minds_of(found),
        spare=offer(release, found.fallback_provider or "", now.date()) if release is not None else None,
        under_way=known.under_way,
        counts=counted,
        chart=chart(counted),
        offer=offer(release, found.provider, now.date()) if release is not None else None,
    )


def _gone(request: Request, kept: BotReceipt) -> Response:
    signed = decode_json(SignedReceipt, kept.body.encode())
    return page(request, "bots/gone.html", receipt=signed.receipt, body=kept.body)


@room.get("/bots/{bot}/receipt")
async def take_receipt(request: Request, bot: str, person: SignedIn) -> Response:
    """The receipt as a file: `clawmates receipt verify` checks it."""
    async with context_of(request).database.look() as look:
        kept = await queries.receipt(look, person, bot)
    headers = {"Content-Disposition": f'attachment; filename="receipt-{kept.bot_id}.json"'}
    return Response(kept.body, media_type="application/json", headers=headers)


@room.get("/bots/{bot}/edit")
async def ask_edit(request: Request, bot: str, person: SignedIn) -> Response:
    """What can be changed without a secret."""
    async with context_of(request).database.look() as look:
        found = _alive(await queries.seen(look, person, bot))
    return manner_page(request, "bots/edit.html", found, manner_fields(found), Errors())


@room.post("/bots/{bot}/edit")
async def edit(
    request: Request, bot: str, person: SignedIn, session: Writing, form: Form, later: BackgroundTasks
) -> Response:
    """Changes it where nobody was quicker."""
    found = await _changing(session, person, bot)
    if not queries.is_current(found, form):
        return manner_page(request, "bots/edit.html", found, form, Errors(), status=Changed.status)
    manner = read_manner(form, release_of(request), found.provider)
    if isinstance(manner, Errors):
        return manner_page(request, "bots/edit.html", found, form, manner)
    if manner.access.value != found.access and not person.proved(context_of(request).clock.now()):
        raise ProofWanted  # who may talk at the owner's expense: as a pairing code, it asks who wants that
    apply(found, manner)
    _note(context_of(request), session, person, Deed.BOT_EDITED, found)
    return await _saved(context_of(request), session, found, later)


@room.post("/bots/{bot}/pause")
async def pause(
    request: Request, bot: str, person: SignedIn, session: Writing, form: Form, later: BackgroundTasks
) -> Response:
    """Its container stops; what the vault keeps stays."""
    found = await _changing(session, person, bot)
    queries.check_version(found, form)
    found.paused = True
    _note(context_of(request), session, person, Deed.BOT_PAUSED, found)
    return await _saved(context_of(request), session, found, later)


@room.post("/bots/{bot}/resume")
async def resume(
    request: Request, bot: str, person: SignedIn, session: Writing, form: Form, later: BackgroundTasks
) -> Response:
    """It runs again. Its lease may have ended meanwhile, so the vault is asked for a new one first."""
    person.check_active()
    context = context_of(request)
    found = await _changing(session, person, bot)
    queries.check_version(found, form)
    found.paused = False
    _note(context, session, person, Deed.BOT_RESUMED, found)
    answer = await _saved(context, session, found, later)
    await errands.assign(session, found.id, context.clock.now())
    return answer


@room.post("/bots/{bot}/restart")
async def restart(
    request: Request, bot: str, person: SignedIn, session: Writing, form: Form, later: BackgroundTasks
) -> Response:
    """A new container in place of this one."""
    person.check_active()
    context = context_of(request)
    found = await _changing(session, person, bot)
    queries.check_version(found, form)
    found.restarts += 1
    _note(context, session, person, Deed.BOT_RESTARTED, found)
    answer = await _saved(context, session, found, later)
    await errands.assign(session, found.id, context.clock.now())
    return answer


@room.post("/bots/{bot}/pair")
async def pair(request: Request, bot: str, person: Proved, session: Writing, _form: Form) -> Response:
    """A code for one person. It is on this page and nowhere else."""
    context = context_of(request)
    found = await _changing(session, person, bot)
    if found.access == Access.LIST.value:
        raise NotFound
    username = await queries.username_of(session, found.id)
    shown = await pairing.issue(session, found.id, username, context.clock.now(), context.random)
    await touch(session, found.node)
    _note(context, session, person, Deed.BOT_OPENED, found)
    return page(request, "bots/pair.html", bot=found, shown=shown, username=username)


@room.get("/bots/{bot}/delete")
async def ask_delete(request: Request, bot: str, person: SignedIn) -> Response:
    """What goes with it."""
    async with context_of(request).database.look() as look:
        found = await queries.seen(look, person, bot)
    return page(request, "bots/delete.html", bot=found)


@room.post("/bots/{bot}/delete")
async def delete(
    request: Request, bot: str, person: Proved, session: Writing, form: Form, later: BackgroundTasks
) -> Response:
    """Its node stops it, the vault destroys its keys, and then its rows go."""
    context = context_of(request)
    found = await queries.own_locked(session, person, bot)
    if found.stage == DELETING:
        return RedirectResponse(f"/bots/{bot}", status_code=303)
    queries.check_version(found, form)
    _note(context, session, person, Deed.BOT_DELETED, found)
    if await end(session, found, context.clock.now()):
        return RedirectResponse("/bots", status_code=303)
    later.add_task(tell, context, found.account_id, found.node)
    return RedirectResponse(f"/bots/{bot}", status_code=303)


def _alive(bot: Bot) -> Bot:
    if bot.stage != ACTIVE:
        raise NotFound
    return bot


def _note(context: Context, session: AsyncSession, person: Person, deed: Deed, bot: Bot) -> None:
    note(session, context.clock.now(), deed, OfBot(bot=bot.id), person.subject)


async def _changing(session: AsyncSession, person: Person, bot: str) -> Bot:
    found = await queries.own_locked(session, person, bot)
    if found.stage != ACTIVE:
        raise NotFound
    return found


async def _saved(context: Context, session: AsyncSession, bot: Bot, later: BackgroundTasks) -> Response:
    """Before any errand is added: what is written in two parts raises the version twice."""
    await queries.save(session, bot, context.clock.now())
    later.add_task(tell, context, bot.account_id, bot.node)
    return RedirectResponse(f"/bots/{bot.id}", status_code=303)


async def tell(context: Context, account: str, node: str | None) -> None:
    """Wakes who waits at this replica; runs after the commit."""
    context.hub.announce(account_topic(account))
    if node is not None:
        context.hub.announce(node_topic(node))


async def receipts_of(session: AsyncSession, account: str) -> list[BotReceipt]:
    """All receipts of an account, the newest first."""
    return list(await session.scalars(select(BotReceipt).filter_by(account_id=account).order_by(BotReceipt.at.desc())))
