"""Pages: a person's bots, and the guided way to a new one."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

from fastapi import APIRouter, Request
from fastapi.responses import RedirectResponse, Response

from clawmates.base.shape import decode_json, encode_json
from clawmates.control.accounts.person import Proved, SignedIn  # noqa: TC001 - FastAPI reads it
from clawmates.control.audit.chain import note
from clawmates.control.bots import queries
from clawmates.control.bots.errands import DRAFT
from clawmates.control.bots.forms import Errors, Manner, read_manner, read_wish
from clawmates.control.bots.minds import minds_of, settled
from clawmates.control.bots.offers import offer, offers
from clawmates.control.bots.tables import Bot
from clawmates.control.errors import Changed, NotFound, TooMany, Unavailable
from clawmates.control.frame import Form, Writing, context_of
from clawmates.control.pages.render import page
from clawmates.wire.deeds import Deed
from clawmates.wire.desired import Access, Limits
from clawmates.wire.names import ChannelKind
from clawmates.wire.vault_deeds import OfBot

if TYPE_CHECKING:
    from collections.abc import Mapping

    from clawmates.wire.release import Release

MOST_BOTS = 50
room = APIRouter()


def release_of(request: Request) -> Release:
    """The signed release; raises :class:`Unavailable` where there is none that can be believed."""
    found = context_of(request).release()
    if found is None:
        raise Unavailable
    return found


@room.get("/bots")
async def show_all(request: Request, person: SignedIn) -> Response:
    """A person's bots."""
    context = context_of(request)
    async with context.database.look() as look:
        found = await queries.all_of(look, person, context.clock.now())
    return page(request, "bots/list.html", bots=found)


@room.get("/bots/new")
async def ask(request: Request, person: SignedIn) -> Response:
    """The first step: what it is called and who answers."""
    person.check_active()
    return _ask(request, await _regions(request), {}, Errors())


@room.post("/bots/new")
async def make(request: Request, person: Proved, session: Writing, form: Form) -> Response:
    """Makes the draft: its id is there before anything is sealed to it."""
    person.check_active()
    context, release = context_of(request), release_of(request)
    now = context.clock.now()
    where = await _regions(request)
    wish = read_wish(form, release, where, now.date())
    if isinstance(wish, Errors):
        return _ask(request, where, form, wish)
    if await queries.count_of(session, person) >= MOST_BOTS:
        raise TooMany
    provider = release.provider(wish.provider)
    bot = Bot(
        id=f"b-{context.random(16).hex()}",
        account_id=person.account_id,
        name=wish.name,
        stage=DRAFT,
        channel=ChannelKind.TELEGRAM.value,
        provider=wish.provider,
        model=provider.models[0].id if provider is not None else "",
        limits=encode_json(Limits()).decode(),
        access=Access.PAIRED.value,
        paused=False,
        restarts=0,
        region=wish.region,
        created_at=now,
        changed_at=now,
    )
    session.add(bot)
    note(session, now, Deed.BOT_CREATED, OfBot(bot=bot.id), person.subject)
    await session.flush()
    return RedirectResponse(f"/bots/{bot.id}/setup", status_code=303)


@room.get("/bots/{bot}/setup")
async def ask_manner(request: Request, bot: str, person: SignedIn) -> Response:
    """The second step: which model, and who may talk to it."""
    async with context_of(request).database.look() as look:
        found = _draft(await queries.seen(look, person, bot))
    return manner_page(request, "bots/setup.html", found, manner_fields(found), Errors())


@room.post("/bots/{bot}/setup")
async def take_manner(request: Request, bot: str, person: Proved, session: Writing, form: Form) -> Response:
    """Into the draft; then the secrets."""
    found = _draft(await queries.own_locked(session, person, bot))
    if not queries.is_current(found, form):
        return manner_page(request, "bots/setup.html", found, form, Errors(), status=Changed.status)
    manner = read_manner({"name": found.name, **form}, release_of(request), found.provider)
    if isinstance(manner, Errors):
        return manner_page(request, "bots/setup.html", found, form, manner)
    apply(found, manner)
    await queries.save(session, found, context_of(request).clock.now())
    return RedirectResponse(f"/bots/{found.id}/seal", status_code=303)


def apply(bot: Bot, manner: Manner) -> None:
    """Writes a manner into the row."""
    bot.name, bot.model, bot.access = manner.name, manner.model, manner.access.value
    if minds_of(bot) != settled(minds_of(bot)):
        bot.fallback_provider = bot.fallback_model = None  # what was the second model is the first one now
    bot.temperature, bot.max_output_tokens = manner.temperature, manner.max_output_tokens
    bot.limits = encode_json(manner.limits).decode()


def manner_fields(bot: Bot) -> dict[str, str]:
    """A bot as its form shows it."""
    limits = decode_json(Limits, bot.limits.encode())
    numbers = {
        "temperature": bot.temperature,
        "max_output_tokens": bot.max_output_tokens,
        "messages_per_day": limits.messages_per_day,
        "messages_per_month": limits.messages_per_month,
        "tokens_per_day": limits.tokens_per_day,
        "tokens_per_month": limits.tokens_per_month,
    }
    shown = {name: "" if value is None else f"{value:.10g}" for name, value in numbers.items()}
    return {"name": bot.name, "model": bot.model, "access": bot.access, **shown}


def differences(now: Mapping[str, str], mine: Mapping[str, str]) -> list[tuple[str, str, str]]:
    """(field, as it is now, as the person wrote it) of every field in which the two differ."""
    return [(name, text, mine[name]) for name, text in now.items() if name in mine and mine[name].strip() != text]


def manner_page(
    request: Request, template: str, bot: Bot, form: Mapping[str, str], errors: Errors, *, status: int = 200
) -> Response:
    """The second step, or the same as an edit.

    With the status of :class:`Changed` it holds what the person wrote, and says what else was written meanwhile; sent
    again, it counts.
    """
    release = release_of(request)
    provider = release.provider(bot.provider)
    changed = differences(manner_fields(bot), form) if status == Changed.status else None
    return page(
        request,
        template,
        status=422 if errors.found else status,
        changed=changed,
        bot=bot,
        form=manner_fields(bot) | dict(form),
        errors=defaultdict(str, errors.found),
        provider=provider,
        offer=offer(release, bot.provider, context_of(request).clock.now().date()),
        models=provider.models if provider is not None else (),
        accesses=tuple(one.value for one in Access),
    )


async def _regions(request: Request) -> tuple[str, ...]:
    context = context_of(request)
    async with context.database.look() as look:
        return await queries.regions(look, context.settings.platform.region)


def _ask(request: Request, regions: tuple[str, ...], form: Mapping[str, str], errors: Errors) -> Response:
    today = context_of(request).clock.now().date()
    return page(
        request,
        "bots/new.html",
        status=422 if errors.found else 200,
        form={"name": "", "provider": "", "region": ""} | dict(form),
        errors=defaultdict(str, errors.found),
        offers=offers(release_of(request), today),
        regions=regions,
    )


def _draft(bot: Bot) -> Bot:
    if bot.stage != DRAFT:
        raise NotFound
    return bot
