"""What can go wrong for a caller, and the one table from there to HTTP."""

from __future__ import annotations

from typing import ClassVar


class Problem(Exception):  # noqa: N818 - RFC 9457 calls it so
    """Something a caller is told. ``key`` names the sentences in the catalogue: ``problem.KEY.{title,remedy}``."""

    key: ClassVar[str] = "internal"
    status: ClassVar[int] = 500

    def __init__(self, *, retry_after: int | None = None) -> None:
        super().__init__(self.key)
        self.retry_after = retry_after
        """Seconds, for the header of that name."""


class NotFound(Problem):
    """There is no such page, or it is somebody else's: both look the same."""

    key, status = "not-found", 404


class SignInWanted(Problem):
    """Nobody is signed in."""

    key, status = "sign-in-wanted", 401


class ProofWanted(Problem):
    """The person must prove again who they are (step-up)."""

    key, status = "proof-wanted", 403


class Forged(Problem):
    """The form did not come from our own page, or the session it was made in has ended."""

    key, status = "forged", 403


class Malformed(Problem):
    """What came is not what the form sends."""

    key, status = "malformed", 400


class TooLarge(Problem):
    """More came than any form of ours sends."""

    key, status = "too-large", 413


class TooOften(Problem):
    """Too many tries."""

    key, status = "too-often", 429


class Changed(Problem):
    """Somebody else, or another tab, changed it meanwhile (optimistic locking)."""

    key, status = "changed", 409


class LinkSpent(Problem):
    """The link is unknown, used or too old."""

    key, status = "link-spent", 410


class Unavailable(Problem):
    """Something we need does not answer; nothing was half done."""

    key, status = "unavailable", 503


class MethodNotAllowed(Problem):
    """The address is right and the verb is not."""

    key, status = "method-not-allowed", 405


class OtherBrowser(Problem):
    """The link is for somebody who is signed in here, and that is not who is."""

    key, status = "other-browser", 403


class PasskeyRefused(Problem):
    """What the authenticator signed is not what it was asked, or its key is not known."""

    key, status = "passkey-refused", 403


class Leaving(Problem):
    """The account is being deleted: nobody signs in to it any more."""

    key, status = "leaving", 410


class TooMany(Problem):
    """There are as many as there may be."""

    key, status = "too-many", 409


class Cancelled(Problem):
    """The subscription is cancelled: nothing of its bots runs or begins until it is taken up again."""

    key, status = "cancelled", 409
