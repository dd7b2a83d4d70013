"""GenerateContentResponse, whole or in chunks (ai.google.dev/api/generate-content, "GenerateContentResponse").

With ``alt=sse`` every chunk is a ``data:`` line, and lines end with CR LF; without it the chunks are the elements of
one JSON array. An error in the middle is the same object as any other: mostly, as customers report it, not even in the
form of the stream but in raw lines behind the last chunk (github.com/vercel/ai/issues/5217).
"""

from __future__ import annotations

import json
from dataclasses import dataclass

from clawmates.simulator.google.errors import named
from clawmates.simulator.google.parameters import Asked
from clawmates.simulator.model import Failure
from clawmates.simulator.reply import tokens


@dataclass(slots=True)
class Content:
    """One answer that is being made."""

    asked: Asked
    number: int
    sse: bool
    thoughts: str = ""
    text: str = ""
    begun: bool = False

    def plain(self, text: str, finish: str | None) -> dict[str, object]:
        """A chunk with ``text``; the last one has a ``finish`` reason."""
        candidate: dict[str, object] = {"content": {"parts": [{"text": text}], "role": "model"}, "index": 0}
        if finish is not None:
            candidate["finishReason"] = finish
        return self._shown({"candidates": [candidate]})

    def blocked(self) -> dict[str, object]:
        """No candidates: something was wrong with the prompt."""
        return self._shown({"promptFeedback": {"blockReason": "PROHIBITED_CONTENT"}})

    def begin(self) -> bytes:
        """The thoughts, where they were asked for; nothing otherwise."""
        if not (self.thoughts and self.asked.include_thoughts):
            return b""
        part = {"text": self.thoughts, "thought": True}
        return self._chunk(self._shown({"candidates": [{"content": {"parts": [part], "role": "model"}, "index": 0}]}))

    def delta(self, word: str) -> bytes:
        """One more word."""
        self.text += word
        return self._chunk(self.plain(word, None))

    def end(self, *, cut: bool) -> bytes:
        """The last chunk: no text, but the reason."""
        return self._over("MAX_TOKENS" if cut else "STOP")

    def fail(self, failure: Failure | None) -> bytes:
        """A finish reason, a block reason, or an error: in the form of the stream, or raw."""
        if failure is Failure.CONTENT_FILTER:
            return self._over("SAFETY")
        if failure is Failure.PROMPT_BLOCKED:
            return self._chunk(self.blocked()) + self._close()
        if failure in {None, Failure.ERROR_EVENT}:
            return self._chunk(json.loads(named(Failure.OVERLOADED, 0).body())) + self._close()
        assert failure is not None  # noqa: S101 - for the type checker; the line above says so
        return named(failure, 0).body() + b"\n"

    def broken(self) -> bytes:
        """A chunk that is not JSON."""
        return b'data: {"candidates": [{"content":\r\n\r\n' if self.sse else b'{"candidates": [{"content":'

    def _over(self, reason: str) -> bytes:
        return self._chunk(self.plain("", reason)) + self._close()

    def _shown(self, fields: dict[str, object]) -> dict[str, object]:
        asked, answered = max(1, (self.asked.characters + 3) // 4), tokens(self.text)
        usage: dict[str, object] = {
            "promptTokenCount": asked,
            "totalTokenCount": asked + answered + tokens(self.thoughts),
            "promptTokensDetails": [{"modality": "TEXT", "tokenCount": asked}],
        }
        if answered:
            usage["candidatesTokenCount"] = answered
        if self.thoughts:
            usage["thoughtsTokenCount"] = tokens(self.thoughts)
        rest = {"usageMetadata": usage, "modelVersion": self.asked.model, "responseId": f"response-{self.number}"}
        return fields | rest

    def _chunk(self, shown: dict[str, object]) -> bytes:
        if self.sse:
            return b"data: " + json.dumps(shown).encode() + b"\r\n\r\n"
        opening = b",\r\n" if self.begun else b"["
        self.begun = True
        return opening + json.dumps(shown, indent=2).encode()

    def _close(self) -> bytes:
        return b"" if self.sse else b"]"
