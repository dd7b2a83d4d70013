"""Retries where nothing was shown, then the fallback."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import AsyncGenerator
from contextlib import aclosing, suppress
from dataclasses import dataclass, field, replace

import pytest
from tests.support.speeches import LoopDoor, keys

from clawmates.base.tls import client_context
from clawmates.mate.brain import Brain, Mind, think
from clawmates.mate.errors import BootError, ProviderError
from clawmates.mate.messages import Author, Message, Text
from clawmates.mate.providers.anthropic import Anthropic
from clawmates.mate.providers.base import Delta, Finished, PassingError, Prompt, Stop
from clawmates.mate.providers.ollama import Ollama
from clawmates.mate.providers.openai import OpenAI
from clawmates.mate.providers.scripted import ScriptedProvider
from clawmates.mate.web import Web
from clawmates.wire.codes import Code, Event
from clawmates.wire.door import FallbackConfig, MateConfig
from clawmates.wire.names import ChannelKind, ItemName

BUSY = PassingError(Code.PROVIDER_OVERLOADED)
HELLO = (Message(Author.PERSON, (Text("hello"),)),)


class Interrupted(ScriptedProvider):
    """Says a word, then fails."""

    async def answer(self, prompt: Prompt) -> AsyncGenerator[Delta | Finished, None]:
        self.prompts.append(prompt)
        yield Delta("half ")
        raise BUSY


@dataclass
class House:
    main: ScriptedProvider = field(default_factory=ScriptedProvider)
    spare: ScriptedProvider = field(default_factory=ScriptedProvider)
    slept: list[float] = field(default_factory=list)
    said: list[Code] = field(default_factory=list)
    budgets: list[int] = field(default_factory=list)
    jitter: float = 1.0

    def brain(self, *, fallback: bool = False, spare_context: int = 2000) -> Brain:
        spare = Mind(self.spare, "spare", spare_context, 200, 0.5) if fallback else None
        return Brain(self.main, "main", "be kind", 1000, 100, None, spare, lambda: self.jitter, self.sleep)

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)

    async def say(self, event: Event) -> None:
        self.said.append(event.code)

    def history(self, tokens: int) -> tuple[Message, ...]:
        self.budgets.append(tokens)
        return HELLO

    async def ask(self, brain: Brain) -> list[Delta | Finished]:
        async with aclosing(brain.answer(self.history, self.say)) as pieces:
            return [piece async for piece in pieces]


@pytest.fixture
def house() -> House:
    return House()


async def test_a_good_answer_is_asked_for_once(house: House) -> None:
    house.main.script = [("one ", "two")]
    assert await house.ask(house.brain(fallback=True)) == [Delta("one "), Delta("two"), Finished(Stop.COMPLETE, 1, 2)]
    assert (len(house.main.prompts), house.spare.prompts, house.slept, house.said) == (1, [], [], [])


async def test_an_empty_answer_is_an_answer(house: House) -> None:
    house.main.script = [()]
    assert await house.ask(house.brain(fallback=True)) == [Finished(Stop.COMPLETE, 1, 0)]
    assert len(house.main.prompts) == 1


async def test_what_may_pass_is_tried_twice_more_and_further_apart(house: House) -> None:
    house.main.script = [BUSY, BUSY, ("yes",)]
    house.jitter = 1.2
    assert (await house.ask(house.brain()))[0] == Delta("yes")
    assert house.slept == [0.6, 1.2]


async def test_the_third_failure_is_the_last(house: House) -> None:
    house.main.script = [BUSY, BUSY, BUSY, ("too late",)]
    with pytest.raises(ProviderError) as caught:
        await house.ask(house.brain())
    assert caught.value.code is Code.PROVIDER_OVERLOADED
    assert len(house.main.prompts) == 3


async def test_the_wait_that_was_asked_for_is_kept(house: House) -> None:
    house.main.script = [PassingError(Code.PROVIDER_RATE_LIMITED, 20, 20.0), ("yes",)]
    await house.ask(house.brain())
    assert house.slept == [20.5]


async def test_too_long_a_wait_is_not_waited_for(house: House) -> None:
    house.main.script = [PassingError(Code.PROVIDER_RATE_LIMITED, 21, 21.0)]
    with pytest.raises(ProviderError) as caught:
        await house.ask(house.brain())
    assert caught.value.number == 21
    assert house.slept == []


@pytest.mark.parametrize("code", [Code.BAD_KEY, Code.NO_CREDIT, Code.UNKNOWN_MODEL, Code.PROVIDER_ERROR])
async def test_what_does_not_pass_is_not_tried_again(house: House, code: Code) -> None:
    house.main.script = [ProviderError(code)]
    with pytest.raises(ProviderError):
        await house.ask(house.brain())
    assert len(house.main.prompts) == 1


async def test_nothing_is_asked_twice_once_a_part_was_shown(house: House) -> None:
    house.main = Interrupted()
    async with aclosing(house.brain(fallback=True).answer(house.history, house.say)) as pieces:
        assert await anext(pieces) == Delta("half ")
        with pytest.raises(ProviderError):
            await anext(pieces)
    assert (len(house.main.prompts), house.spare.prompts, house.slept, house.said) == (1, [], [], [])


@pytest.mark.parametrize(
    "code", [Code.BAD_KEY, Code.NO_CREDIT, Code.UNKNOWN_MODEL, Code.REGION_NOT_ALLOWED, Code.PROVIDER_UNREACHABLE]
)
async def test_the_fallback_answers_and_the_owner_is_told_why(house: House, code: Code) -> None:
    house.main.script = [ProviderError(code)]
    assert (await house.ask(house.brain(fallback=True)))[0] == Delta("You said: hello")
    assert house.said == [code]
    (prompt,) = house.spare.prompts
    assert (prompt.model, prompt.max_output_tokens, prompt.temperature) == ("spare", 200, 0.5)
    assert prompt.instructions == "be kind"


async def test_the_fallback_comes_after_the_retries_and_has_its_own(house: House) -> None:
    house.main.script = [BUSY, BUSY, BUSY]
    house.spare.script = [BUSY, ("yes",)]
    assert (await house.ask(house.brain(fallback=True)))[0] == Delta("yes")
    assert (len(house.main.prompts), len(house.spare.prompts), len(house.slept)) == (3, 2, 3)


async def test_when_the_fallback_fails_too_its_error_is_the_answer(house: House) -> None:
    house.main.script = [ProviderError(Code.BAD_KEY)]
    house.spare.script = [ProviderError(Code.NO_CREDIT)]
    with pytest.raises(ProviderError) as caught:
        await house.ask(house.brain(fallback=True))
    assert caught.value.code is Code.NO_CREDIT
    assert house.said == [Code.BAD_KEY]


@pytest.mark.parametrize("code", [Code.FILTERED, Code.TIMED_OUT])
async def test_a_refusal_is_not_shopped_around(house: House, code: Code) -> None:
    house.main.script = [ProviderError(code)]
    with pytest.raises(ProviderError):
        await house.ask(house.brain(fallback=True))
    assert house.spare.prompts == []


@pytest.mark.parametrize(("context", "asked"), [(2000, 1), (1000, 0)])
async def test_what_is_too_long_goes_to_a_larger_window_only(house: House, context: int, asked: int) -> None:
    house.main.script = [ProviderError(Code.TOO_LONG)]
    with suppress(ProviderError):
        await house.ask(house.brain(fallback=True, spare_context=context))
    assert len(house.spare.prompts) == asked


async def test_the_window_leaves_room_for_instructions_and_answer(house: House) -> None:
    house.main.script = [ProviderError(Code.BAD_KEY)]
    brain = replace(house.brain(fallback=True), instructions="x" * 300)
    await house.ask(brain)
    assert house.budgets == [1000 - 100 - 100, 2000 - 200 - 100]
    assert brain.window_tokens == 800
    assert house.spare.prompts[0].context_tokens == 2000


async def test_instructions_larger_than_the_model_leave_a_window_all_the_same(house: House) -> None:
    await house.ask(replace(house.brain(), instructions="x" * 30_000))
    assert house.budgets == [1]


CONFIG = MateConfig(
    revision=1,
    channel=ChannelKind.TELEGRAM,
    channel_hosts=("api.telegram.org",),
    provider="openai",
    provider_hosts=("api.openai.com",),
    model="gpt-6-luna",
    context_tokens=1000,
    output_tokens=100,
    temperature=0.3,
)


def spare(provider: str, host: str) -> FallbackConfig:
    return FallbackConfig(
        provider=provider, provider_hosts=(host,), model="m", context_tokens=10, output_tokens=5, temperature=0.3
    )


def thought(config: MateConfig) -> Brain:
    return think(config, Web(LoopDoor(0), client_context()), keys("api.openai.com"), lambda: 1.0)


def test_a_configuration_becomes_a_brain() -> None:
    brain = thought(CONFIG)
    assert isinstance(brain.provider, OpenAI)
    assert (brain.provider.host, brain.provider.item) == ("api.openai.com", ItemName.PROVIDER_KEY)
    assert (brain.model, brain.context_tokens, brain.output_tokens, brain.temperature) == ("gpt-6-luna", 1000, 100, 0.3)
    assert brain.fallback is None


def test_a_fallback_elsewhere_has_a_key_of_its_own() -> None:
    found = thought(replace(CONFIG, fallback=spare("anthropic", "api.anthropic.com"))).fallback
    assert found is not None
    assert isinstance(found.provider, Anthropic)
    assert (found.provider.host, found.provider.item) == ("api.anthropic.com", ItemName.FALLBACK_KEY)
    assert (found.model, found.context_tokens, found.output_tokens, found.temperature) == ("m", 10, 5, 0.3)


def test_a_fallback_at_the_same_provider_uses_the_same_key() -> None:
    found = thought(replace(CONFIG, fallback=spare("openai", "api.openai.com"))).fallback
    assert found is not None
    assert isinstance(found.provider, OpenAI)
    assert found.provider.item is ItemName.PROVIDER_KEY


def test_ollama_needs_no_key() -> None:
    found = thought(replace(CONFIG, fallback=spare("ollama", "ollama"))).fallback
    assert found is not None
    assert isinstance(found.provider, Ollama)
    assert found.provider.host == "ollama"


@pytest.mark.parametrize("change", [{"provider": "nobody"}, {"fallback": spare("nobody", "nowhere.example")}])
def test_an_unknown_provider_is_refused(change: dict[str, object]) -> None:
    with pytest.raises(BootError):
        thought(replace(CONFIG, **change))  # type: ignore[arg-type]


def test_an_adapter_that_is_not_configured_is_not_loaded() -> None:
    program = (
        "import sys\n"
        "from clawmates.mate import main, brain\n"
        "brain._provider('google', ('h',), None, None, None)\n"
        "print(sorted(name for name in sys.modules if name.startswith('clawmates.mate.providers.')))\n"
        "print([name for name in ('pathlib', 'random', 'secrets', 'urllib', 'email', 'http') if name in sys.modules])\n"
    )
    done = subprocess.run([sys.executable, "-I", "-c", program], check=True, capture_output=True, text=True)
    loaded, heavy = done.stdout.splitlines()
    assert not [name for name in ("openai", "anthropic", "ollama") if name in loaded]
    assert "google" in loaded
    assert heavy == "[]"
