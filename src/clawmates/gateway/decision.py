"""A decision is a value: a verdict and its reason."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from clawmates.wire.door import Refusal


class Verdict(StrEnum):
    """What follows from a check."""

    ALLOW = "allow"
    DENY = "deny"
    RETRY = "retry"
    """The server asked for a second ClientHello (RFC 8446 §4.1.4): check the next pair."""


@dataclass(frozen=True, slots=True)
class Decision:
    """A verdict; a denial carries its reason."""

    verdict: Verdict
    reason: Refusal | None = None

    @property
    def allowed(self) -> bool:
        """Whether to go on."""
        return self.verdict is Verdict.ALLOW


ALLOW = Decision(Verdict.ALLOW)
RETRY = Decision(Verdict.RETRY)


def deny(reason: Refusal) -> Decision:
    """A denial."""
    return Decision(Verdict.DENY, reason)
