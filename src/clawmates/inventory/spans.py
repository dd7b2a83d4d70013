"""How long: every number of days, hours and minutes after which something is over, each once."""

from __future__ import annotations

from datetime import timedelta

LINK = timedelta(minutes=15)
SESSION = timedelta(days=30)
IDLE = timedelta(days=14)
"""After which a session that nobody uses is over."""
COUNTS = timedelta(days=90)
ERRORS = timedelta(days=30)
PAIRING = timedelta(hours=1)
CHALLENGE = timedelta(minutes=5)
ADDRESS = timedelta(hours=1)
"""In which both sides confirm a change of address."""
ATTEMPTS = timedelta(days=1)
ERRANDS = timedelta(days=1)
DRAFT = timedelta(days=30)
"""After which a bot that was begun and not finished is thrown away."""
CANCELLED = timedelta(days=30)
"""At most, after a subscription was cancelled, until its bots and all the vault has of them are destroyed."""
RECEIPT = timedelta(days=30)
"""Since there is one for a deleted account."""
RUNS = timedelta(days=90)
