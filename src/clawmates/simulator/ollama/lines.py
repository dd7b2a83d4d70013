"""An answer of ``/api/chat``: one object, or a line for every word (docs.ollama.com/api/chat and /api/streaming)."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

from clawmates.simulator.ollama.errors import MIDWAY
from clawmates.simulator.ollama.parameters import Asked
from clawmates.simulator.reply import tokens

if TYPE_CHECKING:
    from clawmates.simulator.model import Failure

_NANOSECONDS = 1_000_000
"""Durations are made up; they are whole nanoseconds."""


@dataclass(slots=True)
class Chat:
    """One answer that is being made."""

    asked: Asked
    created_at: str
    thoughts: str = ""
    text: str = ""

    def plain(self, text: str, done: str | None, thoughts: str = "") -> dict[str, object]:
        """A line with ``text``; the last one says why it is ``done``, and the counts."""
        message = {"role": "assistant", "content": text} | ({"thinking": thoughts} if thoughts else {})
        shown: dict[str, object] = {
            "model": self.asked.model,
            "created_at": self.created_at,
            "message": message,
            "done": done is not None,
        }
        if done is None:
            return shown
        asked, answered = max(1, (self.asked.characters + 3) // 4), tokens(self.thoughts) + tokens(self.text)
        return shown | {
            "done_reason": done,
            "total_duration": (asked + answered) * _NANOSECONDS,
            "load_duration": _NANOSECONDS,
            "prompt_eval_count": asked,
            "prompt_eval_duration": asked * _NANOSECONDS,
            "eval_count": answered,
            "eval_duration": answered * _NANOSECONDS,
        }

    def loaded(self) -> dict[str, object]:
        """Nobody said anything: the model is loaded, and that is all."""
        message = {"role": "assistant", "content": ""}
        shown = {"model": self.asked.model, "created_at": self.created_at, "message": message}
        return shown | {"done_reason": "load", "done": True}

    def begin(self) -> bytes:
        """The thoughts, if there are any."""
        return _line(self.plain("", None, self.thoughts)) if self.thoughts else b""

    def delta(self, word: str) -> bytes:
        """One more word."""
        self.text += word
        return _line(self.plain(word, None))

    def end(self, *, cut: bool) -> bytes:
        """The last line: no text, but the reason and the counts."""
        return _line(self.plain("", "length" if cut else "stop"))

    def fail(self, failure: Failure | None) -> bytes:  # noqa: ARG002 - there is one way only
        """A line with nothing but an error in it; the status was 200 and stays so."""
        return _line({"error": MIDWAY})

    def broken(self) -> bytes:
        """A line that is not JSON."""
        return b'{"model":"broken","message":\n'


def _line(shown: dict[str, object]) -> bytes:
    return json.dumps(shown, separators=(",", ":")).encode() + b"\n"
