"""The end of a subscription, and coming back from it."""
