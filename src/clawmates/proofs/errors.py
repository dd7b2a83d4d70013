"""Why a claim cannot be tried."""

from __future__ import annotations


class ProofError(Exception):
    """A claim cannot be tried here; the text is the sentence to show, with the remedy."""


class NoBotError(ProofError):
    """No bot is there to try the claim on."""


class ChatError(ProofError):
    """The bot did not answer; nothing that was said is in the text."""


class BlindError(ProofError):
    """What was put there to be found was not found, so that finding nothing else shows nothing."""
