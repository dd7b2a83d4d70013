"""The Gemini API stand-in, called as a customer calls it."""

from __future__ import annotations

import json
from typing import Any

import pytest

from clawmates.base.http.client import ClosedError
from clawmates.simulator.client import SimulatorError
from clawmates.simulator.google.errors import KNOWN, ApiError
from clawmates.simulator.google.parameters import parse
from clawmates.simulator.model import KEY_IN_URL, Failure, Fault, FaultKind, Service

KEY = "sk-test-0123456789"
HEADERS = {"x-goog-api-key": KEY}
MODEL = "gemini-2.5-flash"
WHOLE = f"/v1beta/models/{MODEL}:generateContent"
STREAM = f"/v1beta/models/{MODEL}:streamGenerateContent"
HELLO = {"contents": [{"role": "user", "parts": [{"text": "hello"}]}]}


async def post(bench: Any, path: str = WHOLE, headers: dict[str, str] | None = None, **body: Any) -> tuple[int, Any]:
    sent = HEADERS if headers is None else headers
    async with bench.ask(Service.GOOGLE, path, HELLO | body, sent) as response:
        return response.status, json.loads(await response.read(1 << 23))


async def raw(bench: Any, path: str = STREAM + "?alt=sse", **body: Any) -> bytes:
    async with bench.ask(Service.GOOGLE, path, HELLO | body, HEADERS) as response:
        assert response.status == 200
        if "alt=sse" in path:
            assert response.headers[b"content-type"] == b"text/event-stream"
        return bytes(await response.read(1 << 23))


async def stream(bench: Any, **body: Any) -> list[Any]:
    return chunks(await raw(bench, **body))


def chunks(text: bytes) -> list[Any]:
    lines = text.decode().split("\r\n\r\n")
    assert lines.pop() == ""
    return [json.loads(line.removeprefix("data: ")) for line in lines]


def said(found: list[Any]) -> str:
    parts = [part for one in found for candidate in one.get("candidates", ()) for part in candidate["content"]["parts"]]
    return "".join(part["text"] for part in parts if not part.get("thought"))


async def test_a_whole_answer(bench: Any) -> None:
    status, answer = await post(bench, store=False, systemInstruction={"parts": [{"text": "Be kind."}]})
    assert status == 200
    (candidate,) = answer["candidates"]
    assert candidate["content"] == {"parts": [{"text": "You said: hello [1 message]"}], "role": "model"}
    assert (candidate["finishReason"], answer["modelVersion"]) == ("STOP", MODEL)
    usage = answer["usageMetadata"]
    assert usage["totalTokenCount"] == usage["promptTokenCount"] + usage["candidatesTokenCount"]


async def test_a_stream_of_server_sent_events(bench: Any) -> None:
    found = await stream(bench)
    assert said(found) == "You said: hello [1 message]"
    assert [one["candidates"][0].get("finishReason") for one in found] == [None] * (len(found) - 1) + ["STOP"]
    assert found[-1]["usageMetadata"]["candidatesTokenCount"] > 0
    assert len({one["responseId"] for one in found}) == 1


async def test_without_alt_the_stream_is_an_array(bench: Any) -> None:
    found = json.loads(await raw(bench, STREAM))
    assert said(found) == "You said: hello [1 message]"
    await bench.control.set_fault(Service.GOOGLE, _failing(Failure.ERROR_EVENT, 2))
    assert json.loads(await raw(bench, STREAM))[-1]["error"]["status"] == "UNAVAILABLE"


async def test_history_style_and_maximum(bench: Any) -> None:
    contents = [
        {"role": "user", "parts": [{"text": "first"}]},
        {"role": "model", "parts": [{"text": "a thought", "thought": True}, {"text": "answer"}]},
        {"parts": [{"text": "sec"}, {"text": "ond"}]},
    ]
    assert said(await stream(bench, contents=contents)) == "You said: second [3 messages]"
    await bench.control.set_style(words=30, service=Service.GOOGLE)
    found = await stream(bench, generationConfig={"maxOutputTokens": 5})
    assert len(said(found).split()) == 5
    assert found[-1]["candidates"][0]["finishReason"] == "MAX_TOKENS"
    _, answer = await post(bench, generationConfig={"maxOutputTokens": 5})
    assert answer["candidates"][0]["finishReason"] == "MAX_TOKENS"


async def test_thoughts_are_counted_and_shown_only_when_asked_for(bench: Any) -> None:
    await bench.control.set_style(thoughts=3)
    found = await stream(bench)
    assert said(found) == "You said: hello [1 message]"
    assert "thought-1" not in json.dumps(found)
    assert found[-1]["usageMetadata"]["thoughtsTokenCount"] > 0
    found = await stream(bench, generationConfig={"thinkingConfig": {"includeThoughts": True}})
    assert found[0]["candidates"][0]["content"]["parts"][0]["thought"] is True
    assert said(found) == "You said: hello [1 message]"


async def test_what_would_be_stored_is_counted(bench: Any) -> None:
    await post(bench, store=False)
    assert (await bench.control.status()).stored == 0
    await post(bench)
    await post(bench, store=True)
    assert (await bench.control.status()).stored == 2
    with pytest.raises(ApiError) as refused:
        parse(MODEL, json.dumps(HELLO | {"store": "no"}).encode())
    assert refused.value.message == "Invalid value at 'store' (TYPE_BOOL)"


async def test_the_key_in_the_address_works_and_is_flagged(bench: Any) -> None:
    status, _ = await post(bench, f"{WHOLE}?key={KEY}", {})
    assert status == 200
    await post(bench)
    in_url, in_header = await bench.control.journal(Service.GOOGLE, method="models.generateContent")
    assert (in_url.warnings, in_header.warnings) == ((KEY_IN_URL,), ())
    assert (in_header.model, in_header.tls) == (MODEL, "TLSv1.3")
    assert KEY not in repr((in_url, in_header))


@pytest.mark.parametrize(
    ("path", "headers", "status", "code"),
    [
        (WHOLE, {}, 403, "PERMISSION_DENIED"),
        (WHOLE, {"x-goog-api-key": "wrong"}, 400, "INVALID_ARGUMENT"),
        (WHOLE, {"Authorization": f"Bearer {KEY}"}, 403, "PERMISSION_DENIED"),
        (f"{WHOLE}?key=wrong", {}, 400, "INVALID_ARGUMENT"),
        (f"{WHOLE}?colour=red", HEADERS, 400, "INVALID_ARGUMENT"),
        (f"{WHOLE}?alt=sse", HEADERS, 400, "INVALID_ARGUMENT"),
        (f"{STREAM}?alt=xml", HEADERS, 400, "INVALID_ARGUMENT"),
        ("/v1beta/models/gemini-unknown:generateContent", HEADERS, 404, "NOT_FOUND"),
        (f"/v1beta/models/{MODEL}:countTokens", HEADERS, 404, "NOT_FOUND"),
        (f"/v2/models/{MODEL}:generateContent", HEADERS, 404, "NOT_FOUND"),
    ],
)
async def test_addresses_and_keys(bench: Any, path: str, headers: dict[str, str], status: int, code: str) -> None:
    found, answer = await post(bench, path, headers)
    assert (found, answer["error"]["code"], answer["error"]["status"]) == (status, status, code)
    assert KEY not in json.dumps(answer)


async def test_a_wrong_key_says_so_in_its_details(bench: Any) -> None:
    _, answer = await post(bench, headers={"x-goog-api-key": "wrong"})
    assert answer["error"]["details"][0]["reason"] == "API_KEY_INVALID"


async def test_another_method_type_or_host_is_refused(bench: Any) -> None:
    async with bench.ask(Service.GOOGLE, WHOLE, HELLO, HEADERS, "PUT") as response:
        assert response.status == 405
    async with bench.connect(Service.GOOGLE) as connection:
        response = await connection.request("POST", WHOLE, headers=[*HEADERS.items()], body=b"{}")
        assert response.status == 400
        await response.read(1 << 16)
        connection.host = "api.openai.com"
        assert (await connection.request("POST", WHOLE, body=b"{}")).status == 421


async def test_a_model_may_be_added(bench: Any) -> None:
    await bench.control.add_model("gemini-unknown", Service.GOOGLE)
    assert (await post(bench, "/v1beta/models/gemini-unknown:generateContent"))[0] == 200


@pytest.mark.parametrize(
    "model", ["gemini-2.5-flash-lite", "gemini-3-pro-preview", "gemini-3.7-flash", "gemini-2.0-flash-001"]
)
async def test_documented_models_exist(bench: Any, model: str) -> None:
    assert (await post(bench, f"/v1beta/models/{model}:generateContent"))[0] == 200


def contents(*parts: object, **content: object) -> dict[str, object]:
    return {"contents": [{"parts": list(parts)} | content]}


def config(**fields: object) -> dict[str, object]:
    return {"generationConfig": fields}


ONEOF = (
    "* GenerateContentRequest.contents[0].parts[0].data: required oneof field 'data' must have one initialized field\n"
)
UNKNOWN = 'Invalid JSON payload received. Unknown name "{}"{}: Cannot find field.'
BAD: list[tuple[dict[str, object], str]] = [
    ({"messages": []}, UNKNOWN.format("messages", "")),
    ({"model": MODEL}, UNKNOWN.format("model", "")),
    ({"stream": True}, UNKNOWN.format("stream", "")),
    ({"system_instruction": {}}, UNKNOWN.format("system_instruction", "")),
    ({"serviceTier": "gold"}, "Invalid value at 'serviceTier' (TYPE_ENUM)"),
    ({"contents": None}, "Invalid value at 'contents' (TYPE_LIST)"),
    ({"contents": "hello"}, "Invalid value at 'contents' (TYPE_LIST)"),
    ({"contents": []}, "* GenerateContentRequest.contents: contents is not specified\n"),
    ({"contents": ["x"]}, "Invalid value at 'contents[0]' (TYPE_MESSAGE)"),
    (contents({"text": "x"}, role="assistant"), "Please use a valid role: user, model."),
    (contents({"text": "x"}, name="Ada"), UNKNOWN.format("name", " at 'contents[0]'")),
    (contents(), "* GenerateContentRequest.contents[0].parts: contents.parts must not be empty.\n"),
    (contents("x"), "Invalid value at 'contents[0].parts[0]' (TYPE_MESSAGE)"),
    (contents({"text": 5}), "Invalid value at 'contents[0].parts[0].text' (TYPE_STRING)"),
    (contents({"type": "text"}), UNKNOWN.format("type", " at 'contents[0].parts[0]'")),
    (
        contents({"thought": True}),
        ONEOF,
    ),
    (
        contents({"text": "x", "fileData": {}}),
        ONEOF,
    ),
    (
        {"systemInstruction": {"parts": []}},
        "* GenerateContentRequest.system_instruction.parts: contents.parts must not be empty.\n",
    ),
    (config(maxTokens=5), UNKNOWN.format("maxTokens", " at 'generation_config'")),
    (config(temperature="hot"), "Invalid value at 'generation_config.temperature' (TYPE_FLOAT)"),
    (config(maxOutputTokens=True), "Invalid value at 'generation_config.maxOutputTokens' (TYPE_INT32)"),
    (config(maxOutputTokens=1.5), "Invalid value at 'generation_config.maxOutputTokens' (TYPE_INT32)"),
    (
        config(temperature=2.5),
        "* GenerateContentRequest.generation_config.temperature: must be in the range [0.0, 2.0]\n",
    ),
    (config(stopSequences=[1]), "Invalid value at 'generation_config.stop_sequences[0]' (TYPE_STRING)"),
    (config(thinkingConfig={"deep": True}), UNKNOWN.format("deep", " at 'generation_config.thinking_config'")),
    (
        config(thinkingConfig={"thinkingLevel": "DEEP"}),
        "Invalid value at 'generation_config.thinking_config.thinkingLevel' (TYPE_ENUM)",
    ),
    (
        {"safetySettings": [{"category": "HARM_CATEGORY_HARASSMENT", "threshold": "NEVER"}]},
        "Invalid value at 'safety_settings[0].threshold' (TYPE_ENUM)",
    ),
]


@pytest.mark.parametrize(("fields", "message"), BAD)
def test_bad_parameters(fields: dict[str, object], message: str) -> None:
    with pytest.raises(ApiError) as refused:
        parse(MODEL, json.dumps(HELLO | fields).encode())
    assert (refused.value.code, refused.value.status) == (400, "INVALID_ARGUMENT")
    assert refused.value.message == message


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"\xff", b"{}", b"[" * 100_000])
def test_bodies_that_are_no_request(body: bytes) -> None:
    with pytest.raises(ApiError) as refused:
        parse(MODEL, body)
    assert refused.value.code == 400


def test_everything_that_is_documented_passes() -> None:
    body = HELLO | {
        "generationConfig": {
            "stopSequences": ["end"],
            "candidateCount": 1,
            "maxOutputTokens": 100,
            "temperature": 0,
            "topP": 0.5,
            "topK": 3,
            "responseMimeType": "text/plain",
            "thinkingConfig": {"includeThoughts": False, "thinkingBudget": 0, "thinkingLevel": "LOW"},
        },
        "safetySettings": [{"category": "HARM_CATEGORY_HARASSMENT", "threshold": "OFF"}],
        "serviceTier": "standard",
        "store": False,
        "systemInstruction": {"role": "user", "parts": [{"text": "Be kind."}]},
        "toolConfig": {},
        "tools": [],
    }
    asked = parse(MODEL, json.dumps(body).encode())
    assert (asked.stored, asked.max_output_tokens, asked.messages, asked.last_text) == (False, 100, 1, "hello")


STATUS = {
    Failure.BAD_REQUEST: (400, "INVALID_ARGUMENT"),
    Failure.INVALID_API_KEY: (400, "INVALID_ARGUMENT"),
    Failure.CONTEXT_LENGTH: (400, "INVALID_ARGUMENT"),
    Failure.REGION: (400, "FAILED_PRECONDITION"),
    Failure.BILLING: (402, "RESOURCE_EXHAUSTED"),
    Failure.PERMISSION_DENIED: (403, "PERMISSION_DENIED"),
    Failure.MODEL_NOT_FOUND: (404, "NOT_FOUND"),
    Failure.RATE_LIMIT: (429, "RESOURCE_EXHAUSTED"),
    Failure.INSUFFICIENT_QUOTA: (429, "RESOURCE_EXHAUSTED"),
    Failure.SERVER_ERROR: (500, "INTERNAL"),
    Failure.OVERLOADED: (503, "UNAVAILABLE"),
    Failure.TIMEOUT: (504, "DEADLINE_EXCEEDED"),
}


def test_every_error_is_tried() -> None:
    assert set(STATUS) == KNOWN


@pytest.mark.parametrize("failure", sorted(STATUS))
@pytest.mark.parametrize("path", [WHOLE, STREAM + "?alt=sse"])
async def test_every_documented_error_comes_on_demand(bench: Any, failure: Failure, path: str) -> None:
    await bench.control.set_fault(Service.GOOGLE, Fault(kind=FaultKind.ERROR, failure=failure, retry_after=3))
    status, answer = await post(bench, path)
    error = answer["error"]
    assert (status, error["status"]) == STATUS[failure]
    assert error["code"] == status
    details = {detail["@type"].rpartition(".")[2]: detail for detail in error.get("details", ())}
    if failure is Failure.RATE_LIMIT:
        assert details["RetryInfo"]["retryDelay"] == "3.837906927s"
        assert "PerMinute" in details["QuotaFailure"]["violations"][0]["quotaId"]
    if failure is Failure.INSUFFICIENT_QUOTA:
        assert set(details) == {"QuotaFailure"}
        assert "PerDay" in details["QuotaFailure"]["violations"][0]["quotaId"]


def _failing(failure: Failure, words: int = 0) -> Fault:
    return Fault(kind=FaultKind.STREAM_FAILURE, failure=failure, words=words)


@pytest.mark.parametrize("words", [0, 2])
async def test_an_error_in_the_form_of_the_stream(bench: Any, words: int) -> None:
    await bench.control.set_fault(Service.GOOGLE, _failing(Failure.ERROR_EVENT, words))
    found = await stream(bench)
    assert len(said(found).split()) == words
    assert (found[-1]["error"]["code"], "candidates" in found[-1]) == (503, False)


@pytest.mark.parametrize("failure", [Failure.OVERLOADED, Failure.SERVER_ERROR, Failure.RATE_LIMIT])
async def test_an_error_that_breaks_the_form_of_the_stream(bench: Any, failure: Failure) -> None:
    await bench.control.set_fault(Service.GOOGLE, _failing(failure, 2))
    *before, tail = (await raw(bench)).split(b"\r\n\r\n")
    assert len(before) == 2
    assert not tail.startswith(b"data:")
    assert json.loads(tail)["error"]["status"] == STATUS[failure][1]


async def test_filters(bench: Any) -> None:
    await bench.control.set_fault(Service.GOOGLE, _failing(Failure.CONTENT_FILTER, 2))
    found = await stream(bench)
    assert len(said(found).split()) == 2
    assert found[-1]["candidates"][0]["finishReason"] == "SAFETY"
    await bench.control.set_fault(Service.GOOGLE, _failing(Failure.PROMPT_BLOCKED), times=2)
    (blocked,) = await stream(bench)
    assert blocked["promptFeedback"] == {"blockReason": "PROHIBITED_CONTENT"}
    assert "candidates" not in blocked
    _, answer = await post(bench)
    assert answer["promptFeedback"] == {"blockReason": "PROHIBITED_CONTENT"}
    await bench.control.set_fault(Service.GOOGLE, _failing(Failure.CONTENT_FILTER))
    _, answer = await post(bench)
    assert answer["candidates"][0]["finishReason"] == "SAFETY"


async def test_a_stream_that_is_cut_broken_or_stalled(bench: Any) -> None:
    await bench.control.set_fault(Service.GOOGLE, Fault(kind=FaultKind.DROP_MIDWAY, words=2))
    with pytest.raises(ClosedError):
        await stream(bench)
    await bench.control.set_fault(Service.GOOGLE, Fault(kind=FaultKind.BAD_JSON, words=1))
    with pytest.raises(ValueError, match="Expecting value"):
        await stream(bench)
    await bench.control.set_fault(Service.GOOGLE, Fault(kind=FaultKind.STALL, words=1, seconds=0.05))
    assert said(await stream(bench)) == "You said: hello [1 message]"


async def test_failures_of_other_services_are_refused(bench: Any) -> None:
    for kind, failure in (
        (FaultKind.ERROR, Failure.SPEND_CAP),
        (FaultKind.ERROR, Failure.PROMPT_BLOCKED),
        (FaultKind.STREAM_FAILURE, Failure.TIMEOUT),
    ):
        with pytest.raises(SimulatorError):
            await bench.control.set_fault(Service.GOOGLE, Fault(kind=kind, failure=failure))
