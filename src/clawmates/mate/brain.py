"""What answers: a model, and one more for when it cannot.

Nothing is asked twice once a person has seen a part of the answer. Before that, what may pass is tried again, at most
twice and as far apart as the provider wishes, and then the fallback is asked, which may be another provider.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing
from dataclasses import dataclass
from typing import TYPE_CHECKING

from clawmates.mate.conversation import BYTES_PER_TOKEN
from clawmates.mate.errors import BootError, ProviderError
from clawmates.mate.providers.base import Delta, Finished, PassingError, Prompt, Provider
from clawmates.wire.codes import Code, Event
from clawmates.wire.names import ItemName

if TYPE_CHECKING:
    from clawmates.mate.credentials import Credentials
    from clawmates.mate.messages import Message
    from clawmates.mate.web import Web
    from clawmates.wire.door import FallbackConfig, MateConfig

    History = Callable[[int], tuple[Message, ...]]
    Say = Callable[[Event], Awaitable[None]]

RETRIES = 2
PAUSE_SECONDS = 0.5
"""Before the first retry; twice as long before the second."""
LONGEST_WAIT = 20.0
"""A provider that wants to be left alone for longer is not waited for."""
_FINAL = frozenset({Code.FILTERED, Code.TIMED_OUT})
"""A refusal is an answer, and is not shopped around; after a timeout no time is left."""


@dataclass(frozen=True, slots=True)
class Mind:
    """One model of one provider, and its limits in its own tokens."""

    provider: Provider
    model: str
    context_tokens: int
    output_tokens: int
    temperature: float | None = None

    def room(self, instructions: str) -> int:
        """Tokens left for the conversation, beside the instructions and the answer."""
        taken = self.output_tokens + len(instructions.encode(errors="replace")) // BYTES_PER_TOKEN
        return max(self.context_tokens - taken, 1)

    def prompt(self, instructions: str, history: History) -> Prompt:
        """What it is told, of a conversation as much as fits."""
        return Prompt(
            model=self.model,
            instructions=instructions,
            messages=history(self.room(instructions)),
            max_output_tokens=self.output_tokens,
            temperature=self.temperature,
            context_tokens=self.context_tokens,
        )


@dataclass(frozen=True, slots=True)
class Brain:
    """Replaced whole when the configuration changes. ``jitter`` gives a factor near 1 that spreads retries."""

    provider: Provider
    model: str
    instructions: str
    context_tokens: int
    output_tokens: int
    temperature: float | None = None
    fallback: Mind | None = None
    jitter: Callable[[], float] = lambda: 1.0
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep

    @property
    def mind(self) -> Mind:
        """The one that is asked first."""
        return Mind(self.provider, self.model, self.context_tokens, self.output_tokens, self.temperature)

    @property
    def window_tokens(self) -> int:
        """What is left for the conversation beside instructions and answer."""
        return self.mind.room(self.instructions)

    async def answer(self, history: History, say: Say) -> AsyncGenerator[Delta | Finished, None]:
        """Deltas, then exactly one Finished; raises :class:`~clawmates.mate.errors.ProviderError`.

        ``history`` gives the newest messages that fit a number of tokens; ``say`` is told why the fallback was asked.
        """
        own = _Attempt(self.mind)
        async with aclosing(self._ask(own, history)) as pieces:
            async for piece in pieces:
                yield piece
        if own.error is None:
            return
        spare = self._spare(own)
        if spare is None:
            raise own.error
        await say(own.error.event)
        second = _Attempt(spare)
        async with aclosing(self._ask(second, history)) as pieces:
            async for piece in pieces:
                yield piece
        if second.error is not None:
            raise second.error

    async def _ask(self, attempt: _Attempt, history: History) -> AsyncGenerator[Delta | Finished, None]:
        """One mind, with retries; how it failed stands in ``attempt`` afterwards."""
        prompt = attempt.mind.prompt(self.instructions, history)
        for retry in range(RETRIES + 1):
            attempt.error = None
            try:
                async with aclosing(attempt.mind.provider.answer(prompt)) as pieces:
                    async for piece in pieces:
                        attempt.shown = True
                        yield piece
            except ProviderError as error:
                attempt.error = error
            wait = self._wait(attempt, retry)
            if wait is None:
                return
            await self.sleep(wait)

    def _wait(self, attempt: _Attempt, retry: int) -> float | None:
        """Seconds until it is asked again; ``None``: not at all."""
        error = attempt.error
        if attempt.shown or retry == RETRIES or not isinstance(error, PassingError) or error.wait > LONGEST_WAIT:
            return None
        # The spread goes on top of what it wished, never below.
        return error.wait + PAUSE_SECONDS * (1 << retry) * self.jitter()

    def _spare(self, failed: _Attempt) -> Mind | None:
        error = failed.error
        if self.fallback is None or error is None or failed.shown or error.code in _FINAL:
            return None
        if error.code is Code.TOO_LONG and self.fallback.context_tokens <= failed.mind.context_tokens:
            return None
        return self.fallback


@dataclass(slots=True)
class _Attempt:
    mind: Mind
    shown: bool = False
    error: ProviderError | None = None


def think(config: MateConfig, web: Web, credentials: Credentials, jitter: Callable[[], float]) -> Brain:
    """The brain of a configuration; raises :class:`~clawmates.mate.errors.BootError`."""
    return Brain(
        provider=_provider(config.provider, config.provider_hosts, web, credentials, ItemName.PROVIDER_KEY),
        model=config.model,
        instructions=credentials.prompt,
        context_tokens=config.context_tokens,
        output_tokens=config.output_tokens,
        temperature=config.temperature,
        fallback=_fallback(config, web, credentials),
        jitter=jitter,
    )


def _fallback(config: MateConfig, web: Web, credentials: Credentials) -> Mind | None:
    spare: FallbackConfig | None = config.fallback
    if spare is None:
        return None
    item = ItemName.PROVIDER_KEY if spare.provider == config.provider else ItemName.FALLBACK_KEY
    return Mind(
        provider=_provider(spare.provider, spare.provider_hosts, web, credentials, item),
        model=spare.model,
        context_tokens=spare.context_tokens,
        output_tokens=spare.output_tokens,
        temperature=spare.temperature,
    )


def _provider(name: str, hosts: tuple[str, ...], web: Web, credentials: Credentials, item: ItemName) -> Provider:
    """The adapter of a provider, imported only when it is one of the two: an unused one costs memory."""
    host = next(iter(hosts), "")
    match name:
        case "openai":
            from clawmates.mate.providers.openai import OpenAI  # noqa: PLC0415

            return OpenAI(web, credentials, host, item)
        case "anthropic":
            from clawmates.mate.providers.anthropic import Anthropic  # noqa: PLC0415

            return Anthropic(web, credentials, host, item)
        case "google":
            from clawmates.mate.providers.google import Google  # noqa: PLC0415

            return Google(web, credentials, host, item)
        case "ollama":
            from clawmates.mate.providers.ollama import Ollama  # noqa: PLC0415

            return Ollama(web, host)
        case _:
            raise BootError(Code.UNKNOWN_MODEL)
