"""OpenAI, by the Responses API (https://platform.openai.com/docs/api-reference/responses/create).

What OpenAI keeps: the Responses API stores by default, so every request says ``store: false``; abuse-monitoring logs
are kept up to 30 days unless the account has zero data retention
(https://platform.openai.com/docs/guides/your-data). No tools, no search, no background mode, no metadata, no user id.
"""

from __future__ import annotations

import asyncio
import json
from contextlib import aclosing, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from clawmates.base.http.client import ClosedError, HttpError, TooLargeError
from clawmates.mate.credentials import Credentials
from clawmates.mate.errors import DoorError, ProviderError
from clawmates.mate.messages import Author
from clawmates.mate.providers.base import Delta, Finished, Prompt, Stop
from clawmates.mate.providers.sse import events
from clawmates.mate.web import Web
from clawmates.wire.codes import Code
from clawmates.wire.names import ItemName

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator

    from clawmates.base.http.client import Response
    from clawmates.mate.messages import Message

PATH = "/v1/responses"
MAX_ERROR = 64 * 1024
END_SECONDS = 0.1
_ROLE = {Author.PERSON: "user", Author.ASSISTANT: "assistant"}

# https://platform.openai.com/docs/guides/error-codes
_BY_ERROR_CODE = {
    "invalid_api_key": Code.BAD_KEY,
    "insufficient_quota": Code.NO_CREDIT,
    "billing_hard_limit_reached": Code.NO_CREDIT,
    "rate_limit_exceeded": Code.PROVIDER_RATE_LIMITED,
    "model_not_found": Code.UNKNOWN_MODEL,
    "context_length_exceeded": Code.TOO_LONG,
    "string_above_max_length": Code.TOO_LONG,
    "invalid_prompt": Code.FILTERED,
    "content_filter": Code.FILTERED,
    "unsupported_country_region_territory": Code.REGION_NOT_ALLOWED,
    "server_error": Code.PROVIDER_ERROR,
    "server_is_overloaded": Code.PROVIDER_OVERLOADED,
}
_BY_STATUS = {
    401: Code.BAD_KEY,
    403: Code.REGION_NOT_ALLOWED,
    404: Code.UNKNOWN_MODEL,
    413: Code.TOO_LONG,
    429: Code.PROVIDER_RATE_LIMITED,
    503: Code.PROVIDER_OVERLOADED,
}


@dataclass(slots=True)
class OpenAI:
    """One key, one host."""

    web: Web
    credentials: Credentials
    host: str = "api.openai.com"

    async def answer(self, prompt: Prompt) -> AsyncGenerator[Delta | Finished, None]:
        """See :class:`~clawmates.mate.providers.base.Provider`."""
        key = self.credentials.for_host(ItemName.PROVIDER_KEY, self.host)
        headers = (("Authorization", f"Bearer {key}"), ("Content-Type", "application/json"))
        try:
            async with self.web.request("POST", self.host, PATH, headers=headers, body=_body(prompt)) as response:
                if response.status != 200:
                    raise await _refusal(response)
                async with aclosing(events(response.chunks())) as stream:
                    async for piece in _pieces(stream):
                        yield piece
        except DoorError as error:
            code = Code.HOST_NOT_ALLOWED if error.code is Code.HOST_NOT_ALLOWED else Code.PROVIDER_UNREACHABLE
            raise ProviderError(code) from None
        except ClosedError:
            raise ProviderError(Code.PROVIDER_UNREACHABLE) from None
        except HttpError:
            raise ProviderError(Code.PROVIDER_ERROR) from None


def _body(prompt: Prompt) -> bytes:
    request: dict[str, Any] = {
        "model": prompt.model,
        "input": [_item(message) for message in prompt.messages],
        "stream": True,
        "store": False,
        "max_output_tokens": prompt.max_output_tokens,
    }
    if prompt.instructions:
        request["instructions"] = prompt.instructions
    if prompt.temperature is not None:
        request["temperature"] = prompt.temperature
    return json.dumps(request, ensure_ascii=False, separators=(",", ":")).encode(errors="replace")


def _item(message: Message) -> dict[str, str]:
    return {"role": _ROLE[message.author], "content": message.text}


async def _refusal(response: Response) -> ProviderError:
    """What a response other than 200 means. Reads its code and passes over its text."""
    wait = response.headers.get(b"retry-after", b"")
    number = int(wait) if wait.isdigit() and len(wait) < 6 else 0
    try:
        parsed = json.loads(await response.read(MAX_ERROR))
        name = parsed["error"]["code"]
    except (TooLargeError, ValueError, KeyError, TypeError, RecursionError):
        name = None
    return _error(name, response.status, number)


def _error(name: object, status: int, number: int) -> ProviderError:
    code = _BY_ERROR_CODE.get(name) if isinstance(name, str) else None
    if code is None:
        code = _BY_STATUS.get(status, Code.PROVIDER_ERROR)
    return ProviderError(code, number or status)


async def _pieces(stream: AsyncIterator[bytes]) -> AsyncGenerator[Delta | Finished, None]:
    """Streaming events: https://platform.openai.com/docs/api-reference/responses-streaming."""
    async for raw in stream:
        try:
            event = json.loads(raw)
            kind = event["type"]
            if kind in {"response.output_text.delta", "response.refusal.delta"}:
                yield Delta(str(event["delta"]))
            elif kind in {"response.completed", "response.incomplete"}:
                finished = _finished(event["response"])
                await _read_out(stream)
                yield finished
                return
            elif kind == "response.failed":
                raise _error((event["response"].get("error") or {}).get("code"), 0, 0)
            elif kind == "error":
                raise _error(event.get("code"), 0, 0)
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
            raise ProviderError(Code.PROVIDER_ERROR) from None
    raise ProviderError(Code.PROVIDER_UNREACHABLE)


async def _read_out(stream: AsyncIterator[bytes]) -> None:
    """Reads to the end of the response, so that the connection can be used again; a server that dawdles loses it."""
    with suppress(TimeoutError):
        async with asyncio.timeout(END_SECONDS):
            async for _rest in stream:
                continue


def _finished(response: dict[str, Any]) -> Finished:
    usage = response.get("usage") or {}
    reason = str((response.get("incomplete_details") or {}).get("reason"))
    stop = {"max_output_tokens": Stop.LENGTH, "content_filter": Stop.FILTERED}.get(reason, Stop.COMPLETE)
    return Finished(stop, _count(usage.get("input_tokens")), _count(usage.get("output_tokens")))


def _count(value: object) -> int:
    return value if isinstance(value, int) and 0 <= value < 1 << 40 else 0
