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
        Claim.REGION: "Not yet built: regions come with the hosted service.",
        Claim.SOC2_CONTROLS: (
            "Not yet built: the audit chain and access control. The audit itself is an auditor's word, never ours."
        ),
        Claim.INVENTORY: "Not yet built: the declaration of what is kept, compared with what is.",
        Claim.RETENTION: "Not yet built: the jobs that delete, tried with a moved clock.",
    }
)


def not_here(claim: Claim) -> Result:
    """The honest answer for a claim on the list; raises ``KeyError`` for any other."""
    return Result(id=claim, status=Status.NOT_HERE, evidence=Evidence(summary=NOT_HERE[claim]), repeat=repeat(claim))
