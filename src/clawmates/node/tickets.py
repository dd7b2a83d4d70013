"""What node asks of the vault, and a vault in memory that answers for tests."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, ClassVar, Protocol

from clawmates.base.identity import ClientIdentity
from clawmates.base.secret import Secret
from clawmates.base.settings import Settings, SettingsError, vault_address
from clawmates.wire.codes import Trouble
from clawmates.wire.vault import TICKET_SECONDS, Ticket, TicketRequest, VaultRefusal
from clawmates.wire.vault_client import VaultCallError, VaultClient, VaultError

if TYPE_CHECKING:
    from collections.abc import Mapping


class TicketError(Exception):
    """There is no ticket to be had."""

    trouble: ClassVar[Trouble] = Trouble.VAULT_DOWN


class VaultDownError(TicketError):
    """The vault does not answer."""


class TicketDeniedError(TicketError):
    """The vault does not give this node this bot in these versions."""

    trouble = Trouble.TICKET_DENIED


class BotFrozenError(TicketError):
    """A ticket was used twice: somebody has to look."""

    trouble = Trouble.FROZEN


class LeaseEndedError(TicketError):
    """This node may run the bot no longer."""

    trouble = Trouble.LEASE_ENDED


class RevokedError(TicketError):
    """This node's certificate counts no more."""

    trouble = Trouble.CERTIFICATE_REVOKED


_MEANS: Mapping[VaultRefusal, type[TicketError]] = {
    VaultRefusal.STORAGE_FAILED: VaultDownError,
    VaultRefusal.FROZEN: BotFrozenError,
    VaultRefusal.LEASE_ENDED: LeaseEndedError,
    VaultRefusal.REVOKED: RevokedError,
}


class TicketOffice(Protocol):
    """Where tickets come from."""

    async def ticket(self, request: TicketRequest) -> Ticket:
        """A fresh ticket. Raises :class:`TicketError`."""
        ...


@dataclass(slots=True)
class VaultOffice:
    """The vault, over mutual TLS. Address and certificate are looked at each time: both change while it serves."""

    settings: Settings
    identity: ClientIdentity
    _client: VaultClient | None = None

    async def ticket(self, request: TicketRequest) -> Ticket:
        """Asks the vault. Raises :class:`TicketError`."""
        try:
            host, port = vault_address(self.settings)
            return await (await self._vault(host, port)).ticket(request)
        except VaultError as error:
            raise _MEANS.get(error.refusal, TicketDeniedError) from None
        except (VaultCallError, SettingsError, OSError):  # ssl.SSLError is one
            raise VaultDownError from None

    async def _vault(self, host: str, port: int) -> VaultClient:
        """The client of last time with its connections, unless address or certificate are other ones now."""
        fresh = VaultClient(host, port, self.identity.context(), keep=True)
        last = self._client
        if last is not None and (last.host, last.port, last.tls) == (fresh.host, fresh.port, fresh.tls):
            return last
        self._client = fresh
        if last is not None:
            await last.close()
        return fresh


@dataclass(slots=True)
class FakeVault:
    """Gives tickets named after bot, generation and count; ``failing`` is raised instead."""

    failing: TicketError | None = None
    requests: list[TicketRequest] = field(default_factory=list)

    async def ticket(self, request: TicketRequest) -> Ticket:
        """Counts the request."""
        self.requests.append(request)
        if self.failing is not None:
            raise self.failing
        text = f"ticket-{request.bot}-{request.generation}-{len(self.requests)}"
        return Ticket(ticket=Secret(text), expires_in=TICKET_SECONDS)
