"""Who calls, by the certificate that was shown."""

from __future__ import annotations

from enum import Enum, auto

from clawmates.base.tls import uri_names
from clawmates.wire.names import ServiceName


class Nobody(Enum):
    """A caller without a service's name."""

    NO_CERTIFICATE = auto()
    """A mate, or anyone else who can reach the port."""
    UNREADABLE = auto()
    """A certificate of our authority that names no service, or several."""


Caller = ServiceName | Nobody


def caller_of(certificate: object) -> Caller:
    """The caller named by what ``SSLObject.getpeercert()`` returned; the chain was verified in the handshake."""
    if not certificate:
        return Nobody.NO_CERTIFICATE
    names = uri_names(certificate)
    if len(names) != 1:
        return Nobody.UNREADABLE
    try:
        return ServiceName.parse(names[0])
    except ValueError:
        return Nobody.UNREADABLE
