"""From a mounted folder to open credentials: wait for a ticket, redeem it at the vault, hold the result in RAM."""

from __future__ import annotations

import asyncio
import ssl
from contextlib import asynccontextmanager
from dataclasses import dataclass
from os import stat
from os.path import exists, join
from typing import TYPE_CHECKING

from clawmates.base.http.client import HttpError
from clawmates.base.shape import ShapeError, decode_json
from clawmates.base.tls import client_context
from clawmates.mate.errors import BootError, DoorError, StaleError
from clawmates.wire.boot import AUTHORITY_FILE, BOOT_FILE, EXTRA_ROOTS_FILE, Boot
from clawmates.wire.codes import Code
from clawmates.wire.door import VAULT_HOST
from clawmates.wire.vault import Redemption, Release, VaultRefusal
from clawmates.wire.vault_client import VaultError, VaultUnreachableError, put_in_session, redeem, speaks_as

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from clawmates.base.http.client import Connection
    from clawmates.mate.door import Door
    from clawmates.wire.names import ItemName
    from clawmates.wire.vault import SessionItem

FOLDER = "/run/boot"
LOOK_SECONDS = 0.01
SLOW_LOOK_SECONDS = 0.1
PATIENT_LOOKS = 300
VAULT_SECONDS = 10.0
_STALE = {VaultRefusal.SESSION_UNKNOWN, VaultRefusal.VERSION_EXISTS}


@dataclass(frozen=True, slots=True)
class BootFolder:
    """``/run/boot``; read-only, written by node."""

    path: str = FOLDER

    def read(self) -> Boot:
        """Raises :class:`BootError` when it is damaged."""
        try:
            with open(join(self.path, BOOT_FILE), "rb") as stream:
                return decode_json(Boot, stream.read())
        except (OSError, ShapeError):
            raise BootError(Code.BOOT_INVALID) from None

    def has_news(self, after: str) -> bool:
        """Whether a ticket other than ``after`` lies there. Raises as :meth:`read`."""
        ticket = self.read().ticket
        return ticket is not None and ticket.reveal() != after

    async def ticket(self, after: str = "") -> Boot:
        """Waits until node has written a ticket other than ``after``: it comes when the isolation is checked."""
        looks = 0
        seen: tuple[int, int, int] | None = None
        while True:
            # A look at the file's name costs a tenth of reading it, on a host where hundreds wait.
            if (there := self._there()) != seen:
                boot, seen = self.read(), there
                if boot.ticket is not None and boot.ticket.reveal() != after:
                    return boot
            looks += 1
            await asyncio.sleep(LOOK_SECONDS if looks < PATIENT_LOOKS else SLOW_LOOK_SECONDS)

    def _there(self) -> tuple[int, int, int]:
        """Another one for each file that is put in the place of the one before."""
        try:
            found = stat(join(self.path, BOOT_FILE))
        except OSError:
            raise BootError(Code.BOOT_INVALID) from None
        return found.st_ino, found.st_mtime_ns, found.st_size

    def public_roots(self) -> ssl.SSLContext:
        """Trusts the image's public roots, and the stand-ins' authority where an unsafe switch brought one."""
        context = client_context()
        extra = join(self.path, EXTRA_ROOTS_FILE)
        if exists(extra):
            context.load_verify_locations(cafile=extra)
        return context

    def vault_roots(self) -> ssl.SSLContext:
        """Trusts the platform's own authority and nothing else."""
        try:
            return client_context(authority=join(self.path, AUTHORITY_FILE))
        except (OSError, ssl.SSLError):
            raise BootError(Code.BOOT_INVALID) from None


async def open_items(folder: BootFolder, boot: Boot, door: Door, *, session: bool = False) -> Release:
    """Shows the ticket to the vault and returns what it opens; raises :class:`BootError`.

    With ``session``, also the right to keep what is born inside, for this life.
    """
    if boot.ticket is None:
        raise BootError(Code.BOOT_INVALID)
    try:
        async with _vault(folder, boot, door) as connection:
            asked = Redemption(bot=boot.bot, ticket=boot.ticket, session=session, kin=True)
            return await redeem(connection, asked)
    except VaultError as error:
        code = Code.ITEM_MISSING if error.refusal is VaultRefusal.UNKNOWN_ITEM else Code.TICKET_REFUSED
        raise BootError(code) from None


async def keep_item(folder: BootFolder, boot: Boot, door: Door, name: ItemName, item: SessionItem) -> None:
    """Hands the vault what was born inside; the same again is no error.

    Raises :class:`StaleError` where only a new ticket helps, and :class:`BootError`.
    """
    try:
        async with _vault(folder, boot, door) as connection:
            await put_in_session(connection, name, item)
    except VaultError as error:
        raise (StaleError if error.refusal in _STALE else BootError)(Code.TICKET_REFUSED) from None


@asynccontextmanager
async def _vault(folder: BootFolder, boot: Boot, door: Door) -> AsyncIterator[Connection]:
    """A connection for one call.

    The vault must prove the platform's authority and carry the name that node wrote into the boot file.
    """
    try:
        async with asyncio.timeout(VAULT_SECONDS):
            connection = await door.tunnel(VAULT_HOST, folder.vault_roots())
            try:
                if not speaks_as(connection, boot.vault):
                    raise BootError(Code.VAULT_UNREACHABLE)
                yield connection
            finally:
                connection.writer.transport.abort()
    except (DoorError, HttpError, VaultUnreachableError, TimeoutError):
        raise BootError(Code.VAULT_UNREACHABLE) from None
