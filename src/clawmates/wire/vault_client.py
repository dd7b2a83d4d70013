"""Asking the vault, over TLS 1.3: a thin client for node and the CLI, and the one call that a mate makes."""

from __future__ import annotations

import asyncio
import ssl
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeVar

from clawmates.base.http.client import Connection, HttpError
from clawmates.base.shape import ShapeError, decode_json, encode_json
from clawmates.base.tls import uri_names
from clawmates.wire.names import ServiceName
from clawmates.wire.vault import IntakeKey, Release, Ticket, VaultRefusal

if TYPE_CHECKING:
    from clawmates.wire.names import ItemName
    from clawmates.wire.vault import Assignment, Redemption, SealedItem, SessionItem, TicketRequest

T = TypeVar("T")

CALL_SECONDS = 15.0
MOST_WAITING = 8
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
    """Whether the peer's certificate, whose chain was verified, carries this name alone, at its generation or later."""
    try:
        (name,) = uri_names(connection.writer.get_extra_info("peercert"))
        return ServiceName.parse(name).stands_for(ServiceName.parse(uri))
    except ValueError:
        return False


async def redeem(connection: Connection, redemption: Redemption) -> Release:
    """Trades a ticket for its items over a connection of the caller's, which stays open; time is the caller's.

    Never repeat it with the same ticket: a second use freezes the bot, even when the first one's answer was lost.
    Raises :class:`VaultError` and :class:`VaultUnreachableError`.
    """
    body = await _exchange(connection, "POST", "/v1/redeem", encode_json(redemption.plain()))
    return _decode(Release, body)


async def put_in_session(connection: Connection, name: ItemName, item: SessionItem) -> None:
    """Hands over what was born inside a mate, over a connection of the caller's; the same again is no error.

    Raises :class:`VaultError` and :class:`VaultUnreachableError`.
    """
    await _exchange(connection, "PUT", f"/v1/session/items/{name.value}", encode_json(item.plain()))


@dataclass(frozen=True, slots=True)
class VaultClient:
    """Raises :class:`VaultError` and :class:`VaultUnreachableError`.

    ``server_name`` is what the vault's certificate must be valid for; ``host`` is only where it is. Every call opens a
    connection of its own, unless ``keep`` lets a few wait for the next calls: half of a call's work is the handshake.
    Who keeps must :meth:`close`.
    """

    host: str
    port: int
    tls: ssl.SSLContext
    server_name: str = "vault"
    keep: bool = False
    _waiting: list[Connection] = field(default_factory=list)

    async def close(self) -> None:
        """Lets go of connections that wait."""
        while self._waiting:
            await self._waiting.pop().close()

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

    async def put_in_session(self, name: ItemName, item: SessionItem) -> None:
        """:func:`put_in_session` on a connection of its own."""
        await self._call("PUT", f"/v1/session/items/{name.value}", encode_json(item.plain()))

    async def redeem(self, redemption: Redemption) -> Release:
        """:func:`redeem` on a connection of its own, never on one that may have died: a ticket is shown once."""
        return _decode(Release, await self._alone("POST", "/v1/redeem", encode_json(redemption.plain())))

    async def ask(self, cls: type[T], method: str, target: str, body: bytes = b"") -> T:
        """Any other call that is answered with a ``cls``: see :mod:`clawmates.wire.vault_calls`."""
        return _decode(cls, await self._call(method, target, body))

    async def fetch(self, method: str, target: str, most: int) -> bytes:
        """Any other call that is answered with at most so many bytes, on a connection of its own."""
        return await self._alone(method, target, b"", most)

    async def tell(self, method: str, target: str, body: bytes = b"") -> None:
        """Any other call without an answer."""
        await self._call(method, target, body)

    async def _call(self, method: str, target: str, body: bytes = b"") -> bytes:
        """All but a redemption may be said twice, so a connection that died while it waited costs nothing."""
        while self._waiting:
            connection = self._waiting.pop()
            if connection.reusable:
                with suppress(VaultUnreachableError):
                    return await self._over(connection, method, target, body)
            else:
                await connection.close()
        if not self.keep:
            return await self._alone(method, target, body)
        try:
            async with asyncio.timeout(CALL_SECONDS):
                fresh = await Connection.tcp(self.host, self.port, tls=self.tls, server_name=self.server_name)
        except (TimeoutError, HttpError):
            raise VaultUnreachableError from None
        return await self._over(fresh, method, target, body)

    async def _over(self, connection: Connection, method: str, target: str, body: bytes) -> bytes:
        try:
            async with asyncio.timeout(CALL_SECONDS):
                return await _exchange(connection, method, target, body)
        except TimeoutError:
            raise VaultUnreachableError from None
        finally:
            if connection.reusable and len(self._waiting) < MOST_WAITING:
                self._waiting.append(connection)
            else:
                await connection.close()

    async def _alone(self, method: str, target: str, body: bytes, most: int = MAX_ANSWER) -> bytes:
        try:
            async with asyncio.timeout(CALL_SECONDS):
                connection = await Connection.tcp(self.host, self.port, tls=self.tls, server_name=self.server_name)
                try:
                    return await _exchange(connection, method, target, body, most)
                finally:
                    await connection.close()
        except (TimeoutError, HttpError):
            raise VaultUnreachableError from None


async def _exchange(connection: Connection, method: str, target: str, body: bytes, most: int = MAX_ANSWER) -> bytes:
    headers = [("Content-Type", "application/json")] if body else []
    try:
        response = await connection.request(method, target, headers=headers, body=body)
        answer = await response.read(most)
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
