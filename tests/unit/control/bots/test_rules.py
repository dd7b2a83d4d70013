from __future__ import annotations

from datetime import date, datetime, timedelta

import pytest
from tests.support import catalogue
from tests.support.control import NOON, a_bot

from clawmates.base.secret import Secret
from clawmates.control.bots.chart import HEIGHT, chart
from clawmates.control.bots.errands import NO_NODE, PASSES
from clawmates.control.bots.forms import Errors, read_manner, read_wish
from clawmates.control.bots.minds import Minds
from clawmates.control.bots.offers import hosts, is_verified, offers
from clawmates.control.bots.pairing import Shown
from clawmates.control.bots.standing import HOST_AWAY, KINDS, Said, sentence, standing
from clawmates.control.bots.tables import BotItem
from clawmates.control.texts.catalogue import LANGUAGES, words
from clawmates.wire.codes import Code, Trouble
from clawmates.wire.desired import Access
from clawmates.wire.names import ItemName
from clawmates.wire.status import BotState as State
from clawmates.wire.vault import VaultRefusal

TODAY = date(2026, 11, 30)


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_code_state_and_access_has_its_words(language: str) -> None:
    texts = words(language)
    wanted = {f"bots.code.{code.value}" for code in (*Code, *Trouble)}
    wanted |= {f"bots.state.{state.value}" for state in State} | {f"bots.item.{name.value}" for name in ItemName}
    wanted |= {f"bots.access.{access.value}.{part}" for access in Access for part in ("title", "text")}
    assert wanted <= texts.keys()
    for refusal in VaultRefusal:
        if refusal not in PASSES:
            assert sentence(texts, f"bots.refusal.{refusal.value}")
    assert sentence(texts, "bots.code.of-a-newer-node") == ""
    assert set(KINDS) == set(State)


def item(name: str = "channel-token", **fields: object) -> BotItem:
    known: dict[str, object] = {
        "bot_id": "b-1",
        "name": name,
        "version": 1,
        "kept": 1,
        "trouble": "",
        "changed_at": NOON,
    }
    return BotItem(**(known | fields))


def said(state: str, code: str = "", node: str = "node-1", heard_at: datetime = NOON) -> Said:
    return Said(node, state, code, "", heard_at)


def test_how_a_bot_is_in_one_word() -> None:
    here = a_bot("b-1", node="node-1")
    long_ago, late = NOON - timedelta(minutes=4), NOON - timedelta(seconds=20)
    for bot, items, state, waiting, kind, word, why in (
        (a_bot("b-1", stage="draft"), [], None, (0, ""), "paused", "draft", "bots.why.draft"),
        (a_bot("b-1", stage="deleting"), [], None, (1, ""), "busy", "deleting", ""),
        (a_bot("b-1"), [item(kept=0)], None, (2, "vault-down"), "busy", "handing-over", "bots.why.vault-down"),
        (a_bot("b-1"), [item(kept=0)], None, (2, NO_NODE), "busy", "handing-over", "bots.why.no-node"),
        (a_bot("b-1"), [item(kept=0)], None, (2, "storage-failed"), "busy", "handing-over", "bots.why.waiting"),
        (here, [item(kept=0, trouble="cannot-open")], None, (0, ""), "bad", "refused-item", "bots.refusal.cannot-open"),
        (here, [item(version=2, trouble="cannot-open")], said("live"), (0, ""), "live", "live", ""),
        (here, [item()], None, (0, ""), "busy", "starting", ""),
        (here, [item()], said("live", node="node-9"), (0, ""), "busy", "starting", ""),
        (here, [item()], said("", node="", heard_at=late), (0, ""), "busy", "starting", HOST_AWAY),
        (here, [item()], said("starting", heard_at=late), (0, ""), "busy", "starting", HOST_AWAY),
        (here, [item()], said("paused", heard_at=late), (0, ""), "busy", "starting", HOST_AWAY),
        (here, [item()], said("live", heard_at=late), (0, ""), "live", "live", ""),
        (here, [item()], said("degraded", "no-credit"), (0, ""), "bad", "degraded", "bots.code.no-credit"),
        (here, [item()], said("paused"), (0, ""), "busy", "starting", ""),
        (
            here,
            [item()],
            said("live", heard_at=long_ago),
            (0, ""),
            "bad",
            "silent",
            "bots.why.silent",
        ),
        (a_bot("b-1", node="node-1", paused=True), [item()], said("live"), (0, ""), "paused", "paused", ""),
    ):
        found = standing(bot, items, state, waiting, NOON)
        assert (found.kind, found.word, found.why) == (kind, f"bots.state.{word}", why)


def test_what_was_not_looked_up_for_half_a_year_is_unverified() -> None:
    assert is_verified("2026-11-30", TODAY)
    assert is_verified(str(TODAY - timedelta(days=180)), TODAY)
    assert not is_verified(str(TODAY - timedelta(days=181)), TODAY)
    assert not is_verified("soon", TODAY)


def test_a_local_model_is_not_offered_and_credentials_name_their_hosts() -> None:
    assert [one.provider.id for one in offers(catalogue.RELEASE, TODAY)] == ["openai", "anthropic"]
    assert hosts(catalogue.RELEASE, "telegram", Minds(provider="openai", model="m1")) == {
        ItemName.CHANNEL_TOKEN: ("api.telegram.org",),
        ItemName.PROVIDER_KEY: ("api.openai.com",),
        ItemName.PROMPT: (),
        ItemName.PEOPLE: (),
    }


def test_a_wish_names_what_there_is() -> None:
    right = {"name": " My  bot ", "provider": "openai", "region": "eu"}
    wish = read_wish(right, catalogue.RELEASE, ("eu", "us"), TODAY)
    assert not isinstance(wish, Errors)
    assert (wish.name, wish.region) == ("My bot", "eu")
    for wrong in ({"name": ""}, {"name": "x" * 61}, {"name": "a\0b"}, {"provider": "ollama"}, {"region": "mars"}):
        found = read_wish(right | wrong, catalogue.RELEASE, ("eu", "us"), TODAY)
        assert isinstance(found, Errors)
        assert list(found.found) == list(wrong)


def test_a_manner_fits_its_model() -> None:
    right = {"name": "b", "model": "m2", "access": "list", "temperature": "0,5", "messages_per_day": "10"}
    manner = read_manner(right, catalogue.RELEASE, "openai")
    assert not isinstance(manner, Errors)
    assert (manner.temperature, manner.limits.messages_per_day, manner.access) == (0.5, 10, Access.LIST)
    for wrong, key in (
        ({"model": "c1"}, "model"),
        ({"model": "m1"}, "no-temperature"),
        ({"temperature": "nan"}, "temperature"),
        ({"temperature": "hot"}, "temperature"),
        ({"max_output_tokens": "101"}, "max-output-tokens"),
        ({"tokens_per_day": "-1"}, "count"),
        ({"tokens_per_day": "9" * 11}, "count"),
        ({"access": ""}, "access"),
    ):
        found = read_manner(right | wrong, catalogue.RELEASE, "openai")
        assert isinstance(found, Errors)
        assert list(found.found.values()) == [key], wrong


def test_bars_are_as_tall_as_their_days() -> None:
    assert chart([0] * 90).path == ""
    assert chart([100, 0, 1]).path == f"M0 {HEIGHT}v-{HEIGHT}h6v{HEIGHT}zM16 {HEIGHT}v-2h6v2z"


def test_a_code_is_drawn_without_a_style_and_printed_nowhere() -> None:
    shown = Shown(code=Secret("ABCDEFGH"), link=Secret("https://t.me/a_bot?start=ABCDEFGH"))
    assert shown.grouped == "ABCD-EFGH"
    assert "ABCD" not in repr(shown)
    drawn = shown.qr()
    assert drawn.startswith("<svg")
    assert "style" not in drawn
