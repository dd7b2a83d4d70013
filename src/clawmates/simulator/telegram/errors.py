"""How Telegram says no (core.telegram.org/bots/api, "Making requests"; types/responseparameters.md)."""

from __future__ import annotations

import json

from clawmates.simulator.frame import Answer
from clawmates.simulator.model import Failure

CONFLICT = "Conflict: terminated by other getUpdates request; make sure that only one bot instance is running"


class RefusedError(Exception):
    """The call is answered ``{"ok": false, …}``."""

    def __init__(self, code: int, description: str, *, retry_after: int = 0) -> None:
        super().__init__()
        self.code = code
        self.description = description
        self.retry_after = retry_after

    def answer(self) -> Answer:
        """The JSON and the status, which is the error's code."""
        body: dict[str, object] = {"ok": False, "error_code": self.code, "description": self.description}
        headers: tuple[tuple[str, str], ...] = ()
        if self.retry_after:
            body["parameters"] = {"retry_after": self.retry_after}
            headers = (("retry-after", str(self.retry_after)),)
        return Answer(self.code, json.dumps(body).encode(), headers)


class BadRequestError(RefusedError):
    """400, with the reason behind ``Bad Request:``."""

    def __init__(self, reason: str) -> None:
        super().__init__(400, f"Bad Request: {reason}")


class CantParseError(BadRequestError):
    """400: the entities of a text cannot be parsed."""

    def __init__(self, reason: str) -> None:
        super().__init__(f"can't parse entities: {reason}")


def too_many(seconds: int) -> RefusedError:
    """429, with the seconds to wait."""
    return RefusedError(429, f"Too Many Requests: retry after {seconds}", retry_after=seconds)


_FAILURES = {
    Failure.BAD_REQUEST: (400, "Bad Request: message text is empty"),
    Failure.CANT_PARSE_ENTITIES: (400, "Bad Request: can't parse entities: Unexpected end tag at byte offset 0"),
    Failure.CHAT_NOT_FOUND: (400, "Bad Request: chat not found"),
    Failure.UNAUTHORIZED: (401, "Unauthorized"),
    Failure.BLOCKED: (403, "Forbidden: bot was blocked by the user"),
    Failure.CONFLICT: (409, CONFLICT),
    Failure.SERVER_ERROR: (500, "Internal Server Error"),
    Failure.BAD_GATEWAY: (502, "Bad Gateway"),
}
KNOWN = frozenset(_FAILURES) | {Failure.TOO_MANY_REQUESTS}


def named(failure: Failure, retry_after: int) -> RefusedError:
    """The error that a fault asks for; raises ``KeyError`` for another service's."""
    if failure is Failure.TOO_MANY_REQUESTS:
        return too_many(retry_after or 1)
    return RefusedError(*_FAILURES[failure])
