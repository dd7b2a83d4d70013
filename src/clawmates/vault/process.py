"""The vault's process, from its configuration to a signal."""

from __future__ import annotations

import argparse
import asyncio
import logging
import os
import ssl
import sys
from contextlib import suppress
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from clawmates.base.clock import SystemClock
from clawmates.base.eventlog import EventLog
from clawmates.base.hardening import HardeningError, harden, quiet_loop
from clawmates.base.notify import inherited_sockets
from clawmates.base.serving.certificate import CertificateError, ServingCertificate
from clawmates.base.serving.server import ListenError, listen, signals
from clawmates.base.settings import Settings, SettingsError, load, state_of
from clawmates.vault.app import build_app
from clawmates.vault.catalogue import Catalogue
from clawmates.vault.checks import StartError, keep_out_of_swap
from clawmates.vault.confine import confine, reach_of
from clawmates.vault.master import MasterUnavailableError
from clawmates.vault.masters import Masters, MasterSettings
from clawmates.vault.service import Condition, Vault
from clawmates.vault.serving import build_server
from clawmates.vault.store import open_store
from clawmates.wire.notary import Notary
from clawmates.wire.resumption import read_resumed
from clawmates.wire.revocations import Revocations, RevocationsError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from clawmates.base.paths import State

EXIT_CONFIGURATION = 78
EXIT_UNAVAILABLE = 69


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the vault until a signal; the exit code is 0, or 69 or 78 with one sentence on stderr."""
    parser = argparse.ArgumentParser(prog="clawmates.vault")
    parser.add_argument("--config", type=Path, required=True)
    config: Path = parser.parse_args(arguments).config
    logging.disable(logging.CRITICAL)
    try:
        harden()
        os.umask(0o077)
        memory_locked = keep_out_of_swap(Path("/proc/swaps"), Path("/proc/self/status"))
        asyncio.run(_serve(load(config), state_of(config), memory_locked=memory_locked))
    except (StartError, SettingsError, HardeningError, CertificateError, ListenError, RevocationsError) as error:
        sys.stderr.write(f"vault: {error}\n")
        return EXIT_CONFIGURATION
    except MasterUnavailableError:
        # Not a matter of configuration: the supervisor tries again.
        sys.stderr.write("vault: the master key's token or service does not answer, or refuses\n")
        return EXIT_UNAVAILABLE
    return 0


async def _serve(settings: Settings, state: State, *, memory_locked: bool) -> None:
    quiet_loop(asyncio.get_running_loop())
    clock = SystemClock(timedelta(seconds=settings.platform.unsafe_clock_offset))
    region = settings.platform.region
    certificate = ServingCertificate(state.identity("vault"), state.authority, ssl.CERT_OPTIONAL)
    listening = inherited_sockets() or [listen(settings.vault.listen)]
    revocations = Revocations(state.revoked)
    store = open_store(
        Masters(state.vault, _master(settings), os.urandom, reread=lambda: _reread(state.config, settings)),
        region=region,
        catalogue=Catalogue(state.release, settings.node.release_key),
        now=clock.now(),
        keys_copy=settings.vault.keys_copy,
    )
    events = EventLog(state.log, "vault", clock)
    vault = Vault(store, region=region, clock=clock, random=os.urandom, events=events)
    try:
        vault.audit.notary = Notary(region, state.identity("vault"), state.authority)
        vault.audit.order = partial(read_resumed, settings.run.resumed)
        confined = confine(reach_of(state, settings))
        await vault.settle()
        await vault.started(Condition(confinement=confined, memory_locked=memory_locked))
        stop = asyncio.Event()
        server = build_server(build_app(vault, revoked=revocations.revoked), certificate.context, listening, stop)
        async with asyncio.TaskGroup() as group:
            looking = group.create_task(certificate.keep_fresh())
            keeping = group.create_task(vault.upkeep.keep())
            forgetting = group.create_task(events.keep_short())
            try:
                with signals(stop, certificate.reload):
                    await server.serve(sockets=listening)
            finally:
                looking.cancel()
                keeping.cancel()
                forgetting.cancel()
        await vault.upkeep.end()
    finally:
        vault.close()
        for sock in listening:
            with suppress(OSError):
                sock.close()


def _master(settings: Settings) -> MasterSettings:
    return MasterSettings(settings.vault.master_key, settings.vault.old_master_key)


def _reread(config: Path, present: Settings) -> MasterSettings:
    """What the file says now; once confined, one that was replaced since is out of reach until the next start."""
    try:
        return _master(load(config))
    except SettingsError:
        return _master(present)
