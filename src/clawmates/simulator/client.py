"""How tests, demonstrations and measurements talk to a running simulator."""

from __future__ import annotations

import asyncio
import secrets
import time
from typing import TYPE_CHECKING, TypeVar

from clawmates.base.http.client import Connection
from clawmates.base.shape import decode_json, encode_json
from clawmates.simulator.control import (
    MAX_BYTES,
    PART_CHARACTERS,
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
from clawmates.simulator.model import MAX_WAIT_SECONDS, Call, Draft, Fault, SentMessage, Service, Status, TlsMode, User

if TYPE_CHECKING:
    from pathlib import Path

T = TypeVar("T")


class SimulatorError(Exception):
    """The simulator refused a request; the text is its code."""


class NothingCameError(SimulatorError):
    """What was waited for did not happen in time."""


class Simulator:
    """The control socket of a simulator. Each request is a connection of its own, so waits may run side by side.

    Raises :class:`SimulatorError`, and ``clawmates.base.http.client.HttpError`` when nobody listens.
    """

    def __init__(self, admin_socket: Path) -> None:
        self._socket = admin_socket

    async def add_bot(self, token: str, username: str) -> None:
        """Makes ``token`` (``123456:letters``) a bot's."""
        await self._send("/bots", AddBot(token=token, username=username))

    async def add_key(self, key: str, service: Service = Service.OPENAI) -> None:
        """Makes ``key`` a valid key of an AI provider."""
        await self._send("/keys", AddKey(key=key, service=service))

    async def add_model(self, model: str, service: Service = Service.OPENAI) -> None:
        """Makes ``model`` exist, beside the documented families; Ollama has no model but those."""
        await self._send("/models", AddModel(model=model, service=service))

    async def say(self, token: str, chat_id: int, text: str, *, user: User | None = None) -> int:
        """A person writes to the bot: the update's id, 0 if the bot does not want messages."""
        return (await self._ask("/say", Say(token=token, chat_id=chat_id, text=text, user=user), Said)).update_id

    async def push(self, token: str, kind: str, body: str) -> int:
        """Any documented update, its object as JSON: the update's id, 0 if the bot does not want such."""
        return (await self._ask("/push", Push(token=token, kind=kind, body=body), Said)).update_id

    async def wait_reply(self, token: str, chat_id: int, *, after: int = 0, timeout: float) -> SentMessage:  # noqa: ASYNC109 - waits on the other side
        """The first message that the bot sent behind message ``after``; raises :class:`NothingCameError`."""
        deadline = time.monotonic() + timeout
        while True:
            wait = min(max(deadline - time.monotonic(), 0.0), MAX_WAIT_SECONDS)
            asked = AskSent(token=token, chat_id=chat_id, after=after, wait=wait)
            if found := (await self._ask("/sent", asked, SentMessages)).messages:
                return found[0]
            if time.monotonic() >= deadline:
                raise NothingCameError("no reply")

    async def draft(self, token: str, chat_id: int) -> Draft | None:
        """What the reader of a chat sees the bot write at this moment."""
        return (await self._ask("/draft", AskDraft(token=token, chat_id=chat_id), Drafted)).draft

    async def press_stop(self, token: str, chat_id: int) -> int:
        """The reader stops the draft: the update's id, 0 if the bot does not want such; refused without a button."""
        return (await self._ask("/stop", PressStop(token=token, chat_id=chat_id), Said)).update_id

    async def set_limits(
        self,
        *,
        chat_per_second: float = 0.0,
        group_per_minute: float = 0.0,
        bot_per_second: float = 0.0,
        burst: int = 1,
    ) -> None:
        """Telegram's flood control; without arguments there is none."""
        limits = SetLimits(
            chat_per_second=chat_per_second,
            group_per_minute=group_per_minute,
            bot_per_second=bot_per_second,
            burst=burst,
        )
        await self._send("/limits", limits)

    async def sent(self, token: str, chat_id: int) -> tuple[SentMessage, ...]:
        """All messages that the bot sent to the chat."""
        return (await self._ask("/sent", AskSent(token=token, chat_id=chat_id), SentMessages)).messages

    async def journal(
        self, service: Service, *, after: int = 0, method: str = "", caller: str = ""
    ) -> tuple[Call, ...]:
        """The remembered calls numbered above ``after``; ``caller`` is a bot's username."""
        calls: list[Call] = []
        while True:
            asked = AskCalls(service=service, method=method, caller=caller, after=after)
            page = await self._ask("/journal", asked, Calls)
            calls += page.calls
            if not page.more:
                return tuple(calls)
            after = page.next

    async def wait_call(
        self,
        service: Service,
        method: str,
        *,
        after: int = 0,
        count: int = 1,
        caller: str = "",
        finished: bool = False,
        timeout: float,  # noqa: ASYNC109 - waits on the other side
    ) -> tuple[Call, ...]:
        """At least ``count`` calls (over, if ``finished``); raises :class:`NothingCameError`."""
        deadline = time.monotonic() + timeout
        while True:
            wait = min(max(deadline - time.monotonic(), 0.0), MAX_WAIT_SECONDS)
            asked = AskCalls(
                service=service,
                method=method,
                caller=caller,
                after=after,
                count=count,
                finished=finished,
                wait=wait,
            )
            page = await self._ask("/journal", asked, Calls)
            if page.more:
                rest = await self.journal(service, after=page.next, method=method, caller=caller)
                return page.calls + tuple(call for call in rest if call.answered or not finished)
            if len(page.calls) >= count:
                return page.calls
            if time.monotonic() >= deadline:
                raise NothingCameError(f"no {method}")

    async def set_fault(self, service: Service, fault: Fault, *, times: int = 1, method: str = "") -> None:
        """The next ``times`` calls of ``method`` (empty: any) meet ``fault``; behind the faults already set."""
        await self._send("/faults", SetFault(service=service, fault=fault, times=times, method=method))

    async def clear_faults(self, service: Service) -> int:
        """Nothing goes wrong any more; how many of the faults that were set no call has met."""
        return (await self._ask("/faults/clear", ClearFaults(service=service), Cleared)).unmet

    async def set_tls(self, service: Service, mode: TlsMode) -> None:
        """How new connections find the service; open ones are closed."""
        await self._send("/tls", SetTls(service=service, mode=mode))

    async def set_style(
        self,
        first_byte_ms: float = 0.0,
        gap_ms: float = 0.0,
        words: int = 0,
        *,
        thoughts: int = 0,
        service: Service | None = None,
    ) -> None:
        """How the models answer, of one service or of all; without arguments, at once."""
        style = SetStyle(first_byte_ms=first_byte_ms, gap_ms=gap_ms, words=words, thoughts=thoughts, service=service)
        await self._send("/style", style)

    async def status(self) -> Status:
        """Counts."""
        return await self._ask("/status", None, Status)

    async def reset(self) -> None:
        """Forgets bots, keys, calls, faults and style; all connections are closed and TLS is good again."""
        await self._send("/reset", None)

    async def _ask(self, path: str, value: object, cls: type[T]) -> T:
        return decode_json(cls, await self._send(path, value), MAX_BYTES)

    async def _send(self, path: str, value: object) -> bytes:
        body = encode_json(value) if value is not None else b"{}"
        if len(body) <= PART_CHARACTERS:
            return await self._post(path, body)
        number, text = secrets.token_hex(8), body.decode()
        for start in range(0, len(text), PART_CHARACTERS):
            await self._post("/part", encode_json(Part(id=number, text=text[start : start + PART_CHARACTERS])))
        return await self._post(f"{path}?parts={number}", b"{}")

    async def _post(self, path: str, body: bytes) -> bytes:
        connection = await Connection.unix(str(self._socket), host="simulator")
        try:
            async with asyncio.timeout(MAX_WAIT_SECONDS + 10):
                response = await connection.request(
                    "POST",
                    path,
                    headers=[("Content-Type", "application/json")],
                    body=body,
                )
                answer = await response.read(MAX_BYTES)
        finally:
            await connection.close()
        if response.status >= 400:
            raise SimulatorError(f"{path.partition('?')[0]} was refused with {response.status}")
        return answer
