"""What happened, in the words of the person whom it concerns: control's entries beside those of a vault that runs."""

from __future__ import annotations

import html
import re
from dataclasses import MISSING, fields
from datetime import UTC, datetime, timedelta
from pathlib import Path
from string import Formatter

import httpx2
import pytest
from tests.support.control import NOON, Place, a_place, signed_in
from tests.support.launching import a_bench, draft, launch, press
from tests.support.vault import Running, running

from clawmates.base.shape import encode_json
from clawmates.control.audit import chain, pages
from clawmates.control.audit.chain import note
from clawmates.control.audit.telling import UNREADABLE, gathered, tell
from clawmates.control.rooms import ROOMS
from clawmates.control.texts.catalogue import LANGUAGES, words
from clawmates.wire import deeds, vault_deeds
from clawmates.wire.audit import EMPTY, Entry
from clawmates.wire.deeds import Deed, Look, Looked, Plain, Way, Wish
from clawmates.wire.names import NOBODY, ItemName
from clawmates.wire.vault import Redemption, TicketRequest
from clawmates.wire.vault_deeds import KeyKind, Origin, Tag

VALUES = {
    "bot": "b-1",
    "tenant": "a-1",
    "origin": "node-1",
    "node": "node-2",
    "region": "eu",
    "receipt": "ab" * 12,
    "sha256": "ab" * 32,
    "version": 3,
    "sessions": 2,
    "generation": 1,
    "lease_seconds": 60,
    "item": ItemName.PROVIDER_KEY,
    "way": Way.LINK,
    "wish": Wish.OWNER,
    "kind": KeyKind.MASTER,
    "by_nodes": (),
    **dict.fromkeys(("vault", "control", "by_control", "by_vault"), EMPTY),
}


def an_entry(tag: str, kind: type, **changes: object) -> Entry:
    known = {one.name: VALUES.get(one.name, MISSING) for one in fields(kind)}
    known |= {"origin": Origin.CONTROL} if kind is vault_deeds.Kept else {}
    known |= {"what": Look.BOTS} if kind is Looked else {}
    detail = encode_json(kind(**(known | changes))).decode()
    return Entry(number=1, at="2026-11-30T12:00:00.000Z", tag=tag, detail=detail, hash="")


CONCERN = [
    *(an_entry(tag, kind) for tag, kind in vault_deeds.DETAILS.items() if "bot" in kind.__dataclass_fields__),
    an_entry(Tag.BOT_ASSIGNED, vault_deeds.Assigned, node=NOBODY),
    an_entry(Tag.ITEM_KEPT, vault_deeds.Kept, origin=Origin.MATE),
    *(an_entry(deed, kind) for deed, kind in deeds.DETAILS.items()),
]


@pytest.mark.parametrize("entry", CONCERN, ids=lambda one: one.tag)
def test_every_entry_that_concerns_a_person_has_its_sentence_in_both_languages(entry: Entry) -> None:
    told = tell(entry, {"b-1": "Pirate"})
    assert told.key != UNREADABLE
    for language in LANGUAGES:
        texts = words(language)
        said = texts(told.key, **told.fields, **{name: texts(key) for name, key in told.words.items()})
        needed = {name for _, name, _, _ in Formatter().parse(texts(told.key)) if name}
        assert needed <= {*told.fields, *told.words}
        assert "b-1" not in said


@pytest.mark.parametrize("tag", ["control.bot.created", "vault.bot.frozen", "node.bot.seen", ""])
def test_what_cannot_be_read_is_said_to_be_that(tag: str) -> None:
    entry = Entry(number=1, at="2026-11-30T12:00:00.000Z", tag=tag, detail='{"bot":"Ada Lovelace"}', hash="")
    told = tell(entry, {})
    assert (told.key, told.fields) == (UNREADABLE, {})


def test_looks_of_one_day_stand_once() -> None:
    day = datetime(2026, 11, 30, 12, tzinfo=UTC)
    looks = [
        Entry(number=n, at=f"2026-11-{30 - n // 3}T12:0{n}:00.000Z", tag=Deed.ADMIN_LOOKED, detail=detail, hash="")
        for n in range(6)
        for detail in ('{"what":"bots"}',)
    ]
    found = gathered(tell(one, {}) for one in looks)
    assert [(one.at.date(), one.times) for one in found] == [
        (day.date(), 3),
        ((day - timedelta(days=1)).date(), 3),
    ]


def sentences(page: httpx2.Response) -> list[str]:
    """What stands on the page, the newest first."""
    assert page.status_code == 200, page.text
    return [
        html.unescape(re.sub(r"<[^>]+>", "", one)) for one in re.findall(r"<li><span>(.*?)</span> <small>", page.text)
    ]


async def test_a_bots_life_is_told_from_both_chains_and_to_its_owner_alone(tmp_path: Path) -> None:
    async with (
        a_bench(tmp_path, vault_of=running) as bench,
        bench.place.browser() as browser,
        bench.place.browser() as other,
    ):
        assert isinstance(bench.vault, Running)
        await signed_in(bench.place, browser)
        bot = await draft(browser)
        await launch(browser, bot)
        await bench.worker.round()
        items = {ItemName.PROVIDER_KEY: 1, ItemName.CHANNEL_TOKEN: 1, ItemName.PROMPT: 1}
        ticket = await bench.vault.client("eu-test/node/node-1").ticket(
            TicketRequest(bot=bot, generation=1, items=items)
        )
        await bench.vault.mate.redeem(Redemption(bot=bot, ticket=ticket.ticket))
        for what in ("pause", "resume", "restart"):
            await press(browser, bot, what)
        await browser.post(f"/bots/{bot}/pair", data={"now": ""})
        told = sentences(await browser.get("/activity"))
        for said in (
            "Your account was opened.",
            "You began Pirate.",
            "You sealed a new API key for Pirate in your browser (version 1).",
            "Pirate may run on host node-1, and nowhere else.",
            "The vault keeps a new bot token for Pirate (version 1), encrypted.",
            "What is kept for Pirate (token, keys, prompt, people) was opened by its container on host node-1.",
            "You paused Pirate.",
            "You let Pirate run again.",
            "You restarted Pirate.",
            "You made a code that lets one more person talk to Pirate.",
        ):
            assert said in told, said
        german = await browser.get("/activity", headers={"Accept-Language": "de"})
        assert any("wurde von seinem Container auf dem Rechner node-1 geöffnet" in one for one in sentences(german))

        await signed_in(bench.place, other, "eve@example.org")
        assert sentences(await other.get("/activity")) == ["Your account was opened."]

        await press(browser, bot, "delete")
        await bench.worker.round()
        gone = sentences(await browser.get("/activity"))
        assert f"The keys of {bot[:10]} were destroyed. Nobody can open what was kept for it." in gone
        bench.vault.process.kill()
        away = await browser.get("/activity")
        assert "The vault does not answer just now." in away.text
        assert f"You deleted {bot[:10]}." in sentences(away)
        await bench.vault.process.wait()


async def test_what_is_done_to_an_account_and_who_looked_is_told(tmp_path: Path) -> None:
    async with a_place(tmp_path, *ROOMS) as place, place.browser() as first, place.browser() as second:
        account = await signed_in(place, first)
        await signed_in(place, second)
        await first.post("/account/sessions/end-others", data={"now": ""})
        async with place.database.writing() as session:
            mine = await chain.pseudonym_of(session, account)
            note(session, NOON, Deed.ADMIN_LOOKED, Looked(what=Look.BOTS))
            note(session, NOON, Deed.ADMIN_LOOKED, Looked(what=Look.ACCOUNTS), mine)
            note(session, NOON, Deed.ADMIN_LOOKED, Looked(what=Look.ACCOUNTS), "cd" * 16)
            note(session, NOON, Deed.PASSKEY_REMOVED, Plain(), "cd" * 16)
        told = sentences(await first.get("/activity"))
        assert "You signed other browsers out: 1." in told
        assert sum("An operator looked at the list of bots" in one for one in told) == 1
        assert sum("An operator looked at your account" in one for one in told) == 1
        assert not any("passkey" in one for one in told)
        await first.post("/sign-out", data={"now": ""})
        assert (await first.get("/activity")).status_code == 303
        await signed_in(place, first)
        assert "You signed out." in sentences(await first.get("/activity"))


async def older(place: Place, browser: httpx2.AsyncClient) -> list[list[str]]:
    """All pages, from the newest on."""
    found, target = [], "/activity"
    while target:
        page = await browser.get(target)
        found.append(sentences(page))
        next_one = re.search(r'href="(/activity\?until=[^"]+)"', page.text)
        target = next_one[1] if next_one is not None else ""
    return found


async def test_older_entries_are_on_older_pages_and_none_is_lost_between_them(tmp_path: Path) -> None:
    async with a_place(tmp_path, *ROOMS) as place, place.browser() as browser:
        account = await signed_in(place, browser)
        async with place.database.writing() as session:
            mine = await chain.pseudonym_of(session, account)
            for number in range(2 * pages.MOST + 9):
                # Three of one moment each time, so that a page's end falls between some of them.
                at = NOON + timedelta(seconds=number // 3 + 1)
                note(session, at, Deed.SESSIONS_REVOKED, deeds.Revoked(sessions=number), mine)
        found = await older(place, browser)
        assert len(found) == 3
        told = [one for page in found for one in page]
        assert len(told) == len(set(told)) == 2 * pages.MOST + 10
        assert told[-1] == "Your account was opened."
        for bad in ("yesterday", "2026-11-30", "2026-11-30T12:00:00", "2026-11-30T13:00:00+01:00"):
            assert (await browser.get("/activity", params={"until": bad})).status_code == 400
        nothing = await browser.get("/activity", params={"until": "2020-01-01T00:00:00.000Z"})
        assert "Nothing yet" in nothing.text
