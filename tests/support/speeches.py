"""AI providers that speak bytes typed from their references: what no well-behaved stand-in would ever send."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from clawmates.base.http.client import Connection
from clawmates.base.secret import Secret
from clawmates.base.tls import client_context
from clawmates.mate.credentials import Credentials
from clawmates.mate.door import Door
from clawmates.mate.providers.anthropic import Anthropic
from clawmates.mate.providers.base import Provider, Stop
from clawmates.mate.providers.call import Patience
from clawmates.mate.providers.google import Google
from clawmates.mate.providers.ollama import Ollama
from clawmates.mate.providers.openai import OpenAI
from clawmates.mate.web import Web
from clawmates.wire.names import ItemName
from clawmates.wire.vault import OpenItem, Release

KEY = "a-key-that-nobody-may-see"
PATIENT = Patience()


@dataclass(frozen=True)
class Heard:
    """One request as it came in."""

    method: str
    target: str
    headers: Mapping[str, str]
    body: dict[str, Any]


@dataclass
class Out:
    """The way back of one connection."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    async def head(self, status: int = 200, headers: Sequence[tuple[str, str]] = ()) -> None:
        lines = [f"HTTP/1.1 {status} Whatever", "Transfer-Encoding: chunked", *(f"{a}: {b}" for a, b in headers)]
        await self.raw("\r\n".join([*lines, "", ""]).encode())

    async def part(self, data: bytes) -> None:
        if data:
            await self.raw(b"%x\r\n%b\r\n" % (len(data), data))

    async def end(self) -> None:
        await self.raw(b"0\r\n\r\n")

    async def raw(self, data: bytes) -> None:
        self.writer.write(data)
        await self.writer.drain()

    def cut(self) -> None:
        self.writer.transport.abort()

    async def until_gone(self) -> None:
        while await self.reader.read(1 << 16):
            pass


Play = Callable[[Out, Heard], Awaitable[None]]


def whole(status: int, body: object, headers: Sequence[tuple[str, str]] = ()) -> Play:
    """One answer with a JSON body, or with these very bytes."""
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()

    async def play(out: Out, _heard: Heard) -> None:
        await out.head(status, headers)
        await out.part(raw)
        await out.end()

    return play


def stream(*parts: bytes, cut: bool = False) -> Play:
    """A stream of these parts; ``cut`` breaks the connection behind the last."""

    async def play(out: Out, _heard: Heard) -> None:
        await out.head()
        for part in parts:
            await out.part(part)
        if cut:
            out.cut()
        else:
            await out.end()

    return play


@dataclass
class Server:
    """Plays one entry of ``script`` a request, and ``otherwise`` when there is none."""

    otherwise: Play
    script: list[Play] = field(default_factory=list)
    heard: list[Heard] = field(default_factory=list)
    connections: int = 0
    gone: asyncio.Event = field(default_factory=asyncio.Event)
    """Set when the other side has closed a connection."""
    port: int = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            while head := await _head(reader):
                method, target, headers = head
                raw = await reader.readexactly(int(headers.get("content-length", "0")))
                heard = Heard(method, target, headers, json.loads(raw))
                self.heard.append(heard)
                await (self.script.pop(0) if self.script else self.otherwise)(Out(reader, writer), heard)
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            self.gone.set()
            writer.transport.abort()


async def _head(reader: asyncio.StreamReader) -> tuple[str, str, dict[str, str]] | None:
    raw = b""
    while not raw.endswith(b"\r\n\r\n"):
        line = await reader.readline()
        if not line:
            return None
        raw += line
    first, *rest = raw.decode().split("\r\n")[:-2]
    method, target, _version = first.split(" ")
    pairs = (line.split(": ", 1) for line in rest)
    return method, target, {name.lower(): value for name, value in pairs}


class LoopDoor(Door):
    """Tunnels to one server on loopback, without TLS."""

    def __init__(self, port: int) -> None:
        super().__init__("/nowhere")
        self.port = port
        self.made: list[Connection] = []

    async def tunnel(self, host: str, _tls: object) -> Connection:
        self.made.append(await Connection.tcp("127.0.0.1", self.port, tls=None, server_name=host))
        return self.made[-1]


def keys(*hosts: str, item: ItemName = ItemName.PROVIDER_KEY) -> Credentials:
    held = Credentials()
    held.take(Release(items=(OpenItem(name=item, version=1, hosts=hosts, value=Secret(KEY)),)))
    return held


@dataclass(frozen=True)
class Speech:
    """How one provider speaks. ``text`` is an event with a piece of text, ``end`` the events that end an answer."""

    name: str
    host: str
    model: str
    make: Callable[[Web, Patience], Provider]
    begin: bytes
    text: Callable[[str], bytes]
    end: Callable[[Stop], bytes]
    broken: bytes
    """An event in the middle of a stream that says: overloaded, or whatever comes closest."""
    refusals: Mapping[str, tuple[int, object, tuple[tuple[str, str], ...]]]
    """By code: status, body, headers."""
    asked: Callable[[Heard], str]
    """The person's last words in a request."""

    def say(self, *words: str, stop: Stop = Stop.COMPLETE) -> Play:
        return stream(self.begin, *map(self.text, words), self.end(stop))

    def refuse(self, code: str) -> Play:
        return whole(*self.refusals[code])

    async def echo(self, out: Out, heard: Heard) -> None:
        await self.say("You said: ", *(word + " " for word in self.asked(heard).split(" ")))(out, heard)


@dataclass
class Spoken:
    """A provider and the server it talks to."""

    speech: Speech
    server: Server
    provider: Provider
    web: Web


@asynccontextmanager
async def spoken(speech: Speech, patience: Patience = PATIENT) -> AsyncIterator[Spoken]:
    server = Server(speech.echo)
    listener = await asyncio.start_server(server.serve, "127.0.0.1", 0)
    async with listener:
        server.port = listener.sockets[0].getsockname()[1]
        door = LoopDoor(server.port)
        web = Web(door, client_context())
        try:
            yield Spoken(speech, server, speech.make(web, patience), web)
        finally:
            for connection in door.made:
                await connection.close()


def sse(*events: dict[str, Any], named: bool = True) -> bytes:
    lines = []
    for event in events:
        name = f"event: {event['type']}\n" if named else ""
        lines.append(f"{name}data: {json.dumps(event)}\n\n")
    return "".join(lines).encode()


def _openai_end(stop: Stop) -> bytes:
    usage = {"input_tokens": 11, "output_tokens": 7, "total_tokens": 18}
    reason = {Stop.LENGTH: "max_output_tokens", Stop.FILTERED: "content_filter"}.get(stop)
    if reason is None:
        return sse({"type": "response.completed", "response": {"status": "completed", "usage": usage}})
    details = {"status": "incomplete", "incomplete_details": {"reason": reason}, "usage": usage}
    return sse({"type": "response.incomplete", "response": details})


def _openai_refusal(code: str | None, **more: Any) -> dict[str, Any]:
    return {"error": {"message": "SECRET words", "type": "x", "param": None, "code": code, **more}}


OPENAI = Speech(
    name="openai",
    host="api.openai.com",
    model="gpt-6-luna",
    make=lambda web, patience: OpenAI(web, keys("api.openai.com"), patience=patience),
    begin=sse(
        {"type": "response.created", "response": {"status": "in_progress"}},
        {"type": "response.something_new", "surprise": [1]},
    ),
    text=lambda text: sse({"type": "response.output_text.delta", "output_index": 0, "delta": text}),
    end=_openai_end,
    broken=sse({"type": "error", "code": "server_is_overloaded", "message": "SECRET words", "param": None}),
    refusals={
        "bad-key": (401, _openai_refusal("invalid_api_key"), ()),
        "no-credit": (429, _openai_refusal("insufficient_quota"), ()),
        "provider-rate-limited": (429, _openai_refusal("rate_limit_exceeded"), (("Retry-After", "7"),)),
        "unknown-model": (404, _openai_refusal("model_not_found"), ()),
        "too-long": (400, _openai_refusal("context_length_exceeded"), ()),
        "filtered": (400, _openai_refusal("invalid_prompt"), ()),
        "provider-overloaded": (503, _openai_refusal(None), ()),
        "region-not-allowed": (403, _openai_refusal("unsupported_country_region_territory"), ()),
        "provider-error": (500, _openai_refusal("server_error"), ()),
    },
    asked=lambda heard: str(heard.body["input"][-1]["content"]),
)


def _anthropic_end(stop: Stop) -> bytes:
    reason = {Stop.LENGTH: "max_tokens", Stop.FILTERED: "refusal", Stop.COMPLETE: "end_turn"}[stop]
    delta = {"stop_reason": reason, "stop_sequence": None}
    return sse(
        {"type": "content_block_stop", "index": 1},
        {"type": "message_delta", "delta": delta, "usage": {"output_tokens": 7}},
        {"type": "message_stop"},
    )


def _anthropic_refusal(kind: str, message: str = "SECRET words") -> dict[str, Any]:
    return {"type": "error", "error": {"type": kind, "message": message}, "request_id": "req_1"}


def _anthropic_text(text: str) -> bytes:
    return sse({"type": "content_block_delta", "index": 1, "delta": {"type": "text_delta", "text": text}})


ANTHROPIC = Speech(
    name="anthropic",
    host="api.anthropic.com",
    model="claude-haiku-5-5",
    make=lambda web, patience: Anthropic(web, keys("api.anthropic.com"), patience=patience),
    begin=sse(
        {
            "type": "message_start",
            "message": {"role": "assistant", "content": [], "usage": {"input_tokens": 11, "output_tokens": 1}},
        },
        {"type": "content_block_start", "index": 0, "content_block": {"type": "thinking", "thinking": ""}},
        {"type": "ping"},
        {"type": "content_block_delta", "index": 0, "delta": {"type": "thinking_delta", "thinking": "hm"}},
        {"type": "content_block_delta", "index": 0, "delta": {"type": "signature_delta", "signature": "EqQB"}},
        {"type": "content_block_stop", "index": 0},
        {"type": "something_new", "surprise": [1]},
        {"type": "content_block_start", "index": 1, "content_block": {"type": "text", "text": ""}},
    ),
    text=_anthropic_text,
    end=_anthropic_end,
    broken=sse({"type": "error", "error": {"type": "overloaded_error", "message": "SECRET words"}}),
    refusals={
        "bad-key": (401, _anthropic_refusal("authentication_error"), ()),
        "no-credit": (400, _anthropic_refusal("invalid_request_error", "Your credit balance is too low"), ()),
        "provider-rate-limited": (429, _anthropic_refusal("rate_limit_error"), (("retry-after", "7"),)),
        "unknown-model": (404, _anthropic_refusal("not_found_error"), ()),
        "too-long": (400, _anthropic_refusal("invalid_request_error", "prompt is too long: 2 > 1 maximum"), ()),
        "provider-overloaded": (529, _anthropic_refusal("overloaded_error"), ()),
        "region-not-allowed": (403, {"error": {"type": "forbidden", "message": "Request not allowed"}}, ()),
        "provider-error": (500, _anthropic_refusal("api_error"), ()),
    },
    asked=lambda heard: str(heard.body["messages"][-1]["content"]),
)


def _google_event(**candidate: Any) -> bytes:
    usage = {"promptTokenCount": 11, "candidatesTokenCount": 4, "thoughtsTokenCount": 3, "totalTokenCount": 18}
    event = {"candidates": [{"index": 0, **candidate}], "usageMetadata": usage, "modelVersion": "gemini"}
    return b"data: " + json.dumps(event).encode() + b"\r\n\r\n"


def _google_end(stop: Stop) -> bytes:
    reason = {Stop.LENGTH: "MAX_TOKENS", Stop.FILTERED: "PROHIBITED_CONTENT", Stop.COMPLETE: "STOP"}[stop]
    return _google_event(content={"role": "model", "parts": [{"text": ""}]}, finishReason=reason)


def _google_refusal(status: int, name: str, message: str = "SECRET words", *details: dict[str, Any]) -> dict[str, Any]:
    return {"error": {"code": status, "message": message, "status": name, "details": list(details)}}


GOOGLE = Speech(
    name="google",
    host="generativelanguage.googleapis.com",
    model="gemini-3.8-flash",
    make=lambda web, patience: Google(web, keys("generativelanguage.googleapis.com"), patience=patience),
    begin=_google_event(content={"role": "model", "parts": [{"text": "hm", "thought": True}]}) + _google_event(),
    text=lambda text: _google_event(content={"role": "model", "parts": [{"text": text}]}),
    end=_google_end,
    broken=b"data: " + json.dumps(_google_refusal(503, "UNAVAILABLE")).encode() + b"\r\n\r\n",
    refusals={
        "bad-key": (
            400,
            _google_refusal(
                400,
                "INVALID_ARGUMENT",
                "API key not valid. Please pass a valid API key.",
                {"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": "API_KEY_INVALID"},
            ),
            (),
        ),
        "no-credit": (429, _google_refusal(429, "RESOURCE_EXHAUSTED", "Your prepayment credits are depleted."), ()),
        "provider-rate-limited": (
            429,
            _google_refusal(
                429,
                "RESOURCE_EXHAUSTED",
                "You exceeded your current quota, please check your plan and billing details.",
                {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "7.000000000s"},
            ),
            (),
        ),
        "unknown-model": (404, _google_refusal(404, "NOT_FOUND"), ()),
        "too-long": (
            400,
            _google_refusal(
                400,
                "INVALID_ARGUMENT",
                "The input token count (2) exceeds the maximum number of tokens allowed (1).",
            ),
            (),
        ),
        "provider-overloaded": (503, _google_refusal(503, "UNAVAILABLE"), ()),
        "region-not-allowed": (
            400,
            _google_refusal(400, "FAILED_PRECONDITION", "User location is not supported for the API use."),
            (),
        ),
        "provider-error": (500, _google_refusal(500, "INTERNAL"), ()),
    },
    asked=lambda heard: str(heard.body["contents"][-1]["parts"][0]["text"]),
)


def _ollama_line(**fields: Any) -> bytes:
    return json.dumps({"model": "qwen3:8b", "created_at": "2026-11-22T00:00:00Z", **fields}).encode() + b"\n"


def _ollama_end(stop: Stop) -> bytes:
    message = {"role": "assistant", "content": ""}
    reason = "length" if stop is Stop.LENGTH else "stop"
    return _ollama_line(message=message, done=True, done_reason=reason, prompt_eval_count=11, eval_count=7)


OLLAMA = Speech(
    name="ollama",
    host="ollama",
    model="qwen3:8b",
    make=lambda web, patience: Ollama(web, patience=patience),
    begin=_ollama_line(message={"role": "assistant", "content": "", "thinking": "hm"}, done=False) + b"\n",
    text=lambda text: _ollama_line(message={"role": "assistant", "content": text}, done=False),
    end=_ollama_end,
    broken=b'{"error":"an error was encountered while running the model: SECRET"}\n',
    refusals={
        "unknown-model": (404, {"error": "model 'qwen3:8b' not found"}, ()),
        "too-long": (400, {"error": "the input length exceeds the context length"}, ()),
        "provider-rate-limited": (429, {"error": "SECRET"}, (("Retry-After", "7"),)),
        "provider-overloaded": (503, {"error": "server busy, please try again. SECRET"}, ()),
        "provider-unreachable": (502, {"error": "SECRET"}, ()),
        "provider-error": (500, {"error": "the model failed to generate a response SECRET"}, ()),
    },
    asked=lambda heard: str(heard.body["messages"][-1]["content"]),
)

SPEECHES = (OPENAI, ANTHROPIC, GOOGLE, OLLAMA)
