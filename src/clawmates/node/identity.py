"""Node's own certificate, as its client contexts use it: rebuilt when the files change, never half-renewed."""

from __future__ import annotations

import ssl
from dataclasses import dataclass

from clawmates.base.paths import State
from clawmates.base.tls import client_context
from clawmates.node.desired import Mark, mark


@dataclass(slots=True)
class NodeIdentity:
    """Key and certificate are two files, renewed one after the other: while they do not fit, the old pair is used."""

    state: State
    _mark: Mark = ()
    _context: ssl.SSLContext | None = None

    def context(self) -> ssl.SSLContext:
        """For calls to the vault. Raises ``OSError`` (``ssl.SSLError`` is one) when there never was a good pair."""
        files = self.state.identity("node")
        fresh = mark(self.state.authority, *files)
        if self._context is None or fresh != self._mark:
            try:
                self._context = client_context(authority=self.state.authority, identity=files)
            except OSError:
                if self._context is None:
                    raise
            else:
                self._mark = fresh
        return self._context
