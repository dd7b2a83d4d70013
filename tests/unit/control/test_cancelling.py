"""Cancelling a subscription: stopped at once whatever else happens, back with one click, destroyed within the month."""

from __future__ import annotations

import re
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx2
import pytest
from sqlalchemy import select
from tests.support.control import NOON, Place, a_bot, a_node, a_place, deeds, signed_in
from tests.support.launching import SECRETS, Bench, a_bench, about, draft, launch, press, sealed
from tests.support.mail import Box, worker
from tests.support.vault import refusal

from clawmates.control.accounts.leave import HEADSTART, leave_of
from clawmates.control.accounts.tables import Account
from clawmates.control.bots import launch as launching
from clawmates.control.bots.spec import bot_spec
from clawmates.control.bots.tables import Bot, BotReceipt
from clawmates.control.cancelling import subscription
from clawmates.control.cancelling.subscription import HOOKS
from clawmates.control.jobs import CANCELLED, takers
from clawmates.control.nodes import desired as desired_rows
from clawmates.control.nodes.desired import desired_of
from clawmates.control.retention.keeper import Keeper
from clawmates.control.retention.looks import retention
from clawmates.control.retention.rules import GRACE, JOBS
from clawmates.control.rooms import ROOMS
from clawmates.inventory import spans as kept
from clawmates.wire.desired import BotSpec
from clawmates.wire.names import ChannelKind
from clawmates.wire.vault import TicketRequest, VaultRefusal


async def specs(place: Place) -> tuple[int, tuple[BotSpec, ...]]:
    async with place.database.reading() as session:
        found = await desired_of(session, "node-1", place.clock.now())
        return found.revision, found.bots


async def paused(place: Place) -> list[bool]:
    return [spec.paused for spec in (await specs(place))[1]]


def a_keeper(place: Place) -> Keeper:
    return Keeper(database=place.database, clock=place.clock, holder="k", takers=takers(place.context))


async def a_person(place: Place, browser: httpx2.AsyncClient) -> str:
    """With a bot that runs and one that is paused."""
    account = await signed_in(place, browser)
    async with place.database.writing() as session:
        session.add(a_node())
        await session.flush()
        session.add(a_bot("b-1", account, node="node-1"))
        session.add(a_bot("b-2", account, node="node-1", paused=True))
    return account


async def stages(place: Place) -> dict[str, str]:
    async with place.database.reading() as session:
        return {bot.id: bot.stage for bot in await session.scalars(select(Bot))}


async def test_it_stops_every_bot_at_once_and_one_click_brings_each_back_as_it_was(tmp_path: Path) -> None:
    async with a_place(tmp_path, *ROOMS) as place, place.browser() as browser:
        await a_person(place, browser)
        assert "You can cancel at any time" in (await browser.get("/account")).text
        asked = (await browser.get("/account/cancel")).text
        for said in ("within a minute", "Until 2026-12-29 12:00 UTC", "By 2026-12-30 12:00 UTC"):
            assert said in asked
        before = (await specs(place))[0]
        for _ in range(2):
            assert (await browser.post("/account/cancel", data={"now": ""})).headers["location"] == "/account"
        assert await paused(place) == [True, True]
        assert (await specs(place))[0] == before + 1, "the node is told in the same transaction, and once"
        assert "You can come back until 2026-12-29 12:00 UTC" in (await browser.get("/account")).text
        assert "Stopped: subscription cancelled" in (await browser.get("/bots")).text
        page = (await browser.get("/bots/b-1")).text
        assert "once you take the subscription up again" in page
        assert "/bots/b-1/resume" not in page
        box = Box()
        await worker(place, box).round()
        place.clock.forward(days=10)
        assert (await browser.post("/account/resume", data={"now": ""})).status_code == 303
        assert await paused(place) == [False, True]
        await worker(place, box).round()
        subjects = [letter.subject for letter in box.letters]
        assert subjects == ["Your subscription is cancelled", "Your subscription runs again"]
        assert "Until 2026-12-29 12:00 UTC you can" in box.letters[0].text
        assert "by 2026-12-30 12:00 UTC your bots" in box.letters[0].text
        tags = [tag for tag in await deeds(place) if tag.startswith("account.")]
        assert tags == ["account.opened", "account.cancelled", "account.resumed"]


async def test_who_has_cancelled_starts_nothing_and_is_told_why(tmp_path: Path) -> None:
    async with a_bench(tmp_path) as bench, bench.place.browser() as browser:
        await signed_in(bench.place, browser)
        waiting, running = await draft(browser), await draft(browser)
        assert (await launch(browser, running)).status_code == 200
        await bench.worker.round()
        told = about(await browser.get(f"/bots/{waiting}/seal"))
        await browser.post("/account/cancel", data={"now": ""})
        for method, path in (("GET", "/bots/new"), ("POST", "/bots/new")):
            answer = await browser.request(method, path, data={"name": "x"} if method == "POST" else None)
            assert answer.status_code == 409
            assert "Take the subscription up again" in answer.text
        for what in ("resume", "restart"):
            assert (await press(browser, running, what)).status_code == 409
        answer = await browser.post(f"/call/bots/{waiting}/seal", json=sealed(told, SECRETS))
        assert (answer.status_code, answer.json()) == (409, {"error": {"code": "cancelled"}})
        assert (await stages(bench.place))[waiting] == "draft"
        await browser.post("/account/resume", data={"now": ""})
        assert (await launch(browser, waiting)).status_code == 200


async def test_a_build_that_forgets_the_account_runs_its_bots(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The weakened build."""

    def forgets(*rows: Any, stopped: bool) -> BotSpec | None:
        return bot_spec(*rows)

    monkeypatch.setattr(desired_rows, "bot_spec", forgets)
    async with a_place(tmp_path, *ROOMS) as place, place.browser() as browser:
        await a_person(place, browser)
        await browser.post("/account/cancel", data={"now": ""})
        assert await paused(place) == [False, True]


async def test_it_asks_for_a_fresh_proof_and_coming_back_does_not(tmp_path: Path) -> None:
    async with a_place(tmp_path, *ROOMS) as place, place.browser() as browser:
        await a_person(place, browser)
        place.clock.forward(minutes=11)
        assert (await browser.get("/account/cancel")).headers["location"] == "/prove"
        for path in ("/account/cancel", "/account/cancel/destroy"):
            assert (await browser.post(path, data={"now": "yes"})).status_code == 403
        assert await paused(place) == [False, True]
        async with place.database.writing() as session:
            (account,) = await session.scalars(select(Account))
            account.cancelled_at = NOON
        assert (await browser.post("/account/resume", data={"now": ""})).status_code == 303
        assert await paused(place) == [False, True]


async def gone(bench: Bench, bot: str) -> bool:
    """Whether the vault has destroyed it, and the receipt lies with the account."""
    async with bench.place.database.reading() as session:
        there = await session.get(Bot, bot)
        receipt = await session.get(BotReceipt, bot)
    asked = TicketRequest(bot=bot, generation=1, items=dict.fromkeys(SECRETS, 1))
    if there is not None:
        return False
    assert await refusal(bench.vault.client("eu-test/node/node-1").ticket(asked)) is VaultRefusal.UNKNOWN_BOT
    return receipt is not None


async def test_within_the_month_the_vault_has_destroyed_it_and_on_request_now(tmp_path: Path) -> None:
    async with a_bench(tmp_path) as bench, bench.place.browser() as browser, bench.place.browser() as other:
        place = bench.place
        await signed_in(place, browser)
        await signed_in(place, other, "eve@example.org")
        mine, hers = await draft(browser), await draft(other)
        unfinished = await draft(browser)
        for who, bot in ((browser, mine), (other, hers)):
            assert (await launch(who, bot)).status_code == 200
        await bench.worker.round()
        await browser.post("/account/cancel", data={"now": ""})

        place.clock.moment = leave_of(NOON).until - timedelta(seconds=1)
        assert (await a_keeper(place).round()).get(CANCELLED) == 0, "not a second too early"
        assert await stages(place) == {mine: "active", hers: "active", unfinished: "draft"}
        place.clock.moment = leave_of(NOON).until
        place.clock.forward(minutes=1)
        assert (await a_keeper(place).round())[CANCELLED] == 2
        assert await stages(place) == {mine: "deleting", hers: "active"}
        place.clock.forward(minutes=1)
        assert (await a_keeper(place).round())[CANCELLED] == 0
        await bench.worker.round()
        assert await gone(bench, mine)
        assert (await stages(place)) == {hers: "active"}, "and nobody else's"
        assert [tag for tag in await deeds(place) if tag.startswith("bot.ended")] == ["bot.ended"] * 2

        await signed_in(place, other, "eve@example.org")
        assert (await other.post("/account/cancel", data={"now": "yes"})).status_code == 303
        await bench.worker.round()
        assert await gone(bench, hers)
        assert (await deeds(place))[-2:] == ["account.cancelled", "bot.deleted"]
        await signed_in(place, browser)
        assert (await browser.post("/account/resume", data={"now": ""})).status_code == 303
        assert "No bot yet" in (await browser.get("/bots")).text


async def test_a_vault_that_is_away_for_a_day_makes_the_job_late_and_it_is_said(tmp_path: Path) -> None:
    async with a_place(tmp_path, *ROOMS) as place, place.browser() as browser:
        await a_person(place, browser)
        await browser.post("/account/cancel", data={"now": ""})
        place.clock.moment = leave_of(NOON).until
        for later in (timedelta(), HEADSTART + GRACE - timedelta(seconds=1), timedelta(seconds=1)):
            place.clock.moment += later
            await a_keeper(place).round()
            async with place.database.reading() as session:
                rows = {row.job: row for row in (await retention(session, place.clock.now())).jobs}
        assert (rows[CANCELLED].overdue, rows[CANCELLED].late) == (2, True)


async def test_who_comes_back_while_the_job_is_at_it_keeps_the_bots(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with a_place(tmp_path, *ROOMS) as place, place.browser() as browser:
        account = await a_person(place, browser)
        await browser.post("/account/cancel", data={"now": ""})
        place.clock.moment = leave_of(NOON).gone
        job = next(one for one in JOBS if one.name == CANCELLED)
        async with place.database.writing() as session:
            # The job's first look still sees the account as cancelled; then it is not any more.
            await subscription.resume(session, place.context, account, place.clock.now())
            monkeypatch.setattr(subscription, "over", lambda _rule, _now: Bot.account_id == account)
            assert await takers(place.context)[CANCELLED](session, job, place.clock.now(), 10) == 2
        assert await stages(place) == {"b-1": "active", "b-2": "active"}


def test_every_channel_that_is_offered_can_be_told_to_call_no_more() -> None:
    made = set(re.findall(r"channel=ChannelKind\.(\w+)", Path(launching.__file__).read_text()))
    assert made
    assert {ChannelKind[name] for name in made} <= set(HOOKS)
    assert ChannelKind.WHATSAPP not in HOOKS, "it calls in: its errand comes with the channel itself"


def test_the_last_moments_follow_from_the_inventory() -> None:
    leave = leave_of(NOON)
    assert leave.gone - NOON == kept.CANCELLED == timedelta(days=30)
    assert leave.until == leave.gone - timedelta(days=1)
