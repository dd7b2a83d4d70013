"""How a node joins: a token used once, a request for a certificate to a key that stays there, the certificate.

In self-host the operator carries these messages (``clawmates node``); where control exists, it takes them itself.
"""

from __future__ import annotations

from dataclasses import dataclass

from clawmates.base.secret import Secret

TOKEN_SECONDS = 15 * 60


@dataclass(frozen=True, slots=True, kw_only=True)
class EnrolmentRequest:
    """From the node: ``request`` is a PKCS #10 certificate request, PEM."""

    token: Secret[str]
    request: str

    def plain(self) -> dict[str, object]:
        """The JSON form, opened: for the operator's pipe."""
        return {"token": self.token.reveal(), "request": self.request}


@dataclass(frozen=True, slots=True, kw_only=True)
class EnrolmentGrant:
    """To the node: its certificate and the authority's, PEM, and the name that it now has."""

    uri: str
    certificate: str
    authority: str
