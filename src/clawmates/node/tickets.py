"""What node asks of the vault, and a vault in memory that answers for tests."""

from __future__ import annotations

import ssl
from dataclasses import dataclass, field
from typing import ClassVar, Protocol

from clawmates.base.paths import State
from clawmates.base.secret import Secret
from clawmates.base.settings import Settings, SettingsError, vault_address
from clawmates.base.tls import client_context
from clawmates.wire.codes import Trouble
from clawmates.wire.vault import TICKET_SECONDS, Ticket, TicketRequest, VaultRefusal
from clawmates.wire.vault_client import VaultCallError, VaultClient, VaultError


class TicketError(Exception):
    """There is no ticket to be had."""

    trouble: ClassVar[Trouble] = Trouble.VAULT_DOWN


class VaultDownError(TicketError):
    """The vault does not answer."""


class TicketDeniedError(TicketError):
    """The vault does not give this node this bot in these versions."""

    trouble = Trouble.TICKET_DENIED


class TicketOffice(Protocol):
    """Where tickets come from."""

    async def ticket(self, request: TicketRequest) -> Ticket:
        """A fresh ticket. Raises :class:`TicketError`."""
        ...


@dataclass(frozen=True, slots=True)
class VaultOffice:
    """The vault, over mutual TLS. Address and certificate are looked up each time: both change while it serves."""

    settings: Settings
    state: State

    async def ticket(self, request: TicketRequest) -> Ticket:
        """Asks the vault. Raises :class:`TicketError`."""
        try:
            host, port = vault_address(self.settings)
            tls = client_context(authority=self.state.authority, identity=self.state.identity("node"))
            return await VaultClient(host, port, tls).ticket(request)
        except VaultError as error:
            raise (VaultDownError if error.refusal is VaultRefusal.STORAGE_FAILED else TicketDeniedError) from None
        except (VaultCallError, SettingsError, OSError, ssl.SSLError):
            raise VaultDownError from None


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
