"""TLS 1.3 contexts, and nothing older (RFC 8446)."""

from __future__ import annotations

import ssl
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path


GROUP = "prime256v1"
"""The key exchange of our own servers. OpenSSL's choice goes beyond what Mozilla calls modern, and the standard library
can name one group only, not X25519 (CPython 3.11 to 3.13); every client of TLS 1.3 speaks this one (RFC 8446, 9.1)."""


def client_context(
    *, authority: Path | str | None = None, identity: tuple[Path, Path] | None = None, check_hostname: bool = True
) -> ssl.SSLContext:
    """A context that speaks TLS 1.3 only.

    ``authority`` (PEM) replaces the system's roots; ``identity`` is (certificate, key), both PEM. The key log
    and proxy variables of the environment are not read: the context is built by hand, not by
    ``create_default_context``.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.check_hostname = check_hostname
    if authority is None:
        paths = ssl.get_default_verify_paths()
        context.load_verify_locations(capath=paths.capath)
    else:
        context.load_verify_locations(cafile=authority)
        # Among ourselves: no second hello because the first one offered another group.
        context.set_ecdh_curve(GROUP)
    if identity is not None:
        context.load_cert_chain(*identity)
    return context


def server_context(*, identity: tuple[Path, Path], authority: Path | None, clients: ssl.VerifyMode) -> ssl.SSLContext:
    """A TLS 1.3 server context; ``clients`` says whether a client certificate of ``authority`` is asked for."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.num_tickets = 0
    context.set_ecdh_curve(GROUP)
    context.load_cert_chain(*identity)
    if authority is not None:
        context.load_verify_locations(cafile=authority)
    context.verify_mode = clients
    return context


def uri_names(certificate: object) -> tuple[str, ...]:
    """The URI subject alternative names in what ``SSLObject.getpeercert()`` returned; empty for no certificate."""
    if not isinstance(certificate, dict):
        return ()
    return tuple(value for kind, value in certificate.get("subjectAltName", ()) if kind == "URI")
