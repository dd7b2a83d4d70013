"""Pages: another provider for a bot that lives, and a second model for when the first cannot answer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from fastapi import APIRouter, BackgroundTasks, Request
from fastapi.responses import RedirectResponse, Response

from clawmates.control.accounts.person import Proved, SignedIn  # noqa: TC001 - FastAPI reads it
from clawmates.control.bots import queries
from clawmates.control.bots.changing import Change
from clawmates.control.bots.launch import release_of
from clawmates.control.bots.minds import Choice, Minds, Place, minds_of
from clawmates.control.bots.offers import Offer, offer, offers
from clawmates.control.bots.secrets import changed, sealing_page, with_items
from clawmates.control.errors import NotFound
from clawmates.control.frame import Form, Reading, Writing, context_of
from clawmates.control.pages.render import page

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncSession

    from clawmates.control.accounts.person import Person
    from clawmates.control.bots.tables import Bot

room = APIRouter()
NOBODY = "none"
"""What the form of the second model says for none."""
PLACES = {Place.OWN: "provider", Place.SPARE: "fallback"}
"""The page of each, below the bot's own."""


@room.get("/bots/{bot}/provider")
async def ask_provider(request: Request, bot: str, person: SignedIn, session: Reading) -> Response:
    """All providers there are, and what each keeps."""
    return _offers_page(request, await _living(session, person, bot), Place.OWN)


@room.post("/bots/{bot}/provider")
async def take_provider(request: Request, bot: str, person: SignedIn, session: Reading, form: Form) -> Response:
    """On to its models and its key."""
    return _onward(request, await _living(session, person, bot), Place.OWN, form.get("provider", ""))


@room.get("/bots/{bot}/provider/{provider}")
async def ask_own(request: Request, bot: str, provider: str, person: Proved, session: Reading) -> Response:
    """Its models, and a field for its key."""
    return await _models_page(request, session, person, bot, Place.OWN, provider)


@room.get("/bots/{bot}/fallback")
async def ask_fallback(request: Request, bot: str, person: SignedIn, session: Reading) -> Response:
    """Nobody, or any of the providers; the bot's own is asked with the key that it has."""
    return _offers_page(request, await _living(session, person, bot), Place.SPARE)


@room.post("/bots/{bot}/fallback")
async def take_fallback(
    request: Request, bot: str, person: SignedIn, session: Writing, form: Form, later: BackgroundTasks
) -> Response:
    """On to its models; nobody is said at once, and then the vault destroys the second key."""
    found = await _living(session, person, bot, locked=True)
    chosen = form.get("provider", "")
    if chosen != NOBODY:
        return _onward(request, found, Place.SPARE, chosen)
    queries.check_version(found, form)
    return await changed(request, session, person, found, Change(bot=bot, choice=Choice(place=Place.SPARE)), later)


@room.get("/bots/{bot}/fallback/{provider}")
async def ask_spare(request: Request, bot: str, provider: str, person: Proved, session: Reading) -> Response:
    """Its models; and a field for its key, unless it is the bot's own."""
    return await _models_page(request, session, person, bot, Place.SPARE, provider)


@room.post("/bots/{bot}/fallback/{provider}")
async def take_spare(
    request: Request,
    bot: str,
    provider: str,
    person: SignedIn,
    session: Writing,
    form: Form,
    later: BackgroundTasks,
) -> Response:
    """Another model of the bot's own provider: no key is needed, and so no script."""
    found = await _living(session, person, bot, locked=True)
    queries.check_version(found, form)
    known = _offer(request, provider).provider
    model = form.get("model", "")
    if provider != found.provider or known.model(model) is None:
        raise NotFound
    choice = Choice(place=Place.SPARE, provider=provider, model=model)
    return await changed(request, session, person, found, Change(bot=bot, choice=choice), later)


async def _living(session: AsyncSession, person: Person, bot: str, *, locked: bool = False) -> Bot:
    return (await with_items(session, person, bot, living=True, locked=locked)).bot


def _offer(request: Request, provider: str) -> Offer:
    found = offer(release_of(request), provider, context_of(request).clock.now().date())
    if found is None:
        raise NotFound
    return found


def _onward(request: Request, bot: Bot, place: Place, provider: str) -> Response:
    today = context_of(request).clock.now().date()
    if offer(release_of(request), provider, today) is None:
        return _offers_page(request, bot, place, error="provider")
    return RedirectResponse(f"/bots/{bot.id}/{PLACES[place]}/{provider}", status_code=303)


def _offers_page(request: Request, bot: Bot, place: Place, error: str = "") -> Response:
    now = minds_of(bot).of(place)[0]
    return page(
        request,
        "bots/offers.html",
        status=422 if error else 200,
        bot=bot,
        place=PLACES[place],
        offers=offers(release_of(request), context_of(request).clock.now().date()),
        now=now or NOBODY,
        nobody=NOBODY if place is Place.SPARE else "",
        error=error,
    )


async def _models_page(
    request: Request, session: AsyncSession, person: Person, bot: str, place: Place, provider: str
) -> Response:
    found = await with_items(session, person, bot, living=True)
    chosen = _offer(request, provider)
    minds = minds_of(found.bot)
    had, model = minds.of(place)
    models = [one.id for one in chosen.provider.models if (provider, one.id) != _taken(minds, place)]
    if not models:
        raise NotFound
    fields: dict[str, Any] = {
        "place": PLACES[place],
        "offer": chosen,
        "models": models,
        "model": model if had == provider else models[0],
        "stays": had == provider,
        "lost": place is Place.OWN and _loses_spare(minds, provider),
    }
    if place is Place.SPARE and provider == minds.provider:
        return page(request, "bots/model.html", bot=found.bot, plain=True, **fields)
    choice = Choice(place=place, provider=provider, model=models[0])
    return await sealing_page(request, "bots/model.html", found, (place.key,), choice=choice, plain=False, **fields)


def _taken(minds: Minds, place: Place) -> tuple[str, str]:
    """What the second one cannot be: the first once more."""
    return minds.of(Place.OWN) if place is Place.SPARE else ("", "")


def _loses_spare(minds: Minds, provider: str) -> bool:
    """Whether the second model goes with the key of the provider before."""
    spare = minds.fallback
    return spare is not None and spare.provider == minds.provider != provider
