"""The Messages API stand-in, called as a customer calls it."""

from __future__ import annotations

import json
from typing import Any

import pytest

from clawmates.base.http.client import ClosedError
from clawmates.simulator.anthropic.errors import IN_STREAM, KNOWN, ApiError
from clawmates.simulator.anthropic.models import exists, takes_prefill, takes_sampling, takes_system
from clawmates.simulator.anthropic.parameters import parse
from clawmates.simulator.client import SimulatorError
from clawmates.simulator.model import Failure, Fault, FaultKind, Service

KEY = "sk-test-0123456789"
HEADERS = {"x-api-key": KEY, "anthropic-version": "2023-06-01"}
HELLO = {"model": "claude-sonnet-5", "max_tokens": 100, "messages": [{"role": "user", "content": "hello"}]}
ORDER = [
    "message_start",
    "content_block_start",
    "ping",
    "content_block_delta",
    "content_block_stop",
    "message_delta",
    "message_stop",
]


async def post(bench: Any, headers: dict[str, str] | None = None, path: str = "/v1/messages", **body: Any) -> Any:
    """(status, headers, answer)."""
    sent = HEADERS if headers is None else headers
    async with bench.ask(Service.ANTHROPIC, path, HELLO | body, sent) as response:
        return response.status, response.headers, json.loads(await response.read(1 << 23))


async def stream(bench: Any, **body: Any) -> list[tuple[str, Any]]:
    async with bench.ask(Service.ANTHROPIC, "/v1/messages", HELLO | {"stream": True} | body, HEADERS) as response:
        assert response.status == 200
        assert response.headers[b"content-type"] == b"text/event-stream; charset=utf-8"
        return events(await response.read(1 << 23))


def events(text: bytes) -> list[tuple[str, Any]]:
    found = []
    for block in text.decode().split("\n\n")[:-1]:
        event, data = block.split("\n")
        found.append((event.removeprefix("event: "), json.loads(data.removeprefix("data: "))))
    return found


def said(found: list[tuple[str, Any]]) -> str:
    deltas = [data["delta"] for kind, data in found if kind == "content_block_delta"]
    return "".join(delta["text"] for delta in deltas if delta["type"] == "text_delta")


async def test_a_whole_message(bench: Any) -> None:
    status, headers, answer = await post(bench, system="Be kind.")
    assert status == 200
    assert headers[b"request-id"].startswith(b"req_")
    assert (answer["type"], answer["role"], answer["model"]) == ("message", "assistant", "claude-sonnet-5")
    assert answer["content"] == [{"type": "text", "text": "You said: hello [1 message]"}]
    assert (answer["stop_reason"], answer["stop_sequence"]) == ("end_turn", None)
    assert answer["usage"]["input_tokens"] > 0
    assert answer["usage"]["output_tokens"] > 0


async def test_the_documented_order_of_events(bench: Any) -> None:
    found = await stream(bench)
    assert list(dict.fromkeys(kind for kind, _ in found)) == ORDER
    assert all(data["type"] == kind for kind, data in found)
    assert said(found) == "You said: hello [1 message]"
    begun = found[0][1]["message"]
    assert (begun["content"], begun["stop_reason"]) == ([], None)
    done = dict(found)["message_delta"]
    assert done["delta"] == {"stop_reason": "end_turn", "stop_sequence": None}
    assert done["usage"]["output_tokens"] > 0


async def test_thoughts_are_a_block_of_their_own_before_the_text(bench: Any) -> None:
    await bench.control.set_style(thoughts=3)
    found = await stream(bench)
    kinds = [data["content_block"]["type"] for kind, data in found if kind == "content_block_start"]
    assert kinds == ["thinking", "text"]
    assert said(found) == "You said: hello [1 message]"
    indexes = {data["index"] for kind, data in found if kind == "content_block_delta" and "text" in data["delta"]}
    assert indexes == {1}
    _, _, answer = await post(bench)
    assert [block["type"] for block in answer["content"]] == ["thinking", "text"]


async def test_history_style_and_maximum(bench: Any) -> None:
    history = [
        {"role": "user", "content": [{"type": "text", "text": "first"}]},
        {"role": "assistant", "content": "answer"},
        {"role": "user", "content": "second"},
    ]
    assert said(await stream(bench, messages=history)) == "You said: second [3 messages]"
    await bench.control.set_style(words=30, service=Service.ANTHROPIC)
    found = await stream(bench, max_tokens=5)
    assert len(said(found).split()) == 5
    assert dict(found)["message_delta"]["delta"]["stop_reason"] == "max_tokens"
    _, _, answer = await post(bench, max_tokens=5)
    assert answer["stop_reason"] == "max_tokens"


@pytest.mark.parametrize(
    ("headers", "status", "message"),
    [
        ({"anthropic-version": "2023-06-01"}, 401, "x-api-key header is required"),
        ({"anthropic-version": "2023-06-01", "x-api-key": "sk-wrong"}, 401, "invalid x-api-key"),
        ({"anthropic-version": "2023-06-01", "Authorization": f"Bearer {KEY}"}, 401, "x-api-key header is required"),
        ({"x-api-key": KEY}, 400, "anthropic-version: header is required"),
        ({"x-api-key": KEY, "anthropic-version": "2020-01-01"}, 400, "anthropic-version: not a valid version"),
        (HEADERS | {"anthropic-beta": "made-up-2026-01-01"}, 400, "anthropic-beta: the stand-in knows no beta"),
    ],
)
async def test_headers_are_demanded(bench: Any, headers: dict[str, str], status: int, message: str) -> None:
    found, _, answer = await post(bench, headers)
    assert (found, answer["type"], answer["error"]["message"]) == (status, "error", message)
    assert answer["error"]["type"] == ("authentication_error" if status == 401 else "invalid_request_error")
    assert answer["request_id"].startswith("req_")
    assert "sk-" not in json.dumps(answer)


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [("POST", "/v1/complete", 404), ("GET", "/v1/models", 404), ("GET", "/v1/messages", 405)],
)
async def test_other_endpoints_are_refused(bench: Any, method: str, path: str, status: int) -> None:
    async with bench.ask(Service.ANTHROPIC, path, HELLO, HEADERS, method) as response:
        assert response.status == status
        assert json.loads(await response.read(1 << 16))["type"] == "error"


async def test_another_content_type_and_another_host_are_refused(bench: Any) -> None:
    async with bench.connect(Service.ANTHROPIC) as connection:
        headers = [*HEADERS.items(), ("Content-Type", "text/plain")]
        response = await connection.request("POST", "/v1/messages", headers=headers, body=b"{}")
        assert response.status == 400
        await response.read(1 << 16)
        connection.host = "api.openai.com"
        assert (await connection.request("POST", "/v1/messages", headers=headers, body=b"{}")).status == 421


async def test_an_unknown_model_is_404(bench: Any) -> None:
    status, _, answer = await post(bench, model="claude-unknown")
    assert (status, answer["error"]["type"]) == (404, "not_found_error")
    await bench.control.add_model("claude-unknown", Service.ANTHROPIC)
    assert (await post(bench, model="claude-unknown"))[0] == 200


async def test_the_key_is_in_no_journal(bench: Any) -> None:
    await post(bench)
    (call,) = await bench.control.journal(Service.ANTHROPIC)
    assert (call.method, call.model, call.tls) == ("POST /v1/messages", "claude-sonnet-5", "TLSv1.3")
    assert call.headers["anthropic-version"] == "2023-06-01"
    assert KEY not in repr(call)
    assert call.warnings == ()


def user(content: object) -> dict[str, object]:
    return {"messages": [{"role": "user", "content": content}]}


BAD: list[tuple[dict[str, object], str]] = [
    ({"store": False}, "store: Extra inputs are not permitted"),
    ({"input": "x"}, "input: Extra inputs are not permitted"),
    ({"max_tokens": "many"}, "max_tokens: Input should be a valid integer"),
    ({"max_tokens": True}, "max_tokens: Input should be a valid integer"),
    ({"max_tokens": 1.5}, "max_tokens: Input should be a valid integer"),
    ({"max_tokens": -1}, "max_tokens: Input should be greater than or equal to 0"),
    ({"stream": "yes"}, "stream: Input should be a valid boolean"),
    ({"temperature": 1.5}, "temperature: Input should be less than or equal to 1"),
    ({"temperature": None}, "temperature: Input should be a valid number"),
    ({"service_tier": "gold"}, "service_tier: Input should be 'auto' or 'standard_only'"),
    ({"inference_geo": "eu"}, "inference_geo: Input should be 'global' or 'us'"),
    ({"metadata": {"name": "Ada"}}, "metadata.name: Extra inputs are not permitted"),
    ({"stop_sequences": ["a", 1]}, "stop_sequences.1: Input should be a valid string"),
    ({"system": 5}, "system: Input should be a valid string"),
    ({"system": [{"type": "image"}]}, "system.0: Input tag 'image' does not match any of the expected tags"),
    ({"messages": []}, "messages: at least one message is required"),
    ({"messages": ["x"]}, "messages.0: Input should be a valid dictionary"),
    ({"messages": [{"content": "x"}]}, "messages.0.role: Field required"),
    ({"messages": [{"role": "user"}]}, "messages.0.content: Field required"),
    (
        {"messages": [{"role": ["user"], "content": "x"}]},
        "messages.0.role: Input should be 'user', 'assistant' or 'system'",
    ),
    (
        {"messages": [{"role": "developer", "content": "x"}]},
        "messages.0.role: Input should be 'user', 'assistant' or 'system'",
    ),
    (
        {"messages": [{"role": "user", "content": "x", "name": "Ada"}]},
        "messages.0.name: Extra inputs are not permitted",
    ),
    (
        {"messages": [{"role": "assistant", "content": "x"}]},
        'messages: first message must use the "user" role',
    ),
    (user(5), "messages.0.content: Input should be a valid string or list"),
    (user(""), "messages.0: all messages must have non-empty content except for the optional final assistant message"),
    (user([]), "messages.0: all messages must have non-empty content except for the optional final assistant message"),
    (user(["x"]), "messages.0.content.0: Input should be a valid dictionary"),
    (user([{"text": "x"}]), "messages.0.content.0.type: Field required"),
    (user([{"type": "song"}]), "messages.0.content.0: Input tag 'song' does not match any of the expected tags"),
    (user([{"type": {}}]), "messages.0.content.0: Input tag '{}' does not match any of the expected tags"),
    (user([{"type": "text"}]), "messages.0.content.0.text.text: Field required"),
    (user([{"type": "text", "text": 5}]), "messages.0.content.0.text.text: Input should be a valid string"),
    (user([{"type": "text", "text": ""}]), "messages: text content blocks must be non-empty"),
    (user([{"type": "text", "text": " \n"}]), "messages: text content blocks must contain non-whitespace text"),
    (
        user([{"type": "text", "text": "x", "bold": True}]),
        "messages.0.content.0.text.bold: Extra inputs are not permitted",
    ),
]


@pytest.mark.parametrize(("fields", "message"), BAD)
def test_bad_parameters(fields: dict[str, object], message: str) -> None:
    with pytest.raises(ApiError) as refused:
        parse(json.dumps(HELLO | fields).encode())
    assert (refused.value.status, refused.value.kind) == (400, "invalid_request_error")
    assert refused.value.message == message


@pytest.mark.parametrize("name", ["model", "messages", "max_tokens"])
def test_missing_parameters(name: str) -> None:
    with pytest.raises(ApiError) as refused:
        parse(json.dumps({key: value for key, value in HELLO.items() if key != name}).encode())
    assert refused.value.message == f"{name}: Field required"


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"\xff", b"[" * 100_000])
def test_bodies_that_are_no_object(body: bytes) -> None:
    with pytest.raises(ApiError) as refused:
        parse(body)
    assert refused.value.status == 400


def test_everything_that_is_documented_passes() -> None:
    body = HELLO | {
        "cache_control": {"type": "ephemeral", "ttl": "5m"},
        "container": None,
        "inference_geo": "us",
        "metadata": {"user_id": "x"},
        "output_config": {"effort": "low"},
        "service_tier": "auto",
        "stop_sequences": ["end"],
        "system": [{"type": "text", "text": "Be kind.", "cache_control": {"type": "ephemeral"}}],
        "thinking": {"type": "adaptive"},
        "tool_choice": {"type": "none"},
        "tools": [],
        "messages": [
            {"role": "user", "content": [{"type": "image", "source": {}}, {"type": "text", "text": "x"}]},
            {"role": "system", "content": "Now in German."},
            {"role": "assistant", "content": [{"type": "thinking"}, {"type": "text", "text": "y"}]},
            {"role": "user", "content": "z"},
        ],
    }
    asked = parse(json.dumps(body).encode())
    assert (asked.stream, asked.messages, asked.last_text) == (False, 3, "z")


def test_what_newer_models_no_longer_take() -> None:
    first: dict[str, object] = {"role": "user", "content": "hello"}
    prefill = [first, {"role": "assistant", "content": "The best"}]
    system = [first, {"role": "system", "content": "x"}, {"role": "user", "content": "y"}]
    refused: dict[str, tuple[dict[str, object], str, str]] = {
        "temperature": ({"temperature": 0.5}, "claude-sonnet-5", "`temperature` is deprecated for this model."),
        "top_k": ({"top_k": 3}, "claude-opus-4-7", "`top_k` is deprecated for this model."),
        "prefill": (
            {"messages": prefill},
            "claude-sonnet-4-6",
            "Prefilling assistant messages is not supported for this model.",
        ),
        "system": (
            {"messages": system},
            "claude-opus-4-7",
            "messages.1: role 'system' is not supported on this model",
        ),
        "place": (
            {"messages": [*system[:2], {"role": "system", "content": "again"}]},
            "claude-opus-5",
            "messages.2: a system message must follow a user message",
        ),
        "space": (
            {"messages": [*prefill[:1], {"role": "assistant", "content": "The "}]},
            "claude-haiku-4-5",
            "messages: final assistant content cannot end with trailing whitespace",
        ),
    }
    for fields, model, message in refused.values():
        with pytest.raises(ApiError) as caught:
            parse(json.dumps(HELLO | {"model": model} | fields).encode())
        assert caught.value.message == message
    taken: list[tuple[dict[str, object], str]] = [
        ({"temperature": 0.5}, "claude-sonnet-4-6"),
        ({"temperature": 1, "top_p": 1.0}, "claude-sonnet-5"),
        ({"messages": prefill}, "claude-haiku-4-5-20251001"),
        ({"messages": system}, "claude-opus-4-8"),
    ]
    for fields, model in taken:
        assert parse(json.dumps(HELLO | {"model": model} | fields).encode()).model == model


def test_models_by_version() -> None:
    assert all(exists(name) for name in ("claude-opus-5-5", "claude-haiku-4-5-20251001", "claude-mythos-preview"))
    assert not any(exists(name) for name in ("claude-2", "claude-3-5-sonnet-latest", "gpt-5", "claude-opus-5-x"))
    assert (takes_prefill("claude-opus-4-5"), takes_prefill("claude-opus-4-6")) == (True, False)
    assert (takes_sampling("claude-opus-4-6"), takes_sampling("claude-opus-4-7")) == (True, False)
    assert (takes_system("claude-opus-4-7"), takes_system("claude-opus-4-8")) == (False, True)


STATUS = {
    Failure.BAD_REQUEST: (400, "invalid_request_error"),
    Failure.CONTEXT_LENGTH: (400, "invalid_request_error"),
    Failure.INSUFFICIENT_QUOTA: (400, "invalid_request_error"),
    Failure.SPEND_LIMIT: (400, "invalid_request_error"),
    Failure.INVALID_API_KEY: (401, "authentication_error"),
    Failure.BILLING: (402, "billing_error"),
    Failure.PERMISSION_DENIED: (403, "permission_error"),
    Failure.REGION: (403, "forbidden"),
    Failure.MODEL_NOT_FOUND: (404, "not_found_error"),
    Failure.REQUEST_TOO_LARGE: (413, "request_too_large"),
    Failure.RATE_LIMIT: (429, "rate_limit_error"),
    Failure.SPEND_CAP: (429, "rate_limit_error"),
    Failure.SERVER_ERROR: (500, "api_error"),
    Failure.TIMEOUT: (504, "timeout_error"),
    Failure.OVERLOADED: (529, "overloaded_error"),
}


def test_every_error_is_tried() -> None:
    assert set(STATUS) == KNOWN


@pytest.mark.parametrize("failure", sorted(STATUS))
@pytest.mark.parametrize("streamed", [False, True])
async def test_every_documented_error_comes_on_demand(bench: Any, failure: Failure, *, streamed: bool) -> None:
    await bench.control.set_fault(Service.ANTHROPIC, Fault(kind=FaultKind.ERROR, failure=failure, retry_after=3))
    status, headers, answer = await post(bench, stream=streamed)
    assert (status, answer["error"]["type"]) == STATUS[failure]
    assert (headers.get(b"retry-after") == b"3") is (failure in {Failure.RATE_LIMIT, Failure.OVERLOADED})
    if failure is Failure.SPEND_CAP:
        assert answer["error"]["details"] == {"error_code": "enforced_spend_limit_reached"}
    assert (await post(bench))[0] == 200


@pytest.mark.parametrize("words", [0, 2])
@pytest.mark.parametrize("failure", sorted(IN_STREAM - {Failure.CONTENT_FILTER}))
async def test_a_stream_that_fails(bench: Any, failure: Failure, words: int) -> None:
    fault = Fault(kind=FaultKind.STREAM_FAILURE, failure=failure, words=words)
    await bench.control.set_fault(Service.ANTHROPIC, fault)
    found = await stream(bench)
    assert len(said(found).split()) == words
    last, data = found[-1]
    expected = "overloaded_error" if failure is Failure.ERROR_EVENT else STATUS[failure][1]
    assert (last, data["error"]["type"]) == ("error", expected)


async def test_a_refusal_in_the_middle(bench: Any) -> None:
    fault = Fault(kind=FaultKind.STREAM_FAILURE, failure=Failure.CONTENT_FILTER, words=2)
    await bench.control.set_fault(Service.ANTHROPIC, fault, times=2)
    found = await stream(bench)
    assert len(said(found).split()) == 2
    delta = dict(found)["message_delta"]["delta"]
    assert (delta["stop_reason"], delta["stop_details"]["type"]) == ("refusal", "refusal")
    assert found[-1][0] == "message_stop"
    _, _, answer = await post(bench)
    assert answer["stop_reason"] == "refusal"


async def test_a_stream_that_is_cut_broken_or_stalled(bench: Any) -> None:
    await bench.control.set_fault(Service.ANTHROPIC, Fault(kind=FaultKind.DROP_MIDWAY, words=2))
    with pytest.raises(ClosedError):
        await stream(bench)
    await bench.control.set_fault(Service.ANTHROPIC, Fault(kind=FaultKind.BAD_JSON, words=1))
    with pytest.raises(ValueError, match="Expecting value"):
        await stream(bench)
    await bench.control.set_fault(Service.ANTHROPIC, Fault(kind=FaultKind.STALL, words=1, seconds=0.05))
    assert said(await stream(bench)) == "You said: hello [1 message]"


async def test_failures_of_other_services_are_refused(bench: Any) -> None:
    for kind, failure in (
        (FaultKind.ERROR, Failure.BLOCKED),
        (FaultKind.ERROR, Failure.ERROR_EVENT),
        (FaultKind.STREAM_FAILURE, Failure.PROMPT_BLOCKED),
    ):
        with pytest.raises(SimulatorError):
            await bench.control.set_fault(Service.ANTHROPIC, Fault(kind=kind, failure=failure))
