"""The stand-ins of a throw-away platform, as the proofs use them: every error path they document, and a messenger."""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Protocol

from clawmates.proofs.canary import Canary, mint
from clawmates.proofs.errors import ChatError, ProofError
from clawmates.simulator.client import NothingCameError, Simulator, SimulatorError
from clawmates.simulator.model import Failure, Fault, FaultKind, Service
from clawmates.wire.names import ChannelKind

PERSON = 4711
REPLY_SECONDS = 110.0
AFTER_WORDS = 2
THREE_TIMES = 3
"""A mate asks three times before it says that it failed."""


class Known(Protocol):
    """A bot whose credentials the stand-ins know."""

    @property
    def channel(self) -> ChannelKind:
        """Where it is spoken to."""
        ...

    @property
    def provider(self) -> str:
        """Who answers."""
        ...

    @property
    def token(self) -> str:
        """Of its messenger."""
        ...


@dataclass(frozen=True, slots=True)
class Trouble:
    """One error path: what the stand-in does, how often in a row, and to which call (empty: any)."""

    fault: Fault
    times: int = 1
    method: str = ""


def _fails(failure: Failure, times: int = 1) -> Trouble:
    return Trouble(Fault(kind=FaultKind.ERROR, failure=failure), times)


def _ends(failure: Failure) -> Trouble:
    return Trouble(Fault(kind=FaultKind.STREAM_FAILURE, failure=failure, words=AFTER_WORDS))


EVERYWHERE: Mapping[str, Trouble] = MappingProxyType(
    {
        "cut in the middle": Trouble(Fault(kind=FaultKind.DROP_MIDWAY, words=AFTER_WORDS)),
        "bad key": _fails(Failure.INVALID_API_KEY),
        "overloaded": _fails(Failure.OVERLOADED, THREE_TIMES),
        "rate limit": _fails(Failure.RATE_LIMIT, THREE_TIMES),
        "server error": _fails(Failure.SERVER_ERROR, THREE_TIMES),
        "bad request": _fails(Failure.BAD_REQUEST),
        "unknown model": _fails(Failure.MODEL_NOT_FOUND),
        "hung up": Trouble(Fault(kind=FaultKind.DROP), THREE_TIMES),
        "answer lost": Trouble(Fault(kind=FaultKind.DROP_ANSWER)),
        "no JSON": Trouble(Fault(kind=FaultKind.BAD_JSON, words=AFTER_WORDS)),
    }
)
HOSTED: Mapping[str, Trouble] = MappingProxyType(
    {
        "too long": _fails(Failure.CONTEXT_LENGTH),
        "filtered": _ends(Failure.CONTENT_FILTER),
        "no credit": _fails(Failure.INSUFFICIENT_QUOTA),
        "wrong region": _fails(Failure.REGION),
    }
)
OWN: Mapping[Service, Mapping[str, Trouble]] = MappingProxyType(
    {
        Service.OPENAI: {},
        Service.ANTHROPIC: {
            "unpaid": _fails(Failure.BILLING),
            "spend limit": _fails(Failure.SPEND_LIMIT),
            "request too large": _fails(Failure.REQUEST_TOO_LARGE),
            "error in the stream": _ends(Failure.ERROR_EVENT),
        },
        Service.GOOGLE: {
            "unpaid": _fails(Failure.BILLING),
            "prompt blocked": _ends(Failure.PROMPT_BLOCKED),
            "not permitted": _fails(Failure.PERMISSION_DENIED),
        },
        Service.OLLAMA: {"error in the stream": _ends(Failure.ERROR_EVENT)},
    }
)
MESSENGER: Mapping[str, Trouble] = MappingProxyType(
    {
        "messenger: bad gateway": Trouble(
            Fault(kind=FaultKind.ERROR, failure=Failure.BAD_GATEWAY), method="sendMessage"
        ),
        "messenger: slow down": Trouble(
            Fault(kind=FaultKind.ERROR, failure=Failure.TOO_MANY_REQUESTS, retry_after=1), method="sendMessage"
        ),
        "messenger: cannot parse": Trouble(
            Fault(kind=FaultKind.ERROR, failure=Failure.CANT_PARSE_ENTITIES), method="sendMessage"
        ),
        "messenger: hung up": Trouble(Fault(kind=FaultKind.DROP), method="sendMessage"),
    }
)


def troubles_of(bot: Known) -> dict[str, Trouble]:
    """By name, of the bot's provider and of its messenger."""
    service = Service(bot.provider)
    found = {**EVERYWHERE, **OWN[service]}
    if service.encrypted:
        found.update(HOSTED)
    if bot.channel is ChannelKind.TELEGRAM:
        found.update(MESSENGER)
    return found


@dataclass(slots=True)
class Outside:
    """See :class:`~clawmates.proofs.stand_ins.StandIns`; ``bots`` are those of the trial, by name."""

    simulator: Simulator
    bots: Mapping[str, Known]
    secret: Canary = field(default_factory=mint)
    local: Simulator | None = None
    """Plays the model on the platform's own loopback, where the others are elsewhere."""
    _last: dict[str, int] = field(default_factory=dict)
    """The newest message that each bot has sent."""
    _set: dict[Service, int] = field(default_factory=dict)
    """Troubles set since the last calm."""

    @property
    def troubles(self) -> dict[str, tuple[str, ...]]:
        """By bot."""
        return {name: tuple(troubles_of(bot)) for name, bot in self.bots.items()}

    async def provoke(self, bot: str, trouble: str) -> None:
        """Sets it at the stand-in."""
        one = troubles_of(self.bots[bot])[trouble]
        service = Service.TELEGRAM if one.method else Service(self.bots[bot].provider)
        try:
            await self.at(service).set_fault(service, one.fault, times=one.times, method=one.method)
        except SimulatorError:
            raise ProofError(f"the stand-in for {service.value} does not know {trouble!r}") from None
        self._set[service] = self._set.get(service, 0) + 1

    async def calm(self) -> int:
        """What was set and not met is taken back."""
        met = 0
        for service, times in self._set.items():
            met += times - await self.at(service).clear_faults(service)
        self._set.clear()
        return met

    def at(self, service: Service) -> Simulator:
        """Who plays it."""
        return self.local if service is Service.OLLAMA and self.local is not None else self.simulator

    async def say(self, bot: str, text: str) -> str:
        """In Telegram; the next message that the bot sends is taken for its answer."""
        token = self.bots[bot].token
        # What it has said meanwhile, to a message that nobody waited for, is no answer to this one.
        with suppress(NothingCameError):
            while True:
                sent = await self.simulator.wait_reply(token, PERSON, after=self._last.get(bot, 0), timeout=0)
                self._last[bot] = sent.message_id
        await self.simulator.say(token, PERSON, text)
        try:
            sent = await self.simulator.wait_reply(token, PERSON, after=self._last.get(bot, 0), timeout=REPLY_SECONDS)
        except NothingCameError:
            raise ChatError(f"bot {bot} did not answer") from None
        self._last[bot] = sent.message_id
        return sent.text

    async def edit(self, bot: str, text: str) -> None:
        """The person changes a message; the bot may answer it or not."""
        body = {
            "message_id": 1,
            "date": 0,
            "edit_date": 1,
            "chat": {"id": PERSON, "type": "private"},
            "from": {"id": PERSON, "is_bot": False, "first_name": "Ada"},
            "text": text,
        }
        await self.simulator.push(self.bots[bot].token, "edited_message", json.dumps(body))

    async def drafts(self) -> int:
        """Counted in the stand-in's journal."""
        return len(await self.simulator.journal(Service.TELEGRAM, method="sendMessageDraft"))
