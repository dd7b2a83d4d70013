"""Attempts to break out of a bot's container, and the weaker containers in which the same attempts succeed."""
