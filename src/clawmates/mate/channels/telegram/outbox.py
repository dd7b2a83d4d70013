"""Messages on their way to a chat: paced, tried until they arrive, plain where Telegram does not take the styles."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from clawmates.mate.channels.telegram.api import MovedError, RefusedError, TelegramApi, UnchangedError
from clawmates.mate.channels.telegram.flood import Flood
from clawmates.mate.errors import ChannelError
from clawmates.wire.codes import Code

if TYPE_CHECKING:
    from clawmates.mate.channels.telegram.styled import Styled

LONGEST_PAUSE = 30.0
FIRST_PAUSE = 0.5
_WORTH_RETRYING = {Code.CHANNEL_RATE_LIMITED, Code.CHANNEL_UNREACHABLE, Code.BAD_TOKEN}
_OPTIONS = {"link_preview_options": {"is_disabled": True}}
"""Telegram fetches a link to preview it: an address that a model was talked into would leak what it carries."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where a reply goes: a chat (groups have negative ids), a topic in it, in groups the message it answers."""

    chat: int
    thread: int = 0
    answers: int = 0

    @property
    def parameters(self) -> dict[str, Any]:
        """Of any call that goes there."""
        return {"chat_id": self.chat} | ({"message_thread_id": self.thread} if self.thread else {})

    @property
    def reply(self) -> dict[str, Any]:
        """Of a message that answers another one."""
        if not self.answers:
            return {}
        return {"reply_parameters": {"message_id": self.answers, "allow_sending_without_reply": True}}


@dataclass(slots=True, eq=False, repr=False)
class Outbox:
    """One bot's. ``jitter`` gives a factor near 1 that spreads retries."""

    api: TelegramApi
    flood: Flood
    jitter: Callable[[], float]

    async def send(self, place: Place, piece: Styled) -> int:
        """Sends a message and returns its id (https://core.telegram.org/bots/api#sendmessage).

        Tries for ever; raises :class:`ChannelError` where trying again is of no use.
        """
        return _message_id(await self._deliver("sendMessage", place, body(piece) | place.reply, {"text": piece.text}))

    async def edit(self, place: Place, message: int, piece: Styled) -> None:
        """Gives a message another text (https://core.telegram.org/bots/api#editmessagetext); raises the same."""
        target = {"message_id": message}
        with suppress(UnchangedError):
            await self._deliver(
                "editMessageText", replace(place, thread=0), target | body(piece), target | {"text": piece.text}
            )

    async def grow(self, place: Place, message: int, piece: Styled) -> int:
        """Sends a message that is to grow (0), or lets it grow, once; its id. Raises :class:`ChannelError`."""
        if not message:
            first = place.parameters | body(piece) | place.reply | _OPTIONS
            return _message_id(await self.api.call("sendMessage", first))
        with suppress(UnchangedError):
            more = {"chat_id": place.chat, "message_id": message} | body(piece) | _OPTIONS
            await self.api.call("editMessageText", more)
        return message

    async def _deliver(self, method: str, place: Place, parameters: dict[str, Any], plain: dict[str, Any]) -> Any:
        failures = 0
        while True:
            await self.flood.message(place.chat)
            try:
                return await self.api.call(method, place.parameters | parameters | _OPTIONS)
            except MovedError as moved:
                if moved.chat == place.chat:
                    raise
                place = replace(place, chat=moved.chat)
            except UnchangedError:
                raise
            except RefusedError:
                if parameters == plain:
                    raise
                parameters = plain
            except ChannelError as error:
                if error.code not in _WORTH_RETRYING and error.number < 500:
                    raise
                failures += 1
                await asyncio.sleep(pause(error, failures, self.jitter()))


def pause(error: ChannelError, failures: int, jitter: float, longest: float = LONGEST_PAUSE) -> float:
    """Seconds to wait after the ``failures``-th failure in a row: growing, spread, never less than Telegram asks."""
    growing = min(FIRST_PAUSE * float(1 << min(failures - 1, 10)), longest) * jitter
    return max(growing, error.number * max(jitter, 1.0)) if error.code is Code.CHANNEL_RATE_LIMITED else growing


def body(piece: Styled) -> dict[str, Any]:
    """A text with its entities, as calls take them."""
    entities = piece.entities()
    return {"text": piece.text} | ({"entities": entities} if entities else {})


def _message_id(message: Any) -> int:
    number = message.get("message_id") if isinstance(message, dict) else None
    return number if isinstance(number, int) else 0
