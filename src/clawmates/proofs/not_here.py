"""The only claims that may be reported as *not demonstrable here*, each with its reason.

A test holds a second copy of the names: this list can shrink by itself and grow only on purpose.
"""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING

from clawmates.proofs.result import Claim, Evidence, Result, Status, repeat

if TYPE_CHECKING:
    from collections.abc import Mapping

NOT_HERE: Mapping[Claim, str] = MappingProxyType(
    {
        Claim.REGION: "No trial of its own: where a machine stands is the word of whoever rents it out.",
        Claim.SOC2_CONTROLS: (
            "No trial of its own: access control and the audit chains have tests, and `clawmates audit verify`. An"
            " audit is an auditor's word, never ours."
        ),
    }
)
SELF_HOSTED: Mapping[Claim, str] = MappingProxyType(
    {
        Claim.RETENTION: (
            "Not here: this platform is self-hosted and has no accounts, so that there is nobody to delete, nothing to"
            " count for a plan and no page that promises a span. `make prove` tries it on a hosted one."
        ),
    }
)
"""Those that a self-hosted platform has no part for. On a hosted one they are tried."""


def not_here(claim: Claim) -> Result:
    """The honest answer for a claim on the list; raises ``KeyError`` for any other."""
    return _because(claim, NOT_HERE[claim])


def not_self_hosted(claim: Claim) -> Result:
    """The same for a claim that needs a hosted platform; raises ``KeyError`` for any other."""
    return _because(claim, SELF_HOSTED[claim])


def _because(claim: Claim, reason: str) -> Result:
    return Result(id=claim, status=Status.NOT_HERE, evidence=Evidence(summary=reason), repeat=repeat(claim))
