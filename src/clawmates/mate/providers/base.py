"""The provider contract: a prompt in, pieces of text out, and how it ended."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Protocol

from clawmates.mate.errors import ProviderError
from clawmates.mate.messages import Message

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from clawmates.wire.codes import Code


class PassingError(ProviderError):
    """The provider is unwell for a moment: asking it again may help.

    ``wait`` is how many seconds it asked to wait, 0 where it did not say.
    """

    def __init__(self, code: Code, number: int = 0, wait: float = 0.0) -> None:
        self.wait = wait
        super().__init__(code, number)


class Stop(StrEnum):
    """Why the provider stopped writing."""

    COMPLETE = "complete"
    LENGTH = "length"
    FILTERED = "filtered"


@dataclass(frozen=True, slots=True)
class Prompt:
    """All that a provider is told. Tokens are the provider's own."""

    model: str
    instructions: str
    messages: tuple[Message, ...]
    max_output_tokens: int
    temperature: float | None = None
    context_tokens: int = 0
    """The model's window, for a provider that must be told how much to make room for; 0: its own default."""


@dataclass(frozen=True, slots=True)
class Delta:
    """A piece of the answer."""

    text: str


@dataclass(frozen=True, slots=True)
class Finished:
    """The answer is whole. Token counts are the provider's report, 0 where it gives none."""

    stop: Stop
    input_tokens: int = 0
    output_tokens: int = 0


class Provider(Protocol):
    """One AI provider. Closing the iterator early cancels the call."""

    @property
    def host(self) -> str:
        """Where its requests go."""
        ...

    def answer(self, prompt: Prompt) -> AsyncGenerator[Delta | Finished, None]:
        """Deltas, then exactly one Finished; raises :class:`~clawmates.mate.errors.ProviderError`."""
        ...
