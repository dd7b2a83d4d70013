"""How Google says no: ``{"error": {"code", "message", "status", "details"}}``.

ai.google.dev/gemini-api/docs/generate-content/api-errors (codes and statuses, the example of an invalid key);
google.rpc.RetryInfo, QuotaFailure, ErrorInfo and BadRequest are in google/rpc/error_details.proto. There is no
``retry-after`` header: how long to wait is in the body.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from clawmates.simulator.frame import Answer
from clawmates.simulator.model import GOOGLE_HOST, Failure

if TYPE_CHECKING:
    from collections.abc import Callable

_TYPE = "type.googleapis.com/google.rpc."
_KEY = "API key not valid. Please pass a valid API key."
_QUOTA = (
    "You exceeded your current quota, please check your plan and billing details. For more information on this error, "
    "head to: https://ai.google.dev/gemini-api/docs/rate-limits."
)


class ApiError(Exception):
    """The request is answered with an error object."""

    def __init__(self, code: int, status: str, message: str, *details: dict[str, object]) -> None:
        super().__init__()
        self.code = code
        self.status = status
        self.message = message
        self.details = details

    def body(self) -> bytes:
        """The JSON, in many lines as the real one."""
        error: dict[str, object] = {"code": self.code, "message": self.message, "status": self.status}
        if self.details:
            error["details"] = list(self.details)
        return json.dumps({"error": error}, indent=2).encode()

    def answer(self) -> Answer:
        """The JSON and the status."""
        return Answer(self.code, self.body())


def invalid(message: str, field: str = "") -> ApiError:
    """400, with the field that is wrong."""
    violation = {"field": field, "description": message} if field else {"description": message}
    detail: dict[str, object] = {"@type": f"{_TYPE}BadRequest", "fieldViolations": [violation]}
    return ApiError(400, "INVALID_ARGUMENT", message, detail)


def unknown(name: str, where: str) -> ApiError:
    """A field that the reference does not have."""
    place = f" at '{where}'" if where else ""
    return invalid(f'Invalid JSON payload received. Unknown name "{name}"{place}: Cannot find field.', where)


def wrong_value(where: str, expected: str) -> ApiError:
    """A field of the wrong type or none of the documented values. The real message quotes the value."""
    return invalid(f"Invalid value at '{where}' ({expected})", where)


def bad_key() -> ApiError:
    """400, and not 401."""
    info: dict[str, object] = {
        "@type": f"{_TYPE}ErrorInfo",
        "reason": "API_KEY_INVALID",
        "domain": "googleapis.com",
        "metadata": {"service": GOOGLE_HOST},
    }
    localized: dict[str, object] = {"@type": f"{_TYPE}LocalizedMessage", "locale": "en-US", "message": _KEY}
    return ApiError(400, "INVALID_ARGUMENT", _KEY, info, localized)


def no_key() -> ApiError:
    """403: nobody asks."""
    return ApiError(
        403,
        "PERMISSION_DENIED",
        "Method doesn't allow unregistered callers (callers without established identity). Please use API Key or other "
        "form of API consumer identity to call this API.",
    )


def no_model(name: str) -> ApiError:
    """404."""
    message = f"models/{name} is not found for API version v1beta, or is not supported for generateContent."
    return ApiError(404, "NOT_FOUND", message)


def _quota(period: str) -> dict[str, object]:
    violation = {
        "quotaMetric": f"{GOOGLE_HOST}/generate_content_free_tier_requests",
        "quotaId": f"GenerateRequestsPer{period}PerProjectPerModel-FreeTier",
        "quotaDimensions": {"location": "global", "model": "gemini-2.5-flash"},
    }
    return {"@type": f"{_TYPE}QuotaFailure", "violations": [violation]}


def _rate_limit(seconds: int) -> ApiError:
    # A protobuf duration: a number of seconds, mostly with a fraction, and an "s".
    retry: dict[str, object] = {"@type": f"{_TYPE}RetryInfo", "retryDelay": f"{seconds or 1}.837906927s"}
    return ApiError(429, "RESOURCE_EXHAUSTED", _QUOTA, _quota("Minute"), retry)


_FAILURES: dict[Failure, Callable[[int], ApiError]] = {
    Failure.BAD_REQUEST: lambda _: ApiError(400, "INVALID_ARGUMENT", "Request contains an invalid argument."),
    Failure.INVALID_API_KEY: lambda _: bad_key(),
    Failure.CONTEXT_LENGTH: lambda _: ApiError(
        400,
        "INVALID_ARGUMENT",
        "The input token count (2845475) exceeds the maximum number of tokens allowed (1048576).",
    ),
    Failure.REGION: lambda _: ApiError(400, "FAILED_PRECONDITION", "User location is not supported for the API use."),
    Failure.BILLING: lambda _: ApiError(402, "RESOURCE_EXHAUSTED", "Your prepayment credits are depleted."),
    Failure.PERMISSION_DENIED: lambda _: ApiError(403, "PERMISSION_DENIED", "The caller does not have permission"),
    Failure.MODEL_NOT_FOUND: lambda _: no_model("gemini-unknown"),
    Failure.RATE_LIMIT: _rate_limit,
    Failure.INSUFFICIENT_QUOTA: lambda _: ApiError(429, "RESOURCE_EXHAUSTED", _QUOTA, _quota("Day")),
    Failure.SERVER_ERROR: lambda _: ApiError(500, "INTERNAL", "An internal error has occurred."),
    Failure.OVERLOADED: lambda _: ApiError(503, "UNAVAILABLE", "The model is overloaded. Please try again later."),
    Failure.TIMEOUT: lambda _: ApiError(504, "DEADLINE_EXCEEDED", "The request timed out. Please try again."),
}
KNOWN = frozenset(_FAILURES)
"""What can answer a request."""
IN_STREAM = frozenset(
    {
        Failure.OVERLOADED,
        Failure.SERVER_ERROR,
        Failure.RATE_LIMIT,
        Failure.ERROR_EVENT,
        Failure.CONTENT_FILTER,
        Failure.PROMPT_BLOCKED,
    }
)
"""What can end an answer that has begun."""


def named(failure: Failure, retry_after: int) -> ApiError:
    """The error that a fault asks for; raises ``KeyError`` for another service's."""
    return _FAILURES[failure](retry_after)
