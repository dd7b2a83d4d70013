"""One call to a provider, the same for all of them: bounded in time and bytes, and in what its errors can say.

What is foreign stays here: of a response only numbers, the text of the answer and the provider's own error names get
any further, and the last only to be looked up.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import AsyncExitStack, aclosing, suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, cast

from clawmates.base.http.client import ClosedError, HttpError, TooLargeError
from clawmates.mate.errors import BootError, DoorError, ProviderError
from clawmates.mate.providers.base import Delta, Finished, PassingError, Prompt, Stop
from clawmates.mate.providers.pairs import Pairs
from clawmates.wire.codes import Code

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Protocol

    from clawmates.base.http.client import Response
    from clawmates.mate.web import Web

    class Reader(Protocol):
        """Makes sense of one answer, event by event."""

        finished: Finished | None
        """How it ended, once it has."""

        def read(self, event: dict[str, Any]) -> str:
            """The text in an event; raises :class:`ProviderError`, or what stands in :data:`MISSHAPEN`."""
            ...

    class Dialect(Protocol):
        """What is a provider's own."""

        web: Web
        patience: Patience

        @property
        def host(self) -> str:
            """Where its requests go."""
            ...

        def split(self, chunks: AsyncIterator[bytes]) -> AsyncGenerator[bytes, None]:
            """The JSON documents in a response body."""
            ...

        def request(self, prompt: Prompt) -> Request:
            """The call; raises :class:`~clawmates.mate.errors.BootError` where there is no key for the host."""
            ...

        def reader(self) -> Reader:
            """For one answer."""
            ...

        def refusal(self, status: int, error: Mapping[str, Any], wait: float) -> ProviderError:
            """What a status other than 200 means; ``error`` is what stands under that name in the answer."""
            ...


MAX_ERROR = 64 * 1024
MAX_BYTES = 32 << 20
"""Of one response. A token of an answer arrives in about 300 bytes of JSON."""
MAX_CHARACTERS = 1 << 20
"""Of one answer."""
CHARACTERS_PER_TOKEN = 32
"""More than any tokenizer packs into one on average; past that, a provider does not keep to its limit."""
LONGEST_NUMBER = 24
MAX_WAIT = 1e6
END_SECONDS = 0.1
MISSHAPEN = (ValueError, LookupError, TypeError, AttributeError, RecursionError)
"""What JSON of another shape than expected makes Python raise."""
_PASSING = frozenset({Code.PROVIDER_RATE_LIMITED, Code.PROVIDER_OVERLOADED, Code.PROVIDER_UNREACHABLE})
_SERVER_FAULT = 500


@dataclass(frozen=True, slots=True)
class Patience:
    """Seconds that a call may take. The whole is less than the relay gives a turn."""

    head: float = 60.0
    """Until the response's head is there."""
    between: float = 60.0
    """Between two pieces; a model that thinks is silent for a while."""
    whole: float = 110.0


@dataclass(frozen=True, slots=True)
class Request:
    """A request ready to be sent; it holds a key and a conversation, and shows neither."""

    target: str
    headers: tuple[tuple[str, str], ...] = field(repr=False)
    body: bytes = field(repr=False)


def json_body(value: Mapping[str, Any]) -> bytes:
    """Compact UTF-8; half a surrogate pair becomes a question mark."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode(errors="replace")


def count(value: object) -> int:
    """A token count, 0 for anything that is none."""
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 1 << 40 else 0


def words(value: object) -> str:
    """A piece of an answer; raises ``TypeError`` for anything that is no text."""
    if not isinstance(value, str):
        raise TypeError
    return value


def seconds(text: object) -> float:
    """A wait in whole or decimal seconds, 0 for anything else."""
    if not isinstance(text, str) or len(text) > LONGEST_NUMBER or not text.isascii():
        return 0.0
    whole, _point, part = text.partition(".")
    return min(float(text), MAX_WAIT) if whole.isdigit() and (part or "0").isdigit() else 0.0


def says(error: Mapping[str, Any], *phrases: str) -> bool:
    """Whether an error's sentence holds one of ``phrases``, where a provider gives no other sign."""
    message = error.get("message")
    return isinstance(message, str) and any(phrase in message[:2000].lower() for phrase in phrases)


def failure(code: Code, status: int = 0, wait: float = 0.0) -> ProviderError:
    """The error for a code: one that may pass, or one that asking again does not heal.

    Its number is the wait for codes that have one, else the HTTP status.
    """
    if code in _PASSING:
        return PassingError(code, int(wait), wait)
    if code is Code.PROVIDER_ERROR and status >= _SERVER_FAULT:
        return PassingError(code, status)
    return ProviderError(code, status)


async def converse(dialect: Dialect, prompt: Prompt) -> AsyncGenerator[Delta | Finished, None]:
    """See :meth:`~clawmates.mate.providers.base.Provider.answer`.

    An answer that goes on beyond what was asked for, or beyond the patience for the whole, is cut and says so; one
    that never began by then is an error. No timeout is open while the caller has the turn.
    """
    until = asyncio.get_running_loop().time() + dialect.patience.whole
    try:
        async with AsyncExitStack() as stack:
            response = await _send(dialect, prompt, stack)
            chunks = await stack.enter_async_context(aclosing(_paced(response, dialect.patience.between, until)))
            documents = await stack.enter_async_context(aclosing(dialect.split(chunks)))
            pieces = await stack.enter_async_context(aclosing(_pieces(documents, dialect.reader(), prompt)))
            async for piece in pieces:
                yield piece
    except DoorError as error:
        raise _unreachable(error) from None
    except BootError as error:
        raise ProviderError(error.code) from None
    except ClosedError:
        raise failure(Code.PROVIDER_UNREACHABLE) from None
    except HttpError:
        raise ProviderError(Code.PROVIDER_ERROR) from None


def _unreachable(error: DoorError) -> ProviderError:
    return failure(Code.HOST_NOT_ALLOWED if error.code is Code.HOST_NOT_ALLOWED else Code.PROVIDER_UNREACHABLE)


async def _send(dialect: Dialect, prompt: Prompt, stack: AsyncExitStack) -> Response:
    request = dialect.request(prompt)
    headers = (("Content-Type", "application/json"), *request.headers)
    try:
        async with asyncio.timeout(dialect.patience.head):
            response = await stack.enter_async_context(
                dialect.web.request("POST", dialect.host, request.target, headers=headers, body=request.body)
            )
            if response.status != 200:
                raise await _refusal(dialect, response)
    except TimeoutError:
        # Not one that passes: who was silent for so long is not asked again.
        raise ProviderError(Code.PROVIDER_UNREACHABLE) from None
    return response


async def _refusal(dialect: Dialect, response: Response) -> ProviderError:
    """Reads an error's names and passes over its text."""
    error: object = None
    try:
        parsed = json.loads(await response.read(MAX_ERROR))
        error = parsed.get("error") if isinstance(parsed, dict) else None
    except (TooLargeError, ValueError, RecursionError):
        pass  # the status alone has to do
    if isinstance(error, str):
        error = {"message": error}
    wait = seconds(response.headers.get(b"retry-after", b"").decode("ascii", "replace"))
    try:
        return dialect.refusal(response.status, error if isinstance(error, dict) else {}, wait)
    except MISSHAPEN:
        return failure(Code.PROVIDER_ERROR, response.status)


async def _paced(response: Response, between: float, until: float) -> AsyncGenerator[bytes, None]:
    """The body as it arrives; raises what a provider has earned that falls silent, or never ends."""
    clock = asyncio.get_running_loop().time
    size = 0
    async with aclosing(cast(AsyncGenerator[bytes, None], response.chunks())) as chunks:
        while True:
            rest = until - clock()
            try:
                async with asyncio.timeout(min(between, rest)):
                    chunk = await anext(chunks, None)
            except TimeoutError:
                raise ProviderError(Code.TIMED_OUT if rest <= between else Code.PROVIDER_UNREACHABLE) from None
            if chunk is None:
                return
            size += len(chunk)
            if size > MAX_BYTES:
                raise TooLargeError
            yield chunk


async def _pieces(
    documents: AsyncGenerator[bytes, None], reader: Reader, prompt: Prompt
) -> AsyncGenerator[Delta | Finished, None]:
    pairs = Pairs()
    room = min(prompt.max_output_tokens * CHARACTERS_PER_TOKEN, MAX_CHARACTERS)
    begun = False
    try:
        async for document in documents:
            text = pairs.join(_read(document, reader))[:room]
            room -= len(text)
            if text:
                begun = True
                yield Delta(text)
            if room <= 0:
                yield reader.finished or Finished(Stop.LENGTH)
                return
            if reader.finished is not None:
                if rest := pairs.end():
                    yield Delta(rest)
                await _read_out(documents)
                yield reader.finished
                return
    except ProviderError as error:
        if error.code is not Code.TIMED_OUT or not begun:
            raise
        yield Finished(Stop.LENGTH)
        return
    raise failure(Code.PROVIDER_UNREACHABLE)


def _read(document: bytes, reader: Reader) -> str:
    try:
        event = json.loads(document)
        return reader.read(event)
    except MISSHAPEN:
        raise ProviderError(Code.PROVIDER_ERROR) from None


async def _read_out(documents: AsyncIterator[bytes]) -> None:
    """Reads to the end of the response, so that the connection can be used again; a server that dawdles loses it."""
    with suppress(TimeoutError, ProviderError, HttpError):
        async with asyncio.timeout(END_SECONDS):
            async for _rest in documents:
                continue
