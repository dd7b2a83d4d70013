"""Each claim in a sentence, for where docs/claims.toml is not at hand; a test keeps the two together."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING

from clawmates.proofs.result import Claim

if TYPE_CHECKING:
    from collections.abc import Mapping

MEANINGS: Mapping[Claim, str] = MappingProxyType(
    {
        Claim.NO_STORAGE: "What is said is never written down where the platform could keep it.",
        Claim.TLS13: "Every hop that the platform begins or ends speaks TLS 1.3, or does not speak.",
        Claim.ISOLATION: "A bot's container shares nothing with another's, and has no network of its own.",
        Claim.VAULT: "Credentials are encrypted at rest and open for the bot's own container only.",
        Claim.REGION: "A bot runs in the region that its owner chose.",
        Claim.SOC2_CONTROLS: "Access control, audit log and incident response exist and work.",
        Claim.INVENTORY: "What is kept is declared, and nothing else is kept.",
        Claim.RETENTION: "What is kept is kept no longer than declared.",
        Claim.SELF_HOST: "All of it runs on one's own machine, and talks to nobody else.",
    }
)
