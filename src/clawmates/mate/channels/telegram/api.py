"""Calls to the Bot API (https://core.telegram.org/bots/api#making-requests). The token is part of the path."""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from clawmates.base.http.client import HttpError, TooLargeError
from clawmates.mate.credentials import Credentials
from clawmates.mate.errors import BootError, ChannelError, DoorError
from clawmates.mate.web import Web
from clawmates.wire.codes import Code
from clawmates.wire.names import ItemName

if TYPE_CHECKING:
    from collections.abc import Mapping


HOST = "api.telegram.org"
MAX_ANSWER = 8 << 20
CALL_SECONDS = 15.0
MAX_WAIT = 3600

_BY_STATUS = {
    401: Code.BAD_TOKEN,
    404: Code.BAD_TOKEN,
    403: Code.PERSON_UNREACHABLE,
    409: Code.SECOND_POLLER,
}


class AnswerTooLargeError(ChannelError):
    """More arrived in one answer than the mate takes at once."""


class WebhookActiveError(ChannelError):
    """The bot delivers to a webhook, so it cannot be polled."""


class RefusedError(ChannelError):
    """400: Telegram does not take this call, however often it is made."""


class UnchangedError(RefusedError):
    """An edit that changes nothing."""


class GarbledError(ChannelError):
    """What came back is no answer of the Bot API: some box on the way spoke, or it was damaged."""


class MovedError(ChannelError):
    """The group has become a supergroup; ``chat`` is its new id."""

    def __init__(self, chat: int) -> None:
        self.chat = chat
        super().__init__(Code.CHANNEL_ERROR, 400)


@dataclass(slots=True, eq=False, repr=False)
class TelegramApi:
    """One bot's calls."""

    web: Web
    credentials: Credentials

    async def call(self, method: str, parameters: Mapping[str, Any], *, seconds: float = CALL_SECONDS) -> Any:
        """The ``result`` of a call, parsed JSON.

        Raises :class:`ChannelError`: ``number`` is ``retry_after`` in seconds on 429, else the error code.
        """
        try:
            token = self.credentials.for_host(ItemName.CHANNEL_TOKEN, HOST)
            async with (
                asyncio.timeout(seconds),
                self.web.request(
                    "POST",
                    HOST,
                    f"/bot{token}/{method}",
                    headers=(("Content-Type", "application/json"),),
                    body=json.dumps(parameters, ensure_ascii=False).encode(errors="replace"),
                ) as response,
            ):
                raw = await response.read(MAX_ANSWER)
        except TooLargeError:
            raise AnswerTooLargeError(Code.CHANNEL_ERROR) from None
        except (BootError, DoorError) as error:
            raise ChannelError(error.code) from None
        except (HttpError, TimeoutError):
            raise ChannelError(Code.CHANNEL_UNREACHABLE) from None
        return _result(response.status, raw)


def _result(status: int, raw: bytes) -> Any:
    try:
        answer = json.loads(raw)
        if answer["ok"] is True:
            return answer["result"]
        error_code = int(answer["error_code"])
    except (ValueError, KeyError, TypeError, OverflowError, RecursionError):
        raise GarbledError(Code.CHANNEL_UNREACHABLE, status) from None
    raise _refusal(error_code, str(answer.get("description", "")), answer.get("parameters"))


def _refusal(error_code: int, description: str, parameters: object) -> ChannelError:
    """https://core.telegram.org/bots/api#responseparameters. Of a description only known words are looked for."""
    hints = parameters if isinstance(parameters, dict) else {}
    if error_code == 409 and "webhook" in description:
        return WebhookActiveError(Code.SECOND_POLLER, error_code)
    if error_code == 400:
        moved = hints.get("migrate_to_chat_id")
        if isinstance(moved, int):
            return MovedError(moved)
        if "chat not found" in description:
            return ChannelError(Code.PERSON_UNREACHABLE, error_code)
        unchanged = "message is not modified" in description
        return (UnchangedError if unchanged else RefusedError)(Code.CHANNEL_ERROR, error_code)
    if error_code == 429:
        wait = hints.get("retry_after")
        return ChannelError(Code.CHANNEL_RATE_LIMITED, min(max(wait, 1), MAX_WAIT) if isinstance(wait, int) else 1)
    return ChannelError(_BY_STATUS.get(error_code, Code.CHANNEL_ERROR), error_code)
