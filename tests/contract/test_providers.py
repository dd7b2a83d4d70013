"""One suite for every AI provider: the fake beside the seam, each adapter against its stand-in, and each against bytes.

The stand-ins check that requests are what the references allow; the bytes are what no stand-in would send.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import traceback
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager, aclosing, asynccontextmanager
from dataclasses import dataclass, field, replace
from functools import partial

import pytest
from tests.support.speeches import SPEECHES, Heard, Out, Play, Speech, Spoken, spoken, stream, whole
from tests.support.standins import KEY, credentials, stand_ins_within

from clawmates.mate.credentials import Credentials
from clawmates.mate.errors import ProviderError
from clawmates.mate.messages import Author, Message, Text
from clawmates.mate.providers import call
from clawmates.mate.providers.anthropic import Anthropic
from clawmates.mate.providers.base import Delta, Finished, PassingError, Prompt, Provider, Stop
from clawmates.mate.providers.call import Patience
from clawmates.mate.providers.google import Google
from clawmates.mate.providers.ollama import Ollama
from clawmates.mate.providers.openai import OpenAI
from clawmates.mate.providers.scripted import ScriptedProvider
from clawmates.mate.web import Web
from clawmates.simulator.client import Simulator
from clawmates.simulator.model import Failure, Fault, FaultKind, Service, TlsMode
from clawmates.wire.codes import Code

MODEL = "gpt-5-mini"
HOSTILE = 'quote " backslash \\ newline \n tab \t null \u0000 rtl \u202e emoji 😀 lone \ud83d end'
SECRET = "SECRET"
CLOSED_WITHIN = 30.0
"""Long before a connection that was kept would be given up."""
"""Seconds from a Stop to a closed call, by the issue."""


@dataclass
class Kit:
    """A provider and how to make it fail."""

    provider: Provider
    fail: Callable[[Code, int], Awaitable[None]]
    """The next answer fails with a code, after so many words."""


@dataclass(frozen=True)
class Factory:
    """Opens a kit; which codes it can be made to fail with at the start and in the middle."""

    name: str
    open: Callable[[], AbstractAsyncContextManager[Kit]]
    at_start: tuple[Code, ...]
    midway: tuple[Code, ...]
    model: str = MODEL


@asynccontextmanager
async def scripted() -> AsyncIterator[Kit]:
    provider = ScriptedProvider()

    async def fail(code: Code, _words: int) -> None:
        provider.script.append(ProviderError(code))

    yield Kit(provider, fail)


@dataclass(frozen=True)
class Company:
    """An adapter and the stand-in that was written without it."""

    service: Service
    make: Callable[[Web, Credentials], Provider]
    model: str
    at_start: Mapping[Code, Fault]
    midway: Mapping[Code, Fault]


async def know(simulator: Simulator, company: Company) -> None:
    await simulator.add_key(KEY, company.service)
    await simulator.add_model(company.model, company.service)


@asynccontextmanager
async def stood_in(company: Company) -> AsyncIterator[Kit]:
    async with stand_ins_within() as there:
        await know(there.simulator, company)

        async def fail(code: Code, words: int) -> None:
            fault = company.midway[code] if words else company.at_start[code]
            await there.simulator.set_fault(company.service, replace(fault, words=words), times=1)

        yield Kit(company.make(there.web(), credentials()), fail)


@asynccontextmanager
async def in_bytes(speech: Speech) -> AsyncIterator[Kit]:
    async with spoken(speech) as there:

        async def fail(code: Code, words: int) -> None:
            some = [speech.text("word ")] * words
            played: Mapping[Code, Play] = {
                Code.PROVIDER_UNREACHABLE: stream(speech.begin, *some, cut=True),
                Code.PROVIDER_OVERLOADED: stream(speech.begin, *some, speech.broken),
            }
            there.server.script.append(played[code] if words else speech.refuse(code.value))

        yield Kit(there.provider, fail)


def error(failure: Failure) -> Fault:
    return Fault(kind=FaultKind.ERROR, failure=failure)


LOCAL = {
    # The first, on a fresh connection: one that was kept may be stale, and a request on it is sent again.
    Code.PROVIDER_UNREACHABLE: Fault(kind=FaultKind.DROP_ANSWER),
    Code.UNKNOWN_MODEL: error(Failure.MODEL_NOT_FOUND),
    Code.PROVIDER_OVERLOADED: error(Failure.OVERLOADED),
    Code.PROVIDER_ERROR: error(Failure.SERVER_ERROR),
}
AT_START = {
    **LOCAL,
    Code.BAD_KEY: error(Failure.INVALID_API_KEY),
    Code.NO_CREDIT: error(Failure.INSUFFICIENT_QUOTA),
    Code.PROVIDER_RATE_LIMITED: error(Failure.RATE_LIMIT),
    Code.TOO_LONG: error(Failure.CONTEXT_LENGTH),
    Code.REGION_NOT_ALLOWED: error(Failure.REGION),
}
CUT = {
    Code.PROVIDER_UNREACHABLE: Fault(kind=FaultKind.DROP_MIDWAY),
    Code.PROVIDER_ERROR: Fault(kind=FaultKind.BAD_JSON),
}
MIDWAY = {**CUT, Code.PROVIDER_RATE_LIMITED: Fault(kind=FaultKind.STREAM_FAILURE, failure=Failure.RATE_LIMIT)}
COMPANIES = (
    Company(Service.OPENAI, OpenAI, "gpt-5-mini", AT_START, MIDWAY),
    Company(Service.ANTHROPIC, Anthropic, "claude-haiku-5-5", AT_START, MIDWAY),
    Company(Service.GOOGLE, Google, "gemini-3.8-flash", AT_START, MIDWAY),
    Company(Service.OLLAMA, lambda web, _keys: Ollama(web), "qwen3:8b", LOCAL, CUT),
)


def bytes_factory(speech: Speech) -> Factory:
    midway = [Code.PROVIDER_UNREACHABLE, *([] if speech.name == "ollama" else [Code.PROVIDER_OVERLOADED])]
    return Factory(
        f"{speech.name}-bytes",
        partial(in_bytes, speech),
        tuple(Code(code) for code in speech.refusals),
        tuple(midway),
        speech.model,
    )


FACTORIES = (
    Factory("scripted", scripted, tuple(AT_START), tuple(MIDWAY)),
    *(
        Factory(one.service.value, partial(stood_in, one), tuple(one.at_start), tuple(one.midway), one.model)
        for one in COMPANIES
    ),
    *(bytes_factory(speech) for speech in SPEECHES),
)
COMPANY = pytest.mark.parametrize("company", COMPANIES, ids=lambda company: company.service.value)
EVERY = pytest.mark.parametrize("kit", FACTORIES, ids=lambda kit: kit.name)
SPOKEN = pytest.mark.parametrize("speech", SPEECHES, ids=lambda speech: speech.name)


def prompt(*texts: str, instructions: str = "", model: str = MODEL, most: int = 500) -> Prompt:
    authors = (Author.PERSON, Author.ASSISTANT)
    messages = tuple(Message(authors[index % 2], (Text(text),)) for index, text in enumerate(texts))
    return Prompt(model, instructions, messages, most)


@dataclass
class Answer:
    """What came of one call."""

    pieces: list[str] = field(default_factory=list)
    finished: Finished | None = None

    @property
    def text(self) -> str:
        return "".join(self.pieces)


async def answer(provider: Provider, asked: Prompt) -> tuple[str, Finished]:
    got = Answer()
    await hear(provider, asked, got)
    assert got.finished is not None
    return got.text, got.finished


async def hear(provider: Provider, asked: Prompt, got: Answer) -> None:
    async with aclosing(provider.answer(asked)) as pieces:
        async for piece in pieces:
            assert got.finished is None, "a piece came behind the end"
            if isinstance(piece, Delta):
                assert piece.text, "a piece without text"
                got.pieces.append(piece.text)
            else:
                got.finished = piece


def shows_nothing_of(caught: ProviderError, secret: str) -> bool:
    hidden = caught.__cause__ is None and (caught.__context__ is None or caught.__suppress_context__)
    shown = (repr(caught), str(caught.args), repr(vars(caught)), *traceback.format_exception_only(caught))
    return hidden and not any(secret in one for one in shown)


@EVERY
async def test_an_answer_comes_in_pieces_and_ends_once(kit: Factory) -> None:
    async with kit.open() as there:
        text, finished = await answer(there.provider, prompt("one", "two", "three words here", model=kit.model))
    assert "three words here" in text
    assert finished.stop is Stop.COMPLETE
    assert finished.input_tokens > 0
    assert finished.output_tokens > 0


@EVERY
async def test_hostile_text_goes_there_and_back(kit: Factory) -> None:
    async with kit.open() as there:
        text, _finished = await answer(there.provider, prompt(HOSTILE, instructions=HOSTILE, model=kit.model))
    assert 'quote " backslash \\' in text
    assert "emoji 😀" in text


@EVERY
async def test_every_refusal_is_a_code_and_the_next_answer_works(kit: Factory) -> None:
    async with kit.open() as there:
        for code in kit.at_start:
            await there.fail(code, 0)
            with pytest.raises(ProviderError) as caught:
                await answer(there.provider, prompt("a SECRET question", model=kit.model))
            assert caught.value.code is code
            assert shows_nothing_of(caught.value, SECRET)
            text, _finished = await answer(there.provider, prompt("again", model=kit.model))
            assert "again" in text


@EVERY
async def test_a_failure_in_the_middle_is_a_code_too(kit: Factory) -> None:
    async with kit.open() as there:
        for code in kit.midway:
            await there.fail(code, 2)
            with pytest.raises(ProviderError) as caught:
                await answer(there.provider, prompt("one two three four five", model=kit.model))
            assert caught.value.code is code
            assert shows_nothing_of(caught.value, SECRET)


@EVERY
async def test_leaving_early_does_not_spoil_the_next_answer(kit: Factory) -> None:
    async with kit.open() as there:
        pieces = there.provider.answer(prompt("one two three four five", model=kit.model))
        await anext(pieces)
        await pieces.aclose()
        text, _finished = await answer(there.provider, prompt("again", model=kit.model))
    assert "again" in text


@SPOKEN
async def test_an_empty_answer_ends_without_a_piece(speech: Speech) -> None:
    async with spoken(speech) as there:
        there.server.script.append(speech.say())
        assert await answer(there.provider, prompt("hello", model=speech.model)) == ("", Finished(Stop.COMPLETE, 11, 7))


@SPOKEN
async def test_a_piece_is_passed_on_before_the_next_one_is_there(speech: Speech) -> None:
    more = asyncio.Event()

    async def play(out: Out, _heard: Heard) -> None:
        await out.head()
        await out.part(speech.begin + speech.text("first"))
        await more.wait()
        await out.part(speech.text("second") + speech.end(Stop.COMPLETE))
        await out.end()

    async with spoken(speech) as there:
        there.server.script.append(play)
        pieces = there.provider.answer(prompt("hello", model=speech.model))
        assert await anext(pieces) == Delta("first")
        more.set()
        assert [piece async for piece in pieces] == [Delta("second"), Finished(Stop.COMPLETE, 11, 7)]


@SPOKEN
async def test_an_answer_that_comes_byte_by_byte_is_the_same(speech: Speech) -> None:
    data = speech.begin + speech.text("grüße 😀") + speech.end(Stop.COMPLETE)
    async with spoken(speech) as there:
        there.server.script.append(stream(*(data[at : at + 1] for at in range(len(data)))))
        text, finished = await answer(there.provider, prompt("hello", model=speech.model))
    assert (text, finished) == ("grüße 😀", Finished(Stop.COMPLETE, 11, 7))


@SPOKEN
@pytest.mark.parametrize("part", range(8))
async def test_an_answer_cut_anywhere_is_never_taken_for_a_whole_one(speech: Speech, part: int) -> None:
    data = speech.begin + speech.text("one ") + speech.text("two ")
    async with spoken(speech) as there:
        for ends_well in (False, True):
            there.server.script.append(stream(data[: len(data) * part // 7], cut=not ends_well))
            with pytest.raises(PassingError) as caught:
                await answer(there.provider, prompt("hello", model=speech.model))
            assert caught.value.code is Code.PROVIDER_UNREACHABLE


@SPOKEN
async def test_a_connection_that_ends_before_the_head_is_a_provider_that_is_down(speech: Speech) -> None:
    async def play(out: Out, _heard: Heard) -> None:
        out.cut()

    async with spoken(speech) as there:
        there.server.script.append(play)
        with pytest.raises(PassingError) as caught:
            await answer(there.provider, prompt("hello", model=speech.model))
    assert caught.value.code is Code.PROVIDER_UNREACHABLE


@SPOKEN
@pytest.mark.parametrize("silent", ["before the head", "behind the head", "after a piece"])
async def test_a_provider_that_falls_silent_is_given_up(speech: Speech, silent: str) -> None:
    async def play(out: Out, _heard: Heard) -> None:
        if silent != "before the head":
            await out.head()
        if silent == "after a piece":
            await out.part(speech.begin + speech.text("one "))
        await out.until_gone()

    async with spoken(speech, Patience(head=0.1, between=0.1)) as there:
        there.server.script.append(play)
        with pytest.raises(ProviderError) as caught:
            await answer(there.provider, prompt("hello", model=speech.model))
        assert caught.value.code is Code.PROVIDER_UNREACHABLE
        assert not isinstance(caught.value, PassingError)
        await there.server.gone.wait()


@SPOKEN
@pytest.mark.parametrize("begun", [False, True])
async def test_a_provider_that_dribbles_is_cut_when_the_time_is_over(speech: Speech, begun: bool) -> None:  # noqa: FBT001
    async def play(out: Out, _heard: Heard) -> None:
        await out.head()
        if begun:
            await out.part(speech.begin + speech.text("one "))
        for byte in itertools.cycle(b"xy"):
            await out.part(bytes([byte]))
            await asyncio.sleep(0.005)  # the pace of the one who dribbles; nothing waits for it

    got = Answer()
    async with spoken(speech, Patience(between=5.0, whole=0.2)) as there:
        there.server.script.append(play)
        if begun:
            await hear(there.provider, prompt("hello", model=speech.model), got)
            assert (got.text, got.finished) == ("one ", Finished(Stop.LENGTH))
        else:
            with pytest.raises(ProviderError) as caught:
                await hear(there.provider, prompt("hello", model=speech.model), got)
            assert caught.value.code is Code.TIMED_OUT
        await there.server.gone.wait()


@SPOKEN
async def test_an_answer_that_never_ends_is_cut_where_its_limit_was(speech: Speech) -> None:
    async def play(out: Out, _heard: Heard) -> None:
        await out.head()
        while True:
            await out.part(speech.text("for ever "))

    async with spoken(speech) as there:
        there.server.script.append(play)
        text, finished = await answer(there.provider, prompt("hello", model=speech.model, most=10))
        await there.server.gone.wait()
    assert len(text) == 10 * call.CHARACTERS_PER_TOKEN
    assert finished.stop is Stop.LENGTH


@SPOKEN
async def test_a_stream_without_text_or_end_is_bounded_in_bytes(
    speech: Speech, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(call, "MAX_BYTES", 1 << 20)

    async def play(out: Out, _heard: Heard) -> None:
        await out.head()
        while True:
            await out.part(speech.begin)

    async with spoken(speech) as there:
        there.server.script.append(play)
        with pytest.raises(ProviderError) as caught:
            await answer(there.provider, prompt("hello", model=speech.model))
        await there.server.gone.wait()
    assert caught.value.code is Code.PROVIDER_ERROR


@SPOKEN
async def test_ten_megabytes_in_one_line_are_refused(speech: Speech) -> None:
    line = speech.text("x" * (10 << 20))
    async with spoken(speech) as there:
        there.server.script.append(stream(speech.begin, line, speech.end(Stop.COMPLETE)))
        with pytest.raises(ProviderError) as caught:
            await answer(there.provider, prompt("hello", model=speech.model))
    assert caught.value.code is Code.PROVIDER_ERROR


@SPOKEN
async def test_an_error_of_ten_megabytes_is_known_by_its_status(speech: Speech) -> None:
    async with spoken(speech) as there:
        there.server.script.append(whole(404, b'{"error": "' + b"x" * (10 << 20) + b'"}'))
        with pytest.raises(ProviderError) as caught:
            await answer(there.provider, prompt("hello", model=speech.model))
    assert caught.value.code is Code.UNKNOWN_MODEL


JUNK = (
    b"",
    b"{}",
    b"[]",
    b"null",
    b"17",
    b'"SECRET error"',
    b"SECRET",
    b"\xff\xfeSECRET",
    b"[" * 100_000,
    b'{"type": ' + b"9" * 5000 + b"}",
    b'{"type": {}, "error": "SECRET", "candidates": "SECRET", "message": "SECRET"}',
    b'{"type": "error", "error": ["SECRET"], "candidates": [3], "message": 4}',
    b'{"type": "response.output_text.delta", "delta": {"SECRET": 1}, "candidates": [{"content": 5}]}',
    b'{"type": "content_block_delta", "delta": {"type": "text_delta", "text": ["SECRET"]}, "message": {"content": 3}}',
    b'{"type": "response.completed", "response": "SECRET", "error": {"details": 7, "status": 8, "code": "x"}}',
    b'{"type": "message_start", "message": "SECRET", "promptFeedback": 3, "candidates": [{"content": {"parts": [1]}}]}',
)


@SPOKEN
@pytest.mark.parametrize("junk", JUNK, ids=range(len(JUNK)))
@pytest.mark.parametrize("status", [200, 400, 500])
async def test_junk_is_a_code_and_nothing_of_it_is_in_the_error(speech: Speech, junk: bytes, status: int) -> None:
    line = junk + b"\n" if speech.name == "ollama" else b"data: " + junk + b"\n\n"
    async with spoken(speech) as there:
        there.server.script.append(stream(line) if status == 200 else whole(status, junk))
        with pytest.raises(ProviderError) as caught:
            await answer(there.provider, prompt("a question", model=speech.model))
        assert shows_nothing_of(caught.value, SECRET)
        text, _finished = await answer(there.provider, prompt("again", model=speech.model))
    assert "again" in text


@SPOKEN
async def test_the_test_above_would_notice(speech: Speech, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(call, "MISSHAPEN", ())
    line = b"SECRET\n" if speech.name == "ollama" else b"data: SECRET\n\n"
    async with spoken(speech) as there:
        there.server.script.append(stream(line))
        with pytest.raises(json.JSONDecodeError) as caught:
            await answer(there.provider, prompt("a question", model=speech.model))
    assert SECRET in caught.value.doc


async def leave(there: Spoken, speech: Speech) -> None:
    pieces = there.provider.answer(prompt("hello", model=speech.model))
    assert await anext(pieces) == Delta("one ")
    await pieces.aclose()


async def cancelled_in_the_middle(there: Spoken, speech: Speech) -> None:
    begun = asyncio.Event()

    async def listen() -> None:
        async with aclosing(there.provider.answer(prompt("hello", model=speech.model))) as pieces:
            async for _piece in pieces:
                begun.set()

    task = asyncio.create_task(listen())
    await begun.wait()
    task.cancel()
    await asyncio.wait([task])
    assert task.cancelled()


@SPOKEN
@pytest.mark.parametrize("stop", [leave, cancelled_in_the_middle])
async def test_a_call_that_is_stopped_is_closed_at_once(
    speech: Speech, stop: Callable[[Spoken, Speech], Awaitable[None]]
) -> None:
    async def play(out: Out, _heard: Heard) -> None:
        await out.head()
        await out.part(speech.begin + speech.text("one "))
        await out.until_gone()

    async with spoken(speech) as there:
        there.server.script.append(play)
        await stop(there, speech)
        async with asyncio.timeout(CLOSED_WITHIN):
            await there.server.gone.wait()


@SPOKEN
async def test_a_call_that_is_cancelled_before_its_head_is_closed_at_once(speech: Speech) -> None:
    heard = asyncio.Event()

    async def play(out: Out, _heard: Heard) -> None:
        heard.set()
        await out.until_gone()

    async with spoken(speech) as there:
        there.server.script.append(play)
        task = asyncio.create_task(answer(there.provider, prompt("hello", model=speech.model)))
        await heard.wait()
        task.cancel()
        async with asyncio.timeout(CLOSED_WITHIN):
            await there.server.gone.wait()
        await asyncio.wait([task])
    assert task.cancelled()


@SPOKEN
async def test_one_connection_serves_a_conversation_errors_included(speech: Speech) -> None:
    async with spoken(speech) as there:
        for _turn in range(3):
            await answer(there.provider, prompt("hello", model=speech.model))
            there.server.script.append(speech.refuse("unknown-model"))
            with pytest.raises(ProviderError):
                await answer(there.provider, prompt("hello", model=speech.model))
    assert there.server.connections == 1


@COMPANY
async def test_a_request_is_one_that_the_reference_allows_and_says_nothing_it_need_not(company: Company) -> None:
    async with stand_ins_within() as there:
        await know(there.simulator, company)
        await answer(
            company.make(there.web(), credentials()), prompt("hello", instructions="be kind", model=company.model)
        )
        (heard,) = await there.simulator.journal(company.service)
        assert (await there.simulator.status()).stored == 0
    assert (heard.status, heard.warnings) == (200, ())
    assert heard.tls == ("TLSv1.3" if company.service.encrypted else "")
    assert heard.headers.get("accept-encoding") == "identity"
    assert set(heard.headers) <= {"host", "accept-encoding", "content-type", "content-length", "anthropic-version"}
    assert not {"tools", "metadata", "user", "safety_identifier"} & set(heard.parameters)


@COMPANY
async def test_the_connection_is_kept_for_the_next_message(company: Company) -> None:
    async with stand_ins_within() as there:
        await know(there.simulator, company)
        provider = company.make(there.web(), credentials())
        for text in ("one", "two", "three"):
            await answer(provider, prompt(text, model=company.model))
        assert (await there.simulator.status()).connections == 1


@COMPANY
async def test_a_provider_may_think_and_be_slow(company: Company) -> None:
    async with stand_ins_within() as there:
        await know(there.simulator, company)
        await there.simulator.set_style(first_byte_ms=100.0, gap_ms=5.0, words=30, thoughts=5)
        text, finished = await answer(company.make(there.web(), credentials()), prompt("hello", model=company.model))
    assert len(text.split()) == 30
    assert finished.stop is Stop.COMPLETE


@pytest.mark.parametrize(
    "company", [one for one in COMPANIES if one.service.encrypted], ids=lambda company: company.service.value
)
async def test_nobody_is_spoken_to_over_a_bad_line(company: Company) -> None:
    async with stand_ins_within() as there:
        await know(there.simulator, company)
        for mode in TlsMode:
            await there.simulator.set_tls(company.service, mode)
            if mode is TlsMode.GOOD:
                continue
            with pytest.raises(ProviderError) as caught:
                await answer(company.make(there.web(), credentials()), prompt("a question", model=company.model))
            assert caught.value.code is Code.PROVIDER_UNREACHABLE
            assert await there.simulator.journal(company.service) == ()


FILTERS = [
    pytest.param(COMPANIES[0], Failure.CONTENT_FILTER, id="openai"),
    pytest.param(COMPANIES[1], Failure.CONTENT_FILTER, id="anthropic"),
    pytest.param(COMPANIES[2], Failure.CONTENT_FILTER, id="google"),
    pytest.param(COMPANIES[2], Failure.PROMPT_BLOCKED, id="google-prompt"),
]


@pytest.mark.parametrize(("company", "failure"), FILTERS)
async def test_a_filter_ends_the_answer_and_says_so(company: Company, failure: Failure) -> None:
    async with stand_ins_within() as there:
        await know(there.simulator, company)
        await there.simulator.set_fault(company.service, Fault(kind=FaultKind.STREAM_FAILURE, failure=failure), times=1)
        _text, finished = await answer(company.make(there.web(), credentials()), prompt("hello", model=company.model))
    assert finished.stop is Stop.FILTERED


WAITS = [one for one in COMPANIES if Code.PROVIDER_RATE_LIMITED in one.at_start]


@pytest.mark.parametrize("company", WAITS, ids=lambda company: company.service.value)
async def test_the_wait_that_a_provider_asks_for_is_told(company: Company) -> None:
    async with stand_ins_within() as there:
        await know(there.simulator, company)
        fault = Fault(kind=FaultKind.ERROR, failure=Failure.RATE_LIMIT, retry_after=9)
        await there.simulator.set_fault(company.service, fault, times=1)
        with pytest.raises(PassingError) as caught:
            await answer(company.make(there.web(), credentials()), prompt("hello", model=company.model))
    assert 9.0 <= caught.value.wait < 10.0
    assert caught.value.number == 9
