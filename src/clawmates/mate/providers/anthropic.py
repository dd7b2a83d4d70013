"""Anthropic, by the Messages API (https://platform.claude.com/docs/en/api/messages/create).

What Anthropic keeps: inputs and outputs are deleted within 30 days, and are not used for training without the
customer's permission; what its classifiers flag as a violation stays up to 2 years, their scores up to 7
(https://privacy.claude.com/en/articles/7996866-how-long-do-you-store-my-organization-s-data). The API has no ``store``
to switch off; zero retention is an agreement (https://platform.claude.com/docs/en/manage-claude/api-and-data-retention).
No tools, no search, no prompt cache, no files, no metadata, no user id.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from clawmates.mate.credentials import Credentials
from clawmates.mate.messages import Author
from clawmates.mate.providers.base import Delta, Finished, Prompt, Stop
from clawmates.mate.providers.call import Patience, Request, converse, count, failure, json_body, says, words
from clawmates.mate.providers.history import turns
from clawmates.mate.providers.sse import events
from clawmates.mate.web import Web
from clawmates.wire.codes import Code
from clawmates.wire.names import ItemName

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Mapping

    from clawmates.mate.errors import ProviderError

PATH = "/v1/messages"
VERSION = "2023-06-01"
"""https://platform.claude.com/docs/en/api/versioning."""
HIGHEST_TEMPERATURE = 1.0
_ROLE = {Author.PERSON: "user", Author.ASSISTANT: "assistant"}

# https://platform.claude.com/docs/en/api/errors; `forbidden` is what an unsupported country gets.
_BY_TYPE = {
    "authentication_error": Code.BAD_KEY,
    "permission_error": Code.BAD_KEY,
    "billing_error": Code.NO_CREDIT,
    "forbidden": Code.REGION_NOT_ALLOWED,
    "not_found_error": Code.UNKNOWN_MODEL,
    "request_too_large": Code.TOO_LONG,
    "rate_limit_error": Code.PROVIDER_RATE_LIMITED,
    "overloaded_error": Code.PROVIDER_OVERLOADED,
    "timeout_error": Code.PROVIDER_OVERLOADED,
    "api_error": Code.PROVIDER_ERROR,
}
_BY_STATUS = {
    401: Code.BAD_KEY,
    402: Code.NO_CREDIT,
    403: Code.REGION_NOT_ALLOWED,
    404: Code.UNKNOWN_MODEL,
    413: Code.TOO_LONG,
    429: Code.PROVIDER_RATE_LIMITED,
    503: Code.PROVIDER_OVERLOADED,
    504: Code.PROVIDER_OVERLOADED,
    529: Code.PROVIDER_OVERLOADED,
}
# https://platform.claude.com/docs/en/build-with-claude/handling-stop-reasons
_STOP = {
    "max_tokens": Stop.LENGTH,
    "model_context_window_exceeded": Stop.LENGTH,
    "refusal": Stop.FILTERED,
}


@dataclass(slots=True)
class Anthropic:
    """One key, one host."""

    web: Web
    credentials: Credentials
    host: str = "api.anthropic.com"
    item: ItemName = ItemName.PROVIDER_KEY
    patience: Patience = field(default_factory=Patience)

    def answer(self, prompt: Prompt) -> AsyncGenerator[Delta | Finished, None]:
        """See :class:`~clawmates.mate.providers.base.Provider`."""
        return converse(self, prompt)

    def split(self, chunks: AsyncIterator[bytes]) -> AsyncGenerator[bytes, None]:
        """See :class:`~clawmates.mate.providers.call.Dialect`."""
        return events(chunks)

    def request(self, prompt: Prompt) -> Request:
        """See :class:`~clawmates.mate.providers.call.Dialect`."""
        key = self.credentials.for_host(self.item, self.host)
        return Request(PATH, (("x-api-key", key), ("anthropic-version", VERSION)), json_body(_body(prompt)))

    def reader(self) -> AnthropicReader:
        """See :class:`~clawmates.mate.providers.call.Dialect`."""
        return AnthropicReader()

    def refusal(self, status: int, error: Mapping[str, Any], wait: float) -> ProviderError:
        """See :class:`~clawmates.mate.providers.call.Dialect`."""
        return _error(error, status, wait)


@dataclass(slots=True)
class AnthropicReader:
    """Streaming events: https://platform.claude.com/docs/en/build-with-claude/streaming.

    Counts are cumulative: the last ones hold. Thinking, and events of types yet unknown, are passed over.
    """

    finished: Finished | None = None
    _stop: Stop = Stop.COMPLETE
    _input: int = 0
    _output: int = 0

    def read(self, event: dict[str, Any]) -> str:
        """See :class:`~clawmates.mate.providers.call.Reader`."""
        match event["type"]:
            case "content_block_delta":
                delta = event["delta"]
                return words(delta["text"]) if delta["type"] == "text_delta" else ""
            case "message_start":
                self._count(event["message"].get("usage"))
            case "message_delta":
                self._stop = _STOP.get(str(event["delta"].get("stop_reason")), Stop.COMPLETE)
                self._count(event.get("usage"))
            case "message_stop":
                self.finished = Finished(self._stop, self._input, self._output)
            case "error":
                raise _error(event["error"])
        return ""

    def _count(self, usage: dict[str, Any] | None) -> None:
        found = usage or {}
        self._input = count(found.get("input_tokens")) or self._input
        self._output = count(found.get("output_tokens")) or self._output


def _body(prompt: Prompt) -> dict[str, Any]:
    request: dict[str, Any] = {
        "model": prompt.model,
        "max_tokens": prompt.max_output_tokens,
        "messages": [{"role": _ROLE[author], "content": text} for author, text in turns(prompt.messages)],
        "stream": True,
    }
    if prompt.instructions:
        request["system"] = prompt.instructions
    if prompt.temperature is not None:
        request["temperature"] = min(prompt.temperature, HIGHEST_TEMPERATURE)
    return request


def _error(error: Mapping[str, Any], status: int = 500, wait: float = 0.0) -> ProviderError:
    """An error in the middle of an answer has no status: it is the server's.

    ``invalid_request_error`` also stands for credit used up, a spend limit reached and a prompt too long; only its
    sentence tells them apart.
    """
    kind = error.get("type")
    code = _BY_TYPE.get(kind) if isinstance(kind, str) else None
    if code is None and says(error, "prompt is too long", "context limit", "context window"):
        code = Code.TOO_LONG
    elif code is None and says(error, "credit balance", "usage limit", "spend limit"):
        code = Code.NO_CREDIT
    return failure(code or _BY_STATUS.get(status, Code.PROVIDER_ERROR), status, wait)
