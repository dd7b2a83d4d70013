"""How Ollama says no: ``{"error": "…"}`` (docs.ollama.com/api/errors)."""

from __future__ import annotations

import json

from clawmates.simulator.frame import Answer
from clawmates.simulator.model import Failure


class ApiError(Exception):
    """The request is answered with an error object."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__()
        self.status = status
        self.message = message

    def answer(self) -> Answer:
        """The JSON and the status."""
        return Answer(self.status, json.dumps({"error": self.message}).encode())


def unknown(name: str) -> ApiError:
    """A field that the reference does not have. The real server passes over it in silence."""
    return ApiError(400, f'json: unknown field "{name[:80]}"')


def wrong_type(where: str, expected: str) -> ApiError:
    """A field of the wrong type."""
    return ApiError(400, f"json: cannot unmarshal into Go struct field ChatRequest.{where} of type {expected}")


def no_model(name: str) -> ApiError:
    """404: the model is not on this machine."""
    return ApiError(404, f"model '{name[:100]}' not found")


_FAILURES = {
    Failure.BAD_REQUEST: (400, "invalid request"),
    Failure.INVALID_API_KEY: (401, "unauthorized"),
    Failure.PERMISSION_DENIED: (403, "this model is not available"),
    Failure.MODEL_NOT_FOUND: (404, "model 'unknown' not found"),
    Failure.RATE_LIMIT: (429, "too many requests"),
    Failure.SERVER_ERROR: (500, "the model failed to generate a response"),
    Failure.BAD_GATEWAY: (502, "the cloud model cannot be reached"),
    # server/sched.go, ErrMaxQueue: more requests wait than OLLAMA_MAX_QUEUE allows.
    Failure.OVERLOADED: (503, "server busy, please try again.  maximum pending requests exceeded"),
}
KNOWN = frozenset(_FAILURES)
"""What can answer a request."""
IN_STREAM = frozenset({Failure.SERVER_ERROR, Failure.ERROR_EVENT})
"""What can end a stream that has begun: one more line, with an error in it."""
MIDWAY = "an error was encountered while running the model"


def named(failure: Failure) -> ApiError:
    """The error that a fault asks for; raises ``KeyError`` for another service's."""
    return ApiError(*_FAILURES[failure])
