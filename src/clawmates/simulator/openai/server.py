"""The stand-in for api.openai.com: ``POST /v1/responses`` and nothing else."""

from __future__ import annotations

import asyncio
import json
import re
from typing import TYPE_CHECKING

from clawmates.simulator.frame import Answer, Incoming, Stream
from clawmates.simulator.model import Failure, Fault, FaultKind, Service, Style
from clawmates.simulator.openai.errors import ApiError, bad_key, named, no_model
from clawmates.simulator.openai.events import Response
from clawmates.simulator.openai.parameters import parse
from clawmates.simulator.openai.reply import pieces, reply_text
from clawmates.simulator.web import DroppedError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from clawmates.base.clock import Clock
    from clawmates.simulator.web import Request

PATH = "/v1/responses"
_METHOD = f"POST {PATH}"
_MODEL = re.compile(
    r"(gpt-4o|gpt-4\.1|gpt-5(\.\d{1,2})?|o[1-9])(-(mini|nano|pro|chat-latest))?(-\d{4}-\d{2}-\d{2})?|chatgpt-4o-latest"
)
"""The families of platform.openai.com/docs/models; more by name on the control socket."""
_STREAM_HEADERS = (("content-type", "text/event-stream; charset=utf-8"), ("cache-control", "no-cache"))


class OpenAI:
    """All keys."""

    service = Service.OPENAI

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self.keys: set[str] = set()
        self.models: set[str] = set()
        self.style = Style()
        self.stored = 0
        """Answered requests that did not say ``store: false``."""

    def read(self, request: Request) -> Incoming:
        """Names the call; the whole body is remembered, the key is not."""
        try:
            body = json.dumps(json.loads(request.body or b"{}"))
        except (ValueError, RecursionError):
            body = "null"
        return Incoming(method=f"{request.method} {request.path}", body=body)

    async def answer(
        self,
        request: Request,
        incoming: Incoming,
        number: int,
        fault: Fault | None,
    ) -> Answer | Stream:
        """platform.openai.com/docs/api-reference/responses/create, whole or as events."""
        try:
            self._check(request, incoming)
            asked = parse(request.body)
            if not _MODEL.fullmatch(asked.model) and asked.model not in self.models:
                raise no_model(asked.model)
        except ApiError as error:
            return error.answer()
        self.stored += asked.stored
        response = Response(asked, number, int(self._clock.now().timestamp()))
        words = pieces(reply_text(asked.last_text, asked.messages, self.style.words))
        identity = (("x-request-id", f"req_{number:032x}"),)
        if asked.stream:
            return Stream(_speak(response, words, self.style, fault), _STREAM_HEADERS + identity)
        await asyncio.sleep(self.style.first_byte_ms / 1000)
        allowed = words if asked.max_output_tokens is None else words[: asked.max_output_tokens]
        response.text = "".join(allowed)
        cut = len(allowed) < len(words)
        shown = response.plain("incomplete", incomplete="max_output_tokens") if cut else response.plain("completed")
        return Answer(200, json.dumps(shown).encode(), identity)

    def failure(self, fault: Fault) -> Answer:
        """The documented error that ``fault`` names."""
        if fault.failure is None:
            raise ValueError("the fault names no failure")
        return named(fault.failure, fault.retry_after).answer()

    def misdirected(self) -> Answer:
        """421: the certificate was for another host than the request."""
        return ApiError(421, "Misdirected request.").answer()

    def _check(self, request: Request, incoming: Incoming) -> None:
        authorization = request.headers.get("authorization", "")
        if not authorization:
            raise ApiError(401, "You didn't provide an API key.")
        if authorization.removeprefix("Bearer ") not in self.keys:
            raise bad_key()
        if request.path != PATH:
            raise ApiError(404, f"Invalid URL ({incoming.method[:80]})")
        if incoming.method != _METHOD:
            raise ApiError(405, "Not allowed to use this HTTP method.", code="method_not_supported")
        kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
        if kind != "application/json":
            message = "Unsupported content type. This API method only accepts 'application/json' requests."
            raise ApiError(400, message, code="unsupported_content_type")


async def _speak(response: Response, words: list[str], style: Style, fault: Fault | None) -> AsyncIterator[bytes]:
    """The events, in the style's time, meeting ``fault`` after so many words."""
    await asyncio.sleep(style.first_byte_ms / 1000)
    yield response.begin()
    limit = response.asked.max_output_tokens
    for index, word in enumerate(words):
        if fault is not None and index == fault.words and (last := await _misfortune(response, fault)) is not None:
            yield last
            return
        if limit is not None and index == limit:
            yield response.end(incomplete="max_output_tokens")
            return
        if index and style.gap_ms:
            await asyncio.sleep(style.gap_ms / 1000)
        yield response.delta(word)
    yield response.end()


async def _misfortune(response: Response, fault: Fault) -> bytes | None:
    """What ends the stream here, or ``None`` when it goes on."""
    match fault.kind:
        case FaultKind.DROP_MIDWAY:
            raise DroppedError
        case FaultKind.STALL:
            await asyncio.sleep(fault.seconds)
        case FaultKind.BAD_JSON:
            return response.broken()
        case FaultKind.STREAM_FAILURE:
            return _ending(response, fault.failure)
        case _:
            pass
    return None


def _ending(response: Response, failure: Failure | None) -> bytes:
    if failure is Failure.CONTENT_FILTER:
        return response.end(incomplete="content_filter")
    if failure is Failure.ERROR_EVENT:
        return response.error("server_error", "The server had an error while processing your request.")
    if failure is Failure.RATE_LIMIT:
        return response.fail("rate_limit_exceeded", "Rate limit reached.")
    return response.fail("server_error", "The model failed to generate a response.")
