"""From OpenClaw's configuration to bots of ours, and there and back."""

from __future__ import annotations

import json
import os
from datetime import UTC, datetime
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from clawmates.base.secret import Secret
from clawmates.selfhost import arriving
from clawmates.selfhost.draft import BotError
from clawmates.selfhost.openclaw import coming, going, guide
from clawmates.selfhost.openclaw.coming import Arrived
from clawmates.selfhost.openclaw.section import Section
from clawmates.selfhost.openclaw.words import PROMPT
from clawmates.selfhost.wish import Wish
from clawmates.trials.interop import THEIRS
from clawmates.wire.desired import Access, Fallback
from clawmates.wire.names import BOT_ID, ChannelKind, ItemName
from clawmates.wire.people import PERSON, People, dump, load

CANARY = "123456789:AAaCanaryThatNobodyMayEverSeeInAnExport"
NOW = datetime(2026, 11, 30, tzinfo=UTC)

WORDS = (
    *("agents", "entries", "list", "id", "model", "primary", "fallbacks", "params", "temperature", "maxTokens"),
    *("defaults", "models", "alias", "channels", "telegram", "accounts", "default", "allowFrom", "dmPolicy"),
    *("bindings", "match", "channel", "accountId", "agentId", "env", "vars", "providers", "workspace", "groups"),
)

# On a machine that measures something, drawing names and zipping them takes what time it takes.
PATIENT = settings(max_examples=40, suppress_health_check=[HealthCheck.too_slow])

persons = st.lists(st.from_regex(PERSON, fullmatch=True), unique=True, max_size=4).map(tuple)
words = st.text(st.characters(codec="utf-8", exclude_categories=["Cs"]), min_size=1, max_size=40)
models = st.from_regex(r"[a-z0-9][a-z0-9.:/-]{0,20}", fullmatch=True)
providers = st.sampled_from(["openai", "anthropic", "google", "ollama", "elsewhere"])


@st.composite
def wishes(draw: st.DrawFn) -> Wish:
    """A bot as an export has it; the owner is the first of the people, and nobody is an owner of nobody."""
    channel = draw(st.sampled_from([ChannelKind.TELEGRAM, ChannelKind.TERMINAL]))
    spoken = channel is ChannelKind.TELEGRAM
    listed = draw(persons) if spoken else ()
    provider, model = draw(providers), draw(models)
    spare = draw(st.none() | st.builds(Fallback, provider=providers, model=models))
    prompt = draw(st.none() | words.map(Secret))
    people = dump(People(owner=listed[0], people=listed)) if listed else None
    return Wish(
        name=draw(st.from_regex(BOT_ID, fullmatch=True)),
        channel=channel,
        provider=provider,
        model=model,
        fallback=spare if spare != Fallback(provider=provider, model=model) else None,
        temperature=draw(st.none() | st.floats(0, 2)),
        max_output_tokens=draw(st.none() | st.integers(1, 1 << 20)),
        access=draw(st.sampled_from(Access)) if spoken else None,
        paused=spoken and draw(st.booleans()),
        secrets={
            item: text for item, text in ((ItemName.PROMPT, prompt), (ItemName.PEOPLE, people)) if text is not None
        },
    )


@PATIENT
@given(st.lists(wishes(), min_size=1, max_size=4, unique_by=lambda bot: bot.name))
def test_what_both_can_say_comes_back_as_it_went(bots: list[Wish]) -> None:
    arrived = arriving.unpack(BytesIO(going.pack(bots, NOW)))
    assert arrived == Arrived(bots=tuple(bots))


def test_what_it_has_no_word_for_is_told_beside_it() -> None:
    quotas = Wish(name="home", channel=ChannelKind.TELEGRAM, provider="other", model="m", limits={"tokens_per_day": 9})
    number = Wish(name="shop", channel=ChannelKind.WHATSAPP, provider="openai", model="m")
    told = [str(one) for bot in (quotas, number) for one in guide.unsaid(bot)]
    assert len(told) == 3
    assert all(line in guide.readme([quotas, number]) for line in told)
    assert "tokens per day" in told[0]
    assert guide.environment([quotas, number]) == "OPENCLAW_GATEWAY_TOKEN=\nTELEGRAM_BOT_TOKEN_HOME=\nOPENAI_API_KEY=\n"


def test_a_configuration_of_theirs_becomes_bots_and_says_what_does_not() -> None:
    arrived = arriving.read(THEIRS)
    marvin, shop, hand = arrived.bots
    assert (marvin.name, marvin.provider, marvin.model) == ("marvin", "anthropic", "claude-sonnet-5-5")
    assert marvin.fallback == Fallback(provider="google", model="gemini-3.8-flash"), "an alias is looked up"
    assert (marvin.temperature, marvin.max_output_tokens, marvin.access) == (0.7, 500, Access.LIST)
    assert marvin.secrets.keys() == {ItemName.PROMPT, ItemName.PEOPLE}
    assert marvin.secrets[ItemName.PROMPT].reveal() == "You are gloomy, and right.\n"
    assert load(marvin.secrets[ItemName.PEOPLE]).people == ("12345678", "777")
    assert (shop.name, shop.temperature, shop.access) == ("shop-desk", 0.2, Access.LIST), "the channel's list bounds it"
    assert (hand.channel, hand.access) == (ChannelKind.TERMINAL, None)
    assert {one.where for one in arrived.lost} == {
        "agents.defaults.model.fallbacks",
        "agents.entries.clerk.sandbox",
        "agents.entries.hand.tools",
        "agents.entries.marvin.identity",
        "bindings[2]",
        "channels.discord",
        "channels.telegram.accounts.Shop Desk.dmPolicy",
        "channels.telegram.accounts.Shop Desk.streaming",
        "channels.telegram.allowFrom",
        "env.vars.EDITOR",
        "hand: SOUL.md",
        "marvin: AGENTS.md",
        "session.dmScope",
        "Shop Desk: SOUL.md",
    }


def test_a_credential_in_it_is_left_out_unless_somebody_wants_it_sealed() -> None:
    arrived = arriving.read(THEIRS)
    assert arrived.loose.keys() == {"marvin"}
    assert CANARY not in repr(arrived) + "".join(map(str, arrived.lost))
    marvin = arrived.bots[0]
    assert not marvin.secrets.keys() & {ItemName.CHANNEL_TOKEN, ItemName.PROVIDER_KEY}
    sealed = arrived.sealed(marvin).secrets
    assert sealed[ItemName.CHANNEL_TOKEN].reveal() == CANARY
    assert sealed[ItemName.PROVIDER_KEY].reveal() == "sk-ant-canary-that-nobody-may-ever-see"
    assert arrived.sealed(arrived.bots[1]) == arrived.bots[1], "a name of a variable is no token"


def read(folder: Path, config: Any) -> Arrived:
    path = folder / "openclaw.json"
    path.write_text(config if isinstance(config, str) else json.dumps(config))
    return arriving.read(path)


def with_telegram(**telegram: Any) -> dict[str, Any]:
    return {"agents": {"defaults": {"model": "openai/m"}}, "channels": {"telegram": telegram}}


@pytest.mark.parametrize(
    ("telegram", "access", "people"),
    [
        ({}, Access.PAIRED, ()),
        ({"allowFrom": [5, "tg:6"]}, Access.PAIRED, ("5", "6")),
        ({"dmPolicy": "open", "allowFrom": ["*", "5"]}, Access.OPEN, ("5",)),
        ({"dmPolicy": "open", "allowFrom": ["5"]}, Access.LIST, ("5",)),
        ({"dmPolicy": "open"}, Access.LIST, ()),
        ({"dmPolicy": "opne", "allowFrom": ["*"]}, Access.LIST, ()),
        ({"dmPolicy": 7, "allowFrom": ["*"]}, Access.PAIRED, ()),
        ({"dmPolicy": "disabled", "allowFrom": ["5"]}, Access.LIST, ()),
        ({"dmPolicy": "allowlist", "allowFrom": ["@a", "-100", "5 "]}, Access.LIST, ("5",)),
    ],
)
def test_what_is_not_surely_open_is_closed(
    telegram: dict[str, Any], access: Access, people: tuple[str, ...], tmp_path: Path
) -> None:
    (bot,) = read(tmp_path, with_telegram(**telegram)).bots
    assert (bot.name, bot.access) == ("main", access)
    document = bot.secrets.get(ItemName.PEOPLE)
    assert (load(document).people if document else ()) == people


def test_a_key_for_another_address_is_not_sent_to_the_providers_own(tmp_path: Path) -> None:
    config = with_telegram() | {"models": {"providers": {"openai": {"apiKey": "sk-elsewhere", "baseUrl": "https://x"}}}}
    arrived = read(tmp_path, config)
    assert arrived.loose == {}
    assert "models.providers.openai.baseUrl" in {one.where for one in arrived.lost}
    config["models"]["providers"]["openai"].pop("baseUrl")
    assert read(tmp_path, config).loose["main"].keys() == {ItemName.PROVIDER_KEY}


def test_older_lists_of_agents_and_switched_off_accounts_are_read(tmp_path: Path) -> None:
    config = {
        "agents": {"list": [{"id": "a", "model": "openai/m"}, {"id": "b", "default": True, "model": "m"}]},
        "channels": {"telegram": {"enabled": False, "botToken": "$TOKEN"}},
    }
    arrived = read(tmp_path, config)
    a, b = arrived.bots
    assert (a.name, a.channel) == ("a", ChannelKind.TERMINAL)
    assert (b.name, b.channel, b.paused, b.provider) == ("b", ChannelKind.TELEGRAM, True, None)
    assert "agents.list[1].model" in {one.where for one in arrived.lost}


@pytest.mark.parametrize("kind", ["a link", "a link above", "a pipe", "too long", "no text"])
def test_a_prompt_is_read_from_a_plain_file_below_the_folder_alone(kind: str, tmp_path: Path) -> None:
    home, outside = tmp_path / "home", tmp_path / "outside"
    outside.mkdir()
    (outside / PROMPT).write_text(CANARY)
    workspace = home / "workspace"
    workspace.mkdir(parents=True)
    match kind:
        case "a link":
            (workspace / PROMPT).symlink_to(outside / PROMPT)
        case "a link above":
            workspace.rmdir()
            workspace.symlink_to(outside)
        case "a pipe":
            os.mkfifo(workspace / PROMPT)
        case "too long":
            (workspace / PROMPT).write_text("x" * (64 * 1024 + 1))
        case _:
            (workspace / PROMPT).write_bytes(b"\xff\xfe")
    arrived = read(home, with_telegram())
    assert ItemName.PROMPT not in arrived.bots[0].secrets
    assert "main: SOUL.md" in {one.where for one in arrived.lost}


@pytest.mark.parametrize("workspace", ["../outside", "/etc", "~/.openclaw/../../outside", "~", ""])
def test_no_workspace_leads_out_of_the_folder(workspace: str, tmp_path: Path) -> None:
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / PROMPT).write_text(CANARY)
    (tmp_path / "home").mkdir()
    config = with_telegram() | {"agents": {"defaults": {"model": "openai/m", "workspace": workspace}}}
    assert ItemName.PROMPT not in read(tmp_path / "home", config).bots[0].secrets


@pytest.mark.parametrize(
    "text",
    ["", "{", "[" * 100_000, "{a:" * 9_000, f'{{"channels": "{CANARY}"', "\x00", "{a: " + " " * (1 << 18) + "1}"],
)
def test_what_cannot_be_read_is_a_sentence_that_quotes_nothing(text: str, tmp_path: Path) -> None:
    with pytest.raises(BotError, match="no configuration of OpenClaw") as raised:
        read(tmp_path, text)
    assert "Canary" not in str(raised.value)


@pytest.mark.parametrize("config", [[], {}, {"channels": CANARY}, {"agents": [CANARY]}, 7])
def test_one_without_bots_says_so(config: Any, tmp_path: Path) -> None:
    with pytest.raises(BotError, match="neither an agent nor a Telegram account"):
        read(tmp_path, config)


@settings(suppress_health_check=[HealthCheck.too_slow])
@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(
                st.sampled_from(WORDS),
                inner,
                max_size=4,
            )
        ),
        max_leaves=30,
    )
)
def test_whatever_stands_there_is_bots_or_a_sentence(config: Any) -> None:
    try:
        arrived = coming.read(Section(config), lambda place: None)
    except BotError:
        return
    assert all(BOT_ID.fullmatch(bot.name) for bot in arrived.bots)
    assert len({bot.name for bot in arrived.bots}) == len(arrived.bots)
