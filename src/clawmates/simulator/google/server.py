"""The stand-in for generativelanguage.googleapis.com: ``generateContent`` and ``streamGenerateContent`` of v1beta."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl

from clawmates.simulator.frame import Answer, Incoming, Stream
from clawmates.simulator.google.chunks import Content
from clawmates.simulator.google.errors import KNOWN, ApiError, bad_key, invalid, named, no_key, no_model
from clawmates.simulator.google.parameters import parse
from clawmates.simulator.model import KEY_IN_URL, Failure, Fault, Service
from clawmates.simulator.provider import Provider, is_json, noted
from clawmates.simulator.reply import pieces, reply_text, thinking
from clawmates.simulator.speech import ending, speak, whole

if TYPE_CHECKING:
    from clawmates.simulator.web import Request

_PATH = re.compile(r"/v1beta/models/([A-Za-z0-9._-]{1,100}):(generateContent|streamGenerateContent)")
_MODEL = re.compile(
    r"gemini-(\d(\.\d)?-(pro|flash|flash-lite)(-preview(-\d{2}-\d{2,4})?|-\d{3})?|(pro|flash|flash-lite)-latest)"
)
"""The families of ai.google.dev/gemini-api/docs/models; more by name on the control socket."""
_QUERY = frozenset({"alt", "key"})
_SSE_HEADERS = (("content-type", "text/event-stream"),)
_ARRAY_HEADERS = (("content-type", "application/json; charset=UTF-8"),)


@dataclass(frozen=True, slots=True)
class _Call:
    """What the address says."""

    model: str
    streams: bool
    query: dict[str, str]


class Google(Provider):
    """All keys."""

    service = Service.GOOGLE

    def read(self, request: Request) -> Incoming:
        """Names the call; the whole body is remembered, the key is not, wherever it was."""
        found = _PATH.fullmatch(request.path)
        query = dict(parse_qsl(request.target.partition("?")[2], keep_blank_values=True))
        body, _ = noted(request)
        call = _Call(found[1], found[2] == "streamGenerateContent", query) if found is not None else None
        return Incoming(
            method=f"models.{found[2]}" if found is not None else f"{request.method} {request.path}",
            body=body,
            model=call.model if call is not None else "",
            warnings=(KEY_IN_URL,) if "key" in query else (),
            parsed=call,
        )

    async def answer(
        self,
        request: Request,
        incoming: Incoming,
        number: int,
        fault: Fault | None,
    ) -> Answer | Stream:
        """ai.google.dev/api/generate-content, "Method: models.generateContent" and "models.streamGenerateContent"."""
        try:
            call = self._check(request, incoming)
            asked = parse(call.model, request.body)
        except ApiError as error:
            return error.answer()
        self.stored += asked.stored
        sse = call.query.get("alt") == "sse"
        content = Content(asked, number, sse, thinking(self.style.thoughts))
        words = pieces(reply_text(asked.last_text, asked.messages, self.style.words))
        limit = asked.max_output_tokens
        if call.streams:
            headers = _SSE_HEADERS if sse else _ARRAY_HEADERS
            return Stream(speak(content, words, self.style, fault, limit), headers)
        failure = ending(fault)
        if fault is not None and failure in KNOWN:
            return self.failure(fault)
        cut = await whole(content, words, self.style, limit)
        if failure is Failure.PROMPT_BLOCKED:
            return Answer(200, json.dumps(content.blocked(), indent=2).encode())
        finish = "SAFETY" if failure is Failure.CONTENT_FILTER else "MAX_TOKENS" if cut else "STOP"
        return Answer(200, json.dumps(content.plain(content.text, finish), indent=2).encode())

    def failure(self, fault: Fault) -> Answer:
        """The documented error that ``fault`` names."""
        if fault.failure is None:
            raise ValueError("the fault names no failure")
        return named(fault.failure, fault.retry_after).answer()

    def misdirected(self) -> Answer:
        """421: the certificate was for another host than the request."""
        return ApiError(421, "FAILED_PRECONDITION", "Misdirected request").answer()

    def _check(self, request: Request, incoming: Incoming) -> _Call:
        """Address, key (ai.google.dev/gemini-api/docs/api-key: ``x-goog-api-key``, or ``?key=``), and model."""
        call = incoming.parsed
        if not isinstance(call, _Call):
            raise ApiError(404, "NOT_FOUND", "Requested entity was not found.")
        if request.method != "POST":
            raise ApiError(405, "UNIMPLEMENTED", "Method not allowed.")
        key = request.headers.get("x-goog-api-key", "") or call.query.get("key", "")
        if not key:
            raise no_key()
        if key not in self.keys:
            raise bad_key()
        for name in call.query:
            if name not in _QUERY:
                problem = f"Cannot bind query parameter. Field '{name[:80]}' could not be found in request message."
                raise invalid(f'Invalid JSON payload received. Unknown name "{name[:80]}": {problem}')
        if call.query.get("alt", "json") not in ({"json", "sse"} if call.streams else {"json"}):
            raise invalid("Invalid value at query parameter 'alt'")
        if not is_json(request):
            raise invalid("Content-Type application/json is required")
        if not _MODEL.fullmatch(call.model) and call.model not in self.models:
            raise no_model(call.model)
        return call
