"""Ollama, by its chat endpoint (https://docs.ollama.com/api/chat): a model on the same host.

What Ollama keeps: nothing, and a local model sends nothing to ollama.com (https://docs.ollama.com/faq, "Does Ollama
send my prompts and responses back to ollama.com?"); models whose names end in ``cloud`` do run there, and the catalogue
lists none. One who starts it with ``OLLAMA_DEBUG`` finds prompts in its log. No tools, no search.

The reserved name ``ollama`` is the host's own loopback, reached through the gateway without TLS: there is no network
on that way, and no key.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from clawmates.mate.messages import Author
from clawmates.mate.providers.base import Delta, Finished, Prompt, Stop
from clawmates.mate.providers.call import Patience, Request, converse, count, failure, json_body, says, words
from clawmates.mate.providers.history import turns
from clawmates.mate.providers.ndjson import objects
from clawmates.mate.web import Web
from clawmates.wire.codes import Code
from clawmates.wire.door import OLLAMA_HOST

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Mapping

    from clawmates.mate.errors import ProviderError

PATH = "/api/chat"
LOADING = Patience(head=100.0)
"""The first question after a while waits until the model is loaded from disk."""
_ROLE = {Author.PERSON: "user", Author.ASSISTANT: "assistant"}

# https://docs.ollama.com/api/errors; 403 is a model of its cloud that may not be used.
_BY_STATUS = {
    401: Code.BAD_KEY,
    403: Code.UNKNOWN_MODEL,
    404: Code.UNKNOWN_MODEL,
    413: Code.TOO_LONG,
    429: Code.PROVIDER_RATE_LIMITED,
    502: Code.PROVIDER_UNREACHABLE,
    503: Code.PROVIDER_OVERLOADED,
}


@dataclass(slots=True)
class Ollama:
    """The one on this host."""

    web: Web
    host: str = OLLAMA_HOST
    patience: Patience = field(default=LOADING)

    def answer(self, prompt: Prompt) -> AsyncGenerator[Delta | Finished, None]:
        """See :class:`~clawmates.mate.providers.base.Provider`."""
        return converse(self, prompt)

    def split(self, chunks: AsyncIterator[bytes]) -> AsyncGenerator[bytes, None]:
        """See :class:`~clawmates.mate.providers.call.Dialect`."""
        return objects(chunks)

    def request(self, prompt: Prompt) -> Request:
        """See :class:`~clawmates.mate.providers.call.Dialect`."""
        return Request(PATH, (), json_body(_body(prompt)))

    def reader(self) -> OllamaReader:
        """See :class:`~clawmates.mate.providers.call.Dialect`."""
        return OllamaReader()

    def refusal(self, status: int, error: Mapping[str, Any], wait: float) -> ProviderError:
        """See :class:`~clawmates.mate.providers.call.Dialect`."""
        return _error(error, status, wait)


@dataclass(slots=True)
class OllamaReader:
    """A line is a ChatResponse; the last one says ``done`` and carries the counts. Thinking is passed over."""

    finished: Finished | None = None

    def read(self, event: dict[str, Any]) -> str:
        """See :class:`~clawmates.mate.providers.call.Reader`."""
        if "error" in event:
            raise _error({"message": event["error"]})
        if event.get("done") is True:
            stop = Stop.LENGTH if event.get("done_reason") == "length" else Stop.COMPLETE
            self.finished = Finished(stop, count(event.get("prompt_eval_count")), count(event.get("eval_count")))
        return words((event.get("message") or {}).get("content") or "")


def _body(prompt: Prompt) -> dict[str, Any]:
    messages = [{"role": _ROLE[author], "content": text} for author, text in turns(prompt.messages)]
    if prompt.instructions:
        messages.insert(0, {"role": "system", "content": prompt.instructions})
    options: dict[str, Any] = {"num_predict": prompt.max_output_tokens}
    if prompt.context_tokens:
        # Ollama makes room for 4096 tokens unless told, and drops the oldest messages without a word.
        options["num_ctx"] = prompt.context_tokens
    if prompt.temperature is not None:
        options["temperature"] = prompt.temperature
    return {"model": prompt.model, "messages": messages, "stream": True, "options": options}


def _error(error: Mapping[str, Any], status: int = 500, wait: float = 0.0) -> ProviderError:
    """An error in the middle of an answer has no status: it is the server's. Errors are sentences, without a name."""
    if says(error, "context length", "exceeds the context"):
        return failure(Code.TOO_LONG, status)
    if says(error, "not found"):
        return failure(Code.UNKNOWN_MODEL, status)
    return failure(_BY_STATUS.get(status, Code.PROVIDER_ERROR), status, wait)
