"""The stand-in for api.openai.com: ``POST /v1/responses`` and nothing else."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

from clawmates.simulator.frame import Answer, Incoming, Stream
from clawmates.simulator.model import Failure, Fault, Service
from clawmates.simulator.openai.errors import KNOWN, ApiError, bad_key, named, no_model
from clawmates.simulator.openai.events import Response
from clawmates.simulator.openai.parameters import parse
from clawmates.simulator.provider import Provider, is_json, noted
from clawmates.simulator.reply import pieces, reply_text
from clawmates.simulator.speech import ending, speak, whole

if TYPE_CHECKING:
    from clawmates.simulator.web import Request

PATH = "/v1/responses"
_METHOD = f"POST {PATH}"
_MODEL = re.compile(
    r"(gpt-4o|gpt-4\.1|gpt-5(\.\d{1,2})?|o[1-9])(-(mini|nano|pro|chat-latest))?(-\d{4}-\d{2}-\d{2})?|chatgpt-4o-latest"
)
"""The families of platform.openai.com/docs/models; more by name on the control socket."""
_STREAM_HEADERS = (("content-type", "text/event-stream; charset=utf-8"), ("cache-control", "no-cache"))


class OpenAI(Provider):
    """All keys."""

    service = Service.OPENAI

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
        limit = asked.max_output_tokens
        if asked.stream:
            return Stream(speak(response, words, self.style, fault, limit), _STREAM_HEADERS + identity)
        failure = ending(fault)
        if fault is not None and failure in KNOWN:
            return self.failure(fault)
        cut = await whole(response, words, self.style, limit)
        reason = "content_filter" if failure is Failure.CONTENT_FILTER else "max_output_tokens" if cut else None
        shown = response.plain("incomplete" if reason else "completed", incomplete=reason)
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
        if not is_json(request):
            message = "Unsupported content type. This API method only accepts 'application/json' requests."
            raise ApiError(400, message, code="unsupported_content_type")
