"""Bots as their owners see and change them."""
