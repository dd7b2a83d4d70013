"""The stand-in for api.telegram.org: ``/bot<token>/<method>`` (core.telegram.org/bots/api, "Making requests")."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from clawmates.simulator.control import SetLimits
from clawmates.simulator.frame import Answer, Incoming
from clawmates.simulator.model import Fault, Service
from clawmates.simulator.telegram.bot import Bot
from clawmates.simulator.telegram.errors import BadRequestError, RefusedError, named, too_many
from clawmates.simulator.telegram.methods import COUNTED, SIMPLE, Context, allow_updates
from clawmates.simulator.telegram.parameters import Parameters, collect
from clawmates.simulator.telegram.reference import METHODS, NAMES

if TYPE_CHECKING:
    from clawmates.base.clock import Clock
    from clawmates.simulator.web import Request

_CHAT = re.compile(r"-?[0-9]{1,18}")
_PATH = re.compile(r"/bot([^/]*)/([^/]+)")
TOKEN = re.compile(r"[1-9]\d{0,15}:[A-Za-z0-9_-]{1,64}")


@dataclass(frozen=True, slots=True)
class _Call:
    """What a request asks for, or why it cannot be read."""

    token: str
    method: str
    raw: dict[str, object]
    refusal: RefusedError | None = None


class Telegram:
    """All bots."""

    service = Service.TELEGRAM

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self.bots: dict[str, Bot] = {}
        self.limits = SetLimits()

    def add_bot(self, token: str, username: str) -> None:
        """Makes ``token`` valid; a known one keeps its chats. Raises ``ValueError`` for one of the wrong form."""
        if not TOKEN.fullmatch(token):
            raise ValueError("not of the form of a bot token")
        if token not in self.bots:
            self.bots[token] = Bot(int(token.partition(":")[0]), username, self._clock)

    def read(self, request: Request) -> Incoming:
        """Names the call; the token stays out of what is remembered."""
        call = _parse(request)
        bot = self.bots.get(call.token)
        chat_id = call.raw.get("chat_id")
        return Incoming(
            method=call.method,
            caller=bot.username if bot is not None else "",
            body=json.dumps(call.raw),
            chat_id=int(str(chat_id)) if _CHAT.fullmatch(str(chat_id)) else 0,
            styled="text" not in call.raw or "entities" in call.raw,
            parsed=call,
        )

    async def answer(
        self,
        request: Request,
        incoming: Incoming,
        number: int,  # noqa: ARG002 - the seam's signature
        fault: Fault | None,  # noqa: ARG002
    ) -> Answer:
        """``{"ok": true, "result": …}`` or the documented refusal."""
        received = self._clock.monotonic()
        call = incoming.parsed if isinstance(incoming.parsed, _Call) else _parse(request)
        try:
            bot, parameters = self._admit(call)
            context = Context(bot, received, self._clock)
            if call.method == "getUpdates":
                return await _get_updates(context, parameters)
            if call.method in COUNTED:
                self._pace(bot, incoming.chat_id, received)
            result = SIMPLE[call.method](context, parameters)
        except RefusedError as refused:
            return refused.answer()
        return Answer(200, json.dumps({"ok": True, "result": result}, ensure_ascii=False).encode())

    def _admit(self, call: _Call) -> tuple[Bot, Parameters]:
        if call.refusal is not None:
            raise call.refusal
        bot = self.bots.get(call.token)
        if bot is None:
            raise RefusedError(401, "Unauthorized")
        if call.method not in METHODS:
            raise RefusedError(404, "Not Found: method not found")
        return bot, Parameters.check(call.raw, METHODS[call.method])

    def _pace(self, bot: Bot, chat_id: int, now: float) -> None:
        if wait := bot.flood.take(self.limits, chat_id, now):
            raise too_many(wait)

    def failure(self, fault: Fault) -> Answer:
        """The documented error that ``fault`` names."""
        if fault.failure is None:
            raise ValueError("the fault names no failure")
        return named(fault.failure, fault.retry_after).answer()

    def misdirected(self) -> Answer:
        """421: the certificate was for another host than the request."""
        return RefusedError(421, "Misdirected Request").answer()


def _parse(request: Request) -> _Call:
    found = _PATH.fullmatch(request.path)
    if found is None or not TOKEN.fullmatch(found[1]):
        # The public front answers 404 to what does not even look like a token.
        return _Call("", "", {}, RefusedError(404, "Not Found"))
    method = NAMES.get(found[2].lower(), found[2][:64])
    if request.method not in {"GET", "POST"}:
        return _Call(found[1], method, {}, BadRequestError("GET and POST HTTP methods are supported"))
    try:
        return _Call(found[1], method, collect(request))
    except BadRequestError as refused:
        return _Call(found[1], method, {}, refused)


async def _get_updates(context: Context, parameters: Parameters) -> Answer:
    """core.telegram.org/bots/api/methods/getupdates.md: an Array of Update."""
    allow_updates(context, parameters)
    found = await context.bot.poll(
        parameters.integer("offset"), parameters.integer("limit", 100), parameters.integer("timeout")
    )
    body = b'{"ok":true,"result":[' + b",".join(update.json() for update in found) + b"]}"
    return Answer(200, body, updates=tuple(update.update_id for update in found))
