"""The control socket: what tests and demonstrations tell the stand-ins, and ask them.

Every request is a POST of one object of :mod:`clawmates.simulator.control`; answers are JSON, or 204.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, TypeVar

from clawmates.base.http.server import Reply
from clawmates.base.shape import ShapeError, decode_json
from clawmates.simulator.anthropic import errors as anthropic_errors
from clawmates.simulator.control import (
    MAX_BYTES,
    AddBot,
    AddKey,
    AddModel,
    AskCalls,
    AskDraft,
    AskSent,
    Calls,
    Cleared,
    ClearFaults,
    Drafted,
    Part,
    PressStop,
    Push,
    Said,
    Say,
    SentMessages,
    SetFault,
    SetLimits,
    SetStyle,
    SetTls,
)
from clawmates.simulator.google import errors as google_errors
from clawmates.simulator.model import MAX_WAIT_SECONDS, Fault, FaultKind, SentMessage, Service, Status, Style, User
from clawmates.simulator.ollama import errors as ollama_errors
from clawmates.simulator.openai import errors as openai_errors
from clawmates.simulator.telegram import errors as telegram_errors
from clawmates.simulator.telegram.errors import RefusedError
from clawmates.simulator.telegram.reference import UPDATE_KINDS

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from clawmates.base.http.server import Peer, Request
    from clawmates.simulator.model import Call
    from clawmates.simulator.provider import Provider
    from clawmates.simulator.telegram.bot import Bot
    from clawmates.simulator.world import World

T = TypeVar("T")

PAGE_CALLS = 200
PAGE_BYTES = 1 << 20
_FAILURES = {
    (Service.TELEGRAM, FaultKind.ERROR): telegram_errors.KNOWN,
    (Service.TELEGRAM, FaultKind.STREAM_FAILURE): frozenset(),
    (Service.OPENAI, FaultKind.ERROR): openai_errors.KNOWN,
    (Service.OPENAI, FaultKind.STREAM_FAILURE): openai_errors.IN_STREAM,
    (Service.ANTHROPIC, FaultKind.ERROR): anthropic_errors.KNOWN,
    (Service.ANTHROPIC, FaultKind.STREAM_FAILURE): anthropic_errors.IN_STREAM,
    (Service.GOOGLE, FaultKind.ERROR): google_errors.KNOWN,
    (Service.GOOGLE, FaultKind.STREAM_FAILURE): google_errors.IN_STREAM,
    (Service.OLLAMA, FaultKind.ERROR): ollama_errors.KNOWN,
    (Service.OLLAMA, FaultKind.STREAM_FAILURE): ollama_errors.IN_STREAM,
}


def shows(service: Service, fault: Fault) -> bool:
    """Whether a stand-in can go wrong in that way."""
    known = _FAILURES.get((service, fault.kind))
    return known is None or fault.failure in known


class Admin:
    """Answers the control socket."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._parts: dict[str, str] = {}
        self._routes: Mapping[str, Callable[[Request], Awaitable[Reply]]] = {
            "/bots": self._add_bot,
            "/keys": self._add_key,
            "/models": self._add_model,
            "/part": self._part,
            "/say": self._say,
            "/push": self._push,
            "/sent": self._sent,
            "/draft": self._draft,
            "/stop": self._stop,
            "/limits": self._limits,
            "/journal": self._journal,
            "/faults": self._faults,
            "/faults/clear": self._clear_faults,
            "/tls": self._tls,
            "/style": self._style,
            "/reset": self._reset,
            "/status": self._status,
        }

    async def handle(self, request: Request, _peer: Peer) -> Reply:
        """One request; raises :class:`ShapeError` for a malformed one."""
        route = self._routes.get(request.path)
        if route is None:
            return Reply.error(404, "not-found")
        if request.method != "POST":
            return Reply.error(405, "method-not-allowed")
        return await route(request)

    async def _add_bot(self, request: Request) -> Reply:
        asked = request.json(AddBot)
        try:
            self._world.telegram.add_bot(asked.token, asked.username)
        except ValueError:
            raise ShapeError("token", "not of the form of a bot token") from None
        return Reply()

    async def _add_key(self, request: Request) -> Reply:
        asked = request.json(AddKey)
        self._provider(asked.service).keys.add(asked.key)
        return Reply()

    async def _add_model(self, request: Request) -> Reply:
        asked = request.json(AddModel)
        self._provider(asked.service).models.add(asked.model)
        return Reply()

    async def _part(self, request: Request) -> Reply:
        part = request.json(Part)
        if sum(len(text) for text in self._parts.values()) + len(part.text) > MAX_BYTES:
            raise ShapeError("text", "too much in parts")
        self._parts[part.id] = self._parts.get(part.id, "") + part.text
        return Reply()

    def _read(self, cls: type[T], request: Request) -> T:
        """A request that may have come in parts."""
        number = request.target.partition("?parts=")[2]
        if not number:
            return request.json(cls)
        return decode_json(cls, self._parts.pop(number, "").encode(), MAX_BYTES)

    async def _say(self, request: Request) -> Reply:
        asked = self._read(Say, request)
        user = asked.user or User(id=abs(asked.chat_id))
        update_id, message_id = self._bot(asked.token).hear(asked.chat_id, asked.text, user)
        return Reply.json(Said(update_id=update_id, message_id=message_id))

    async def _push(self, request: Request) -> Reply:
        asked = self._read(Push, request)
        if asked.kind not in UPDATE_KINDS:
            raise ShapeError("kind", "the reference has no such update")
        try:
            body = json.loads(asked.body)
        except ValueError:
            raise ShapeError("body", "not valid JSON") from None
        bot = self._bot(asked.token)
        bot.meet(body)
        return Reply.json(Said(update_id=bot.push(asked.kind, json.dumps(body))))

    async def _sent(self, request: Request) -> Reply:
        asked = request.json(AskSent)
        bot = self._bot(asked.token)

        def look() -> tuple[SentMessage, ...] | None:
            chat = bot.chats.get(asked.chat_id)
            known = chat.sent.values() if chat is not None else ()
            return tuple(one for one in known if one.message_id > asked.after) or None

        found = await bot.sent_bell.until(look, min(asked.wait, MAX_WAIT_SECONDS))
        return Reply.json(SentMessages(messages=found or ()))

    async def _draft(self, request: Request) -> Reply:
        asked = request.json(AskDraft)
        return Reply.json(Drafted(draft=self._bot(asked.token).drafted(asked.chat_id)))

    async def _stop(self, request: Request) -> Reply:
        asked = request.json(PressStop)
        try:
            return Reply.json(Said(update_id=self._bot(asked.token).stop(asked.chat_id)))
        except RefusedError:
            raise ShapeError("chat_id", "shows no button") from None

    async def _limits(self, request: Request) -> Reply:
        self._world.telegram.limits = request.json(SetLimits)
        return Reply()

    async def _journal(self, request: Request) -> Reply:
        asked = request.json(AskCalls)
        journal = self._world.frames[asked.service].journal
        watch = journal.watch(after=asked.after, method=asked.method, caller=asked.caller, finished=asked.finished)
        await journal.bell.until(
            lambda: True if watch.count() >= asked.count else None, min(asked.wait, MAX_WAIT_SECONDS)
        )
        return Reply.json(_page(watch.calls(), asked.after))

    async def _faults(self, request: Request) -> Reply:
        asked = request.json(SetFault)
        if not shows(asked.service, asked.fault):
            raise ShapeError("fault", "this service has no such failure")
        if asked.times < 1:
            raise ShapeError("times", "expected at least 1")
        self._world.frames[asked.service].faults.plan(asked.fault, times=asked.times, method=asked.method)
        return Reply()

    async def _clear_faults(self, request: Request) -> Reply:
        return Reply.json(Cleared(unmet=self._world.frames[request.json(ClearFaults).service].faults.clear()))

    async def _tls(self, request: Request) -> Reply:
        asked = request.json(SetTls)
        try:
            await self._world.listeners[asked.service].show(asked.mode)
        except ValueError:
            raise ShapeError("service", "has no TLS") from None
        return Reply()

    async def _style(self, request: Request) -> Reply:
        asked = request.json(SetStyle)
        style = Style(
            first_byte_ms=asked.first_byte_ms, gap_ms=asked.gap_ms, words=asked.words, thoughts=asked.thoughts
        )
        wanted = self._world.providers.values() if asked.service is None else [self._provider(asked.service)]
        for provider in wanted:
            provider.style = style
        return Reply()

    async def _reset(self, _request: Request) -> Reply:
        self._parts.clear()
        await self._world.reset()
        return Reply()

    async def _status(self, _request: Request) -> Reply:
        world = self._world
        return Reply.json(
            Status(
                bots=len(world.telegram.bots),
                connections=sum(len(listener.connections) for listener in world.listeners.values()),
                stored=sum(provider.stored for provider in world.providers.values()),
                last_telegram=world.frames[Service.TELEGRAM].journal.last,
                last_openai=world.frames[Service.OPENAI].journal.last,
                last={service: frame.journal.last for service, frame in world.frames.items()},
            )
        )

    def _provider(self, service: Service) -> Provider:
        provider = self._world.providers.get(service)
        if provider is None:
            raise ShapeError("service", "not an AI provider")
        return provider

    def _bot(self, token: str) -> Bot:
        bot = self._world.telegram.bots.get(token)
        if bot is None:
            raise ShapeError("token", "no such bot")
        return bot


def _page(found: list[Call], after: int) -> Calls:
    """The first of ``found``, so many as one answer should hold, at least one."""
    size = 0
    page: list[Call] = []
    for call in found[:PAGE_CALLS]:
        size += len(call.body)
        if page and size > PAGE_BYTES:
            break
        page.append(call)
    return Calls(calls=tuple(page), next=page[-1].number if page else after, more=len(page) < len(found))
