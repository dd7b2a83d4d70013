"""What is said and what goes wrong, in which order; and that every error path that is named can be provoked."""

from __future__ import annotations

from collections import Counter

import pytest

from clawmates.proofs.claims.schedule import Planned, Round, Talker, Victim, schedule
from clawmates.proofs.trial import FULL_KILLS, FULL_MESSAGES, Options
from clawmates.simulator.admin import shows
from clawmates.simulator.model import Service
from clawmates.trials.stand_ins import EVERYWHERE, HOSTED, MESSENGER, OWN, troubles_of
from clawmates.trials.throwaway import Bot
from clawmates.wire.names import ChannelKind

PROVIDERS = ("openai", "anthropic", "google", "ollama")
CROWD = tuple(
    Talker(bot=bot.name, channel=bot.channel, provider=bot.provider, troubles=tuple(troubles_of(bot)))
    for provider in PROVIDERS
    for channel in (ChannelKind.TERMINAL, ChannelKind.TELEGRAM)
    for bot in (Bot.invent(f"{provider}-{channel}", channel, provider),)
)


def met(rounds: tuple[Round, ...]) -> set[tuple[str, str]]:
    """(provider, trouble)."""
    return {(say.talker.provider, say.trouble) for one in rounds for say in one.says if say.trouble}


@pytest.mark.parametrize(
    ("talkers", "messages", "kills"),
    [(CROWD, 80, 1), (CROWD, FULL_MESSAGES, FULL_KILLS), (CROWD[:1], 1, 1), (CROWD[:3], 7, 2), (CROWD, 5, 0)],
)
def test_everything_that_was_asked_for_happens(talkers: tuple[Talker, ...], messages: int, kills: int) -> None:
    rounds = schedule(talkers, messages=messages, kills=kills, releases=kills // 4)
    said = [say.number for one in rounds for say in one.says]
    assert len(said) == len(set(said)) >= messages
    assert Counter(one.kill for one in rounds if one.kill) == Counter(dict.fromkeys(Victim, kills)) if kills else True
    assert sum(one.planned is Planned.EXCHANGE for one in rounds) == kills
    assert sum(one.planned is Planned.RELEASE for one in rounds) == kills // 4
    assert rounds[0].calm
    assert rounds[-1].calm
    assert not any(say.trouble for one in rounds if not one.calm for say in one.says)
    assert all(bool(one.of) is (one.planned is Planned.EXCHANGE or one.kill is Victim.MATE) for one in rounds)


def test_the_short_form_is_short_and_meets_most_kinds() -> None:
    rounds = schedule(CROWD, messages=Options().messages, kills=Options().kills)
    assert len(rounds) == 10
    assert {provider for provider, _ in met(rounds)} == set(PROVIDERS)
    assert len({trouble for _, trouble in met(rounds)}) >= 10


def test_the_long_form_meets_every_error_path_of_every_provider_and_kills_every_bot() -> None:
    rounds = schedule(CROWD, messages=FULL_MESSAGES, kills=FULL_KILLS)
    assert met(rounds) == {(one.provider, trouble) for one in CROWD for trouble in one.troubles}
    assert {one.of for one in rounds if one.kill is Victim.MATE} | {
        one.of for one in rounds if one.planned is Planned.EXCHANGE
    } == {talker.bot for talker in CROWD}


def test_a_bot_without_troubles_meets_none() -> None:
    plain = (Talker(bot="a", channel="terminal", provider="openai"),)
    assert met(schedule(plain, messages=20, kills=1)) == set()


def test_every_provider_has_the_error_paths_of_its_kind() -> None:
    assert set(OWN) == {service for service in Service if service is not Service.TELEGRAM}
    for provider in PROVIDERS:
        found = set(troubles_of(Bot.invent("x", ChannelKind.TELEGRAM, provider)))
        assert found >= EVERYWHERE.keys() | MESSENGER.keys()
        assert (found >= HOSTED.keys()) is (provider != "ollama")
        assert not found & MESSENGER.keys() - set(troubles_of(Bot.invent("x", ChannelKind.TELEGRAM, provider)))
    assert not MESSENGER.keys() & set(troubles_of(Bot.invent("x", ChannelKind.TERMINAL)))


def test_a_mark_stands_in_every_credential() -> None:
    bot = Bot.invent("x", ChannelKind.TELEGRAM, mark="a" * 20)
    assert "a" * 20 in bot.token
    assert "a" * 20 in bot.key
    assert len(bot.token.partition(":")[2]) == 35


@pytest.mark.parametrize("provider", PROVIDERS)
def test_every_error_path_is_one_that_its_stand_in_can_show(provider: str) -> None:
    bot = Bot.invent("x", ChannelKind.TELEGRAM, provider)
    unknown = [
        name
        for name, one in troubles_of(bot).items()
        if not shows(Service.TELEGRAM if one.method else Service(provider), one.fault)
    ]
    assert unknown == []
