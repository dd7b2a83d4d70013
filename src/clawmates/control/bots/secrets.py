"""Pages on which something is sealed or opened in the browser, and the two calls of their script.

What passes here is ciphertext: to the vault's key on the way in, to a key of the browser's on the way back.
"""

from __future__ import annotations

import binascii
import json
import re
from base64 import b64decode
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from fastapi import APIRouter, BackgroundTasks, Request
from fastapi.responses import JSONResponse, RedirectResponse, Response
from sqlalchemy import select

from clawmates.base.shape import ShapeError, decode_json
from clawmates.control.accounts.person import Person, Proved  # noqa: TC001 - FastAPI reads it
from clawmates.control.audit.chain import note
from clawmates.control.bots import errands, queries
from clawmates.control.bots.changing import Change, ask
from clawmates.control.bots.errands import ACTIVE, DELETING, DRAFT, Sealed
from clawmates.control.bots.launch import release_of
from clawmates.control.bots.manage import tell
from clawmates.control.bots.minds import Choice, Minds, Place, chosen, minds_of, needed
from clawmates.control.bots.offers import hosts
from clawmates.control.bots.standing import remedy, sentence
from clawmates.control.bots.tables import Bot, BotItem
from clawmates.control.errors import Changed, Malformed, NotFound, TooLarge, Unavailable
from clawmates.control.frame import Call, Form, Reading, Writing, context_of
from clawmates.control.pages.render import language_of, page
from clawmates.control.texts.catalogue import words
from clawmates.wire.deeds import Deed
from clawmates.wire.deeds import Sealed as SealedDeed
from clawmates.wire.desired import Access
from clawmates.wire.documents import ReadBack
from clawmates.wire.names import ItemName
from clawmates.wire.templates import templates
from clawmates.wire.vault import MAX_ITEM_BYTES, SealedItem, VaultRefusal
from clawmates.wire.vault_calls import read_back
from clawmates.wire.vault_client import VaultCallError, VaultError
from clawmates.wire.vault_deeds import OfBot

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sqlalchemy.ext.asyncio import AsyncSession

    from clawmates.wire.release import Release


room = APIRouter()
NEEDED = (ItemName.PROMPT, ItemName.PEOPLE, ItemName.PROVIDER_KEY, ItemName.CHANNEL_TOKEN)
ORDER = (ItemName.FALLBACK_KEY, *NEEDED)
"""In the order in which the vault is told: a node hears of the bot once the last of its credentials is there."""
CREDENTIALS = (ItemName.PROVIDER_KEY, ItemName.CHANNEL_TOKEN)
OVERHEAD = 32 + 16
"""HPKE's encapsulated key and AES-GCM's tag."""
_KEY_ID = re.compile(r"[0-9a-f]{1,64}")
"""No more than a vault calls its keys: what is kept of a call is ciphertext and numbers, and no text of anybody's."""
MOST_SKIPPED = 10_000
"""A container that admits people raises the version of their list without our knowing."""
SENTENCES = (
    *("unable", "token", "key", "too-large", "surrogate", "people", "prompt", "offline", "nothing", "opening"),
    *("changed", "proof-wanted", "sign-in-wanted", "forged", "malformed", "too-often", "unavailable", "internal"),
    "cancelled",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class SealedCall:
    """One item of a call, as the script sends it."""

    name: ItemName
    version: int
    key_id: str
    hosts: tuple[str, ...]
    sealed: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SealCall:
    """What the script sends: ``version`` is the bot's own, from the page."""

    version: int
    items: tuple[SealedCall, ...]
    choice: Choice | None = None
    """Who is to answer with it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadCall:
    """A document is to be read back, sealed to this key."""

    name: ItemName
    public: str


@room.get("/bots/{bot}/seal")
async def ask_secrets(request: Request, bot: str, person: Proved, session: Reading) -> Response:
    """The last step of a launch. Who goes back to it later finds the bot."""
    found = await with_items(session, person, bot)
    if found.bot.stage != DRAFT:
        return RedirectResponse(f"/bots/{bot}", status_code=303)
    listed = found.bot.access == Access.LIST.value
    return await sealing_page(request, "bots/seal.html", found, NEEDED, listed=listed, **_templates(request))


@room.get("/bots/{bot}/token")
async def ask_token(request: Request, bot: str, person: Proved, session: Reading) -> Response:
    """A new token in place of the old one, and what is wrong with that."""
    found = await with_items(session, person, bot, living=True)
    why, username = await _trouble(request, found.bot, "token")
    names = (ItemName.CHANNEL_TOKEN,)
    return await sealing_page(request, "bots/token.html", found, names, why=why, username=username)


@room.get("/bots/{bot}/key")
async def ask_key(request: Request, bot: str, person: Proved, session: Reading) -> Response:
    """New keys for who answers already."""
    found = await with_items(session, person, bot, living=True)
    minds = minds_of(found.bot)
    names = [place.key for place in (Place.OWN, Place.SPARE) if place is Place.OWN or minds.keyed_apart]
    why, _username = await _trouble(request, found.bot, "key")
    return await sealing_page(request, "bots/key.html", found, names, why=why)


@room.get("/bots/{bot}/prompt")
async def ask_prompt(request: Request, bot: str, person: Proved, session: Reading) -> Response:
    """The prompt, opened in the browser alone."""
    found = await with_items(session, person, bot, living=True)
    row = found.items.get(ItemName.PROMPT)
    there = row is not None and row.kept > 0
    return await sealing_page(
        request, "bots/prompt.html", found, (ItemName.PROMPT,), there=there, **_templates(request)
    )


@room.post("/bots/{bot}/prompt/remove")
async def remove_prompt(
    request: Request, bot: str, person: Proved, session: Writing, form: Form, later: BackgroundTasks
) -> Response:
    """The bot does without one, and the vault destroys it."""
    found = await with_items(session, person, bot, living=True, locked=True)
    queries.check_version(found.bot, form)
    return await changed(request, session, person, found.bot, Change(bot=bot, drops=(ItemName.PROMPT,)), later)


@room.get("/bots/{bot}/people")
async def ask_people(request: Request, bot: str, person: Proved, session: Reading) -> Response:
    """Who may talk to the bot, opened in the browser alone."""
    found = await with_items(session, person, bot, living=True)
    return await sealing_page(request, "bots/people.html", found, (ItemName.PEOPLE,))


@room.post("/call/bots/{bot}/seal")
async def take_sealed(
    request: Request, bot: str, person: Proved, session: Writing, body: Call, later: BackgroundTasks
) -> Response:
    """Sealed items on their way to the vault. A draft becomes a bot with its last one."""
    context = context_of(request)
    now = context.clock.now()
    try:
        call = decode_json(SealCall, body)
    except ShapeError:
        raise Malformed from None
    found = await with_items(session, person, bot, locked=True)
    if call.version != found.bot.version:
        raise Changed
    minds = _check_call(release_of(request), found, call)
    draft = found.bot.stage == DRAFT
    if draft:
        person.check_active()
        found.bot.stage = ACTIVE
    if call.choice is not None and call.choice.place.key not in {one.name for one in call.items}:
        await changed(request, session, person, found.bot, Change(bot=bot, choice=call.choice), later)
        return JSONResponse({"next": f"/bots/{bot}"})
    # Before any errand is added: what is written in two parts raises the version twice.
    await queries.save(session, found.bot, now)
    # A lease may have ended where a bot could not run for want of a good token.
    await errands.assign(session, found.bot.id, now)
    for one in sorted(call.items, key=lambda item: ORDER.index(item.name)):
        _check_sealed(one)
        row = found.items.get(one.name)
        newest = row.version if row is not None else 0
        most = newest + (MOST_SKIPPED if one.name.is_born_inside else 1)
        if not newest < one.version <= most:
            raise Changed
        if row is None:
            row = BotItem(bot_id=found.bot.id, name=one.name.value, version=0, kept=0, trouble="", changed_at=now)
            session.add(row)
        row.version, row.trouble, row.changed_at = one.version, "", now
        item = SealedItem(key_id=one.key_id, tenant=found.bot.account_id, hosts=one.hosts, sealed=one.sealed)
        choice = None if draft else _whose(one.name, call.choice, minds)
        sealed = Sealed(bot=found.bot.id, name=one.name, version=one.version, item=item, choice=choice)
        await errands.put(session, sealed, now)
        deed = SealedDeed(bot=found.bot.id, item=one.name, version=one.version)
        note(session, now, Deed.BOT_SEALED, deed, person.subject)
    later.add_task(tell, context, found.bot.account_id, found.bot.node)
    return JSONResponse({"next": f"/bots/{found.bot.id}"})


@room.post("/call/bots/{bot}/read")
async def read(request: Request, bot: str, person: Proved, session: Reading, body: Call) -> Response:
    """A document, sealed to a key that the browser has made for this one reading."""
    try:
        call = decode_json(ReadCall, body)
    except ShapeError:
        raise Malformed from None
    found = await with_items(session, person, bot, living=True)
    row = found.items.get(call.name)
    if not call.name.is_document:
        raise NotFound
    if call.name is ItemName.PROMPT and (row is None or not row.kept):
        return JSONResponse({"version": 0, "sealed": ""})  # taken away, though the vault may have it for a minute more
    try:
        document = await read_back(context_of(request).vault.client(), bot, call.name, ReadBack(public=call.public))
    except VaultError as error:
        if error.refusal is VaultRefusal.UNKNOWN_ITEM:
            return JSONResponse({"version": 0, "sealed": ""})
        raise (Malformed if error.refusal is VaultRefusal.MALFORMED else Unavailable) from None
    except VaultCallError:
        raise Unavailable from None
    return JSONResponse({"version": document.version, "sealed": document.sealed})


def _check_call(release: Release, found: Found, call: SealCall) -> Minds:
    """Who answers with what is sealed; raises :class:`Malformed` for what no page of ours sends."""
    now, choice = minds_of(found.bot), call.choice
    minds = chosen(now, choice) if choice is not None else now
    allowed = hosts(release, found.bot.channel, minds)
    names = {one.name for one in call.items}
    if len(names) != len(call.items) or any(one.hosts != allowed.get(one.name) for one in call.items):
        raise Malformed
    if found.bot.stage == DRAFT:
        if choice is not None or not {*CREDENTIALS, ItemName.PEOPLE} <= names:
            raise Malformed
        return minds
    if choice is None:
        if not names:
            raise Malformed
        return minds
    provider = release.provider(choice.provider)
    if provider is None or provider.model(choice.model) is None or not choice.firm:
        raise Malformed
    fresh = now.of(choice.place)[0] != choice.provider and choice.place.key in needed(minds)
    if not names <= {choice.place.key} or (fresh and not names):
        raise Malformed
    return minds


def _whose(name: ItemName, choice: Choice | None, minds: Minds) -> Choice | None:
    """Whom a key is for; without a choice it is for who answers already, and says no more than that."""
    place = next((one for one in Place if one.key is name), None)
    if place is None or choice is not None:
        return choice if place is not None else None
    provider, model = minds.of(place)
    return Choice(place=place, provider=provider, model=model, firm=False)


async def _trouble(request: Request, bot: Bot, page: str) -> tuple[str, str]:
    """Why the bot does not work, where that is mended on this very page; and its own name at the messenger."""
    context = context_of(request)
    async with context.database.look() as look:
        known = await queries.known(look, bot, context.clock.now())
    why = known.standing.why
    return sentence(words(language_of(request)), why) if remedy(why) == page else "", known.username


def _templates(request: Request) -> dict[str, Any]:
    language = language_of(request)
    texts = {one.id: one.text.in_language(language) for one in templates()}
    titles = [(one.id, one.title.in_language(language)) for one in templates()]
    return {"templates": titles, "template_texts": json.dumps(texts, ensure_ascii=False)}


@dataclass(frozen=True, slots=True)
class Found:
    """A bot of the person's, and what of it is sealed."""

    bot: Bot
    items: dict[ItemName, BotItem]


async def with_items(
    session: AsyncSession, person: Person, bot: str, *, living: bool = False, locked: bool = False
) -> Found:
    """Raises :class:`NotFound`, with ``living`` also for a draft. ``locked``: for who changes it."""
    found = await (queries.own_locked if locked else queries.own)(session, person, bot)
    if found.stage == DELETING or (living and found.stage != ACTIVE):
        raise NotFound
    rows = await session.scalars(select(BotItem).filter_by(bot_id=bot))
    return Found(found, {ItemName(row.name): row for row in rows})


async def changed(
    request: Request, session: AsyncSession, person: Person, bot: Bot, change: Change, later: BackgroundTasks
) -> Response:
    """Makes a change that needs no key, and goes back to the bot."""
    context = context_of(request)
    note(session, context.clock.now(), Deed.BOT_EDITED, OfBot(bot=bot.id), person.subject)
    await queries.save(session, bot, context.clock.now())
    await ask(session, context, bot, change)
    later.add_task(tell, context, bot.account_id, bot.node)
    return RedirectResponse(f"/bots/{bot.id}", status_code=303)


async def sealing_page(
    request: Request,
    template: str,
    found: Found,
    names: Iterable[ItemName],
    *,
    choice: Choice | None = None,
    **fields: object,
) -> Response:
    """What the script must know stands in the form; without the vault's key there is no form, and the page says so.

    ``choice`` is who is to answer with what is sealed here.
    """
    context = context_of(request)
    texts = words(language_of(request))
    release = release_of(request)
    minds = minds_of(found.bot)
    allowed = hosts(release, found.bot.channel, chosen(minds, choice) if choice is not None else minds)
    shown = {place: release.provider(minds.of(place)[0]) for place in Place}
    seal = ""
    try:
        key = await context.vault.intake_key()
    except VaultCallError:
        pass
    else:
        about = {
            "bot": found.bot.id,
            "tenant": found.bot.account_id,
            "region": key.region,
            "key_id": key.key_id,
            "public": key.public,
            "version": found.bot.version,
            **({"choice": {"place": choice.place.value, "provider": choice.provider}} if choice is not None else {}),
            "items": {
                name.value: {
                    "version": (row.version if (row := found.items.get(name)) is not None else 0) + 1,
                    "hosts": list(allowed[name]),
                }
                for name in names
            },
        }
        seal = json.dumps(about)
    sentences = json.dumps({key: texts(f"bots.sealing.{key}") for key in SENTENCES}, ensure_ascii=False)
    provider, spare = ((one.name if one is not None else minds.of(place)[0]) for place, one in shown.items())
    fields = {"bot": found.bot, "provider": provider, "spare": spare} | fields
    return page(request, template, status=200 if seal else 503, seal=seal, sentences=sentences, **fields)


def _check_sealed(item: SealedCall) -> None:
    try:
        blob = b64decode(item.sealed, validate=True)
    except (binascii.Error, ValueError):
        raise Malformed from None
    if len(blob) > MAX_ITEM_BYTES + OVERHEAD:
        raise TooLarge
    if len(blob) < OVERHEAD or not _KEY_ID.fullmatch(item.key_id) or _is_text(blob):
        raise Malformed


def _is_text(blob: bytes) -> bool:
    """Whether somebody's script has sent what was typed: of 10¹² ciphertexts not one is UTF-8 all through."""
    try:
        blob.decode()
    except UnicodeDecodeError:
        return False
    return True
