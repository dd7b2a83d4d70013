"""Calls to a platform's vault as each of those who might try, answered in raw bytes."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from clawmates.base.http.client import Connection, HttpError
from clawmates.base.settings import SettingsError, vault_address
from clawmates.base.shape import ShapeError, decode_json, encode_json
from clawmates.base.tls import client_context
from clawmates.proofs.errors import ProofError
from clawmates.proofs.net.weak import in_memory

if TYPE_CHECKING:
    from clawmates.base.paths import State
    from clawmates.base.settings import Settings
    from clawmates.base.x509 import Pair

SECONDS = 30.0
LARGEST = 16 << 20
NO_CONNECTION = "no connection"


class Who(StrEnum):
    """Who calls."""

    CLI = "the operator's command line"
    NODE = "this node"
    OTHER_NODE = "another node of this region"
    NOBODY = "somebody without a certificate"
    STRANGER = "somebody with a certificate of their own making"


@dataclass(frozen=True, slots=True)
class _Code:
    code: str


@dataclass(frozen=True, slots=True)
class _Error:
    error: _Code


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back; ``status`` is 0 where no connection came about."""

    status: int
    body: bytes

    @property
    def word(self) -> str:
        """The refusal's code, ``done``, or that no connection came about."""
        if not self.status:
            return NO_CONNECTION
        if self.status < 400:
            return "done"
        try:
            return decode_json(_Error, self.body, LARGEST).error.code
        except ShapeError:
            return f"status {self.status}"


@dataclass(frozen=True, slots=True)
class VaultCalls:
    """One vault, and a context for each who calls."""

    host: str
    port: int
    contexts: Mapping[Who, ssl.SSLContext]

    @classmethod
    def of(cls, state: State, settings: Settings, pairs: Mapping[Who, Pair]) -> VaultCalls:
        """The platform's own certificates from its files, others as given. Raises :class:`ProofError`."""
        try:
            host, port = vault_address(settings)
            contexts = {
                Who.NOBODY: client_context(authority=state.authority),
                Who.CLI: client_context(authority=state.authority, identity=state.identity("cli")),
                Who.NODE: client_context(authority=state.authority, identity=state.identity("node")),
            }
            for who, pair in pairs.items():
                contexts[who] = in_memory(client_context(authority=state.authority), pair.certificate + pair.key)
        except (SettingsError, OSError):
            raise ProofError("the platform's certificates cannot be read: run this as root") from None
        return cls(host, port, contexts)

    async def ask(self, who: Who, method: str, path: str, value: object = None) -> Answer:
        """One call on a connection of its own."""
        body = value if isinstance(value, bytes) else encode_json(value) if value is not None else b""
        try:
            async with asyncio.timeout(SECONDS):
                connection = await Connection.tcp(self.host, self.port, tls=self.contexts[who], server_name="vault")
                try:
                    headers = [("Content-Type", "application/json")] if body else []
                    response = await connection.request(method, path, headers=headers, body=body)
                    return Answer(response.status, await response.read(LARGEST))
                finally:
                    await connection.close()
        except (HttpError, TimeoutError):
            return Answer(0, b"")
