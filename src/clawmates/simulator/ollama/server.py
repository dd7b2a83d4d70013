"""The stand-in for a model server on this host: ``POST /api/chat``, ``GET /api/tags``, ``GET /api/version``.

It asks for no key, and it has no TLS: it listens on loopback.
"""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING

from clawmates.base.clock import stamp
from clawmates.simulator.frame import Answer, Incoming, Stream
from clawmates.simulator.model import KEY_IN_PLAINTEXT, Fault, Service
from clawmates.simulator.ollama.errors import KNOWN, ApiError, named, no_model
from clawmates.simulator.ollama.lines import Chat
from clawmates.simulator.ollama.parameters import parse
from clawmates.simulator.provider import Provider, noted
from clawmates.simulator.reply import pieces, reply_text, thinking
from clawmates.simulator.speech import ending, speak, whole

if TYPE_CHECKING:
    from clawmates.simulator.web import Request

VERSION = "0.40.12"
_HEADERS = (("content-type", "application/x-ndjson"),)
_KEYS = ("authorization", "x-api-key", "x-goog-api-key")
_PATHS = {"/api/chat": "POST", "/api/tags": "GET", "/api/version": "GET"}


class Ollama(Provider):
    """The models on this machine: those that the control socket named."""

    service = Service.OLLAMA

    def read(self, request: Request) -> Incoming:
        """Names the call; the whole body is remembered."""
        body, model = noted(request)
        return Incoming(
            method=f"{request.method} {request.path}",
            body=body,
            model=model,
            warnings=(KEY_IN_PLAINTEXT,) if any(name in request.headers for name in _KEYS) else (),
        )

    async def answer(
        self,
        request: Request,
        incoming: Incoming,  # noqa: ARG002 - the seam's signature
        number: int,  # noqa: ARG002
        fault: Fault | None,
    ) -> Answer | Stream:
        """docs.ollama.com/api/chat, /api/tags and /api-reference/get-version."""
        if request.path not in _PATHS:
            return ApiError(404, "404 page not found").answer()
        if request.method != _PATHS[request.path]:
            return ApiError(405, "405 method not allowed").answer()
        if request.path == "/api/version":
            return Answer(200, json.dumps({"version": VERSION}).encode())
        if request.path == "/api/tags":
            return Answer(200, json.dumps({"models": [self._tag(name) for name in sorted(self.models)]}).encode())
        try:
            return await self._chat(request, fault)
        except ApiError as error:
            return error.answer()

    async def _chat(self, request: Request, fault: Fault | None) -> Answer | Stream:
        asked = parse(request.body)
        if asked.model not in self.models and f"{asked.model}:latest" not in self.models:
            raise no_model(asked.model)
        chat = Chat(asked, stamp(self._clock.now()), thinking(self.style.thoughts) if asked.thinks else "")
        if not asked.messages:
            return Answer(200, json.dumps(chat.loaded()).encode())
        words = pieces(reply_text(asked.last_text, asked.messages, self.style.words))
        if asked.stream:
            return Stream(speak(chat, words, self.style, fault, asked.limit), _HEADERS)
        failure = ending(fault)
        if fault is not None and failure in KNOWN:
            return self.failure(fault)
        cut = await whole(chat, words, self.style, asked.limit)
        return Answer(200, json.dumps(chat.plain(chat.text, "length" if cut else "stop", chat.thoughts)).encode())

    def failure(self, fault: Fault) -> Answer:
        """The documented error that ``fault`` names."""
        if fault.failure is None:
            raise ValueError("the fault names no failure")
        return named(fault.failure).answer()

    def misdirected(self) -> Answer:
        """403 without a word: the Host header names another machine."""
        return Answer(403, b"")

    def _tag(self, name: str) -> dict[str, object]:
        digest = hashlib.sha256(name.encode()).hexdigest()
        details = {"format": "gguf", "family": "llama", "parameter_size": "3.2B", "quantization_level": "Q4_K_M"}
        return {
            "name": name,
            "model": name,
            "modified_at": stamp(self._clock.now()),
            "size": 2_019_393_189,
            "digest": digest,
            "details": details,
        }
