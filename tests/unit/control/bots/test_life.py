"""A bot from its draft to its receipt: control's pages, a vault that really runs, and no browser."""

from __future__ import annotations

import re
from base64 import b64encode
from pathlib import Path

import httpx2
import pytest
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession
from tests.support.control import NOON, database_bytes, signed_in
from tests.support.launching import KEY, PROMPT, SECRETS, TOKEN, Bench, a_bench, about, draft, launch, press, sealed
from tests.support.vault import Running, refusal, running

from clawmates.control.bots import queries
from clawmates.control.bots.tables import Bot, BotItem, BotPairing, BotState
from clawmates.control.nodes.desired import desired_of
from clawmates.control.nodes.tables import Node
from clawmates.control.outbox.tables import Errand
from clawmates.control.store.look import Look, rows
from clawmates.wire import pairing as codes
from clawmates.wire.desired import DesiredState
from clawmates.wire.documents import SealedDocument
from clawmates.wire.names import ItemName
from clawmates.wire.reading import Reader
from clawmates.wire.vault import Redemption, TicketRequest, VaultRefusal
from clawmates.wire.vault_calls import read_back


async def desired(bench: Bench) -> DesiredState:
    async with bench.place.database.reading() as session:
        return await desired_of(session, "node-1", bench.place.clock.now())


async def version_of(bench: Bench, bot: str) -> int:
    async with bench.place.database.reading() as session:
        return (await session.get_one(Bot, bot)).version


async def says_whose_it_is(browser: httpx2.AsyncClient, path: str) -> None:
    """Above the field for a secret: who followed somebody else's sign-in link would give it to that one's bot."""
    page = (await browser.get(path)).text
    content = page[page.index("<main") : page.index("</main>")]
    assert "ada@example.org" in content.partition(" data-seal=")[0], path
    assert "ada@example.org" in page.partition("<footer")[2], path


async def test_a_bot_lives_and_its_receipt_stays(tmp_path: Path) -> None:
    async with a_bench(tmp_path) as bench, bench.place.browser() as browser:
        account = await signed_in(bench.place, browser)
        assert "No bot yet" in (await browser.get("/bots")).text
        bot = await draft(browser)
        assert (await desired(bench)).bots == ()
        await says_whose_it_is(browser, f"/bots/{bot}/seal")
        versions = [await version_of(bench, bot)]

        answer = await launch(browser, bot)
        versions.append(await version_of(bench, bot))
        assert answer.json() == {"next": f"/bots/{bot}"}
        assert "Being handed to the vault" in (await browser.get(f"/bots/{bot}")).text
        assert (await desired(bench)).bots == ()
        before = (await desired(bench)).revision
        await bench.worker.round()
        (spec,) = (await desired(bench)).bots
        assert (spec.id, spec.tenant, dict(spec.items)) == (bot, account, dict.fromkeys(SECRETS, 1))
        assert (await desired(bench)).revision > before
        assert "Starting" in (await browser.get(f"/bots/{bot}")).text
        for part in ("token", "key", "provider/anthropic", "prompt", "people"):
            await says_whose_it_is(browser, f"/bots/{bot}/{part}")

        node = bench.vault.client("eu-test/node/node-1")
        asked = TicketRequest(bot=bot, generation=1, items=spec.items)
        ticket = await node.ticket(asked)
        opened = await bench.vault.mate.redeem(Redemption(bot=bot, ticket=ticket.ticket))
        assert {item.name: item.value.reveal() for item in opened.items} == SECRETS
        assert {item.name: item.hosts for item in opened.items}[ItemName.CHANNEL_TOKEN] == ("api.telegram.org",)

        for what, wanted in (("pause", True), ("resume", False)):
            assert (await press(browser, bot, what)).status_code == 303
            assert (await desired(bench)).bots[0].paused is wanted
            versions.append(await version_of(bench, bot))
        await press(browser, bot, "restart")
        assert (await desired(bench)).bots[0].restarts == 1
        versions.append(await version_of(bench, bot))
        await bench.worker.round()

        gone = await press(browser, bot, "delete")
        assert gone.headers["location"] == f"/bots/{bot}"
        versions.append(await version_of(bench, bot))
        assert versions == list(range(versions[0], versions[0] + 6)), "one change, one version"
        assert "Being deleted" in (await browser.get(f"/bots/{bot}")).text
        assert (await desired(bench)).bots == (), "it stops before its keys are gone"
        await bench.worker.round()
        page = await browser.get(f"/bots/{bot}")
        assert "signed this receipt" in page.text
        assert (await browser.get(f"/bots/{bot}/receipt")).json()["receipt"]["name"] == bot
        unknown = await refusal(
            bench.vault.client("eu-test/node/node-1").ticket(TicketRequest(bot=bot, generation=1, items=spec.items))
        )
        assert unknown is VaultRefusal.UNKNOWN_BOT
        async with bench.place.database.reading() as session:
            for table in (Bot, BotItem, Errand):
                assert (await session.scalars(select(table))).all() == []


async def test_a_launch_survives_the_vaults_absence_and_says_so(tmp_path: Path) -> None:
    async with a_bench(tmp_path, vault_of=running) as bench, bench.place.browser() as browser:
        await signed_in(bench.place, browser)
        bot = await draft(browser)
        told = about(await browser.get(f"/bots/{bot}/seal"))
        port = bench.vault.port
        assert isinstance(bench.vault, Running)
        await bench.vault.stop()
        bench.place.context.vault._until = 0.0
        away = await browser.get(f"/bots/{bot}/seal")
        assert away.status_code == 503
        assert "The vault does not answer" in away.text
        assert "data-seal" not in away.text
        assert (await browser.post(f"/call/bots/{bot}/seal", json=sealed(told, SECRETS))).status_code == 200
        await bench.worker.round()
        assert "goes on by itself when it is back" in (await browser.get(f"/bots/{bot}")).text
        bench.house.configure(listen=f"127.0.0.1:{port}", region="eu-test")
        async with running(bench.house):
            bench.place.clock.forward(seconds=60)
            await bench.worker.round()
            assert [one.id for one in (await desired(bench)).bots] == [bot]


@pytest.mark.any_database
async def test_what_is_sealed_for_another_bot_or_host_is_refused_with_a_sentence(tmp_path: Path) -> None:
    async with a_bench(tmp_path) as bench, bench.place.browser() as browser:
        await signed_in(bench.place, browser)
        bot = await draft(browser)
        address = f"/call/bots/{bot}/seal"
        told = about(await browser.get(f"/bots/{bot}/seal"))
        elsewhere = sealed(told, SECRETS, hosts=("api.evil.example",))
        for item in elsewhere["items"]:
            item["hosts"] = ["api.evil.example"]
        assert (await browser.post(address, json=elsewhere)).json() == {"error": {"code": "malformed"}}
        assert (await browser.post(address, json=sealed(told, SECRETS, bot="b-other"))).status_code == 200
        await bench.worker.round()
        page = await browser.get(f"/bots/{bot}")
        assert "sealed for another bot" in page.text
        assert "The bot token was not taken" in page.text
        assert (await desired(bench)).bots == ()

        for place, name in (("token", ItemName.CHANNEL_TOKEN), ("key", ItemName.PROVIDER_KEY)):
            again = about(await browser.get(f"/bots/{bot}/{place}"))
            assert again["items"][name.value]["version"] == 2
            assert (await browser.post(address, json=sealed(again, {name: SECRETS[name]}))).status_code == 200
            await bench.worker.round()
        (spec,) = (await desired(bench)).bots
        assert spec.items[ItemName.CHANNEL_TOKEN] == 2


BLOBS: tuple[tuple[dict[str, object], str], ...] = (
    ({"sealed": "no base64!"}, "malformed"),
    ({"sealed": "QUJD"}, "malformed"),
    ({"sealed": "QUJD" * 22_000}, "too-large"),
    ({"version": 0}, "changed"),
    ({"version": 3}, "changed"),
    ({"name": "ingress-key"}, "malformed"),
    ({"hosts": []}, "malformed"),
    ({"key_id": "what somebody typed"}, "malformed"),
    ({"sealed": b64encode(60 * b"what was typed ").decode()}, "malformed"),
    ({"canary": 1}, "malformed"),
)


@pytest.mark.any_database
async def test_blobs_that_are_none_are_refused_at_once(tmp_path: Path) -> None:
    async with a_bench(tmp_path) as bench, bench.place.browser() as browser:
        await signed_in(bench.place, browser)
        bot = await draft(browser)
        for change, code in BLOBS:
            call = sealed(about(await browser.get(f"/bots/{bot}/seal")), SECRETS)
            call["items"][0] |= change
            refused = await browser.post(f"/call/bots/{bot}/seal", json=call)
            assert refused.json() == {"error": {"code": code}}, change
        assert "Not launched yet" in (await browser.get(f"/bots/{bot}")).text
        async with bench.place.database.reading() as session:
            assert (await session.scalars(select(Errand))).all() == []


async def test_sent_twice_is_done_once_and_two_windows_do_not_overwrite_each_other(tmp_path: Path) -> None:
    async with a_bench(tmp_path) as bench, bench.place.browser() as browser:
        await signed_in(bench.place, browser)
        bot = await draft(browser)
        call = sealed(about(await browser.get(f"/bots/{bot}/seal")), SECRETS)
        assert (await browser.post(f"/call/bots/{bot}/seal", json=call)).status_code == 200
        assert (await browser.post(f"/call/bots/{bot}/seal", json=call)).json() == {"error": {"code": "changed"}}
        page = await browser.get(f"/bots/{bot}/edit")
        form = {"version": re.findall(r'name="version" value="(\d+)"', page.text)[0], "name": "One", "access": "open"}
        form["model"] = re.findall(r'<option value="([^"]+)"', page.text)[0]
        assert (await browser.post(f"/bots/{bot}/edit", data=form)).status_code == 303
        other = await browser.post(f"/bots/{bot}/edit", data=form | {"name": "Two"})
        assert other.status_code == 409
        assert "changed meanwhile" in other.text
        assert "One" in (await browser.get("/bots")).text
        for wrong, sentence in (
            ({"model": "gpt-nobody"}, "not in our catalogue"),
            ({"temperature": "3"}, "between 0 and 2"),
            ({"messages_per_day": "many"}, "A whole number"),
            ({"name": " "}, "1 to 60 characters"),
            ({"access": "all"}, "Choose who may talk"),
        ):
            fresh = await browser.get(f"/bots/{bot}/edit")
            form["version"] = re.findall(r'name="version" value="(\d+)"', fresh.text)[0]
            refused = await browser.post(f"/bots/{bot}/edit", data=form | wrong)
            assert refused.status_code == 422
            assert sentence in refused.text


async def test_nobody_elses_bot_is_there_and_secrets_want_a_fresh_proof(tmp_path: Path) -> None:
    async with a_bench(tmp_path) as bench, bench.place.browser() as browser, bench.place.browser() as other:
        await signed_in(bench.place, browser)
        await signed_in(bench.place, other, "bob@example.org")
        bot = await draft(browser)
        await launch(browser, bot)
        pages = ["", "/setup", "/seal", "/edit", "/prompt", "/people", "/delete", "/live", "/receipt"]
        pages += ("/token", "/key", "/provider", "/provider/openai", "/fallback", "/fallback/openai")
        for page in pages:
            assert (await other.get(f"/bots/{bot}{page}")).status_code == 404, page
        forms = ("pause", "resume", "restart", "pair", "delete", "edit", "prompt/remove")
        for what in (*forms, "provider", "fallback", "fallback/openai"):
            assert (await other.post(f"/bots/{bot}/{what}", data={"version": "1"})).status_code == 404, what
        read = {"name": "prompt", "public": "A" * 44}
        assert (await other.post(f"/call/bots/{bot}/read", json=read)).status_code == 404
        bench.place.clock.forward(minutes=11)
        for page in ("seal", "token", "key", "provider/anthropic", "fallback/anthropic", "prompt", "people"):
            assert (await browser.get(f"/bots/{bot}/{page}")).headers["location"] == "/prove"
        refused = await browser.post(f"/call/bots/{bot}/read", json=read)
        assert refused.json() == {"error": {"code": "proof-wanted"}}


async def test_who_may_talk_to_a_bot_is_changed_after_a_fresh_proof_alone(tmp_path: Path) -> None:
    """It is the owner's money; whoever has a stolen session cannot have a pairing code either."""
    async with a_bench(tmp_path) as bench, bench.place.browser() as browser:
        await signed_in(bench.place, browser)
        bot = await draft(browser)
        await launch(browser, bot)
        bench.place.clock.forward(minutes=11)
        page = await browser.get(f"/bots/{bot}/edit")
        version = re.search(r'name="version" value="(\d+)"', page.text)
        assert version is not None
        form = {"name": "One", "model": "gpt-5.4-mini", "access": "paired", "version": version[1]}
        opened = await browser.post(f"/bots/{bot}/edit", data=form | {"access": "open"})
        async with bench.place.database.reading() as session:
            assert (opened.status_code, (await session.get_one(Bot, bot)).access) == (403, "paired")
        assert (await browser.post(f"/bots/{bot}/edit", data=form)).status_code == 303, "all else can be changed"


@pytest.mark.any_database
async def test_a_build_that_does_not_ask_whose_bot_it_is_is_found_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The weakened twin of the test above: what it demands is not true of every build."""

    async def anybodys(session: AsyncSession, _person: object, bot: str) -> Bot:
        return await session.get_one(Bot, bot)

    async def seen_by_anybody(look: Look, _person: object, bot: str) -> Bot:
        (found,) = await look.all(rows(Bot, lambda wanted: wanted.where(Bot.id == bot)))
        return found

    async with a_bench(tmp_path) as bench, bench.place.browser() as browser, bench.place.browser() as other:
        await signed_in(bench.place, browser)
        await signed_in(bench.place, other, "bob@example.org")
        bot = await draft(browser)
        assert (await other.get(f"/bots/{bot}/delete")).status_code == 404
        assert (await other.post(f"/bots/{bot}/delete", data={"version": "1"})).status_code == 404
        monkeypatch.setattr(queries, "seen", seen_by_anybody)
        assert (await other.get(f"/bots/{bot}/delete")).status_code == 200
        monkeypatch.setattr(queries, "own_locked", anybodys)
        assert (await other.post(f"/bots/{bot}/delete", data={"version": "1"})).status_code == 303


async def test_a_document_comes_back_for_the_one_key_that_asked(tmp_path: Path) -> None:
    async with a_bench(tmp_path) as bench, bench.place.browser() as browser:
        account = await signed_in(bench.place, browser)
        bot = await draft(browser)
        await launch(browser, bot)
        await bench.worker.round()
        reader = Reader(region="eu-test", tenant=account, bot=bot, name=ItemName.PROMPT)
        answer = await browser.post(f"/call/bots/{bot}/read", json={"name": "prompt", "public": reader.request.public})
        assert PROMPT not in answer.text
        assert reader.open(SealedDocument(**answer.json())).reveal() == PROMPT
        for name in ("channel-token", "provider-key", "nothing"):
            denied = await browser.post(f"/call/bots/{bot}/read", json={"name": name, "public": reader.request.public})
            assert denied.status_code in {400, 404}
        bad = await browser.post(f"/call/bots/{bot}/read", json={"name": "prompt", "public": "AAAA"})
        assert bad.status_code == 400

        told = about(await browser.get(f"/bots/{bot}/prompt"))
        await browser.post(f"/call/bots/{bot}/seal", json=sealed(told, {ItemName.PROMPT: "another"}))
        await bench.worker.round()
        assert (await desired(bench)).bots[0].items[ItemName.PROMPT] == 2
        again = Reader(region="eu-test", tenant=account, bot=bot, name=ItemName.PROMPT)
        client = bench.vault.client("eu-test/control/control")
        assert again.open(await read_back(client, bot, ItemName.PROMPT, again.request)).reveal() == "another"


@pytest.mark.raw
async def test_nothing_secret_is_in_the_database(tmp_path: Path) -> None:
    async with a_bench(tmp_path) as bench, bench.place.browser() as browser:
        await signed_in(bench.place, browser)
        bot = await draft(browser)
        await launch(browser, bot)
        code = re.search(r'<code class="code">([A-Z0-9-]+)</code>', (await press(browser, bot, "pair")).text)
        assert code is not None
        stored = database_bytes(tmp_path)
        for secret in (TOKEN, KEY, PROMPT, code[1], code[1].replace("-", "")):
            assert secret.encode() not in stored
        async with bench.place.database.reading() as session:
            (pairing,) = (await session.scalars(select(BotPairing))).all()
        assert codes.digest(bot, pairing.salt, code[1].replace("-", "")) == pairing.digest


async def test_without_room_it_waits_and_says_so_and_then_goes_on(tmp_path: Path) -> None:
    async with a_bench(tmp_path) as bench, bench.place.browser() as browser:
        await signed_in(bench.place, browser)
        bot = await draft(browser)
        async with bench.place.database.writing() as session:
            node = (await session.scalars(select(Node))).one()
            node.capacity = 0
        await launch(browser, bot)
        await bench.worker.round()
        assert "no room in this region" in (await browser.get(f"/bots/{bot}")).text
        async with bench.place.database.writing() as session:
            (await session.scalars(select(Node))).one().capacity = 5
        bench.place.clock.forward(seconds=5)
        await bench.worker.round()
        assert [one.id for one in (await desired(bench)).bots] == [bot]


@pytest.mark.any_database
async def test_the_page_says_why_it_is_not_live(tmp_path: Path) -> None:
    async with a_bench(tmp_path) as bench, bench.place.browser() as browser:
        await signed_in(bench.place, browser)
        bot = await draft(browser)
        await launch(browser, bot)
        await bench.worker.round()
        now = bench.place.clock.now()
        async with bench.place.database.writing() as session:
            session.add(
                BotState(
                    bot_id=bot,
                    node="node-1",
                    state="degraded",
                    code="bad-token",
                    username="pirate_bot",
                    since=now,
                    reported_at=now,
                )
            )
        page = await browser.get(f"/bots/{bot}")
        assert "Telegram refused the bot token" in page.text
        assert f'href="/bots/{bot}/token">Put it right' in page.text
        assert "Telegram refused the bot token" in (await browser.get(f"/bots/{bot}/token")).text
        assert "/revoke" in (await browser.get(f"/bots/{bot}/token")).text
        assert "https://t.me/pirate_bot" in page.text
        pair = await press(browser, bot, "pair")
        assert "https://t.me/pirate_bot?start=" in pair.text
        assert "<svg" in pair.text
        german = await browser.get(f"/bots/{bot}", headers={"Accept-Language": "de"})
        assert "Telegram hat das Bot-Token abgelehnt" in german.text
        bench.place.clock.forward(minutes=4)
        assert "No word from its host" in (await browser.get(f"/bots/{bot}")).text


@pytest.mark.any_database
async def test_a_bot_of_which_there_is_no_news_is_live_as_long_as_its_node_speaks(tmp_path: Path) -> None:
    async with a_bench(tmp_path) as bench, bench.place.browser() as browser:
        await signed_in(bench.place, browser)
        bot = await draft(browser)
        await launch(browser, bot)
        await bench.worker.round()
        async with bench.place.database.writing() as session:
            said = {"state": "live", "code": "", "username": "", "since": NOON, "reported_at": NOON}
            session.add(BotState(bot_id=bot, node="node-1", **said))
        bench.place.clock.forward(minutes=4)
        assert "No word from its host" in (await browser.get(f"/bots/{bot}")).text
        async with bench.place.database.writing() as session:
            (await session.get_one(Node, "node-1")).seen_at = bench.place.clock.now()
        assert "No word from its host" not in (await browser.get(f"/bots/{bot}")).text
