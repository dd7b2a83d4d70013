"""Checks of the platform's claims that can fail."""
