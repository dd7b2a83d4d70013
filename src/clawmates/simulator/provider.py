"""What the stand-ins of AI providers have in common."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from clawmates.simulator.model import Style

if TYPE_CHECKING:
    from clawmates.base.clock import Clock
    from clawmates.simulator.web import Request


class Provider:
    """Who may ask, for which models, and how they answer."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self.keys: set[str] = set()
        self.models: set[str] = set()
        """Those that exist beside the documented ones."""
        self.style = Style()
        self.stored = 0
        """Answered requests that the real service would have kept, because they did not say otherwise."""

    def reset(self) -> None:
        """Forgets everything."""
        self.keys.clear()
        self.models.clear()
        self.style = Style()
        self.stored = 0


def noted(request: Request) -> tuple[str, str]:
    """The JSON body for the journal (``null`` when it is not JSON) and its ``model``, or empty."""
    try:
        fields = json.loads(request.body or b"{}")
    except (ValueError, RecursionError):
        return "null", ""
    model = fields.get("model") if isinstance(fields, dict) else None
    return json.dumps(fields), model if isinstance(model, str) else ""


def is_json(request: Request) -> bool:
    """Whether the request says that its body is JSON."""
    return request.headers.get("content-type", "").partition(";")[0].strip().lower() == "application/json"
