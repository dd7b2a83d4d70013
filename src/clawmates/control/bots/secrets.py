"""Pages on which something is sealed or opened in the browser, and the two calls of their script.

What passes here is ciphertext: to the vault's key on the way in, to a key of the browser's on the way back.
"""

from __future__ import annotations

import binascii
import json
import re
from base64 import b64decode
from dataclasses import dataclass
from typing import TYPE_CHECKING

from fastapi import APIRouter, BackgroundTasks, Request
from fastapi.responses import JSONResponse, Response
from sqlalchemy import select

from clawmates.base.shape import ShapeError, decode_json
from clawmates.control.accounts.person import Person, Proved  # noqa: TC001 - FastAPI reads it
from clawmates.control.audit.chain import note
from clawmates.control.bots import errands, queries
from clawmates.control.bots.errands import ACTIVE, DELETING, DRAFT, Sealed
from clawmates.control.bots.launch import release_of
from clawmates.control.bots.manage import tell
from clawmates.control.bots.offers import hosts
from clawmates.control.bots.tables import Bot, BotItem
from clawmates.control.errors import Changed, Malformed, NotFound, TooLarge, Unavailable
from clawmates.control.frame import Call, Reading, Writing, context_of
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

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sqlalchemy.ext.asyncio import AsyncSession


room = APIRouter()
NEEDED = (ItemName.PROMPT, ItemName.PEOPLE, ItemName.PROVIDER_KEY, ItemName.CHANNEL_TOKEN)
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


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadCall:
    """A document is to be read back, sealed to this key."""

    name: ItemName
    public: str


@room.get("/bots/{bot}/seal")
async def ask_secrets(request: Request, bot: str, person: Proved, session: Reading) -> Response:
    """The last step of a launch; later, a new token or key in place of the old one."""
    found = await _with_items(session, person, bot)
    draft = found.bot.stage == DRAFT
    names = NEEDED if draft else CREDENTIALS
    language = language_of(request)
    texts = {one.id: one.text.in_language(language) for one in templates()} if draft else {}
    return await _sealing_page(
        request,
        "bots/seal.html",
        found,
        names,
        draft=draft,
        listed=found.bot.access == Access.LIST.value,
        templates=[(one.id, one.title.in_language(language)) for one in templates()],
        template_texts=json.dumps(texts, ensure_ascii=False),
    )


@room.get("/bots/{bot}/prompt")
async def ask_prompt(request: Request, bot: str, person: Proved, session: Reading) -> Response:
    """The prompt, opened in the browser alone."""
    return await _document_page(request, "bots/prompt.html", await _with_items(session, person, bot), ItemName.PROMPT)


@room.get("/bots/{bot}/people")
async def ask_people(request: Request, bot: str, person: Proved, session: Reading) -> Response:
    """Who may talk to the bot, opened in the browser alone."""
    return await _document_page(request, "bots/people.html", await _with_items(session, person, bot), ItemName.PEOPLE)


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
    found = await _with_items(session, person, bot)
    if call.version != found.bot.version:
        raise Changed
    allowed = hosts(release_of(request), found.bot.channel, found.bot.provider)
    names = [one.name for one in call.items]
    if not names or len(set(names)) != len(names) or any(one.hosts != allowed.get(one.name) for one in call.items):
        raise Malformed
    draft = found.bot.stage == DRAFT
    if draft and not {*CREDENTIALS, ItemName.PEOPLE} <= set(names):
        raise Malformed
    if draft:
        found.bot.stage = ACTIVE
    # A lease may have ended where a bot could not run for want of a good token.
    await errands.assign(session, found.bot.id, now)
    for one in sorted(call.items, key=lambda item: NEEDED.index(item.name)):
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
        await errands.put(session, Sealed(bot=found.bot.id, name=one.name, version=one.version, item=item), now)
        deed = SealedDeed(bot=found.bot.id, item=one.name, version=one.version)
        note(session, now, Deed.BOT_SEALED, deed, person.subject)
    await queries.save(session, found.bot, now)
    later.add_task(tell, context, found.bot.account_id, found.bot.node)
    return JSONResponse({"next": f"/bots/{found.bot.id}"})


@room.post("/call/bots/{bot}/read")
async def read(request: Request, bot: str, person: Proved, session: Reading, body: Call) -> Response:
    """A document, sealed to a key that the browser has made for this one reading."""
    try:
        call = decode_json(ReadCall, body)
    except ShapeError:
        raise Malformed from None
    found = await queries.own(session, person, bot)
    if found.stage != ACTIVE or not call.name.is_document:
        raise NotFound
    try:
        document = await read_back(context_of(request).vault.client(), bot, call.name, ReadBack(public=call.public))
    except VaultError as error:
        if error.refusal is VaultRefusal.UNKNOWN_ITEM:
            return JSONResponse({"version": 0, "sealed": ""})
        raise (Malformed if error.refusal is VaultRefusal.MALFORMED else Unavailable) from None
    except VaultCallError:
        raise Unavailable from None
    return JSONResponse({"version": document.version, "sealed": document.sealed})


@dataclass(frozen=True, slots=True)
class _Found:
    bot: Bot
    items: dict[ItemName, BotItem]


async def _with_items(session: AsyncSession, person: Person, bot: str) -> _Found:
    found = await queries.own(session, person, bot)
    if found.stage == DELETING:
        raise NotFound
    rows = await session.scalars(select(BotItem).filter_by(bot_id=bot))
    return _Found(found, {ItemName(row.name): row for row in rows})


async def _document_page(request: Request, template: str, found: _Found, name: ItemName) -> Response:
    if found.bot.stage == DRAFT:
        raise NotFound
    return await _sealing_page(request, template, found, (name,))


async def _sealing_page(
    request: Request, template: str, found: _Found, names: Iterable[ItemName], **fields: object
) -> Response:
    """What the script must know stands in the form; without the vault's key there is no form, and the page says so."""
    context = context_of(request)
    texts = words(language_of(request))
    release = release_of(request)
    allowed = hosts(release, found.bot.channel, found.bot.provider)
    provider = release.provider(found.bot.provider)
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
    fields |= {"bot": found.bot, "provider": provider.name if provider is not None else found.bot.provider}
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
