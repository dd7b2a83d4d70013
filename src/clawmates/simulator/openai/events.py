"""The events of a streamed response, in the documented order, each with its number.

platform.openai.com/docs/api-reference/responses-streaming; the object is /docs/api-reference/responses/object.
"""

from __future__ import annotations

import json
from dataclasses import dataclass

from clawmates.simulator.model import Failure
from clawmates.simulator.openai.parameters import Asked
from clawmates.simulator.reply import tokens

OBFUSCATED = 16
"""Deltas are filled up to a multiple of this many characters."""


@dataclass(slots=True)
class Response:
    """One response that is being made."""

    asked: Asked
    number: int
    created_at: int
    text: str = ""
    sequence: int = -1

    @property
    def id(self) -> str:
        """``resp_…``."""
        return f"resp_{self.number:048x}"

    @property
    def item_id(self) -> str:
        """``msg_…``: the one output item."""
        return f"msg_{self.number:048x}"

    def part(self) -> dict[str, object]:
        """The one content part."""
        return {"type": "output_text", "annotations": [], "logprobs": [], "text": self.text}

    def item(self, status: str) -> dict[str, object]:
        """The one output item."""
        content = [] if status == "in_progress" else [self.part()]
        return {"id": self.item_id, "type": "message", "status": status, "content": content, "role": "assistant"}

    def plain(
        self, status: str, *, error: tuple[str, str] | None = None, incomplete: str | None = None
    ) -> dict[str, object]:
        """The Response object; ``error`` is (code, message), ``incomplete`` the reason."""
        over = status != "in_progress"
        item_status = "completed" if status == "completed" else "incomplete"
        shown: dict[str, object] = {
            "id": self.id,
            "object": "response",
            "created_at": self.created_at,
            "status": status,
            "background": False,
            "error": {"code": error[0], "message": error[1]} if error else None,
            "incomplete_details": {"reason": incomplete} if incomplete else None,
            "instructions": self.asked.instructions,
            "max_output_tokens": self.asked.max_output_tokens,
            "max_tool_calls": None,
            "model": self.asked.model,
            "output": [self.item(item_status)] if over and not error else [],
            "parallel_tool_calls": True,
            "previous_response_id": None,
            "prompt_cache_key": None,
            "reasoning": {"effort": None, "summary": None},
            "safety_identifier": None,
            "service_tier": "default",
            "store": self.asked.stored,
            "temperature": self.asked.temperature,
            "text": {"format": {"type": "text"}, "verbosity": "medium"},
            "tool_choice": "auto",
            "tools": [],
            "top_logprobs": 0,
            "top_p": self.asked.top_p,
            "truncation": "disabled",
            "usage": self._usage() if over and not error else None,
            "user": None,
            "metadata": dict(self.asked.metadata),
        }
        return shown

    def _usage(self) -> dict[str, object]:
        asked, answered = max(1, (self.asked.characters + 3) // 4), tokens(self.text)
        return {
            "input_tokens": asked,
            "input_tokens_details": {"cached_tokens": 0},
            "output_tokens": answered,
            "output_tokens_details": {"reasoning_tokens": 0},
            "total_tokens": asked + answered,
        }

    def begin(self) -> bytes:
        """What comes before the first word."""
        place = {"item_id": self.item_id, "output_index": 0, "content_index": 0}
        return b"".join(
            (
                self._event("response.created", {"response": self.plain("in_progress")}),
                self._event("response.in_progress", {"response": self.plain("in_progress")}),
                self._event("response.output_item.added", {"output_index": 0, "item": self.item("in_progress")}),
                self._event("response.content_part.added", place | {"part": self.part()}),
            )
        )

    def delta(self, word: str) -> bytes:
        """One more word."""
        self.text += word
        fields: dict[str, object] = {
            "item_id": self.item_id,
            "output_index": 0,
            "content_index": 0,
            "delta": word,
            "logprobs": [],
        }
        if self.asked.obfuscation:
            fields["obfuscation"] = "x" * (OBFUSCATED - len(word) % OBFUSCATED)
        return self._event("response.output_text.delta", fields)

    def end(self, *, cut: bool) -> bytes:
        """What comes behind the last word."""
        return self._over("max_output_tokens" if cut else None)

    def fail(self, failure: Failure | None) -> bytes:
        """``response.incomplete``, ``response.failed``, or an ``error`` event: something outside of it broke."""
        if failure is Failure.CONTENT_FILTER:
            return self._over("content_filter")
        if failure is Failure.ERROR_EVENT:
            message = "The server had an error while processing your request."
            return self._event("error", {"code": "server_error", "message": message, "param": None})
        if failure is Failure.RATE_LIMIT:
            return self._failed("rate_limit_exceeded", "Rate limit reached.")
        return self._failed("server_error", "The model failed to generate a response.")

    def _failed(self, code: str, message: str) -> bytes:
        return self._event("response.failed", {"response": self.plain("failed", error=(code, message))})

    def _over(self, incomplete: str | None) -> bytes:
        """``response.completed``, or ``response.incomplete`` with its reason."""
        place = {"item_id": self.item_id, "output_index": 0, "content_index": 0}
        status = "incomplete" if incomplete else "completed"
        return b"".join(
            (
                self._event("response.output_text.done", place | {"text": self.text, "logprobs": []}),
                self._event("response.content_part.done", place | {"part": self.part()}),
                self._event("response.output_item.done", {"output_index": 0, "item": self.item(status)}),
                self._event(f"response.{status}", {"response": self.plain(status, incomplete=incomplete)}),
            )
        )

    def broken(self) -> bytes:
        """An event whose data is not JSON."""
        return b'event: response.output_text.delta\ndata: {"type":"response.output_text.delta","delta":\n\n'

    def _event(self, kind: str, fields: dict[str, object]) -> bytes:
        self.sequence += 1
        data = json.dumps({"type": kind, "sequence_number": self.sequence} | fields, separators=(",", ":"))
        return f"event: {kind}\ndata: {data}\n\n".encode()
