"""Makes a backup of a platform that runs; and of a hosted one, one a day, whichever of its hosts is first."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from clawmates.base.hardening import place_of
from clawmates.inventory.files import BACKUPS
from clawmates.selfhost import backup as backups
from clawmates.selfhost.accounts import account_of
from clawmates.selfhost.install import vault_of
from clawmates.wire.backupfile import aged
from clawmates.wire.operator_client import ControlNotRunningError, OperatorClient

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from clawmates.base.paths import State
    from clawmates.base.settings import Settings

LOOK_SECONDS = 60.0


async def make(state: State, settings: Settings, recipient: str, out: Path | None = None) -> backups.Made:
    """Makes one; where it goes to the platform's own folder it counts as that day's, and in self-host old ones go.

    Raises :class:`~clawmates.selfhost.backup.BackupError`, ``SealedFileError``, ``ReleaseError``, ``OSError`` and the
    clients' errors.
    """
    now = datetime.now(UTC)
    async with vault_of(state, settings) as vault:
        manifest, files = await backups.collect(state, settings, vault, now)
    if out is not None:
        return backups.write(out, recipient, manifest, files)
    owner = account_of("control").owner if settings.hosted else None
    state.backup.mkdir(mode=0o700, exist_ok=True)
    made = backups.write(backups.target(state, now), recipient, manifest, files, owner)
    if settings.hosted:
        await OperatorClient(settings.run.control).backup_made()
    else:
        # Nobody else is there to do it; a hosted platform's control does, with counts.
        for path in aged(state.backup, now - BACKUPS, now):
            path.unlink(missing_ok=True)
    return made


async def due(settings: Settings) -> bool:
    """Whether the daily backup is this host's to make now. Raises :class:`ControlNotRunningError`."""
    return bool(settings.backup.recipient) and await OperatorClient(settings.run.control).backup_due()


async def keep(state: State, settings: Settings, say: Callable[[str], None]) -> None:
    """For ever, in a hosted platform with a key to seal to; what stands in the way is said once until it is gone."""
    trouble = ""
    while settings.hosted and settings.backup.recipient:
        try:
            if await due(settings):
                found = await make(state, settings, settings.backup.recipient)
                say(f"  backup     {found.file}")
            trouble = ""
        except ControlNotRunningError:
            pass  # it is starting, or is said to be away by others
        except Exception as error:  # noqa: BLE001 - the platform runs on without today's backup, and says so
            told = str(error) if isinstance(error, backups.BackupError) else place_of(error)
            if told != trouble:
                say(f"  no backup was made: {told}")
            trouble = told
        await asyncio.sleep(LOOK_SECONDS)
