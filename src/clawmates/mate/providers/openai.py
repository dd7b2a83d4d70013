"""OpenAI, by the Responses API (https://platform.openai.com/docs/api-reference/responses/create).

What OpenAI keeps: the Responses API stores by default, so every request says ``store: false``; abuse-monitoring logs
are kept up to 30 days unless the account has zero data retention
(https://platform.openai.com/docs/guides/your-data). No tools, no search, no background mode, no metadata, no user id.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from clawmates.mate.credentials import Credentials
from clawmates.mate.messages import Author
from clawmates.mate.providers.base import Delta, Finished, Prompt, Stop
from clawmates.mate.providers.call import Patience, Request, converse, count, failure, json_body, words
from clawmates.mate.providers.history import turns
from clawmates.mate.providers.sse import events
from clawmates.mate.web import Web
from clawmates.wire.codes import Code
from clawmates.wire.names import ItemName

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Mapping

    from clawmates.mate.errors import ProviderError

PATH = "/v1/responses"
_ROLE = {Author.PERSON: "user", Author.ASSISTANT: "assistant"}

# https://platform.openai.com/docs/guides/error-codes
_BY_ERROR_CODE = {
    "invalid_api_key": Code.BAD_KEY,
    "insufficient_quota": Code.NO_CREDIT,
    "billing_hard_limit_reached": Code.NO_CREDIT,
    "rate_limit_exceeded": Code.PROVIDER_RATE_LIMITED,
    "too_many_requests": Code.PROVIDER_RATE_LIMITED,
    "model_not_found": Code.UNKNOWN_MODEL,
    "context_length_exceeded": Code.TOO_LONG,
    "string_above_max_length": Code.TOO_LONG,
    "invalid_prompt": Code.FILTERED,
    "content_filter": Code.FILTERED,
    "unsupported_country_region_territory": Code.REGION_NOT_ALLOWED,
    "server_error": Code.PROVIDER_ERROR,
    "server_is_overloaded": Code.PROVIDER_OVERLOADED,
    "slow_down": Code.PROVIDER_OVERLOADED,
    "service_unavailable_error": Code.PROVIDER_OVERLOADED,
}
_BY_STATUS = {
    401: Code.BAD_KEY,
    403: Code.REGION_NOT_ALLOWED,
    404: Code.UNKNOWN_MODEL,
    413: Code.TOO_LONG,
    429: Code.PROVIDER_RATE_LIMITED,
    503: Code.PROVIDER_OVERLOADED,
}
_STOP = {"max_output_tokens": Stop.LENGTH, "content_filter": Stop.FILTERED}


@dataclass(slots=True)
class OpenAI:
    """One key, one host."""

    web: Web
    credentials: Credentials
    host: str = "api.openai.com"
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
        return Request(PATH, (("Authorization", f"Bearer {key}"),), json_body(_body(prompt)))

    def reader(self) -> OpenAIReader:
        """See :class:`~clawmates.mate.providers.call.Dialect`."""
        return OpenAIReader()

    def refusal(self, status: int, error: Mapping[str, Any], wait: float) -> ProviderError:
        """See :class:`~clawmates.mate.providers.call.Dialect`."""
        return _error(error.get("code"), status, wait)


@dataclass(slots=True)
class OpenAIReader:
    """Streaming events: https://platform.openai.com/docs/api-reference/responses-streaming."""

    finished: Finished | None = None

    def read(self, event: dict[str, Any]) -> str:
        """See :class:`~clawmates.mate.providers.call.Reader`. Events of other types are passed over."""
        match event["type"]:
            case "response.output_text.delta" | "response.refusal.delta":
                return words(event["delta"])
            case "response.completed" | "response.incomplete":
                self.finished = _finished(event["response"])
            case "response.failed":
                raise _named(event["response"].get("error") or {})
            case "error":
                raise _named(event.get("error") or event)
        return ""


def _body(prompt: Prompt) -> dict[str, Any]:
    request: dict[str, Any] = {
        "model": prompt.model,
        "input": [{"role": _ROLE[author], "content": text} for author, text in turns(prompt.messages)],
        "stream": True,
        "store": False,
        "max_output_tokens": prompt.max_output_tokens,
    }
    if prompt.instructions:
        request["instructions"] = prompt.instructions
    if prompt.temperature is not None:
        request["temperature"] = prompt.temperature
    return request


def _named(error: Mapping[str, Any]) -> ProviderError:
    """The reference shows an ``error`` event flat; the API sends its fields below ``error``, and a code may be null."""
    return _error(error.get("code") or error.get("type"))


def _error(name: object, status: int = 500, wait: float = 0.0) -> ProviderError:
    """An error in the middle of an answer has no status: it is the server's."""
    code = _BY_ERROR_CODE.get(name) if isinstance(name, str) else None
    return failure(code or _BY_STATUS.get(status, Code.PROVIDER_ERROR), status, wait)


def _finished(response: dict[str, Any]) -> Finished:
    usage = response.get("usage") or {}
    reason = str((response.get("incomplete_details") or {}).get("reason"))
    return Finished(
        _STOP.get(reason, Stop.COMPLETE), count(usage.get("input_tokens")), count(usage.get("output_tokens"))
    )
