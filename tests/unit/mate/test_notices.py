from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from string import Formatter
from typing import Any

import pytest

from clawmates.base.secret import Secret
from clawmates.mate import texts
from clawmates.mate.channels.scripted import ScriptedChannel
from clawmates.mate.channels.telegram.markdown import render
from clawmates.mate.errors import ChannelError
from clawmates.mate.notices import Notices, sentences, state
from clawmates.mate.people import Register
from clawmates.wire.codes import Code
from clawmates.wire.desired import Access, Limits
from clawmates.wire.door import FallbackConfig, MateConfig
from clawmates.wire.names import ChannelKind, ItemName
from clawmates.wire.people import People

CONFIG = MateConfig(
    revision=1,
    channel=ChannelKind.TELEGRAM,
    channel_hosts=(),
    provider="openai",
    provider_hosts=(),
    model="gpt-5",
    context_tokens=1,
    output_tokens=100,
)
SPARE = FallbackConfig(provider="google", provider_hosts=(), model="flash", context_tokens=1, output_tokens=1)
ITEMS = {ItemName.CHANNEL_TOKEN: 1, ItemName.PROVIDER_KEY: 1, ItemName.PROMPT: 1}


@dataclass
class World:
    config: MateConfig = CONFIG
    items: dict[ItemName, int] = field(default_factory=lambda: dict(ITEMS))
    channel: ScriptedChannel = field(default_factory=ScriptedChannel)
    people: People = field(default_factory=lambda: People().admit("7", language="de"))
    anybody: bool = False

    def __post_init__(self) -> None:
        self.reborn()

    def reborn(self) -> None:
        self.register = Register(self._put, self._renew, lambda: 1.0, people=self.people)
        self.notices = Notices(self.channel, self.register, self.state, anybody=self.anybody)

    def state(self) -> dict[str, str]:
        return state(self.config, self.items, len(self.register.people.people))

    async def _put(self, version: int, text: Secret[str]) -> None:
        raise AssertionError

    async def _renew(self) -> None:
        raise AssertionError

    async def settled(self) -> list[tuple[str, str]]:
        """Until all that is to be told was told; the list, as it would come back from the vault, stays."""
        self.notices.look()
        for _ in range(20):
            await asyncio.sleep(0)
        self.people = self.register.people
        told, self.channel.told = self.channel.told, []
        return told


@asynccontextmanager
async def running(world: World) -> AsyncIterator[World]:
    task = asyncio.create_task(world.notices.run())
    try:
        yield world
    finally:
        task.cancel()
        await asyncio.wait([task])


CHANGES: dict[str, tuple[dict[str, Any], dict[ItemName, int], tuple[str, ...]]] = {
    "model": ({"model": "gpt-6"}, {}, ("gpt-6", "openai")),
    "provider": ({"provider": "google"}, {}, ("gpt-5", "google")),
    "fallback": ({"fallback": SPARE}, {}, ("flash", "google")),
    "limits": ({"limits": Limits(messages_per_day=3)}, {}, ("Grenzen",)),
    "length": ({"output_tokens": 50}, {}, ("Grenzen",)),
    "access": ({"access": Access.OPEN}, {}, ("alle, die mich finden",)),
    "key": ({}, {ItemName.PROVIDER_KEY: 2}, ("Schlüssel",)),
    "spare key": ({}, {ItemName.FALLBACK_KEY: 1}, ("Schlüssel", "zweiten")),
    "token": ({}, {ItemName.CHANNEL_TOKEN: 2}, ("Token",)),
    "prompt": ({}, {ItemName.PROMPT: 2}, ("neue Anweisungen",)),
}


@pytest.mark.parametrize("restarted", [False, True], ids=["running", "restarted"])
@pytest.mark.parametrize(("fields", "items", "words"), CHANGES.values(), ids=CHANGES)
async def test_the_owner_is_told_once_in_their_language_what_changed(
    fields: dict[str, Any], items: dict[ItemName, int], words: tuple[str, ...], *, restarted: bool
) -> None:
    world = World()
    async with running(world):
        assert await world.settled() == [], "an owner begins with what is"
        if not restarted:
            world.config, world.items = replace(CONFIG, **fields), ITEMS | items
            ((person, text),) = await world.settled()
    if restarted:
        world.config, world.items = replace(CONFIG, **fields), ITEMS | items
        world.reborn()
        async with running(world):
            ((person, text),) = await world.settled()
    assert person == "7"
    assert all(word in text for word in words)
    assert text.startswith(texts.of("de").changed)
    assert text.endswith(texts.of("de").changed_by_whom)
    assert text.count("\n- ") == 1
    world.reborn()
    async with running(world):
        assert await world.settled() == [], "once"


async def test_several_changes_are_one_message() -> None:
    world = World()
    async with running(world):
        await world.settled()
        world.config, world.items = replace(CONFIG, model="gpt-6"), ITEMS | {ItemName.PROMPT: 2}
        ((_person, text),) = await world.settled()
        assert text.count("\n- ") == 2


async def test_what_was_taken_away_is_told_as_that() -> None:
    world = World(replace(CONFIG, fallback=SPARE))
    async with running(world):
        await world.settled()
        world.config, world.items = CONFIG, {ItemName.CHANNEL_TOKEN: 1, ItemName.PROVIDER_KEY: 1}
        ((_person, text),) = await world.settled()
        words = texts.of("de")
        assert words.taken_away["prompt"] in text
        assert words.taken_away["fallback"] in text


async def test_who_was_let_in_is_counted_and_not_named() -> None:
    world = World()
    async with running(world):
        await world.settled()
        world.register.change(lambda people: people.admit("424242"))
        ((_person, text),) = await world.settled()
        assert "2" in text
        assert "424242" not in text


async def test_without_an_owner_nobody_is_told_and_at_a_terminal_whoever_is_there() -> None:
    for anybody in (False, True):
        world = World(people=People(), anybody=anybody)
        async with running(world):
            await world.settled()
            world.config = replace(CONFIG, model="gpt-6")
            told = await world.settled()
            assert [person for person, _text in told] == ([""] if anybody else [])


async def test_while_the_messenger_is_away_it_is_told_later_what_is_then() -> None:
    world = World()
    async with running(world):
        await world.settled()
        world.channel.away = asyncio.Event()
        world.config = replace(CONFIG, model="gpt-6")
        assert await world.settled() == []
        world.config = replace(CONFIG, model="gpt-7")
        assert await world.settled() == []
        world.channel.away.set()
        texts_told = [text for _person, text in await world.settled()]
        assert ["gpt-6" in texts_told[0], "gpt-7" in texts_told[-1]] == [True, True]


@pytest.mark.parametrize(
    ("code", "again"), [(Code.PERSON_UNREACHABLE, False), (Code.CHANNEL_ERROR, True), (Code.HOST_NOT_ALLOWED, True)]
)
async def test_an_owner_who_blocked_the_bot_is_left_alone(code: Code, *, again: bool) -> None:
    world = World()
    async with running(world):
        await world.settled()
        world.channel.failure = ChannelError(code)
        world.config = replace(CONFIG, model="gpt-6")
        assert await world.settled() == []
        world.channel.failure = None
        assert bool(await world.settled()) is again


@pytest.mark.parametrize("language", texts.LANGUAGES)
def test_every_change_has_a_sentence_in_every_language(language: str) -> None:
    words = texts.of(language)
    known = state(replace(CONFIG, fallback=SPARE), {**ITEMS, ItemName.FALLBACK_KEY: 1}, 3)
    assert {one for name in words.changes for one in name.split("+")} == set(known)
    assert set(words.accesses) == {one.value for one in Access}
    assert set(words.changes) == set(texts.of("en").changes)
    assert set(words.taken_away) == set(texts.of("en").taken_away)
    for name, sentence in words.changes.items():
        assert sentence.endswith(".")
        asked = {found[1] for found in Formatter().parse(sentence) if found[1]}
        assert asked <= {"provider", "model", "fallback", "access", "people"}
        assert asked == {found[1] for found in Formatter().parse(texts.of("en").changes[name]) if found[1]}
    said = render(sentences(dict.fromkeys(known, "before"), known, language)).text
    assert all(line.startswith("• ") for line in said.split("\n\n")[1].splitlines())


def test_a_name_cannot_break_the_sentence() -> None:
    was = state(CONFIG, ITEMS, 1)
    said = sentences(was, was | {"model": "`{provider}` *x*"}, "en")
    assert "'{provider}' *x*" in render(said).text


def test_what_is_compared_are_names_and_versions() -> None:
    assert all(len(value) <= 20 for value in state(CONFIG, ITEMS, 1).values())
