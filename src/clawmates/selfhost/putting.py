"""Control's part of a restore: its rows go into the database that the restored configuration names."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import TYPE_CHECKING

from clawmates.control.backups.putting import Put, PutError, put_back
from clawmates.control.store.database import DatabaseError, open_database
from clawmates.control.store.migrate import SchemaError
from clawmates.selfhost import pki
from clawmates.selfhost.backup import BackupError
from clawmates.vault import backupkeys
from clawmates.vault.envelope import EnvelopeError

if TYPE_CHECKING:
    from datetime import datetime

    from clawmates.base.paths import State
    from clawmates.base.settings import Settings
    from clawmates.vault.store import Store


def put(state: State, settings: Settings, part: bytes, store: Store, now: datetime) -> Put:
    """Fills the database, which must be empty. For a thread without a loop. Raises :class:`BackupError`."""
    if settings.control.database:
        # A server may ask control for its certificate.
        pki.ensure(state, settings.platform.region, settings.node.name, now, hosted=True)
    try:
        return asyncio.run(_put(state, settings, part, store, now))
    except (PutError, SchemaError, DatabaseError) as error:
        raise BackupError(str(error)) from None
    except EnvelopeError:
        raise BackupError("the copy of the keys is damaged: a key in it does not open") from None


async def _put(state: State, settings: Settings, part: bytes, store: Store, now: datetime) -> Put:
    database = open_database(settings.control, state)
    try:
        opener = partial(backupkeys.private, store.keys)
        return await put_back(database, part, settings.platform.region, opener, now)
    finally:
        await database.close()
