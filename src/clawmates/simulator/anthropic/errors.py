"""How Anthropic says no: ``{"type": "error", "error": {"type", "message"}, "request_id"}``.

platform.claude.com/docs/en/api/errors; what counts as a limit is in /docs/en/api/rate-limits.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from clawmates.simulator.frame import Answer
from clawmates.simulator.model import Failure

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

INVALID = "invalid_request_error"


class ApiError(Exception):
    """The request is answered with an error object."""

    def __init__(
        self,
        status: int,
        message: str,
        *,
        kind: str = INVALID,
        details: Mapping[str, str] | None = None,
        retry_after: int = 0,
    ) -> None:
        super().__init__()
        self.status = status
        self.kind = kind
        self.message = message
        self.details = details
        self.retry_after = retry_after

    def plain(self, request_id: str) -> dict[str, object]:
        """The error object, also the data of an ``error`` event."""
        error: dict[str, object] = {"type": self.kind, "message": self.message}
        if self.details is not None:
            error["details"] = dict(self.details)
        return {"type": "error", "error": error, "request_id": request_id}

    def answer(self, request_id: str) -> Answer:
        """The JSON, the status, and ``retry-after`` where there is one."""
        headers = [("request-id", request_id)]
        if self.retry_after:
            headers.append(("retry-after", str(self.retry_after)))
        return Answer(self.status, json.dumps(self.plain(request_id)).encode(), tuple(headers))


def invalid(where: str, problem: str) -> ApiError:
    """400: something is wrong with one field of the body."""
    return ApiError(400, f"{where}: {problem}")


def unauthorized(message: str) -> ApiError:
    """401."""
    return ApiError(401, message, kind="authentication_error")


def no_model(name: str) -> ApiError:
    """404."""
    return ApiError(404, f"model: {name}", kind="not_found_error")


_FAILURES: dict[Failure, Callable[[int], ApiError]] = {
    Failure.BAD_REQUEST: lambda _: ApiError(400, "Invalid request"),
    Failure.CONTEXT_LENGTH: lambda _: ApiError(400, "prompt is too long: 210000 tokens > 200000 maximum"),
    # The prepaid balance is empty. The reference lists 402 for payments (BILLING); this is what customers report.
    Failure.INSUFFICIENT_QUOTA: lambda _: ApiError(
        400,
        "Your credit balance is too low to access the Anthropic API. "
        "Please go to Plans & Billing to upgrade or purchase credits.",
    ),
    Failure.SPEND_LIMIT: lambda _: ApiError(
        400, "You have reached your specified API usage limits. You will regain access on 2026-12-01 at 00:00 UTC."
    ),
    Failure.INVALID_API_KEY: lambda _: unauthorized("invalid x-api-key"),
    Failure.BILLING: lambda _: ApiError(
        402, "There's an issue with your billing or payment information.", kind="billing_error"
    ),
    Failure.PERMISSION_DENIED: lambda _: ApiError(
        403, "Your API key does not have permission to use the specified resource.", kind="permission_error"
    ),
    # Requests from countries outside of /docs/en/api/supported-regions; the type is not on the errors page.
    Failure.REGION: lambda _: ApiError(403, "Request not allowed", kind="forbidden"),
    Failure.MODEL_NOT_FOUND: lambda _: no_model("claude-unknown"),
    Failure.REQUEST_TOO_LARGE: lambda _: ApiError(
        413, "Request exceeds the maximum allowed number of bytes.", kind="request_too_large"
    ),
    Failure.RATE_LIMIT: lambda seconds: ApiError(
        429,
        "This request would exceed your organization's rate limit of 50 requests per minute.",
        kind="rate_limit_error",
        retry_after=seconds or 1,
    ),
    Failure.SPEND_CAP: lambda _: ApiError(
        429,
        "You have reached your API usage limits: your organization has crossed its monthly API usage threshold.",
        kind="rate_limit_error",
        details={"error_code": "enforced_spend_limit_reached"},
    ),
    Failure.SERVER_ERROR: lambda _: ApiError(500, "Internal server error", kind="api_error"),
    Failure.TIMEOUT: lambda _: ApiError(504, "Request timeout", kind="timeout_error"),
    Failure.OVERLOADED: lambda seconds: ApiError(529, "Overloaded", kind="overloaded_error", retry_after=seconds),
}
KNOWN = frozenset(_FAILURES)
"""What can answer a request."""
IN_STREAM = frozenset(
    {
        Failure.OVERLOADED,
        Failure.SERVER_ERROR,
        Failure.RATE_LIMIT,
        Failure.TIMEOUT,
        Failure.ERROR_EVENT,
        Failure.CONTENT_FILTER,
    }
)
"""What can end a stream that has begun: all but the last as an ``error`` event."""


def named(failure: Failure, retry_after: int) -> ApiError:
    """The error that a fault asks for; raises ``KeyError`` for another service's."""
    return _FAILURES[failure](retry_after)
