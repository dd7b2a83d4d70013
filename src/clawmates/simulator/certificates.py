"""An authority for the life of this process, and one TLS context a :class:`~clawmates.simulator.model.TlsMode`."""

from __future__ import annotations

import os
import ssl
from datetime import timedelta
from typing import TYPE_CHECKING, assert_never

from clawmates.base.x509 import Authority, Names, Pair
from clawmates.simulator.model import TlsMode

if TYPE_CHECKING:
    from datetime import datetime

_LIFE = timedelta(days=2)


def pair(authority: Authority, host: str, mode: TlsMode, now: datetime) -> Pair:
    """The certificate and key that a stand-in for ``host`` shows in ``mode``."""
    match mode:
        case TlsMode.GOOD | TlsMode.TLS12:
            return authority.issue(Names(dns=(host,)), now, life=_LIFE)
        case TlsMode.EXPIRED:
            return authority.issue(Names(dns=(host,)), now - 30 * _LIFE, life=_LIFE)
        case TlsMode.WRONG_NAME:
            return authority.issue(Names(dns=("wrong-name.invalid",)), now, life=_LIFE)
        case TlsMode.SELF_SIGNED:
            # The right name, signed by a root that nobody trusts and that is shown along.
            stranger = Authority.create(host, now)
            leaf = stranger.issue(Names(dns=(host,)), now, life=_LIFE)
            return Pair(leaf.certificate + stranger.pair.certificate, leaf.key)
        case _:
            assert_never(mode)


def server_context(identity: Pair, mode: TlsMode) -> ssl.SSLContext:
    """A context for new connections: TLS 1.3 only, or 1.2 only in that mode."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    version = ssl.TLSVersion.TLSv1_2 if mode is TlsMode.TLS12 else ssl.TLSVersion.TLSv1_3
    context.minimum_version = context.maximum_version = version
    context.num_tickets = 0
    context.set_alpn_protocols(["http/1.1"])
    # The standard library loads keys from files only; this one lives in memory and has no name.
    descriptor = os.memfd_create("identity", os.MFD_CLOEXEC)
    try:
        os.write(descriptor, identity.certificate + identity.key)
        context.load_cert_chain(f"/proc/self/fd/{descriptor}")
    finally:
        os.close(descriptor)
    return context
