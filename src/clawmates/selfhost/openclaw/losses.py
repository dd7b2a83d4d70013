"""What becomes of a place in OpenClaw's configuration that bots here have no word for."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

PLACES: Mapping[str, str] = {
    r"channels\.telegram\b.*\.(botToken|tokenFile)": "a credential; it is asked for, and never read from there.",
    r"channels\.telegram\b.*\.(groups|groupPolicy|groupAllowFrom|direct|dms)": (
        "rules for single groups and chats; a bot here answers in a group whoever may talk to it, when spoken to."
    ),
    r"channels\.telegram\b": "its way with Telegram; bots here have one way, which is not configured.",
    r"channels\.": "bots here speak Telegram, and WhatsApp on a hosted platform.",
    r"env\b": "the environment; what a bot needs is sealed in the vault.",
    r"models\.providers": "providers and addresses of its own; the signed release says which there are here.",
    r"(tools|skills|plugins|mcp|browser|hooks|cron|commands)\b": "bots here talk and do nothing else on the host.",
    r"agents\..*\.(tools|skills|sandbox|subagents|runtime|cwd|repoRoot|heartbeat)\b": (
        "bots here talk and do nothing else on the host."
    ),
    r"agents\..*\.identity\b": "a name and a manner; add to the prompt what the bot should know of itself.",
    r"agents\..*\.(memory\w*|compaction|contextPruning)\b": "bots here keep nothing of a conversation.",
    r"(memory|session)\b": "bots here keep nothing of a conversation but in memory, and there each person's apart.",
    r"(gateway|ui|logging|diagnostics|discovery|update|telemetry|web|auth|secrets|talk)\b": (
        "how OpenClaw itself runs and is reached; a platform here has its own ways."
    ),
    r"\$include": "another file, which is not followed: put what it says into this one.",
}
"""By the beginning of its path, the narrower first."""
NO_PROMPT = "no text of at most 64 KiB below the configuration's folder; `clawmates bot prompt NAME --edit` takes one."
NO_AGENT = "an account that no agent is bound to, so it answers nobody there."
NARROW = "a route for some conversations; a bot here is one assistant for all who may talk to it."
OTHERWISE = "nothing here answers to it."
FILES: Mapping[str, str] = {
    "AGENTS.md": "working instructions for its tools and memory; add to the prompt what suits a bot that only talks.",
    "IDENTITY.md": "a name and a manner; add to the prompt what the bot should know of itself.",
    "USER.md": "what it knows of its user; add to the prompt what the bot should know.",
    "MEMORY.md": "what it has kept of conversations; bots here keep nothing of one.",
}
"""What else its workspace may hold (*Agent workspace*)."""


def why(place: str) -> str:
    """One sentence."""
    return next((text for pattern, text in PLACES.items() if re.match(pattern, place)), OTHERWISE)
