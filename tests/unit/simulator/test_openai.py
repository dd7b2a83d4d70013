"""The Responses API stand-in, called as a customer calls it."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clawmates.base.http.client import ClosedError
from clawmates.simulator.client import SimulatorError
from clawmates.simulator.model import Failure, Fault, FaultKind, Service
from clawmates.simulator.openai.errors import KNOWN, ApiError
from clawmates.simulator.openai.parameters import parse
from clawmates.simulator.reply import pieces, reply_text

ORDER = [
    "response.created",
    "response.in_progress",
    "response.output_item.added",
    "response.content_part.added",
    "response.output_text.delta",
    "response.output_text.done",
    "response.content_part.done",
    "response.output_item.done",
    "response.completed",
]


def said(events: list[tuple[str, Any]]) -> str:
    return "".join(data["delta"] for kind, data in events if kind == "response.output_text.delta")


async def test_a_whole_response(bench: Any) -> None:
    status, answer = await bench.openai(input="hello", store=False, instructions="Be kind.")
    assert status == 200
    assert (answer["object"], answer["status"], answer["store"]) == ("response", "completed", False)
    (item,) = answer["output"]
    assert (item["type"], item["role"], item["status"]) == ("message", "assistant", "completed")
    assert item["content"][0]["text"] == "You said: hello [1 message]"
    usage = answer["usage"]
    assert usage["total_tokens"] == usage["input_tokens"] + usage["output_tokens"]
    assert usage["output_tokens"] > 0


async def test_the_documented_order_of_events(bench: Any) -> None:
    events = await bench.events(input="hello", store=False)
    kinds = [kind for kind, _ in events]
    assert list(dict.fromkeys(kinds)) == ORDER
    assert all(data["type"] == kind for kind, data in events)
    assert [data["sequence_number"] for _, data in events] == list(range(len(events)))
    assert said(events) == "You said: hello [1 message]"
    done = dict(events)
    assert done["response.output_text.done"]["text"] == said(events)
    assert done["response.completed"]["response"]["output"][0]["content"][0]["text"] == said(events)
    assert done["response.completed"]["response"]["usage"]["output_tokens"] > 0
    assert done["response.created"]["response"]["status"] == "in_progress"
    item_ids = {data["item_id"] for kind, data in events if "item_id" in data}
    assert item_ids == {done["response.output_item.added"]["item"]["id"]}


async def test_deltas_are_obfuscated_unless_told_otherwise(bench: Any) -> None:
    with_padding = await bench.events(input="hello")
    assert all("obfuscation" in data for kind, data in with_padding if kind == "response.output_text.delta")
    without = await bench.events(input="hello", stream_options={"include_obfuscation": False})
    assert not any("obfuscation" in data for _, data in without)


async def test_the_history_shows_in_the_answer(bench: Any) -> None:
    history = [
        {"role": "developer", "content": "Be kind."},
        {"role": "user", "content": "first"},
        {"role": "assistant", "content": [{"type": "output_text", "text": "answer", "annotations": []}]},
        {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "second"}]},
    ]
    _, answer = await bench.openai(input=history, store=False)
    assert answer["output"][0]["content"][0]["text"] == "You said: second [3 messages]"


async def test_what_would_be_stored_is_counted(bench: Any) -> None:
    await bench.openai(input="x", store=False)
    assert (await bench.control.status()).stored == 0
    await bench.openai(input="x")
    await bench.openai(input="x", store=True)
    assert (await bench.control.status()).stored == 2
    calls = await bench.control.journal(Service.OPENAI, method="POST /v1/responses")
    assert [call.parameters.get("store") for call in calls] == [False, None, True]


async def test_style_words_and_maximum(bench: Any) -> None:
    await bench.control.set_style(words=30)
    events = await bench.events(input="hello")
    assert len(said(events).split()) == 30
    assert sum(kind == "response.output_text.delta" for kind, _ in events) == 30
    events = await bench.events(input="hello", max_output_tokens=16)
    kind, data = events[-1]
    assert kind == "response.incomplete"
    assert data["response"]["incomplete_details"] == {"reason": "max_output_tokens"}
    assert len(said(events).split()) == 16
    _, answer = await bench.openai(input="hello", max_output_tokens=16)
    assert answer["status"] == "incomplete"
    assert answer["incomplete_details"] == {"reason": "max_output_tokens"}


async def test_style_times_show_in_the_journal(bench: Any) -> None:
    await bench.control.set_style(first_byte_ms=80, gap_ms=10, words=6)
    await bench.events(input="hello")
    (call,) = await bench.control.wait_call(Service.OPENAI, "POST /v1/responses", finished=True, timeout=5)
    assert call.first_byte - call.received >= 0.08
    assert call.answered - call.first_byte >= 0.05
    assert call.complete
    assert (call.status, call.tls) == (200, "TLSv1.3")


@pytest.mark.parametrize("key", ["x", "sk-wrong"])
async def test_a_wrong_key_is_401(bench: Any, key: str) -> None:
    async with bench.openai_response(key=key, input="x") as response:
        answer = json.loads(await response.read(1 << 16))
    assert response.status == 401
    assert answer["error"]["code"] == "invalid_api_key"
    assert set(answer["error"]) == {"message", "type", "param", "code"}
    assert "sk-wrong" not in json.dumps(answer)


async def test_no_key_at_all_is_401(bench: Any) -> None:
    async with bench.connect(Service.OPENAI) as connection:
        response = await connection.request("POST", "/v1/responses", body=b"{}")
        assert response.status == 401


async def test_an_unknown_model_is_404(bench: Any) -> None:
    status, answer = await bench.openai(model="no-such-model", input="x")
    assert (status, answer["error"]["code"], answer["error"]["param"]) == (404, "model_not_found", "model")
    await bench.control.add_model("no-such-model")
    assert (await bench.openai(model="no-such-model", input="x"))[0] == 200


@pytest.mark.parametrize(
    "model", ["gpt-4o", "gpt-4o-mini", "gpt-4.1-nano", "gpt-5", "gpt-5.2", "gpt-5-mini-2025-08-07", "o3", "o4-mini"]
)
async def test_documented_models_exist(bench: Any, model: str) -> None:
    assert (await bench.openai(model=model, input="x"))[0] == 200


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [("POST", "/v1/chat/completions", 404), ("GET", "/v1/models", 404), ("GET", "/v1/responses", 405)],
)
async def test_other_endpoints_are_refused(bench: Any, method: str, path: str, status: int) -> None:
    async with bench.connect(Service.OPENAI) as connection:
        headers = [("Authorization", "Bearer sk-test-0123456789"), ("Content-Type", "application/json")]
        response = await connection.request(method, path, headers=headers, body=b"{}")
        answer = json.loads(await response.read(1 << 16))
    assert response.status == status
    assert answer["error"]["type"] == "invalid_request_error"


async def test_another_content_type_is_refused(bench: Any) -> None:
    async with bench.connect(Service.OPENAI) as connection:
        headers = [("Authorization", "Bearer sk-test-0123456789"), ("Content-Type", "text/plain")]
        response = await connection.request("POST", "/v1/responses", headers=headers, body=b"{}")
        answer = json.loads(await response.read(1 << 16))
    assert (response.status, answer["error"]["code"]) == (400, "unsupported_content_type")


async def test_another_host_is_misdirected(bench: Any) -> None:
    async with bench.connect(Service.OPENAI) as connection:
        connection.host = "api.telegram.org"
        assert (await connection.request("POST", "/v1/responses", body=b"{}")).status == 421


BAD = [
    ({"colour": "red"}, "unknown_parameter", "colour"),
    ({"messages": []}, "unknown_parameter", "messages"),
    ({"input": 5}, "invalid_type", "input"),
    ({"input": None}, "invalid_type", "input"),
    ({"model": 5}, "invalid_type", "model"),
    ({"store": "no"}, "invalid_type", "store"),
    ({"stream": 1}, "invalid_type", "stream"),
    ({"temperature": "hot"}, "invalid_type", "temperature"),
    ({"temperature": 2.5}, "decimal_above_max_value", "temperature"),
    ({"temperature": -1}, "decimal_below_min_value", "temperature"),
    ({"top_p": 2}, "decimal_above_max_value", "top_p"),
    ({"max_output_tokens": 1}, "integer_below_min_value", "max_output_tokens"),
    ({"max_output_tokens": 1.5}, "invalid_type", "max_output_tokens"),
    ({"truncation": "some"}, "invalid_value", "truncation"),
    ({"service_tier": "gold"}, "invalid_value", "service_tier"),
    ({"metadata": {"a": 1}}, "invalid_type", "metadata"),
    ({"metadata": {str(index): "x" for index in range(17)}}, "object_above_max_properties", "metadata"),
    ({"text": {"size": 1}}, "unknown_parameter", "text.size"),
    ({"reasoning": {"hard": True}}, "unknown_parameter", "reasoning.hard"),
    ({"stream_options": {"include_obfuscation": False}}, "invalid_stream_options", "stream_options"),
    ({"stream": True, "stream_options": {"include_usage": True}}, "unknown_parameter", "stream_options.include_usage"),
    ({"input": ["x"]}, "invalid_type", "input[0]"),
    ({"input": [{"type": "song"}]}, "invalid_value", "input[0].type"),
    ({"input": [{"type": ["message"]}]}, "invalid_value", "input[0].type"),
    ({"input": [{"role": "user", "content": [{"type": {}}]}]}, "invalid_value", "input[0].content[0]"),
    ({"input": [{"content": "x"}]}, "missing_required_parameter", "input[0].role"),
    ({"input": [{"role": "tool", "content": "x"}]}, "invalid_value", "input[0].role"),
    ({"input": [{"role": "user"}]}, "missing_required_parameter", "input[0].content"),
    ({"input": [{"role": "user", "content": 5}]}, "invalid_type", "input[0].content"),
    ({"input": [{"role": "user", "content": "x", "name": "A"}]}, "unknown_parameter", "input[0].name"),
    ({"input": [{"role": "user", "content": ["x"]}]}, "invalid_type", "input[0].content[0]"),
    (
        {"input": [{"role": "user", "content": [{"text": "x"}]}]},
        "missing_required_parameter",
        "input[0].content[0].type",
    ),
    ({"input": [{"role": "user", "content": [{"type": "text", "text": "x"}]}]}, "invalid_value", "input[0].content[0]"),
    (
        {"input": [{"role": "assistant", "content": [{"type": "input_text", "text": "x"}]}]},
        "invalid_value",
        "input[0].content[0]",
    ),
    (
        {"input": [{"role": "user", "content": [{"type": "output_text", "text": "x"}]}]},
        "invalid_value",
        "input[0].content[0]",
    ),
    (
        {"input": [{"role": "user", "content": [{"type": "input_text"}]}]},
        "missing_required_parameter",
        "input[0].content[0].text",
    ),
    (
        {"input": [{"role": "user", "content": [{"type": "input_text", "text": 5}]}]},
        "invalid_type",
        "input[0].content[0].text",
    ),
    (
        {"input": [{"role": "user", "content": [{"type": "input_text", "text": "x", "bold": True}]}]},
        "unknown_parameter",
        "input[0].content[0].bold",
    ),
]


@pytest.mark.parametrize(("fields", "code", "param"), BAD)
def test_bad_parameters(fields: dict[str, object], code: str, param: str) -> None:
    with pytest.raises(ApiError) as refused:
        parse(json.dumps({"model": "gpt-5", "input": "x"} | fields).encode())
    error = json.loads(refused.value.answer().body)["error"]
    assert refused.value.status == 400
    assert (error["code"], error["param"], error["type"]) == (code, param, "invalid_request_error")


@pytest.mark.parametrize("name", ["model", "input"])
def test_missing_parameters(name: str) -> None:
    body = {"model": "gpt-5", "input": "x"}
    del body[name]
    with pytest.raises(ApiError) as refused:
        parse(json.dumps(body).encode())
    assert (refused.value.code, refused.value.param) == ("missing_required_parameter", name)


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"\xff", b"[" * 100_000])
def test_bodies_that_are_no_object(body: bytes) -> None:
    with pytest.raises(ApiError) as refused:
        parse(body)
    assert "could not parse the JSON body" in refused.value.message


def test_everything_that_is_documented_passes() -> None:
    body = {
        "model": "gpt-5",
        "input": [{"type": "item_reference", "id": "x"}, {"role": "user", "content": "x", "phase": None}],
        "background": False,
        "include": ["reasoning.encrypted_content"],
        "instructions": None,
        "max_output_tokens": 100,
        "metadata": {"a": "b"},
        "parallel_tool_calls": True,
        "reasoning": {"effort": "low"},
        "safety_identifier": "x",
        "prompt_cache_key": "x",
        "service_tier": "auto",
        "store": False,
        "stream": True,
        "stream_options": None,
        "temperature": 1,
        "text": {"format": {"type": "text"}, "verbosity": "low"},
        "tool_choice": "none",
        "tools": [],
        "top_p": 0.5,
        "truncation": "disabled",
    }
    asked = parse(json.dumps(body).encode())
    assert (asked.stored, asked.stream, asked.messages, asked.last_text) == (False, True, 1, "x")


@pytest.mark.parametrize("failure", sorted(KNOWN))
@pytest.mark.parametrize("stream", [False, True])
async def test_every_documented_error_comes_on_demand(bench: Any, failure: Failure, *, stream: bool) -> None:
    fault = Fault(kind=FaultKind.ERROR, failure=failure, retry_after=3)
    await bench.control.set_fault(Service.OPENAI, fault)
    async with bench.openai_response(input="x", stream=stream) as response:
        error = json.loads(await response.read(1 << 16))["error"]
    assert response.status >= 400
    assert set(error) == {"message", "type", "param", "code"}
    if failure in {Failure.RATE_LIMIT, Failure.OVERLOADED}:
        assert response.headers[b"retry-after"] == b"3"
    if failure is Failure.INSUFFICIENT_QUOTA:
        assert (response.status, error["code"]) == (429, "insufficient_quota")
        assert b"retry-after" not in response.headers


@pytest.mark.parametrize(
    ("failure", "kind"),
    [
        (Failure.SERVER_ERROR, "response.failed"),
        (Failure.RATE_LIMIT, "response.failed"),
        (Failure.CONTENT_FILTER, "response.incomplete"),
        (Failure.ERROR_EVENT, "error"),
    ],
)
@pytest.mark.parametrize("words", [0, 2])
async def test_a_stream_that_fails(bench: Any, failure: Failure, kind: str, words: int) -> None:
    fault = Fault(kind=FaultKind.STREAM_FAILURE, failure=failure, words=words)
    await bench.control.set_fault(Service.OPENAI, fault)
    events = await bench.events(input="hello")
    assert len(said(events).split()) == words
    last, data = events[-1]
    assert last == kind
    if kind == "response.failed":
        assert data["response"]["error"]["code"] in {"server_error", "rate_limit_exceeded"}
    elif kind == "response.incomplete":
        assert data["response"]["incomplete_details"] == {"reason": "content_filter"}
    else:
        assert set(data) == {"type", "sequence_number", "code", "message", "param"}


async def test_a_whole_response_meets_the_failures_of_a_stream(bench: Any) -> None:
    fault = Fault(kind=FaultKind.STREAM_FAILURE, failure=Failure.RATE_LIMIT, retry_after=7)
    await bench.control.set_fault(Service.OPENAI, fault)
    async with bench.openai_response(input="x") as response:
        assert (response.status, response.headers[b"retry-after"]) == (429, b"7")
    await bench.control.set_fault(Service.OPENAI, Fault(kind=FaultKind.STREAM_FAILURE, failure=Failure.CONTENT_FILTER))
    _, answer = await bench.openai(input="x")
    assert answer["incomplete_details"] == {"reason": "content_filter"}


async def test_a_stream_that_is_dropped(bench: Any) -> None:
    await bench.control.set_fault(Service.OPENAI, Fault(kind=FaultKind.DROP_MIDWAY, words=2))
    received = bytearray()

    async def listen() -> None:
        async with bench.openai_response(input="hello", stream=True) as response:
            async for chunk in response.chunks():
                received.extend(chunk)

    with pytest.raises(ClosedError):
        await listen()
    assert received.count(b"output_text.delta") == 2 * 2
    (call,) = await bench.control.wait_call(Service.OPENAI, "POST /v1/responses", finished=True, timeout=5)
    assert (call.status, call.complete, call.fault) == (200, False, "drop-midway")


async def test_a_stream_with_an_event_that_is_not_json(bench: Any) -> None:
    await bench.control.set_fault(Service.OPENAI, Fault(kind=FaultKind.BAD_JSON, words=1))
    with pytest.raises(ValueError, match="Expecting value"):
        await bench.events(input="hello")


async def test_a_stream_that_stalls_and_goes_on(bench: Any) -> None:
    await bench.control.set_fault(Service.OPENAI, Fault(kind=FaultKind.STALL, words=1, seconds=0.1))
    assert said(await bench.events(input="hello")) == "You said: hello [1 message]"
    (call,) = await bench.control.wait_call(Service.OPENAI, "POST /v1/responses", finished=True, timeout=5)
    assert call.answered - call.first_byte >= 0.1


async def test_a_customer_who_hangs_up_is_noticed(bench: Any) -> None:
    await bench.control.set_fault(Service.OPENAI, Fault(kind=FaultKind.STALL, words=1, seconds=600))
    async with bench.openai_response(input="hello", stream=True) as response:
        async for chunk in response.chunks():
            if b"output_text.delta" in chunk:
                break
    (call,) = await bench.control.wait_call(Service.OPENAI, "POST /v1/responses", finished=True, timeout=5)
    assert not call.complete


async def test_failures_of_the_other_service_are_refused(bench: Any) -> None:
    for failure in (Failure.BLOCKED, Failure.CONTENT_FILTER, None):
        with pytest.raises(SimulatorError):
            await bench.control.set_fault(Service.OPENAI, Fault(kind=FaultKind.ERROR, failure=failure))
    fault = Fault(kind=FaultKind.STREAM_FAILURE, failure=Failure.SERVER_ERROR)
    with pytest.raises(SimulatorError):
        await bench.control.set_fault(Service.TELEGRAM, fault)


@given(st.text(), st.integers(0, 50), st.integers(0, 60))
def test_pieces_join_to_the_text_and_words_are_counted(text: str, messages: int, words: int) -> None:
    reply = reply_text(text, messages, words)
    assert "".join(pieces(reply)) == reply
    if words:
        assert len(reply.split()) == words
