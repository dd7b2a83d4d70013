"""The mission page's seven rows and the two spans in them, in the proofs' own copy; a test holds it against the page.

Not from the inventory: it is what the inventory is held against.
"""

from __future__ import annotations

SEVEN: tuple[tuple[str, str, str], ...] = (
    ("Account email", "Authentication and billing", "Until account deletion"),
    ("Subscription status", "Plan management", "Until account deletion"),
    ("Bot token (encrypted)", "To run your bot", "Until you delete the bot"),
    ("System prompt", "Your assistant's personality", "Until you change/delete it"),
    ("AI model preference", "To call the correct API", "Until you change it"),
    ("Message count (not content)", "Usage limits and billing", "Rolling 90-day window"),
    ("Error logs (no message content)", "Debugging and reliability", "30 days"),
)
"""(what, why, until when)."""
COUNT_DAYS = 90
ERROR_DAYS = 30
CANCELLED_DAYS = 30
"""Within which the configuration of a cancelled subscription is deleted."""
