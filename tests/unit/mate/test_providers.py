"""What each adapter sends, and how it reads what only its own provider says."""

from __future__ import annotations

import json
from collections.abc import Sequence
from contextlib import aclosing
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.support.speeches import (
    ANTHROPIC,
    GOOGLE,
    KEY,
    OLLAMA,
    OPENAI,
    SPEECHES,
    Speech,
    keys,
    spoken,
    sse,
    stream,
    whole,
)

from clawmates.mate.errors import ProviderError
from clawmates.mate.messages import Author, Media, MediaKind, Message, Text
from clawmates.mate.providers import google
from clawmates.mate.providers.anthropic import Anthropic
from clawmates.mate.providers.base import Delta, Finished, PassingError, Prompt, Provider, Stop
from clawmates.mate.providers.call import Request, count, seconds
from clawmates.mate.providers.google import Google
from clawmates.mate.providers.history import turns
from clawmates.mate.providers.openai import OpenAI
from clawmates.mate.providers.pairs import Pairs
from clawmates.wire.codes import Code
from clawmates.wire.names import ItemName

SPOKEN = pytest.mark.parametrize("speech", SPEECHES, ids=lambda speech: speech.name)
TALK = (
    Message(Author.ASSISTANT, (Text("cut off"),)),
    Message(Author.PERSON, (Text("one"),)),
    Message(Author.ASSISTANT, (Text("two"),)),
    Message(Author.PERSON, (Media(MediaKind.IMAGE, "file"),)),
    Message(Author.PERSON, (Text("three"),)),
)


def asked(speech: Speech, **more: Any) -> Prompt:
    return Prompt(speech.model, "be kind", TALK, 500, **more)


async def collect(provider: Provider, prompt: Prompt) -> list[Delta | Finished]:
    async with aclosing(provider.answer(prompt)) as pieces:
        return [piece async for piece in pieces]


async def sent(speech: Speech, **more: Any) -> tuple[str, dict[str, str], dict[str, Any]]:
    async with spoken(speech) as there:
        there.server.script.append(speech.say("yes"))
        await collect(there.provider, asked(speech, **more))
    (heard,) = there.server.heard
    assert heard.method == "POST"
    return heard.target, dict(heard.headers), heard.body


async def test_openai_request() -> None:
    target, headers, body = await sent(OPENAI, temperature=0.5)
    assert target == "/v1/responses"
    assert headers["authorization"] == f"Bearer {KEY}"
    assert body == {
        "model": OPENAI.model,
        "input": [
            {"role": "user", "content": "one"},
            {"role": "assistant", "content": "two"},
            {"role": "user", "content": "three"},
        ],
        "instructions": "be kind",
        "stream": True,
        "store": False,
        "max_output_tokens": 500,
        "temperature": 0.5,
    }


@pytest.mark.parametrize(("wanted", "given"), [(0.5, 0.5), (1.7, 1.0)])
async def test_anthropic_request(wanted: float, given: float) -> None:
    target, headers, body = await sent(ANTHROPIC, temperature=wanted)
    assert target == "/v1/messages"
    assert (headers["x-api-key"], headers["anthropic-version"]) == (KEY, "2023-06-01")
    assert body == {
        "model": ANTHROPIC.model,
        "max_tokens": 500,
        "messages": [
            {"role": "user", "content": "one"},
            {"role": "assistant", "content": "two"},
            {"role": "user", "content": "three"},
        ],
        "system": "be kind",
        "stream": True,
        "temperature": given,
    }


async def test_google_request() -> None:
    target, headers, body = await sent(GOOGLE, temperature=0.5)
    assert target == f"/v1beta/models/{GOOGLE.model}:streamGenerateContent?alt=sse"
    assert headers["x-goog-api-key"] == KEY
    assert body == {
        "contents": [
            {"role": "user", "parts": [{"text": "one"}]},
            {"role": "model", "parts": [{"text": "two"}]},
            {"role": "user", "parts": [{"text": "three"}]},
        ],
        "systemInstruction": {"parts": [{"text": "be kind"}]},
        "generationConfig": {"maxOutputTokens": 500, "temperature": 0.5},
        "store": False,
    }


async def test_ollama_request() -> None:
    target, headers, body = await sent(OLLAMA, temperature=0.5, context_tokens=16_384)
    assert target == "/api/chat"
    assert "authorization" not in headers
    assert body == {
        "model": OLLAMA.model,
        "messages": [
            {"role": "system", "content": "be kind"},
            {"role": "user", "content": "one"},
            {"role": "assistant", "content": "two"},
            {"role": "user", "content": "three"},
        ],
        "stream": True,
        "options": {"num_predict": 500, "num_ctx": 16_384, "temperature": 0.5},
    }


@SPOKEN
async def test_what_is_not_asked_for_is_not_sent(speech: Speech) -> None:
    async with spoken(speech) as there:
        await collect(there.provider, Prompt(speech.model, "", TALK, 500))
    (heard,) = there.server.heard
    raw = json.dumps(heard.body)
    assert not [word for word in ("temperature", "system", "instructions", "tool", "search", "num_ctx") if word in raw]
    assert KEY not in raw + heard.target
    assert heard.headers["accept-encoding"] == "identity"


@SPOKEN
@pytest.mark.parametrize("stop", list(Stop))
async def test_why_it_stopped_and_what_it_used(speech: Speech, stop: Stop) -> None:
    async with spoken(speech) as there:
        there.server.script.append(speech.say("yes", stop=stop))
        last = (await collect(there.provider, asked(speech)))[-1]
    # Ollama has no filter.
    wanted = Stop.COMPLETE if (speech is OLLAMA and stop is Stop.FILTERED) else stop
    assert last == Finished(wanted, 11, 7)


REFUSALS = [pytest.param(speech, code, id=f"{speech.name}-{code}") for speech in SPEECHES for code in speech.refusals]
PASSING = {
    Code.PROVIDER_RATE_LIMITED,
    Code.PROVIDER_OVERLOADED,
    Code.PROVIDER_UNREACHABLE,
    Code.PROVIDER_ERROR,
}


async def refused(speech: Speech, *answer: Any) -> ProviderError:
    async with spoken(speech) as there:
        there.server.script.append(whole(*answer))
        with pytest.raises(ProviderError) as caught:
            await collect(there.provider, asked(speech))
    return caught.value


@pytest.mark.parametrize(("speech", "code"), REFUSALS)
async def test_what_may_pass_says_so_and_a_wait_is_told_in_seconds(speech: Speech, code: str) -> None:
    status, body, headers = speech.refusals[code]
    error = await refused(speech, status, body, headers)
    assert isinstance(error, PassingError) is (error.code in PASSING)
    if error.code is Code.PROVIDER_RATE_LIMITED:
        assert isinstance(error, PassingError)
        assert (error.wait, error.number) == (7.0, 7)
    elif error.code not in {Code.PROVIDER_OVERLOADED, Code.PROVIDER_UNREACHABLE}:
        assert error.number == status


ANTHROPIC_MORE = [
    (402, {"type": "billing_error"}, Code.NO_CREDIT),
    (403, {"type": "permission_error"}, Code.BAD_KEY),
    (413, {"type": "request_too_large"}, Code.TOO_LONG),
    (504, {"type": "timeout_error"}, Code.PROVIDER_OVERLOADED),
    (400, {"type": "invalid_request_error", "message": "You have reached your usage limits."}, Code.NO_CREDIT),
    (400, {"type": "invalid_request_error", "message": "max_tokens: must be positive"}, Code.PROVIDER_ERROR),
    (529, {}, Code.PROVIDER_OVERLOADED),
    (418, {}, Code.PROVIDER_ERROR),
    (302, {}, Code.PROVIDER_ERROR),
]
GOOGLE_MORE = [
    (402, {"status": "RESOURCE_EXHAUSTED"}, Code.NO_CREDIT),
    (403, {"status": "PERMISSION_DENIED"}, Code.BAD_KEY),
    (401, {"status": "UNAUTHENTICATED"}, Code.BAD_KEY),
    (504, {"status": "DEADLINE_EXCEEDED"}, Code.PROVIDER_OVERLOADED),
    (
        400,
        {"status": "FAILED_PRECONDITION", "message": "free tier is not available in your country, enable billing"},
        Code.REGION_NOT_ALLOWED,
    ),
    (400, {"status": "FAILED_PRECONDITION", "message": "enable billing"}, Code.NO_CREDIT),
    (400, {"status": "INVALID_ARGUMENT", "message": "temperature is not supported"}, Code.PROVIDER_ERROR),
    (400, {"status": "INVALID_ARGUMENT", "details": "not a list"}, Code.PROVIDER_ERROR),
    (429, {}, Code.PROVIDER_RATE_LIMITED),
    (
        429,
        {"status": "RESOURCE_EXHAUSTED", "details": [{"violations": [{"quotaId": "RequestsPerDayPerProject"}]}]},
        Code.NO_CREDIT,
    ),
    (
        429,
        {"status": "RESOURCE_EXHAUSTED", "details": [{"violations": [{"quotaId": "RequestsPerMinute"}]}]},
        Code.PROVIDER_RATE_LIMITED,
    ),
]
OPENAI_MORE = [
    (401, {}, Code.BAD_KEY),
    (404, {"code": None}, Code.UNKNOWN_MODEL),
    (429, {"code": 7}, Code.PROVIDER_RATE_LIMITED),
    (400, {"code": "unsupported_parameter"}, Code.PROVIDER_ERROR),
]
OLLAMA_MORE = [
    (401, "unauthorized", Code.BAD_KEY),
    (403, "cloud models are disabled", Code.UNKNOWN_MODEL),
    (400, "the context length is exceeded", Code.TOO_LONG),
    (400, "invalid options", Code.PROVIDER_ERROR),
]
MORE = [
    *((ANTHROPIC, *one) for one in ANTHROPIC_MORE),
    *((GOOGLE, *one) for one in GOOGLE_MORE),
    *((OPENAI, *one) for one in OPENAI_MORE),
    *((OLLAMA, *one) for one in OLLAMA_MORE),
]


@pytest.mark.parametrize(("speech", "status", "error", "code"), MORE)
async def test_more_refusals(speech: Speech, status: int, error: object, code: Code) -> None:
    assert (await refused(speech, status, {"error": error})).code is code


@pytest.mark.parametrize(
    ("header", "wait"),
    [("7", 7.0), ("1.5", 1.5), ("Wed, 21 Oct 2026 07:28:00 GMT", 0.0), ("-3", 0.0), ("9" * 9, 1e6), ("9" * 99, 0.0)],
)
async def test_a_wait_that_is_no_number_of_seconds_is_no_wait(header: str, wait: float) -> None:
    error = await refused(OPENAI, 429, {"error": {"code": "rate_limit_exceeded"}}, (("Retry-After", header),))
    assert isinstance(error, PassingError)
    assert error.wait == wait


MIDDLE = [
    (ANTHROPIC, sse({"type": "error", "error": {"type": "rate_limit_error"}}), Code.PROVIDER_RATE_LIMITED),
    (OPENAI, sse({"type": "response.failed", "response": {"error": {"code": "server_error"}}}), Code.PROVIDER_ERROR),
    (OPENAI, sse({"type": "response.failed", "response": {}}), Code.PROVIDER_ERROR),
    (GOOGLE, b'data: {"error":{"code":429,"status":"RESOURCE_EXHAUSTED"}}\n\n', Code.PROVIDER_RATE_LIMITED),
    (GOOGLE, b'data: {"error":{}}\n\n', Code.PROVIDER_ERROR),
    (GOOGLE, b'{\n  "error": {\n    "status": "UNAVAILABLE"\n  }\n}\n\n', Code.PROVIDER_OVERLOADED),
    (GOOGLE, b'{"error": {"status": "UNAVAILABLE"}}\n', Code.PROVIDER_OVERLOADED),
    (OLLAMA, b'{"error":"model runner has unexpectedly stopped"}\n', Code.PROVIDER_ERROR),
]


@pytest.mark.parametrize(("speech", "event", "code"), MIDDLE)
async def test_an_error_in_the_middle_may_pass(speech: Speech, event: bytes, code: Code) -> None:
    async with spoken(speech) as there:
        there.server.script.append(stream(speech.begin, speech.text("one "), event))
        with pytest.raises(PassingError) as caught:
            await collect(there.provider, asked(speech))
    assert caught.value.code is code


@pytest.mark.parametrize(
    ("error", "code"),
    [
        # As the reference shows it, and as the API sends it.
        ({"code": "server_is_overloaded", "message": "SECRET", "param": None}, Code.PROVIDER_OVERLOADED),
        ({"error": {"type": "too_many_requests", "code": "too_many_requests"}}, Code.PROVIDER_RATE_LIMITED),
        ({"error": {"type": "service_unavailable_error", "code": None}}, Code.PROVIDER_OVERLOADED),
        ({"error": {"type": "insufficient_quota", "code": "insufficient_quota"}}, Code.NO_CREDIT),
        ({"error": {"type": "server_error", "code": "slow_down"}}, Code.PROVIDER_OVERLOADED),
        ({"error": {"type": "upstream_error", "code": "something_new"}}, Code.PROVIDER_ERROR),
        ({"error": None}, Code.PROVIDER_ERROR),
        ({"error": "words"}, Code.PROVIDER_ERROR),
        ({}, Code.PROVIDER_ERROR),
    ],
)
async def test_openai_says_what_broke_in_the_middle_in_either_form(error: dict[str, Any], code: Code) -> None:
    async with spoken(OPENAI) as there:
        there.server.script.append(stream(OPENAI.begin, OPENAI.text("one "), sse({"type": "error", **error})))
        with pytest.raises(ProviderError) as caught:
            await collect(there.provider, asked(OPENAI))
    assert caught.value.code is code


async def test_openai_shows_a_refusal_as_the_answer_it_is() -> None:
    async with spoken(OPENAI) as there:
        refusal = sse({"type": "response.refusal.delta", "delta": "I will not."})
        there.server.script.append(stream(refusal, OPENAI.end(Stop.COMPLETE)))
        assert (await collect(there.provider, asked(OPENAI)))[0] == Delta("I will not.")


async def test_google_blocks_a_prompt_before_any_answer() -> None:
    async with spoken(GOOGLE) as there:
        event = {"promptFeedback": {"blockReason": "SAFETY"}, "usageMetadata": {"promptTokenCount": 11}}
        there.server.script.append(stream(b"data: " + json.dumps(event).encode() + b"\n\n"))
        assert await collect(there.provider, asked(GOOGLE)) == [Finished(Stop.FILTERED, 11, 0)]


@pytest.mark.parametrize("model", ["../../v1/files", "gemini?key=1", "a b", "", "Gemini", "x" * 200])
async def test_google_model_that_would_change_the_path_is_not_asked_for(model: str) -> None:
    async with spoken(GOOGLE) as there:
        with pytest.raises(ProviderError) as caught:
            await collect(there.provider, Prompt(model, "", TALK, 5))
        assert caught.value.code is Code.UNKNOWN_MODEL
        assert there.server.heard == []


async def test_the_test_above_would_notice(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(google, "_SAFE", frozenset(map(chr, range(128))))
    async with spoken(GOOGLE) as there:
        await collect(there.provider, Prompt("../../v1/files?", "", TALK, 5))
    assert there.server.heard[0].target.startswith("/v1beta/models/../../v1/files?")


@pytest.mark.parametrize("make", [OpenAI, Anthropic, Google])
@pytest.mark.parametrize(
    ("item", "host", "code"),
    [
        (ItemName.PROVIDER_KEY, "elsewhere.example", Code.HOST_NOT_ALLOWED),
        (ItemName.FALLBACK_KEY, "right.example", Code.ITEM_MISSING),
    ],
)
async def test_a_key_goes_to_its_own_host_only(make: Any, item: ItemName, host: str, code: Code) -> None:
    async with spoken(OPENAI) as there:
        provider = make(there.web, keys("right.example"), host, item)
        with pytest.raises(ProviderError) as caught:
            await collect(provider, asked(GOOGLE))
        assert caught.value.code is code
        assert there.server.connections == 0


def test_a_request_shows_neither_key_nor_words() -> None:
    shown = repr(Request("/v1", (("x-api-key", KEY),), b"words"))
    assert KEY not in shown
    assert "words" not in shown


@pytest.mark.parametrize(
    ("said", "wanted"),
    [
        ([], []),
        ([(Author.ASSISTANT, "hi")], []),
        ([(Author.PERSON, "a"), (Author.PERSON, "b")], [(Author.PERSON, "a\n\nb")]),
        ([(Author.PERSON, "a"), (Author.ASSISTANT, " "), (Author.PERSON, "b")], [(Author.PERSON, "a\n\nb")]),
    ],
)
def test_turns(said: list[tuple[Author, str]], wanted: list[tuple[Author, str]]) -> None:
    assert turns([Message(author, (Text(text),)) for author, text in said]) == wanted


@given(st.lists(st.tuples(st.sampled_from(Author), st.sampled_from(["", " ", "x"])), max_size=12))
def test_turns_alternate_and_the_person_begins(said: list[tuple[Author, str]]) -> None:
    found = [author for author, _text in turns([Message(author, (Text(text),)) for author, text in said])]
    assert found == [Author.PERSON if place % 2 == 0 else Author.ASSISTANT for place in range(len(found))]


def joined(pieces: Sequence[str]) -> str:
    pairs = Pairs()
    return "".join([*map(pairs.join, pieces), pairs.end()])


@pytest.mark.parametrize(
    ("pieces", "whole_text"),
    [
        (["a\ud83d", "\ude00b"], "a😀b"),
        (["\ud83d", "", "\ude00"], "😀"),
        (["a\ud83d", "b"], "a\ufffdb"),
        (["a\ude00b"], "a\ufffdb"),
        (["a\ud83d"], "a\ufffd"),
        (["\ud83d\ud83d", "\ude00"], "\ufffd😀"),
        (["plain", " text"], "plain text"),
    ],
)
def test_halves_of_characters_are_joined_or_replaced(pieces: list[str], whole_text: str) -> None:
    assert joined(pieces) == whole_text


@given(st.text(), st.lists(st.integers(min_value=0, max_value=100), max_size=8))
def test_text_cut_between_its_utf16_units_comes_out_whole(text: str, cuts: list[int]) -> None:
    units = text.encode("utf-16-le")
    edges = [0, *sorted(2 * (cut % (len(units) // 2 + 1)) for cut in cuts), len(units)]
    pieces = [units[a:b].decode("utf-16-le", "surrogatepass") for a, b in pairwise(edges)]
    assert joined(pieces) == text


@SPOKEN
async def test_half_a_character_never_reaches_the_channel(speech: Speech) -> None:
    async with spoken(speech) as there:
        there.server.script.append(speech.say("a\ud83d", "\ude00 b\ud83d"))
        pieces = await collect(there.provider, asked(speech))
    assert "".join(piece.text for piece in pieces if isinstance(piece, Delta)) == "a😀 b\ufffd"


def test_counts_and_seconds_are_numbers_or_nothing() -> None:
    assert [count(value) for value in (5, 0, -1, True, "5", None, 1.5, 1 << 50)] == [5, 0, 0, 0, 0, 0, 0, 0]
    assert [seconds(value) for value in ("5", "0.25", "", None, 5, "5e9", "nan")] == [5.0, 0.25, 0, 0, 0, 0, 0]
