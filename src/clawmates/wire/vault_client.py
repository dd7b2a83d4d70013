"""Asking the vault, over TLS 1.3: a thin client for node and the CLI, and the one call that a mate makes."""

from __future__ import annotations

import asyncio
import ssl
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

from clawmates.base.http.client import Connection, HttpError
from clawmates.base.shape import ShapeError, decode_json, encode_json
from clawmates.base.tls import uri_names
from clawmates.wire.vault import IntakeKey, Release, Ticket, VaultRefusal

if TYPE_CHECKING:
    from clawmates.wire.names import ItemName
    from clawmates.wire.vault import Assignment, Redemption, SealedItem, TicketRequest

T = TypeVar("T")

CALL_SECONDS = 15.0
MAX_ANSWER = 3 * 1024 * 1024
"""Five items of the largest size, every character escaped, fit."""
_OK, _NO_CONTENT = 200, 204


class VaultCallError(Exception):
    """The vault was asked in vain."""


class VaultError(VaultCallError):
    """The vault refused."""

    def __init__(self, refusal: VaultRefusal) -> None:
        self.refusal = refusal
        super().__init__(refusal.value)


class VaultUnreachableError(VaultCallError):
    """No answer, or none that can be understood; whether the call was carried out is unknown."""


@dataclass(frozen=True, slots=True)
class _Error:
    code: str


@dataclass(frozen=True, slots=True)
class _Refused:
    error: _Error


def speaks_as(connection: Connection, uri: str) -> bool:
    """Whether the peer's certificate, whose chain was verified, carries exactly this URI name."""
    return uri_names(connection.writer.get_extra_info("peercert")) == (uri,)


async def redeem(connection: Connection, redemption: Redemption) -> Release:
    """Trades a ticket for its items over a connection of the caller's, which stays open; time is the caller's.

    Never repeat it with the same ticket: a second use freezes the bot, even when the first one's answer was lost.
    Raises :class:`VaultError` and :class:`VaultUnreachableError`.
    """
    body = await _exchange(connection, "POST", "/v1/redeem", encode_json(redemption.plain()))
    return _decode(Release, body)


@dataclass(frozen=True, slots=True)
class VaultClient:
    """Every call opens a connection of its own. Raises :class:`VaultError` and :class:`VaultUnreachableError`.

    ``server_name`` is what the vault's certificate must be valid for; ``host`` is only where it is.
    """

    host: str
    port: int
    tls: ssl.SSLContext
    server_name: str = "vault"

    async def intake_key(self) -> IntakeKey:
        """The public key that items are sealed to (role control)."""
        return _decode(IntakeKey, await self._call("GET", "/v1/intake-key"))

    async def assign(self, bot: str, assignment: Assignment) -> None:
        """Says whose bot it is and which node may run it (role control)."""
        await self._call("PUT", f"/v1/bots/{bot}", encode_json(assignment))

    async def put(self, bot: str, name: ItemName, version: int, item: SealedItem) -> None:
        """Hands a sealed item over; the very same item again is no error (role control)."""
        await self._call("PUT", f"/v1/bots/{bot}/items/{name.value}/{version}", encode_json(item))

    async def destroy(self, bot: str) -> None:
        """Destroys all that the vault has of a bot; a bot it does not know is no error (role control)."""
        await self._call("DELETE", f"/v1/bots/{bot}")

    async def unfreeze(self, bot: str) -> None:
        """Lets tickets flow again after one was used twice (role control)."""
        await self._call("POST", f"/v1/bots/{bot}/unfreeze")

    async def ticket(self, request: TicketRequest) -> Ticket:
        """A single-use right for one of this node's bots (role node)."""
        return _decode(Ticket, await self._call("POST", "/v1/tickets", encode_json(request)))

    async def redeem(self, redemption: Redemption) -> Release:
        """:func:`redeem` on a connection of its own."""
        return _decode(Release, await self._call("POST", "/v1/redeem", encode_json(redemption.plain())))

    async def _call(self, method: str, target: str, body: bytes = b"") -> bytes:
        try:
            async with asyncio.timeout(CALL_SECONDS):
                connection = await Connection.tcp(self.host, self.port, tls=self.tls, server_name=self.server_name)
                try:
                    return await _exchange(connection, method, target, body)
                finally:
                    await connection.close()
        except (TimeoutError, HttpError):
            raise VaultUnreachableError from None


async def _exchange(connection: Connection, method: str, target: str, body: bytes) -> bytes:
    headers = [("Content-Type", "application/json")] if body else []
    try:
        response = await connection.request(method, target, headers=headers, body=body)
        answer = await response.read(MAX_ANSWER)
    except HttpError:
        raise VaultUnreachableError from None
    if response.status in {_OK, _NO_CONTENT}:
        return answer
    try:
        raise VaultError(VaultRefusal(_decode(_Refused, answer).error.code))
    except ValueError:
        raise VaultUnreachableError from None


def _decode(cls: type[T], answer: bytes) -> T:
    try:
        return decode_json(cls, answer, MAX_ANSWER)
    except ShapeError:
        raise VaultUnreachableError from None
