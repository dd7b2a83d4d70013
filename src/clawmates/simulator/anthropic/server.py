"""The stand-in for api.anthropic.com: ``POST /v1/messages`` and nothing else."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from clawmates.simulator.anthropic.errors import KNOWN, ApiError, invalid, named, no_model, unauthorized
from clawmates.simulator.anthropic.events import Message
from clawmates.simulator.anthropic.models import exists
from clawmates.simulator.anthropic.parameters import parse
from clawmates.simulator.frame import Answer, Incoming, Stream
from clawmates.simulator.model import Failure, Fault, Service
from clawmates.simulator.provider import Provider, is_json, noted
from clawmates.simulator.reply import pieces, reply_text, thinking
from clawmates.simulator.speech import ending, speak, whole

if TYPE_CHECKING:
    from clawmates.simulator.web import Request

PATH = "/v1/messages"
_METHOD = f"POST {PATH}"
_VERSIONS = frozenset({"2023-06-01", "2023-01-01"})
"""platform.claude.com/docs/en/api/versioning."""
_STREAM_HEADERS = (("content-type", "text/event-stream; charset=utf-8"), ("cache-control", "no-cache"))


class Anthropic(Provider):
    """All keys."""

    service = Service.ANTHROPIC

    def read(self, request: Request) -> Incoming:
        """Names the call; the whole body is remembered, the key is not."""
        body, model = noted(request)
        return Incoming(method=f"{request.method} {request.path}", body=body, model=model)

    async def answer(
        self,
        request: Request,
        incoming: Incoming,
        number: int,
        fault: Fault | None,
    ) -> Answer | Stream:
        """platform.claude.com/docs/en/api/messages/create, whole or as events."""
        request_id = f"req_{number:024d}"
        try:
            self._check(request, incoming)
            asked = parse(request.body)
            if not exists(asked.model) and asked.model not in self.models:
                raise no_model(asked.model)
        except ApiError as error:
            return error.answer(request_id)
        message = Message(asked, number, request_id, thinking(self.style.thoughts))
        words = pieces(reply_text(asked.last_text, asked.messages, self.style.words))
        identity = (("request-id", request_id),)
        if asked.stream:
            return Stream(speak(message, words, self.style, fault, asked.max_tokens), _STREAM_HEADERS + identity)
        failure = ending(fault)
        if fault is not None and failure in KNOWN:
            return self.failure(fault)
        cut = await whole(message, words, self.style, asked.max_tokens)
        stop = "refusal" if failure is Failure.CONTENT_FILTER else "max_tokens" if cut else "end_turn"
        return Answer(200, json.dumps(message.plain(stop)).encode(), identity)

    def failure(self, fault: Fault) -> Answer:
        """The documented error that ``fault`` names."""
        if fault.failure is None:
            raise ValueError("the fault names no failure")
        return named(fault.failure, fault.retry_after).answer("req_planned")

    def misdirected(self) -> Answer:
        """421: the certificate was for another host than the request."""
        return ApiError(421, "Misdirected request").answer("req_misdirected")

    def _check(self, request: Request, incoming: Incoming) -> None:
        """Headers and address: platform.claude.com/docs/en/api/overview, "Authentication"."""
        key = request.headers.get("x-api-key", "")
        if not key:
            raise unauthorized("x-api-key header is required")
        if key not in self.keys:
            raise unauthorized("invalid x-api-key")
        if request.path != PATH:
            raise ApiError(404, "Not found", kind="not_found_error")
        if incoming.method != _METHOD:
            raise ApiError(405, "Method Not Allowed")
        version = request.headers.get("anthropic-version", "")
        if not version:
            raise invalid("anthropic-version", "header is required")
        if version not in _VERSIONS:
            raise invalid("anthropic-version", "not a valid version")
        if "anthropic-beta" in request.headers:
            raise invalid("anthropic-beta", "the stand-in knows no beta")
        if not is_json(request):
            raise invalid("content-type", "application/json is required")
