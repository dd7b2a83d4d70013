"""The events of a streamed message, in the documented order.

platform.claude.com/docs/en/build-with-claude/streaming; the object is /docs/en/api/messages, refusals are
/docs/en/test-and-evaluate/strengthen-guardrails/handle-streaming-refusals.
"""

from __future__ import annotations

import json
from dataclasses import dataclass

from clawmates.simulator.anthropic.errors import named
from clawmates.simulator.anthropic.parameters import Asked
from clawmates.simulator.model import Failure
from clawmates.simulator.reply import tokens

_REFUSAL = {
    "type": "refusal",
    "category": "cyber",
    "explanation": "This request was declined because it could enable cyber harm.",
}
_SIGNATURE = "c2lnbmF0dXJl"


@dataclass(slots=True)
class Message:
    """One message that is being made."""

    asked: Asked
    number: int
    request_id: str
    thoughts: str = ""
    text: str = ""

    def plain(self, stop: str | None) -> dict[str, object]:
        """The Message object; ``stop`` is the stop_reason."""
        shown: dict[str, object] = {
            "id": f"msg_{self.number:024d}",
            "type": "message",
            "role": "assistant",
            "model": self.asked.model,
            "content": self._content() if stop is not None else [],
            "stop_reason": stop,
            "stop_sequence": None,
            "usage": {
                "input_tokens": max(1, (self.asked.characters + 3) // 4),
                "cache_creation_input_tokens": 0,
                "cache_read_input_tokens": 0,
                "output_tokens": self._tokens(),
                "service_tier": "standard",
            },
        }
        return shown | ({"stop_details": _REFUSAL} if stop == "refusal" else {})

    def begin(self) -> bytes:
        """What comes before the first word: thoughts if there are any, and a ``ping``."""
        start = {"index": self._index, "content_block": {"type": "text", "text": ""}}
        events = [_event("message_start", {"message": self.plain(None)})]
        if self.thoughts:
            block = {"type": "thinking", "thinking": "", "signature": ""}
            events += [
                _event("content_block_start", {"index": 0, "content_block": block}),
                _delta(0, {"type": "thinking_delta", "thinking": self.thoughts}),
                _delta(0, {"type": "signature_delta", "signature": _SIGNATURE}),
                _event("content_block_stop", {"index": 0}),
            ]
        return b"".join((*events, _event("content_block_start", start), _event("ping", {})))

    def delta(self, word: str) -> bytes:
        """One more word."""
        self.text += word
        return _delta(self._index, {"type": "text_delta", "text": word})

    def end(self, *, cut: bool) -> bytes:
        """What comes behind the last word."""
        return self._stop("max_tokens" if cut else "end_turn")

    def fail(self, failure: Failure | None) -> bytes:
        """A refusal, which is an ordinary end, or an ``error`` event, which is the last thing that comes."""
        if failure is Failure.CONTENT_FILTER:
            return self._stop("refusal")
        known = Failure.OVERLOADED if failure in {None, Failure.ERROR_EVENT} else failure
        assert known is not None  # noqa: S101 - for the type checker; the line above says so
        return _event("error", named(known, 0).plain(self.request_id))

    def broken(self) -> bytes:
        """An event whose data is not JSON."""
        return b'event: content_block_delta\ndata: {"type":"content_block_delta","index":0,"delta":\n\n'

    @property
    def _index(self) -> int:
        """Of the text among the content blocks."""
        return 1 if self.thoughts else 0

    def _content(self) -> list[dict[str, str]]:
        thought = [{"type": "thinking", "thinking": self.thoughts, "signature": _SIGNATURE}] if self.thoughts else []
        return thought + ([{"type": "text", "text": self.text}] if self.text else [])

    def _tokens(self) -> int:
        return max(1, tokens(self.thoughts) + tokens(self.text))

    def _stop(self, reason: str) -> bytes:
        delta: dict[str, object] = {"stop_reason": reason, "stop_sequence": None}
        if reason == "refusal":
            delta["stop_details"] = _REFUSAL
        return b"".join(
            (
                _event("content_block_stop", {"index": self._index}),
                _event("message_delta", {"delta": delta, "usage": {"output_tokens": self._tokens()}}),
                _event("message_stop", {}),
            )
        )


def _delta(index: int, delta: dict[str, str]) -> bytes:
    return _event("content_block_delta", {"index": index, "delta": delta})


def _event(kind: str, fields: dict[str, object]) -> bytes:
    data = json.dumps({"type": kind} | fields, separators=(",", ":"))
    return f"event: {kind}\ndata: {data}\n\n".encode()
