"""A server's own certificate, reloaded while serving: leaves live a week."""

from __future__ import annotations

import asyncio
import ssl
import sys
from dataclasses import dataclass, field
from pathlib import Path

from clawmates.base.hardening import place_of
from clawmates.base.tls import server_context

LOOK_SECONDS = 30.0


class CertificateError(Exception):
    """The certificate cannot be served with; the text says why."""


@dataclass(slots=True)
class ServingCertificate:
    """``identity`` is (certificate, key), both PEM; ``clients`` says whether callers show one of ``authority``."""

    identity: tuple[Path, Path]
    authority: Path | None
    clients: ssl.VerifyMode
    context: ssl.SSLContext = field(init=False)
    _seen: tuple[tuple[int, int], ...] = field(init=False)

    def __post_init__(self) -> None:
        """Loads the files; raises :class:`CertificateError`."""
        try:
            self._seen = self._look()
            self.context = self._build()
        except OSError as error:  # ssl.SSLError is one
            what = error.strerror if not isinstance(error, ssl.SSLError) else "certificate and key do not fit"
            raise CertificateError(f"cannot use {self.identity[0].parent}: {what}") from None

    def reload(self) -> bool:
        """Takes a new certificate into use when the files have changed and fit; says whether it did.

        New handshakes see it at once, open connections keep the old one. Tried on a context apart first: a pair
        that does not fit would leave the live one without its key.
        """
        try:
            seen = self._look()
            if seen == self._seen:
                return False
            self._build()
            self.context.load_cert_chain(*self.identity)
        except OSError as error:
            sys.stderr.write(f"certificate not reloaded: {place_of(error)}\n")
            return False
        self._seen = seen
        return True

    async def keep_fresh(self) -> None:
        """Looks for new files twice a minute, for ever."""
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            self.reload()

    def _look(self) -> tuple[tuple[int, int], ...]:
        return tuple((found.st_ino, found.st_mtime_ns) for found in (path.stat() for path in self.identity))

    def _build(self) -> ssl.SSLContext:
        return server_context(identity=self.identity, authority=self.authority, clients=self.clients)
