"""How OpenAI says no: ``{"error": {"message", "type", "param", "code"}}``.

platform.openai.com/docs/guides/error-codes and /docs/api-reference/responses-streaming.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from clawmates.simulator.frame import Answer
from clawmates.simulator.model import Failure

if TYPE_CHECKING:
    from collections.abc import Callable

INVALID = "invalid_request_error"


class ApiError(Exception):
    """The request is answered with an error object."""

    def __init__(
        self,
        status: int,
        message: str,
        *,
        kind: str = INVALID,
        param: str | None = None,
        code: str | None = None,
        retry_after: int = 0,
    ) -> None:
        super().__init__()
        self.status = status
        self.message = message
        self.kind = kind
        self.param = param
        self.code = code
        self.retry_after = retry_after

    def answer(self) -> Answer:
        """The JSON, the status, and ``retry-after`` where there is one."""
        error = {"message": self.message, "type": self.kind, "param": self.param, "code": self.code}
        headers = (("retry-after", str(self.retry_after)),) if self.retry_after else ()
        return Answer(self.status, json.dumps({"error": error}, indent=2).encode(), headers)


def unknown(name: str) -> ApiError:
    """A parameter that the reference does not have."""
    return ApiError(400, f"Unknown parameter: '{name}'.", param=name, code="unknown_parameter")


def missing(name: str) -> ApiError:
    """A parameter that must be there."""
    return ApiError(400, f"Missing required parameter: '{name}'.", param=name, code="missing_required_parameter")


def wrong_type(name: str, expected: str, got: str) -> ApiError:
    """A parameter of the wrong type."""
    message = f"Invalid type for '{name}': expected {expected}, but got {got} instead."
    return ApiError(400, message, param=name, code="invalid_type")


def wrong_value(name: str, known: tuple[str, ...]) -> ApiError:
    """A parameter that is none of the documented values."""
    listed = ", ".join(f"'{value}'" for value in known)
    return ApiError(400, f"Invalid value. Supported values are: {listed}.", param=name, code="invalid_value")


def bad_key() -> ApiError:
    """401. The real message quotes the key in part; this one does not."""
    message = "Incorrect API key provided. You can find your API key at https://platform.openai.com/account/api-keys."
    return ApiError(401, message, code="invalid_api_key")


def no_model(name: str) -> ApiError:
    """404."""
    message = f"The model `{name}` does not exist or you do not have access to it."
    return ApiError(404, message, param="model", code="model_not_found")


_FAILURES: dict[Failure, Callable[[int], ApiError]] = {
    Failure.INVALID_API_KEY: lambda _: bad_key(),
    Failure.MODEL_NOT_FOUND: lambda _: no_model("gpt-unknown"),
    Failure.REGION: lambda _: ApiError(
        403,
        "Country, region, or territory not supported",
        kind="request_forbidden",
        code="unsupported_country_region_territory",
    ),
    Failure.CONTEXT_LENGTH: lambda _: ApiError(
        400,
        "Your input exceeds the context window of this model. Please adjust your input and try again.",
        param="input",
        code="context_length_exceeded",
    ),
    Failure.RATE_LIMIT: lambda seconds: ApiError(
        429,
        f"Rate limit reached on tokens per min (TPM). Please try again in {seconds or 1}s.",
        kind="tokens",
        code="rate_limit_exceeded",
        retry_after=seconds or 1,
    ),
    Failure.INSUFFICIENT_QUOTA: lambda _: ApiError(
        429,
        "You exceeded your current quota, please check your plan and billing details.",
        kind="insufficient_quota",
        code="insufficient_quota",
    ),
    Failure.BAD_REQUEST: lambda _: ApiError(400, "Invalid request."),
    Failure.SERVER_ERROR: lambda _: ApiError(
        500, "The server had an error while processing your request. Sorry about that!", kind="server_error"
    ),
    Failure.OVERLOADED: lambda seconds: ApiError(
        503,
        "The engine is currently overloaded, please try again later.",
        kind="service_unavailable_error",
        code="server_is_overloaded",
        retry_after=seconds,
    ),
}
KNOWN = frozenset(_FAILURES)
"""What can answer a request."""
IN_STREAM = frozenset({Failure.SERVER_ERROR, Failure.RATE_LIMIT, Failure.CONTENT_FILTER, Failure.ERROR_EVENT})
"""What can end a stream that has begun."""


def named(failure: Failure, retry_after: int) -> ApiError:
    """The error that a fault asks for; raises ``KeyError`` for another service's."""
    return _FAILURES[failure](retry_after)
