"""A region for one trial: a vault and a control of this installation's software, and folders of their own.

No bot runs in it and nobody can reach it but this host; it is gone afterwards. So people can be made up and deleted
without a word to anybody's own platform.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from base64 import b64encode
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from clawmates.base.files import write_atomic
from clawmates.base.paths import State
from clawmates.base.secret import Secret
from clawmates.base.settings import Settings, SettingsError, load
from clawmates.base.shape import encode_json
from clawmates.control.context import Context
from clawmates.control.erasure.tombstones import FILE as ERASED
from clawmates.control.erasure.tombstones import Tombstones
from clawmates.control.hub import Hub
from clawmates.control.pepper import FILE as PEPPER
from clawmates.control.store.database import Database, open_database
from clawmates.control.vault import vault_line
from clawmates.proofs.errors import ProofError
from clawmates.proofs.vaultcalls import VaultCalls
from clawmates.selfhost import daily, layout, services
from clawmates.selfhost.accounts import account_of
from clawmates.selfhost.backup import BackupError
from clawmates.selfhost.install import InstallError, Plan, install
from clawmates.selfhost.prepare import prepare
from clawmates.selfhost.sealedfile import SealedFileError
from clawmates.selfhost.supervisor import Phase, Supervisor
from clawmates.wire.operator_client import ControlNotRunningError
from clawmates.wire.releases import ReleaseError
from clawmates.wire.vault_client import VaultCallError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from clawmates.base.clock import Clock
    from clawmates.proofs.platform import Platform

WHERE = "/var/tmp"  # noqa: S108 - a folder of our own in it, closed to others
ANY = "127.0.0.1:0"


@dataclass(frozen=True, slots=True)
class Region:
    """It runs. ``root`` holds all that it keeps, and room for what a trial keeps beside it."""

    root: Path
    state: State
    settings: Settings
    database: Database
    """Control's own, opened a second time."""
    calls: VaultCalls
    operator: X25519PrivateKey
    """What its backups are sealed to."""

    @property
    def copy(self) -> Path:
        """The one separate copy of ``keys.db``."""
        return Path(self.settings.vault.keys_copy)

    async def backup(self) -> Path:
        """Makes one, as it is made every day. Raises :class:`ProofError`."""
        try:
            return Path((await daily.make(self.state, self.settings, self.settings.backup.recipient)).file)
        except (BackupError, SealedFileError, ReleaseError, ControlNotRunningError, VaultCallError, OSError):
            raise ProofError("the trial's region can make no backup of itself") from None

    @property
    def pepper(self) -> bytes:
        """What control's hashes are keyed with; root reads it."""
        return (self.state.control / PEPPER).read_bytes()

    @property
    def erased(self) -> Path:
        """The list of who was deleted."""
        return self.state.control / ERASED

    def folder(self, name: str) -> Path:
        """A new one beside the rest, for the trial's own."""
        made = self.root / name
        made.mkdir()
        return made

    def context(self, database: Database, clock: Clock, folder: Path) -> Context:
        """For control's own code on a database of the trial's, at this region's vault. ``folder`` takes its list."""
        pepper = Secret(self.pepper)
        return Context(
            settings=self.settings,
            database=database,
            clock=clock,
            random=os.urandom,
            pepper=pepper,
            tombstones=Tombstones(folder / ERASED, pepper),
            release=lambda: None,
            hub=Hub(database),
            vault=vault_line(self.settings, self.state, clock),
        )


@asynccontextmanager
async def region(platform: Platform) -> AsyncIterator[Region]:
    """Starts it from the platform's own signed release. Raises :class:`ProofError`."""
    async with AsyncExitStack() as stack:
        try:
            yield await _started(stack, platform)
        except (InstallError, layout.LayoutError, SettingsError, OSError) as error:
            raise ProofError(f"a region for the trial cannot be made here: {error}") from None


async def _started(stack: AsyncExitStack, platform: Platform) -> Region:
    root = Path(tempfile.mkdtemp(prefix="clawmates-prove-", dir=WHERE))
    stack.callback(shutil.rmtree, root, ignore_errors=True)
    state, operator = State(root / "state"), X25519PrivateKey.generate()
    copies = root / "copies"
    copies.mkdir(mode=0o700)
    os.chown(copies, *account_of("vault").owner)
    sections: dict[str, dict[str, object]] = {
        "platform": {"mode": "hosted", "run": f"/run/{root.name}", "region": platform.settings.platform.region},
        "vault": {"listen": ANY, "keys_copy": str(copies / "keys.db")},
        "backup": {"recipient": b64encode(operator.public_key().public_bytes_raw()).decode()},
        "control": {"listen": ANY, "nodes": ANY},
    }
    stack.callback(layout.unmount_below, root)
    made, _ = install(Plan(state=state, release=platform.state.release, settings=sections), datetime.now(UTC))
    stack.callback(layout.remove_run, made.run)
    settings = load(state.config)
    prepare(state, settings)
    listeners = {name: services.listen_at(ANY, name, f"[{name}] listen") for name in ("vault", "web", "nodes")}
    for one in listeners.values():
        stack.callback(one.close)
    ports = {name: one.getsockname()[1] for name, one in listeners.items()}
    write_atomic(settings.run.ports, encode_json(ports), mode=0o644, sync=False)
    supervisor = Supervisor(settings.run.supervisor)
    stack.push_async_callback(supervisor.close)
    faces = (listeners["web"], listeners["nodes"])
    await supervisor.start([services.vault(state, listeners["vault"]), services.control(state, settings, faces)])
    if not all(one.phase is Phase.READY for one in supervisor.running.values()):
        raise ProofError("the trial's vault and control do not start: their own sentences stand above")
    database = open_database(settings.control, state)
    stack.push_async_callback(database.close)
    return Region(root, state, settings, database, VaultCalls.of(state, settings, {}), operator)
