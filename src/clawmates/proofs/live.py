"""A self-hosted platform that runs on this host, as the proofs see it."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from clawmates.base.paths import Run, State
from clawmates.base.settings import Settings, vault_address
from clawmates.proofs.containers import Containers
from clawmates.proofs.errors import ChatError, ProofError
from clawmates.proofs.kernel import MONITOR
from clawmates.proofs.probes.attempt import Site, attempt, hogged
from clawmates.proofs.stand_ins import StandIns
from clawmates.proofs.world import World
from clawmates.selfhost import bots
from clawmates.selfhost.console import Console, ConsoleError
from clawmates.selfhost.install import InstallError, adopt_release
from clawmates.selfhost.processes import running
from clawmates.selfhost.talk import console_of
from clawmates.wire.node_client import NodeClient, NodeUnreachableError
from clawmates.wire.status import BotState, BotStatus, Finding, NodeStatus

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping

    from clawmates.proofs.probes.attempt import Attempts
    from clawmates.proofs.trial import Bench
    from clawmates.wire.release import Release

LIVE_AGAIN_SECONDS = 120.0
RENEWED_SECONDS = 600.0
LOOK_SECONDS = 0.1
_RUNS = {BotState.LIVE, BotState.DEGRADED}


@dataclass(slots=True)
class LivePlatform:
    """``apart`` belongs to a trial and not to the platform; ``stand_ins`` are its world outside, if it has one."""

    state: State
    settings: Settings
    apart: tuple[str, ...] = ()
    stand_ins: StandIns | None = None
    world: World | None = None
    newer: Callable[[], Path] | None = None
    """Makes a folder with a newer signed release, where a trial can."""
    _consoles: dict[str, Console] = field(default_factory=dict)

    @property
    def run(self) -> Run:
        """See :class:`~clawmates.proofs.platform.Platform`."""
        return self.settings.run

    @property
    def renewable(self) -> bool:
        """See :class:`~clawmates.proofs.platform.Platform`."""
        return self.newer is not None

    async def processes(self) -> Mapping[str, int]:
        """Vault, gateway and node, and the engine's monitors beside the containers."""
        return self._supervised() | self._monitors()

    def _supervised(self) -> dict[str, int]:
        pids = running(self.state)
        if not pids:
            raise ProofError("the platform does not run here: start it with `clawmates up`")
        return pids

    async def status(self) -> NodeStatus:
        """See :class:`~clawmates.proofs.platform.Platform`."""
        try:
            return await NodeClient(self.run.node).status()
        except NodeUnreachableError:
            raise ProofError("node does not answer: start the platform with `clawmates up`") from None

    async def read_back(self, bot: str) -> tuple[Finding, ...]:
        """Judged anew from the kernel, the signed release and ``desired.json``; node is not asked."""
        return await self._containers.read_back(await self._bot(bot))

    async def attempts(self, bot: str, bench: Bench, *, controls: bool = True) -> Attempts:
        """See :class:`~clawmates.proofs.platform.Platform`."""
        return await attempt(await self._site(bot), bench, controls=controls)

    @asynccontextmanager
    async def hog(self, bot: str) -> AsyncIterator[None]:
        """See :class:`~clawmates.proofs.platform.Platform`."""
        async with hogged(await self._site(bot)):
            yield

    async def _site(self, bot: str) -> Site:
        others = tuple(one for one in (await self.status()).bots if one.pid and one.bot != bot)
        return await self._containers.site(await self._bot(bot), others)

    @property
    def _containers(self) -> Containers:
        return Containers(self.state, self.settings)

    async def chat(self, bot: str, text: str) -> str:
        """See :class:`~clawmates.proofs.platform.Platform`."""
        try:
            return await (await self._console(bot)).ask(text)
        except ConsoleError:
            await self._hang_up(bot)
            raise ChatError(f"bot {bot} did not answer") from None

    async def kill_mate(self, bot: str) -> None:
        """See :class:`~clawmates.proofs.platform.Platform`."""
        old = await self._bot(bot)
        descriptor = os.pidfd_open(old.pid)
        try:
            signal.pidfd_send_signal(descriptor, signal.SIGKILL)
        finally:
            os.close(descriptor)
        await self._hang_up(bot)
        await self._until_new(old, "kill -9")

    async def replace(self, bot: str) -> None:
        """See :class:`~clawmates.proofs.platform.Platform`; what ``clawmates restart`` does."""
        old = await self._bot(bot)
        bots.restart(self.state, bot)
        await self._until_new(old, "a restart")
        await self._hang_up(bot)

    async def renew(self) -> None:
        """See :class:`~clawmates.proofs.platform.Platform`; what ``clawmates release install`` does."""
        if self.newer is None:
            raise ProofError("there is no other release to exchange this platform's for")
        old = {bot.bot: bot for bot in (await self.status()).bots}
        try:
            wanted = await asyncio.to_thread(
                adopt_release, await asyncio.to_thread(self.newer), self.state, self.settings
            )
        except InstallError as error:
            raise ProofError(f"a newer release cannot be installed: {error}") from None
        try:
            async with asyncio.timeout(RENEWED_SECONDS):
                while not self._renewed(await self.status(), wanted, old):  # noqa: ASYNC110 - another process changes
                    await asyncio.sleep(LOOK_SECONDS)
        except TimeoutError:
            raise ProofError("the bots do not live by a newer release: see `clawmates status`") from None
        await self.close()

    @staticmethod
    def _renewed(now: NodeStatus, wanted: Release, old: Mapping[str, BotStatus]) -> bool:
        """Whether every bot that ran has been exchanged. Raises :class:`ProofError` when node went back."""
        if now.refused == wanted.number:
            raise ProofError("node refused a newer release of the same contents: see `clawmates status`")
        fresh = {bot.bot for bot in now.bots if bot.state in _RUNS and bot.pid not in {0, old[bot.bot].pid}}
        return now.release == wanted.image.digest and not now.trying and {one for one in old if old[one].pid} <= fresh

    async def kill(self, process: str) -> None:
        """See :class:`~clawmates.proofs.platform.Platform`."""
        old = self._supervised().get(process, 0)
        try:
            descriptor = os.pidfd_open(old)
        except (OSError, ValueError):
            raise ProofError(f"the process of {process} is not there: start the platform with `clawmates up`") from None
        try:
            signal.pidfd_send_signal(descriptor, signal.SIGKILL)
        finally:
            os.close(descriptor)
        try:
            async with asyncio.timeout(LIVE_AGAIN_SECONDS):
                while not await self._is_up(process, old):  # noqa: ASYNC110 - another process changes
                    await asyncio.sleep(LOOK_SECONDS)
        except TimeoutError:
            raise ProofError(f"{process} did not come back after kill -9: see `clawmates status`") from None

    async def _is_up(self, process: str, old: int) -> bool:
        """Whether a new process of that name serves, and all of them know each other again."""
        now = running(self.state).get(process, 0)
        if now in {0, old}:
            return False
        try:
            status = await self.status()
            host, port = vault_address(self.settings)
            _, writer = await asyncio.open_connection(host, port)
        except (ProofError, OSError):
            return False
        writer.close()
        return status.gateway and bool(status.bots)

    async def _until_new(self, old: BotStatus, what: str) -> None:
        try:
            async with asyncio.timeout(LIVE_AGAIN_SECONDS):
                while not self._is_new(await self._bot(old.bot), old):  # noqa: ASYNC110 - another process changes
                    await asyncio.sleep(LOOK_SECONDS)
        except TimeoutError:
            raise ProofError(f"bot {old.bot} did not come back after {what}: see `clawmates status`") from None

    async def close(self) -> None:
        """Ends the consoles."""
        for bot in list(self._consoles):
            await self._hang_up(bot)

    @staticmethod
    def _is_new(now: BotStatus, old: BotStatus) -> bool:
        return now.state is BotState.LIVE and now.pid not in {0, old.pid}

    async def _bot(self, bot: str) -> BotStatus:
        for status in (await self.status()).bots:
            if status.bot == bot:
                return status
        raise ProofError(f"there is no bot {bot}: see `clawmates status`")

    async def _console(self, bot: str) -> Console:
        if bot not in self._consoles:
            console = console_of(self.state, self.settings, await self._bot(bot))
            await console.__aenter__()
            self._consoles[bot] = console
        return self._consoles[bot]

    async def _hang_up(self, bot: str) -> None:
        console = self._consoles.pop(bot, None)
        if console is not None:
            await console.__aexit__(None, None, None)

    def _monitors(self) -> dict[str, int]:
        """Podman's ``conmon`` processes of this platform: text typed into a console passes beside them."""
        mark = os.fsencode(self.run.engine)
        found = {}
        for folder in Path("/proc").iterdir():
            with suppress(OSError):
                if folder.name.isdigit() and (folder / "comm").read_text().strip() == MONITOR:
                    arguments = (folder / "cmdline").read_bytes()
                    if mark in arguments:
                        found[f"{MONITOR} {folder.name}"] = int(folder.name)
        return found
