"""One suite for every AI provider: the fake beside the seam, and each adapter against its stand-in."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass

import pytest
from tests.support.standins import KEY, credentials, stand_ins

from clawmates.mate.errors import ProviderError
from clawmates.mate.messages import Author, Message, Text
from clawmates.mate.providers.base import Delta, Finished, Prompt, Provider, Stop
from clawmates.mate.providers.openai import OpenAI
from clawmates.mate.providers.scripted import ScriptedProvider
from clawmates.simulator.model import Failure, Fault, FaultKind, Service, TlsMode
from clawmates.wire.codes import Code

MODEL = "gpt-5-mini"
HOSTILE = 'quote " backslash \\ newline \n tab \t null \u0000 rtl \u202e emoji 😀 lone \ud83d end'


@dataclass
class Kit:
    """A provider and how to make it fail with a code."""

    provider: Provider
    fail: Callable[[Code, int], Awaitable[None]]
    """The next answer fails with a code, after so many words."""


@asynccontextmanager
async def scripted() -> AsyncIterator[Kit]:
    provider = ScriptedProvider()

    async def fail(code: Code, _words: int) -> None:
        provider.script.append(ProviderError(code))

    yield Kit(provider, fail)


@asynccontextmanager
async def openai() -> AsyncIterator[Kit]:
    async with stand_ins() as there:
        await there.simulator.add_key(KEY)
        await there.simulator.add_model(MODEL)

        async def fail(code: Code, words: int) -> None:
            fault = AT_START[code] if words == 0 else MIDWAY[code]
            await there.simulator.set_fault(
                Service.OPENAI, Fault(kind=fault.kind, failure=fault.failure, words=words), times=1
            )

        yield Kit(OpenAI(there.web(), credentials()), fail)


def error(failure: Failure) -> Fault:
    return Fault(kind=FaultKind.ERROR, failure=failure)


AT_START = {
    Code.BAD_KEY: error(Failure.INVALID_API_KEY),
    Code.NO_CREDIT: error(Failure.INSUFFICIENT_QUOTA),
    Code.PROVIDER_RATE_LIMITED: error(Failure.RATE_LIMIT),
    Code.UNKNOWN_MODEL: error(Failure.MODEL_NOT_FOUND),
    Code.TOO_LONG: error(Failure.CONTEXT_LENGTH),
    Code.PROVIDER_OVERLOADED: error(Failure.OVERLOADED),
    Code.REGION_NOT_ALLOWED: error(Failure.REGION),
    Code.PROVIDER_ERROR: error(Failure.SERVER_ERROR),
    Code.PROVIDER_UNREACHABLE: Fault(kind=FaultKind.DROP_ANSWER),
}
MIDWAY = {
    Code.PROVIDER_UNREACHABLE: Fault(kind=FaultKind.DROP_MIDWAY),
    Code.PROVIDER_ERROR: Fault(kind=FaultKind.BAD_JSON),
    Code.PROVIDER_RATE_LIMITED: Fault(kind=FaultKind.STREAM_FAILURE, failure=Failure.RATE_LIMIT),
}
KITS = pytest.mark.parametrize("kit", [scripted, openai])


def prompt(*texts: str, instructions: str = "") -> Prompt:
    authors = (Author.PERSON, Author.ASSISTANT)
    messages = tuple(Message(authors[index % 2], (Text(text),)) for index, text in enumerate(texts))
    return Prompt(MODEL, instructions, messages, 500)


async def answer(provider: Provider, asked: Prompt) -> tuple[str, Finished]:
    text, finished = "", None
    async for piece in provider.answer(asked):
        assert finished is None, "a piece came behind the end"
        if isinstance(piece, Delta):
            text += piece.text
        else:
            finished = piece
    assert finished is not None
    return text, finished


@KITS
async def test_an_answer_comes_in_pieces_and_ends_once(kit: Callable[[], Kit]) -> None:
    async with kit() as there:  # type: ignore[attr-defined]
        text, finished = await answer(there.provider, prompt("one", "two", "three words here"))
    assert "three words here" in text
    assert finished.stop is Stop.COMPLETE
    assert finished.input_tokens > 0
    assert finished.output_tokens > 0


@KITS
async def test_hostile_text_goes_there_and_back(kit: Callable[[], Kit]) -> None:
    async with kit() as there:  # type: ignore[attr-defined]
        text, _finished = await answer(there.provider, prompt(HOSTILE, instructions=HOSTILE))
    assert 'quote " backslash \\' in text
    assert "emoji 😀" in text


@KITS
@pytest.mark.parametrize("code", list(AT_START))
async def test_every_refusal_is_a_code_and_the_next_answer_works(kit: Callable[[], Kit], code: Code) -> None:
    async with kit() as there:  # type: ignore[attr-defined]
        await there.fail(code, 0)
        with pytest.raises(ProviderError) as caught:
            await answer(there.provider, prompt("a secret question"))
        assert caught.value.code is code
        assert "secret" not in repr(caught.value)
        text, _finished = await answer(there.provider, prompt("again"))
    assert "again" in text


@KITS
@pytest.mark.parametrize("code", list(MIDWAY))
async def test_a_failure_in_the_middle_is_a_code_too(kit: Callable[[], Kit], code: Code) -> None:
    async with kit() as there:  # type: ignore[attr-defined]
        await there.fail(code, 2)
        with pytest.raises(ProviderError) as caught:
            await answer(there.provider, prompt("one two three four five"))
        assert caught.value.code is code


@KITS
async def test_leaving_early_does_not_spoil_the_next_answer(kit: Callable[[], Kit]) -> None:
    async with kit() as there:  # type: ignore[attr-defined]
        stream = there.provider.answer(prompt("one two three four five"))
        await anext(stream)
        await stream.aclose()
        text, _finished = await answer(there.provider, prompt("again"))
    assert "again" in text


async def test_openai_is_told_not_to_store_and_nothing_it_need_not_know() -> None:
    async with stand_ins() as there:
        await there.simulator.add_key(KEY)
        await there.simulator.add_model(MODEL)
        await answer(OpenAI(there.web(), credentials()), prompt("hello", instructions="be kind"))
        (call,) = await there.simulator.journal(Service.OPENAI)
    assert call.parameters["store"] is False
    assert set(call.parameters) == {"model", "input", "instructions", "stream", "store", "max_output_tokens"}
    assert call.headers.get("accept-encoding") == "identity"
    assert call.tls == "TLSv1.3"


async def test_openai_keeps_its_connection_for_the_next_message() -> None:
    async with stand_ins() as there:
        await there.simulator.add_key(KEY)
        await there.simulator.add_model(MODEL)
        provider = OpenAI(there.web(), credentials())
        for text in ("one", "two", "three"):
            await answer(provider, prompt(text))
        assert (await there.simulator.status()).connections == 1


@pytest.mark.parametrize("mode", [mode for mode in TlsMode if mode is not TlsMode.GOOD])
async def test_openai_is_not_spoken_to_over_a_bad_line(mode: TlsMode) -> None:
    async with stand_ins() as there:
        await there.simulator.add_key(KEY)
        await there.simulator.set_tls(Service.OPENAI, mode)
        with pytest.raises(ProviderError) as caught:
            await answer(OpenAI(there.web(), credentials()), prompt("a secret question"))
        assert caught.value.code is Code.PROVIDER_UNREACHABLE
        assert await there.simulator.journal(Service.OPENAI) == ()
