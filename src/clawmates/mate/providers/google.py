"""Google, by the Gemini API (https://ai.google.dev/api/generate-content#method:-models.streamgeneratecontent).

What Google keeps: projects made since 26 October 2026 store requests by default, so every request says
``store: false`` (https://ai.google.dev/gemini-api/docs/logs-datasets); prompts and replies stay 55 days to watch for
abuse (https://ai.google.dev/gemini-api/docs/usage-policies). With a key of the free tier Google also uses them to
improve its products, and people may read them (https://ai.google.dev/gemini-api/terms). No tools, no search, no cache,
no files. The key travels in a header, never in the address.
"""

from __future__ import annotations

from contextlib import aclosing
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from clawmates.base.http.client import TooLargeError
from clawmates.mate.credentials import Credentials
from clawmates.mate.errors import ProviderError
from clawmates.mate.messages import Author
from clawmates.mate.providers.base import Delta, Finished, Prompt, Stop
from clawmates.mate.providers.call import Patience, Request, converse, count, failure, json_body, says, seconds, words
from clawmates.mate.providers.history import turns
from clawmates.mate.providers.ndjson import MAX_LINE, lines
from clawmates.mate.web import Web
from clawmates.wire.codes import Code
from clawmates.wire.names import ItemName

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Mapping

_SAFE = frozenset("abcdefghijklmnopqrstuvwxyz0123456789.-")
_LONGEST_MODEL = 100
_ROLE = {Author.PERSON: "user", Author.ASSISTANT: "model"}

# https://ai.google.dev/gemini-api/docs/troubleshooting; names: google.rpc.Code
_BY_STATUS_NAME = {
    "UNAUTHENTICATED": Code.BAD_KEY,
    "PERMISSION_DENIED": Code.BAD_KEY,
    "NOT_FOUND": Code.UNKNOWN_MODEL,
    "RESOURCE_EXHAUSTED": Code.PROVIDER_RATE_LIMITED,
    "UNAVAILABLE": Code.PROVIDER_OVERLOADED,
    "DEADLINE_EXCEEDED": Code.PROVIDER_OVERLOADED,
    "INTERNAL": Code.PROVIDER_ERROR,
}
_BY_STATUS = {
    401: Code.BAD_KEY,
    402: Code.NO_CREDIT,
    403: Code.BAD_KEY,
    404: Code.UNKNOWN_MODEL,
    413: Code.TOO_LONG,
    429: Code.PROVIDER_RATE_LIMITED,
    503: Code.PROVIDER_OVERLOADED,
    504: Code.PROVIDER_OVERLOADED,
}
# https://ai.google.dev/api/generate-content#FinishReason; the rest end an answer that is as whole as it will be.
_STOP = {
    "MAX_TOKENS": Stop.LENGTH,
    "SAFETY": Stop.FILTERED,
    "RECITATION": Stop.FILTERED,
    "BLOCKLIST": Stop.FILTERED,
    "PROHIBITED_CONTENT": Stop.FILTERED,
    "SPII": Stop.FILTERED,
}


@dataclass(slots=True)
class Google:
    """One key, one host."""

    web: Web
    credentials: Credentials
    host: str = "generativelanguage.googleapis.com"
    item: ItemName = ItemName.PROVIDER_KEY
    patience: Patience = field(default_factory=Patience)

    def answer(self, prompt: Prompt) -> AsyncGenerator[Delta | Finished, None]:
        """See :class:`~clawmates.mate.providers.base.Provider`."""
        return converse(self, prompt)

    def split(self, chunks: AsyncIterator[bytes]) -> AsyncGenerator[bytes, None]:
        """See :class:`~clawmates.mate.providers.call.Dialect`."""
        return documents(chunks)

    def request(self, prompt: Prompt) -> Request:
        """See :class:`~clawmates.mate.providers.call.Dialect`. The model is part of the path, so it is looked at."""
        if not 1 <= len(prompt.model) <= _LONGEST_MODEL or not _SAFE.issuperset(prompt.model):
            raise ProviderError(Code.UNKNOWN_MODEL)
        key = self.credentials.for_host(self.item, self.host)
        target = f"/v1beta/models/{prompt.model}:streamGenerateContent?alt=sse"
        return Request(target, (("x-goog-api-key", key),), json_body(_body(prompt)))

    def reader(self) -> GoogleReader:
        """See :class:`~clawmates.mate.providers.call.Dialect`."""
        return GoogleReader()

    def refusal(self, status: int, error: Mapping[str, Any], wait: float) -> ProviderError:
        """See :class:`~clawmates.mate.providers.call.Dialect`."""
        return _error(error, status, wait)


@dataclass(slots=True)
class GoogleReader:
    """Each event is a GenerateContentResponse: https://ai.google.dev/api/generate-content#generatecontentresponse."""

    finished: Finished | None = None

    def read(self, event: dict[str, Any]) -> str:
        """See :class:`~clawmates.mate.providers.call.Reader`. Thoughts are passed over."""
        if "error" in event:
            raise _error(event["error"], count(event["error"].get("code")) or 500)
        usage = event.get("usageMetadata") or {}
        if (event.get("promptFeedback") or {}).get("blockReason"):
            self._finish(Stop.FILTERED, usage)
        for candidate in (event.get("candidates") or [])[:1]:
            if reason := candidate.get("finishReason"):
                self._finish(_STOP.get(str(reason), Stop.COMPLETE), usage)
            parts = (candidate.get("content") or {}).get("parts") or []
            return "".join(words(part.get("text", "")) for part in parts if not part.get("thought"))
        return ""

    def _finish(self, stop: Stop, usage: dict[str, Any]) -> None:
        written = count(usage.get("candidatesTokenCount")) + count(usage.get("thoughtsTokenCount"))
        self.finished = Finished(stop, count(usage.get("promptTokenCount")), written)


async def documents(chunks: AsyncIterator[bytes], limit: int = MAX_LINE) -> AsyncGenerator[bytes, None]:
    """The data of server-sent events, a line each, and an error in the middle of them.

    That one may come as an event, or as a bare object over several lines. Raises :class:`TooLargeError` past ``limit``
    bytes.
    """
    bare = bytearray()
    async with aclosing(lines(chunks, limit)) as every:
        async for line in every:
            if line.startswith(b"data:"):
                yield line[5:]
            elif bare or line.startswith(b"{"):
                bare += line
                if len(bare) > limit:
                    raise TooLargeError
    if bare:
        yield bytes(bare)


def _body(prompt: Prompt) -> dict[str, Any]:
    generation: dict[str, Any] = {"maxOutputTokens": prompt.max_output_tokens}
    if prompt.temperature is not None:
        generation["temperature"] = prompt.temperature
    request: dict[str, Any] = {
        "contents": [{"role": _ROLE[author], "parts": [{"text": text}]} for author, text in turns(prompt.messages)],
        "generationConfig": generation,
        "store": False,
    }
    if prompt.instructions:
        request["systemInstruction"] = {"parts": [{"text": prompt.instructions}]}
    return request


def _error(error: Mapping[str, Any], status: int, wait: float = 0.0) -> ProviderError:
    """``INVALID_ARGUMENT``, ``FAILED_PRECONDITION`` and ``RESOURCE_EXHAUSTED`` each stand for several things."""
    details = [one for one in error.get("details") or [] if isinstance(one, dict)]
    name = error.get("status")
    code = _BY_STATUS_NAME.get(name) if isinstance(name, str) else None
    if any(one.get("reason") == "API_KEY_INVALID" for one in details) or says(error, "api key not valid"):
        code = Code.BAD_KEY
    elif name == "FAILED_PRECONDITION":
        here = says(error, "location", "country", "region")
        code = Code.REGION_NOT_ALLOWED if here or not says(error, "billing") else Code.NO_CREDIT
    elif name == "RESOURCE_EXHAUSTED" and (status == 402 or _used_up(error, details)):
        code = Code.NO_CREDIT
    elif name == "INVALID_ARGUMENT" and says(error, "token count", "number of tokens"):
        code = Code.TOO_LONG
    delays = [seconds(str(one["retryDelay"]).removesuffix("s")) for one in details if "retryDelay" in one]
    return failure(code or _BY_STATUS.get(status, Code.PROVIDER_ERROR), status, max([wait, *delays]))


def _used_up(error: Mapping[str, Any], details: list[dict[str, Any]]) -> bool:
    """Whether it is money, or the quota of a day: neither comes back by waiting a little."""
    quotas = [str(quota.get("quotaId")) for one in details for quota in one.get("violations") or []]
    return says(error, "credits are depleted", "spending cap") or any("PerDay" in quota for quota in quotas)
