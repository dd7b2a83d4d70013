"""The local model's stand-in, called over plain HTTP on loopback."""

from __future__ import annotations

import json
from typing import Any

import pytest

from clawmates.base.http.client import ClosedError
from clawmates.simulator.client import SimulatorError
from clawmates.simulator.model import KEY_IN_PLAINTEXT, Failure, Fault, FaultKind, Service, TlsMode
from clawmates.simulator.ollama.errors import KNOWN, ApiError
from clawmates.simulator.ollama.parameters import parse

MODEL = "llama3.2:3b"
HELLO = {"model": MODEL, "messages": [{"role": "user", "content": "hello"}]}


@pytest.fixture(autouse=True)
async def pulled(bench: Any) -> None:
    await bench.control.add_model(MODEL, Service.OLLAMA)


async def raw(bench: Any, headers: dict[str, str] | None = None, **body: Any) -> tuple[int, bytes]:
    async with bench.ask(Service.OLLAMA, "/api/chat", HELLO | body, headers or {}) as response:
        if response.status == 200 and body.get("stream") is not False:
            assert response.headers[b"content-type"] == b"application/x-ndjson"
        return response.status, bytes(await response.read(1 << 23))


async def stream(bench: Any, **body: Any) -> list[Any]:
    _, text = await raw(bench, **body)
    assert text.endswith(b"\n")
    return [json.loads(line) for line in text.splitlines()]


async def whole(bench: Any, **body: Any) -> tuple[int, Any]:
    status, text = await raw(bench, stream=False, **body)
    return status, json.loads(text)


def said(found: list[Any]) -> str:
    return "".join(one["message"]["content"] for one in found if "message" in one)


async def test_a_line_for_every_word(bench: Any) -> None:
    found = await stream(bench)
    assert said(found) == "You said: hello [1 message]"
    assert [one["done"] for one in found] == [False] * (len(found) - 1) + [True]
    last = found[-1]
    assert (last["model"], last["done_reason"], last["message"]["role"]) == (MODEL, "stop", "assistant")
    assert last["prompt_eval_count"] > 0
    assert last["eval_count"] > 0
    assert "done_reason" not in found[0]


async def test_a_whole_answer(bench: Any) -> None:
    status, answer = await whole(bench)
    assert (status, answer["done"], answer["done_reason"]) == (200, True, "stop")
    assert answer["message"] == {"role": "assistant", "content": "You said: hello [1 message]"}


async def test_history_style_maximum_and_nobody_speaking(bench: Any) -> None:
    history = [
        {"role": "system", "content": "Be kind."},
        {"role": "user", "content": "first"},
        {"role": "assistant", "content": "answer"},
        {"role": "user", "content": "second", "images": []},
    ]
    assert said(await stream(bench, messages=history)) == "You said: second [3 messages]"
    await bench.control.set_style(words=30, service=Service.OLLAMA)
    found = await stream(bench, options={"num_predict": 5})
    assert (len(said(found).split()), found[-1]["done_reason"]) == (5, "length")
    assert len(said(await stream(bench, options={"num_predict": -1})).split()) == 30
    assert (await whole(bench, options={"num_predict": 5}))[1]["done_reason"] == "length"
    assert (await whole(bench, messages=[]))[1]["done_reason"] == "load"


async def test_thoughts_are_apart_from_the_text(bench: Any) -> None:
    await bench.control.set_style(thoughts=3)
    found = await stream(bench)
    assert found[0]["message"] == {"role": "assistant", "content": "", "thinking": "thought-1 thought-2 thought-3"}
    assert said(found) == "You said: hello [1 message]"
    assert "thinking" not in json.dumps(await stream(bench, think=False))


async def test_a_model_that_was_not_pulled_is_404(bench: Any) -> None:
    status, answer = await whole(bench, model="mistral")
    assert (status, answer) == (404, {"error": "model 'mistral' not found"})
    await bench.control.add_model("mistral:latest", Service.OLLAMA)
    assert (await whole(bench, model="mistral"))[0] == 200


async def test_tags_and_version(bench: Any) -> None:
    async with bench.connect(Service.OLLAMA) as connection:
        response = await connection.request("GET", "/api/tags")
        (tag,) = json.loads(await response.read(1 << 16))["models"]
        assert (tag["name"], tag["model"]) == (MODEL, MODEL)
        response = await connection.request("GET", "/api/version")
        assert json.loads(await response.read(1 << 16))["version"]


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [("POST", "/api/pull", 404), ("GET", "/api/chat", 405), ("POST", "/api/version", 405)],
)
async def test_other_endpoints_are_refused(bench: Any, method: str, path: str, status: int) -> None:
    async with bench.ask(Service.OLLAMA, path, {}, {}, method) as response:
        assert response.status == status
        assert "error" in json.loads(await response.read(1 << 16))


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("localhost", 200),
        ("localhost:11434", 200),
        ("127.0.0.1:11434", 200),
        ("[::1]:11434", 200),
        ("ai.internal", 200),
        ("ollama", 403),
        ("ollama.example.com", 403),
        ("8.8.8.8", 403),
        ("api.openai.com", 403),
    ],
)
async def test_only_local_names_are_served(bench: Any, host: str, status: int) -> None:
    async with bench.connect(Service.OLLAMA) as connection:
        connection.host = host
        assert (await connection.request("GET", "/api/version")).status == status


async def test_no_tls_no_key_and_a_flag_for_those_who_send_one(bench: Any) -> None:
    await raw(bench)
    await raw(bench, {"Authorization": "Bearer sk-of-another-service"})
    without, with_key = await bench.control.journal(Service.OLLAMA, method="POST /api/chat")
    assert (without.warnings, with_key.warnings) == ((), (KEY_IN_PLAINTEXT,))
    assert (without.tls, without.model) == ("", MODEL)
    assert "sk-of-another-service" not in repr(with_key)
    with pytest.raises(SimulatorError):
        await bench.control.set_tls(Service.OLLAMA, TlsMode.TLS12)
    await bench.control.set_tls(Service.OLLAMA, TlsMode.GOOD)
    assert (await whole(bench))[0] == 200


BAD: list[tuple[dict[str, object], str]] = [
    ({"store": False}, 'json: unknown field "store"'),
    ({"max_tokens": 5}, 'json: unknown field "max_tokens"'),
    ({"model": ""}, "model is required"),
    ({"model": 5}, "json: cannot unmarshal into Go struct field ChatRequest.model of type string"),
    ({"stream": "yes"}, "json: cannot unmarshal into Go struct field ChatRequest.stream of type bool"),
    ({"stream": 1}, "json: cannot unmarshal into Go struct field ChatRequest.stream of type bool"),
    ({"messages": {}}, "json: cannot unmarshal into Go struct field ChatRequest.messages of type []"),
    ({"messages": ["x"]}, "json: cannot unmarshal into Go struct field ChatRequest.messages of type api.Message"),
    ({"messages": [{"content": "x"}]}, "messages.role is required"),
    ({"messages": [{"role": "user"}]}, "messages.content is required"),
    (
        {"messages": [{"role": "developer", "content": "x"}]},
        'invalid role: must be one of "system", "user", "assistant", or "tool"',
    ),
    ({"messages": [{"role": "user", "content": "x", "name": "A"}]}, 'json: unknown field "messages.name"'),
    (
        {"messages": [{"role": "user", "content": ["x"]}]},
        "json: cannot unmarshal into Go struct field ChatRequest.messages.content of type string",
    ),
    ({"options": {"max_tokens": 5}}, 'json: unknown field "options.max_tokens"'),
    (
        {"options": {"num_predict": "5"}},
        "json: cannot unmarshal into Go struct field ChatRequest.options.num_predict of type int",
    ),
    (
        {"options": {"temperature": True}},
        "json: cannot unmarshal into Go struct field ChatRequest.options.temperature of type float64",
    ),
    ({"think": "deeply"}, 'invalid think value: must be "high", "medium", "low", true, or false'),
    ({"format": "xml"}, 'invalid format: expected "json" or a JSON schema'),
    ({"top_logprobs": 21}, "top_logprobs must be between 0 and 20"),
]


@pytest.mark.parametrize(("fields", "message"), BAD)
async def test_bad_parameters(bench: Any, fields: dict[str, object], message: str) -> None:
    status, answer = await whole(bench, **fields) if "stream" not in fields else (400, None)
    with pytest.raises(ApiError) as refused:
        parse(json.dumps(HELLO | fields).encode())
    assert (status, refused.value.status, refused.value.message) == (400, 400, message)
    assert answer in (None, {"error": message})


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"\xff", b"{}", b"[" * 100_000])
def test_bodies_that_are_no_request(body: bytes) -> None:
    with pytest.raises(ApiError) as refused:
        parse(body)
    assert refused.value.status == 400


def test_everything_that_is_documented_passes() -> None:
    body = HELLO | {
        "format": "json",
        "keep_alive": "5m",
        "logprobs": False,
        "think": "low",
        "tools": [],
        "options": {"temperature": 1, "top_k": 3, "top_p": 0.5, "num_ctx": 4096, "seed": 1, "stop": ["end"]},
    }
    asked = parse(json.dumps(body).encode())
    assert (asked.stream, asked.thinks, asked.limit, asked.messages) == (True, True, None, 1)


STATUS = {
    Failure.BAD_REQUEST: 400,
    Failure.INVALID_API_KEY: 401,
    Failure.PERMISSION_DENIED: 403,
    Failure.MODEL_NOT_FOUND: 404,
    Failure.RATE_LIMIT: 429,
    Failure.SERVER_ERROR: 500,
    Failure.BAD_GATEWAY: 502,
    Failure.OVERLOADED: 503,
}


def test_every_error_is_tried() -> None:
    assert set(STATUS) == KNOWN


@pytest.mark.parametrize("failure", sorted(STATUS))
async def test_every_documented_error_comes_on_demand(bench: Any, failure: Failure) -> None:
    await bench.control.set_fault(Service.OLLAMA, Fault(kind=FaultKind.ERROR, failure=failure))
    status, answer = await whole(bench)
    assert (status, set(answer)) == (STATUS[failure], {"error"})


@pytest.mark.parametrize("failure", [Failure.SERVER_ERROR, Failure.ERROR_EVENT])
@pytest.mark.parametrize("words", [0, 2])
async def test_a_stream_that_fails_is_200_and_its_last_line_an_error(bench: Any, failure: Failure, words: int) -> None:
    fault = Fault(kind=FaultKind.STREAM_FAILURE, failure=failure, words=words)
    await bench.control.set_fault(Service.OLLAMA, fault)
    found = await stream(bench)
    assert len(said(found).split()) == words
    assert found[-1] == {"error": "an error was encountered while running the model"}


async def test_a_stream_that_is_cut_broken_or_stalled(bench: Any) -> None:
    await bench.control.set_fault(Service.OLLAMA, Fault(kind=FaultKind.DROP_MIDWAY, words=2))
    with pytest.raises(ClosedError):
        await stream(bench)
    await bench.control.set_fault(Service.OLLAMA, Fault(kind=FaultKind.BAD_JSON, words=1))
    with pytest.raises(ValueError, match="Expecting value"):
        await stream(bench)
    await bench.control.set_fault(Service.OLLAMA, Fault(kind=FaultKind.STALL, words=1, seconds=0.05))
    assert said(await stream(bench)) == "You said: hello [1 message]"
    await bench.control.set_fault(Service.OLLAMA, Fault(kind=FaultKind.DROP))
    with pytest.raises(ClosedError):
        await stream(bench)


async def test_a_customer_who_hangs_up_is_noticed(bench: Any) -> None:
    await bench.control.set_fault(Service.OLLAMA, Fault(kind=FaultKind.STALL, words=1, seconds=600))
    async with bench.ask(Service.OLLAMA, "/api/chat", HELLO, {}) as response:
        async for chunk in response.chunks():
            if b"You" in chunk:
                break
    (call,) = await bench.control.wait_call(Service.OLLAMA, "POST /api/chat", finished=True, timeout=5)
    assert not call.complete


async def test_a_slow_reader_gets_everything_in_the_end(bench: Any) -> None:
    text = " ".join(["y" * 100_000] * 30)
    async with bench.ask(
        Service.OLLAMA, "/api/chat", HELLO | {"messages": [{"role": "user", "content": text}]}, {}
    ) as response:
        (call,) = await bench.control.wait_call(Service.OLLAMA, "POST /api/chat", timeout=5)
        assert not call.answered
        body = await response.read(1 << 25)
    assert body.count(b"\n") == len(f"You said: {text} [1 message]".split()) + 1


async def test_noise_is_answered_or_closed(bench: Any) -> None:
    async with bench.connect(Service.OLLAMA) as connection:
        connection.writer.write(b"\x16\x03\x01\x00\x05hello\r\n\r\n")
        answer = await connection.reader.read()
    assert answer == b"" or answer.startswith(b"HTTP/1.1 4")
