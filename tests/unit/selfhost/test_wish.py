from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from tests.support.catalogue import RELEASE

from clawmates.base.secret import Secret
from clawmates.selfhost.draft import BotError, Draft, check
from clawmates.selfhost.wish import Nothing, Wish, fill
from clawmates.wire.desired import Access, BotSpec, Fallback, Limits
from clawmates.wire.names import ChannelKind, ItemName

TOKEN = Secret("123456789:AAabcdefghijklmnopqrstuvwxyz0123456")
KEY = Secret("sk-0123456789")
NEW = Wish(
    channel=ChannelKind.TELEGRAM,
    provider="openai",
    model="m1",
    secrets={ItemName.CHANNEL_TOKEN: TOKEN, ItemName.PROVIDER_KEY: KEY},
)
THERE = BotSpec(
    id="home",
    tenant="self",
    channel=ChannelKind.TELEGRAM,
    provider="openai",
    model="m1",
    items={ItemName.CHANNEL_TOKEN: 1, ItemName.PROVIDER_KEY: 2, ItemName.PROMPT: 3, ItemName.FALLBACK_KEY: 1},
    limits=Limits(messages_per_day=10, tokens_per_month=1000),
    max_output_tokens=50,
    fallback=Fallback(provider="anthropic", model="c1"),
)


def good(wish: Wish, before: BotSpec | None) -> Draft:
    draft = fill(wish, before)
    check(draft, RELEASE)
    return draft


def test_a_new_bot_is_what_was_said() -> None:
    draft = good(replace(NEW, limits={"messages_per_day": 5}, max_output_tokens=7), None)
    assert (draft.channel, draft.provider, draft.model) == (ChannelKind.TELEGRAM, "openai", "m1")
    assert draft.limits == Limits(messages_per_day=5)
    assert draft.tuning is not None
    assert draft.tuning.max_output_tokens == 7


def test_what_a_new_bot_lacks_is_named() -> None:
    with pytest.raises(BotError, match="--channel, --provider, --model"):
        fill(Wish(), None)


def test_saying_one_thing_changes_one_thing() -> None:
    draft = good(Wish(limits={"messages_per_day": 20}), THERE)
    assert draft.limits == Limits(messages_per_day=20, tokens_per_month=1000)
    assert draft.tuning is not None
    assert (draft.tuning.max_output_tokens, draft.tuning.fallback) == (50, THERE.fallback)
    assert draft.dropped == frozenset()
    assert draft.held == frozenset(THERE.items)


def test_none_takes_away_what_was_there() -> None:
    wish = Wish(
        limits={"messages_per_day": Nothing.NONE},
        max_output_tokens=Nothing.NONE,
        fallback=Nothing.NONE,
        secrets={ItemName.PROMPT: Secret("")},
    )
    draft = good(wish, THERE)
    assert draft.limits == Limits(tokens_per_month=1000)
    assert draft.tuning is not None
    assert (draft.tuning.max_output_tokens, draft.tuning.fallback) == (None, None)
    assert draft.dropped == {ItemName.PROMPT, ItemName.FALLBACK_KEY}
    assert not draft.keeps(ItemName.PROMPT)


def test_a_key_that_was_sealed_for_another_provider_does_not_go_along() -> None:
    moved = fill(Wish(provider="anthropic", model="c1", fallback=Nothing.NONE), THERE)
    assert ItemName.PROVIDER_KEY in moved.dropped
    with pytest.raises(BotError, match="no API key for 'anthropic'"):
        check(moved, RELEASE)
    good(
        Wish(
            provider="anthropic", model="c1", fallback=Nothing.NONE, secrets={ItemName.PROVIDER_KEY: Secret("sk-ant-1")}
        ),
        THERE,
    )


def test_a_token_does_not_go_along_to_the_terminal() -> None:
    assert ItemName.CHANNEL_TOKEN in good(Wish(channel=ChannelKind.TERMINAL), THERE).dropped


def test_another_provider_needs_its_model_said() -> None:
    with pytest.raises(BotError, match="also give --model"):
        fill(Wish(provider="anthropic"), THERE)


def test_the_model_on_this_host_needs_no_key() -> None:
    draft = good(Wish(channel=ChannelKind.TERMINAL, provider="ollama", model="l1", temperature=0.5), None)
    assert draft.secrets == {}


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"temperature": 0.5}, "takes no temperature"),
        ({"max_output_tokens": 10_000}, "1 to 100 tokens"),
        ({"fallback": Fallback(provider="acme", model="x")}, "no provider 'acme'"),
        ({"fallback": Fallback(provider="openai", model="x")}, "no model 'x'"),
        ({"fallback": Fallback(provider="openai", model="m1")}, "own model"),
        ({"fallback": Fallback(provider="anthropic", model="c1")}, "fallback-key for Anthropic"),
        ({"limits": {"trial_ends": "tomorrow"}}, "RFC 3339"),
        ({"secrets": {**NEW.secrets, ItemName.FALLBACK_KEY: KEY}}, "but no fallback"),
    ],
)
def test_what_does_not_fit_is_a_sentence(change: dict[str, Any], words: str) -> None:
    with pytest.raises(BotError, match=words) as error:
        good(replace(NEW, **change), None)
    assert KEY.reveal() not in str(error.value)


def test_a_fallback_key_goes_to_the_fallback_s_hosts_alone() -> None:
    wish = replace(
        NEW,
        fallback=Fallback(provider="anthropic", model="c1"),
        secrets={**NEW.secrets, ItemName.FALLBACK_KEY: Secret("sk-ant-2345")},
    )
    hosts = good(wish, None).hosts(RELEASE)
    assert hosts[ItemName.FALLBACK_KEY] == ("api.anthropic.com",)
    assert hosts[ItemName.PROVIDER_KEY] == ("api.openai.com",)


def test_another_model_of_the_same_provider_needs_no_second_key() -> None:
    good(replace(NEW, fallback=Fallback(provider="openai", model="m2")), None)


def test_who_may_talk_stays_unless_it_is_said() -> None:
    assert good(NEW, None).access is None
    assert good(Wish(access=Access.OPEN), THERE).access is Access.OPEN
    assert not Wish(access=Access.LIST).silent
