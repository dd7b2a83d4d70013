"""What an owner changes of a bot that lives: who answers, with which key, and what it does without."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import httpx2
import pytest
from sqlalchemy import update
from tests.support.control import signed_in
from tests.support.launching import SECRETS, Bench, a_bench, about, draft, launch, sealed, version

from clawmates.control.bots import errands
from clawmates.control.nodes.desired import desired_of
from clawmates.control.nodes.tables import Node
from clawmates.control.outbox.outbox import Done
from clawmates.wire.desired import BotSpec, Fallback
from clawmates.wire.names import ItemName
from clawmates.wire.release import Model
from clawmates.wire.vault import Redemption, TicketRequest, VaultRefusal
from clawmates.wire.vault_client import VaultError

KEY, SPARE, PROMPT = ItemName.PROVIDER_KEY, ItemName.FALLBACK_KEY, ItemName.PROMPT
OTHER = "sk-ant-canary-7c2e"


@dataclass
class Owner:
    """Somebody with a bot that lives."""

    bench: Bench
    browser: httpx2.AsyncClient
    bot: str

    async def spec(self) -> BotSpec:
        async with self.bench.place.database.reading() as session:
            (found,) = (await desired_of(session, "node-1", self.bench.place.clock.now())).bots
        return found

    async def seal(self, page: str, secrets: dict[ItemName, str], model: str = "", **changes: object) -> object:
        """What the script of a page sends."""
        told = about(await self.browser.get(f"/bots/{self.bot}/{page}"))
        call = sealed(told, secrets, **changes)
        if "choice" in told:
            call["choice"] = told["choice"] | {"model": model}
        return (await self.browser.post(f"/call/bots/{self.bot}/seal", json=call)).json()

    async def send(self, form: str, page: str, **fields: str) -> httpx2.Response:
        known = {"version": version(await self.browser.get(f"/bots/{self.bot}/{page}"))}
        return await self.browser.post(f"/bots/{self.bot}/{form}", data=known | fields)

    async def opened(self, **items: int) -> dict[str, tuple[str, tuple[str, ...]]] | VaultRefusal:
        """What a container of these versions would be given."""
        wanted = {ItemName(name.replace("_", "-")): number for name, number in items.items()}
        node = self.bench.vault.client("eu-test/node/node-1")
        try:
            given = await node.ticket(TicketRequest(bot=self.bot, generation=1, items=wanted))
        except VaultError as error:
            return error.refusal
        release = await self.bench.vault.mate.redeem(Redemption(bot=self.bot, ticket=given.ticket))
        return {item.name.value: (item.value.reveal(), item.hosts) for item in release.items}

    async def node_hears(self) -> None:
        async with self.bench.place.database.writing() as session:
            await session.execute(update(Node).values(seen_revision=Node.revision))

    async def a_minute(self) -> None:
        self.bench.place.clock.forward(seconds=61)
        await self.bench.worker.round()


@asynccontextmanager
async def an_owner(folder: Path) -> AsyncIterator[Owner]:
    async with a_bench(folder) as bench:
        known = bench.place.context.release()
        assert known is not None
        two = (
            Model(id="m1", context_tokens=1000, output_tokens=100),
            Model(id="m2", context_tokens=1, output_tokens=1),
        )
        known = replace(known, providers=tuple(replace(one, models=two) for one in known.providers))
        bench.place.context = replace(bench.place.context, release=lambda: known)
        async with bench.place.browser() as browser:
            await signed_in(bench.place, browser)
            bot = await draft(browser)
            await launch(browser, bot)
            await bench.worker.round()
            yield Owner(bench, browser, bot)


async def test_another_provider_answers_once_its_key_is_kept_and_the_old_key_is_destroyed(tmp_path: Path) -> None:
    async with an_owner(tmp_path) as owner:
        before = await owner.spec()
        assert (before.provider, before.items[KEY]) == ("openai", 1)
        cards = (await owner.browser.get(f"/bots/{owner.bot}/provider")).text
        assert "Looked up on" in cards
        onward = await owner.send("provider", "provider", provider="anthropic")
        assert onward.headers["location"] == f"/bots/{owner.bot}/provider/anthropic"
        assert await owner.seal("provider/anthropic", {KEY: OTHER}, "m2") == {"next": f"/bots/{owner.bot}"}
        assert await owner.spec() == before, "until the vault keeps the key, everything is as it was"
        assert "on its way to the vault" in (await owner.browser.get(f"/bots/{owner.bot}")).text

        await owner.bench.worker.round()
        now = await owner.spec()
        assert (now.provider, now.model, now.items) == ("anthropic", "m2", {**before.items, KEY: 2})
        assert await owner.opened(provider_key=2) == {"provider-key": (OTHER, ("api.anthropic.com",))}

        await owner.a_minute()
        still = await owner.opened(provider_key=1)
        assert still == {"provider-key": (SECRETS[KEY], ("api.openai.com",))}, "its node may still start it with that"
        await owner.node_hears()
        await owner.a_minute()
        assert await owner.opened(provider_key=1) is VaultRefusal.UNKNOWN_ITEM
        assert isinstance(await owner.opened(provider_key=2), dict)


@pytest.mark.any_database
async def test_a_key_that_the_vault_refuses_changes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with an_owner(tmp_path) as owner:
        before = await owner.spec()
        await owner.seal("provider/anthropic", {KEY: OTHER}, "m1", bot="b-other")
        await owner.bench.worker.round()
        assert await owner.spec() == before
        page = (await owner.browser.get(f"/bots/{owner.bot}")).text
        assert "The API key was not taken" in page
        assert "Something is missing" not in page, "it goes on with who answered before"

        monkeypatch.setattr(errands, "refused", lambda _error: Done())  # the weakened build: no is yes
        await owner.seal("provider/anthropic", {KEY: OTHER}, "m1", bot="b-other")
        await owner.bench.worker.round()
        assert (await owner.spec()).provider == "anthropic"


@pytest.mark.any_database
async def test_what_no_page_of_ours_sends_is_malformed(tmp_path: Path) -> None:
    async with an_owner(tmp_path) as owner:
        bad = {"error": {"code": "malformed"}}
        assert await owner.seal("provider/anthropic", {}, "m1") == bad, "another provider wants its own key"
        assert await owner.seal("fallback/anthropic", {}, "m1") == bad
        assert await owner.seal("provider/anthropic", {KEY: OTHER}, "nobody") == bad
        told = about(await owner.browser.get(f"/bots/{owner.bot}/key"))
        for choice in (
            {"place": "own", "provider": "anthropic", "model": "m1"},  # with hosts of the provider of before
            {"place": "spare", "provider": "anthropic", "model": "m1"},
            {"place": "own", "provider": "", "model": ""},
            {"place": "own", "provider": "evil", "model": "m1"},
            {"place": "own", "provider": "openai", "model": "m1", "firm": False},
        ):
            call = sealed(told, {KEY: OTHER}) | {"choice": choice}
            answer = await owner.browser.post(f"/call/bots/{owner.bot}/seal", json=call)
            assert answer.json() == bad, choice
        assert (await owner.browser.get(f"/bots/{owner.bot}/provider/evil")).status_code == 404
        assert (await owner.send("provider", "provider", provider="evil")).status_code == 422


async def test_a_second_provider_has_a_key_of_its_own_and_loses_it(tmp_path: Path) -> None:
    async with an_owner(tmp_path) as owner:
        await owner.seal("fallback/anthropic", {SPARE: OTHER}, "m1")
        assert (await owner.spec()).fallback is None
        await owner.bench.worker.round()
        now = await owner.spec()
        assert (now.fallback, now.items[SPARE]) == (Fallback(provider="anthropic", model="m1"), 1)
        assert await owner.opened(fallback_key=1) == {"fallback-key": (OTHER, ("api.anthropic.com",))}
        assert await owner.seal("fallback/anthropic", {}, "m2") == {"next": f"/bots/{owner.bot}"}
        assert (await owner.spec()).fallback == Fallback(provider="anthropic", model="m2"), "its key stays"
        assert await owner.seal("key", {SPARE: f"{OTHER}-new"}) == {"next": f"/bots/{owner.bot}"}
        await owner.bench.worker.round()
        assert (await owner.spec()).items[SPARE] == 2

        assert (await owner.send("fallback", "fallback", provider="none")).status_code == 303
        now = await owner.spec()
        assert (now.fallback, SPARE in now.items) == (None, False)
        await owner.node_hears()
        await owner.a_minute()
        for number in (1, 2):
            assert await owner.opened(fallback_key=number) is VaultRefusal.UNKNOWN_ITEM
        await owner.seal("fallback/anthropic", {SPARE: OTHER}, "m1")
        await owner.bench.worker.round()
        assert (await owner.spec()).items[SPARE] == 3


async def test_another_model_of_the_same_provider_needs_no_key_and_goes_with_it(tmp_path: Path) -> None:
    async with an_owner(tmp_path) as owner:
        saved = await owner.send("fallback/openai", "fallback/openai", model="m2")
        assert saved.status_code == 303
        now = await owner.spec()
        assert (now.fallback, SPARE in now.items) == (Fallback(provider="openai", model="m2"), False)
        assert "The second model goes too" in (await owner.browser.get(f"/bots/{owner.bot}/provider/anthropic")).text
        await owner.seal("provider/anthropic", {KEY: OTHER}, "m1")
        await owner.bench.worker.round()
        assert (await owner.spec()).fallback is None
        assert (await owner.send("fallback/anthropic", "fallback/anthropic", model="m1")).status_code == 303
        assert (await owner.spec()).fallback is None, "nobody is asked twice"


async def test_changes_are_made_in_the_order_in_which_they_were_wanted(tmp_path: Path) -> None:
    async with an_owner(tmp_path) as owner:
        await owner.seal("fallback/anthropic", {SPARE: OTHER}, "m1")
        await owner.send("fallback", "fallback", provider="none")
        await owner.seal("provider/anthropic", {KEY: OTHER}, "m1")
        await owner.seal("key", {KEY: SECRETS[KEY]})  # a page of before the change: for OpenAI, and the last word
        await owner.bench.worker.round()
        now = await owner.spec()
        assert (now.fallback, now.provider, now.model, now.items[KEY]) == (None, "openai", "m1", 3)
        assert SPARE not in now.items
        assert await owner.opened(provider_key=3) == {"provider-key": (SECRETS[KEY], ("api.openai.com",))}


async def test_a_prompt_that_is_taken_away_is_gone_and_another_may_come(tmp_path: Path) -> None:
    async with an_owner(tmp_path) as owner:
        assert (await owner.send("prompt/remove", "prompt")).status_code == 303
        assert PROMPT not in (await owner.spec()).items
        page = (await owner.browser.get(f"/bots/{owner.bot}/prompt")).text
        assert "has no prompt" in page
        assert "prompt/remove" not in page
        read = await owner.browser.post(f"/call/bots/{owner.bot}/read", json={"name": "prompt", "public": "A" * 44})
        assert read.json() == {"version": 0, "sealed": ""}
        await owner.node_hears()
        await owner.a_minute()
        assert await owner.opened(prompt=1) is VaultRefusal.UNKNOWN_ITEM
        await owner.seal("prompt", {PROMPT: "another"})
        await owner.bench.worker.round()
        assert await owner.opened(prompt=2) == {"prompt": ("another", ())}


async def test_a_new_token_takes_the_place_of_the_old(tmp_path: Path) -> None:
    async with an_owner(tmp_path) as owner:
        token = ItemName.CHANNEL_TOKEN
        assert await owner.seal("token", {token: "424242:AAnew"}) == {"next": f"/bots/{owner.bot}"}
        await owner.bench.worker.round()
        assert (await owner.spec()).items[token] == 2
        await owner.node_hears()
        await owner.a_minute()
        assert await owner.opened(channel_token=1) is VaultRefusal.UNKNOWN_ITEM
        assert await owner.opened(channel_token=2) == {"channel-token": ("424242:AAnew", ("api.telegram.org",))}
