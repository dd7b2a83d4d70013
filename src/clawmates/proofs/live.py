"""A self-hosted platform that runs on this host, as the proofs see it."""

from __future__ import annotations

import asyncio
import json
import os
import signal
from collections.abc import Awaitable, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from clawmates.base.paths import Run, State
from clawmates.base.settings import Settings, vault_address
from clawmates.node.engines.base import EngineError
from clawmates.node.facts import FactsUnavailableError, read_facts
from clawmates.node.isolation import judge
from clawmates.node.spec import FIRST_UID, UIDS, container_spec, mounts
from clawmates.proofs.platform import ChatError, ProofError
from clawmates.proofs.probes.attempt import Site, attempt, door_of, hogged
from clawmates.proofs.probes.marks import Known
from clawmates.selfhost import bots
from clawmates.selfhost.console import Console, ConsoleError
from clawmates.selfhost.containers import podman_of
from clawmates.selfhost.draft import BotError
from clawmates.selfhost.talk import console_of
from clawmates.wire.node_client import NodeClient, NodeUnreachableError
from clawmates.wire.releases import ReleaseError
from clawmates.wire.releases import load as load_release
from clawmates.wire.status import BotState, BotStatus, Finding, NodeStatus

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from clawmates.node.engines.base import ContainerSpec, Running
    from clawmates.node.facts import Facts
    from clawmates.proofs.probes.attempt import Attempts
    from clawmates.proofs.trial import Bench

LIVE_AGAIN_SECONDS = 60.0
LOOK_SECONDS = 0.05
OWN_CHOICE = frozenset({"not dumpable", "umask"})
"""What every process chooses for itself, and no wall: the mate hardens itself, an attacker would not."""


@dataclass(slots=True)
class LivePlatform:
    """``provoke`` makes the next message of a bot end in a provider's error, where the provider is a stand-in."""

    state: State
    settings: Settings
    apart: tuple[str, ...] = ()
    provoke: Callable[[str], Awaitable[None]] | None = None
    _consoles: dict[str, Console] = field(default_factory=dict)

    @property
    def run(self) -> Run:
        """See :class:`~clawmates.proofs.platform.Platform`."""
        return self.settings.run

    @property
    def provoke_provider_error(self) -> Callable[[str], Awaitable[None]] | None:
        """See :class:`~clawmates.proofs.platform.Platform`."""
        return self.provoke

    async def processes(self) -> Mapping[str, int]:
        """Vault, gateway and node, and the engine's monitors beside the containers."""
        try:
            pids = {str(name): int(pid) for name, pid in json.loads(self.run.pids.read_bytes()).items()}
        except (OSError, ValueError, AttributeError):
            raise ProofError("the platform does not run here: start it with `clawmates up`") from None
        return pids | self._monitors()

    async def status(self) -> NodeStatus:
        """See :class:`~clawmates.proofs.platform.Platform`."""
        try:
            return await NodeClient(self.run.node).status()
        except NodeUnreachableError:
            raise ProofError("node does not answer: start the platform with `clawmates up`") from None

    async def read_back(self, bot: str) -> tuple[Finding, ...]:
        """Judged anew from the kernel, the signed release and ``desired.json``; node is not asked."""
        status = await self._bot(bot)
        spec, facts = self._asked_and_found(status)
        running = await self._running(status)
        wanted = self._signed(spec.image, running.image)
        return (
            *judge(spec, facts),
            Finding(name="image", wanted=wanted, found=running.image, ok=running.image == wanted),
        )

    def _signed(self, newest: str, found: str) -> str:
        """While a newer release is tried, or was refused, the last good one is as good: signed by the same key."""
        with suppress(ReleaseError):
            good = load_release(self.state.good_release, self.settings.node.release_key).image.config
            return good if good == found else newest
        return newest

    async def attempts(self, bot: str, bench: Bench, *, controls: bool = True) -> Attempts:
        """See :class:`~clawmates.proofs.platform.Platform`."""
        return await attempt(await self._site(bot), bench, controls=controls)

    @asynccontextmanager
    async def hog(self, bot: str) -> AsyncIterator[None]:
        """See :class:`~clawmates.proofs.platform.Platform`."""
        async with hogged(await self._site(bot)):
            yield

    async def _site(self, bot: str) -> Site:
        now = await self.status()
        status = await self._bot(bot)
        spec, _ = self._asked_and_found(status)
        others = [self._asked_and_found(one)[0] for one in now.bots if one.pid and one.bot != bot]
        neighbour = next((one for one in others if door_of(one).exists()), None)

        async def judged(pid: int) -> tuple[Finding, ...]:
            found = judge(spec, self._found(status, pid, monitored=False))
            return tuple(one for one in found if one.name not in OWN_CHOICE)

        return Site(
            files=podman_of(self.state, self.settings).files,
            runtime=self.settings.node.runtime,
            running=await self._running(status),
            spec=spec,
            run=self.run.root,
            known=Known(
                vault=vault_address(self.settings),
                sockets={"node": str(self.run.node), "gateway": str(self.run.gateway)},
                neighbour=str(door_of(neighbour)) if neighbour else "",
                folder=self.state.root,
            ),
            neighbour=neighbour,
            judged=judged,
        )

    def _asked_and_found(self, bot: BotStatus) -> tuple[ContainerSpec, Facts]:
        facts = self._found(bot, bot.pid)
        try:
            release = load_release(self.state.release, self.settings.node.release_key)
            wanted = bots.find(bots.read(self.state), bot.bot)
        except (ReleaseError, BotError) as error:
            raise ProofError(f"the isolation of bot {bot.bot} cannot be read: {error}") from None
        outside = facts.uid_map[0].outside if facts.uid_map else 0
        spec = container_spec(
            wanted,
            release,
            self.run,
            slot=max(0, (outside - FIRST_UID) // UIDS),
            generation=bot.generation,
            memory_mib=self.settings.node.memory_mib,
        )
        return spec, facts

    def _found(self, bot: BotStatus, pid: int, *, monitored: bool = True) -> Facts:
        try:
            return read_facts(pid, mounts(self.run, bot.bot, bot.generation), monitored=monitored)
        except FactsUnavailableError as error:
            raise ProofError(f"the isolation of bot {bot.bot} cannot be read: {error}") from None

    async def _running(self, bot: BotStatus) -> Running:
        engine = podman_of(self.state, self.settings)
        try:
            return next(one for one in await engine.list() if one.name == bot.container)
        except (EngineError, StopIteration):
            raise ProofError(f"the engine does not know the container of bot {bot.bot}") from None
        finally:
            engine.close()

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
        try:
            async with asyncio.timeout(LIVE_AGAIN_SECONDS):
                while not self._is_new(await self._bot(bot), old):  # noqa: ASYNC110 - another process changes
                    await asyncio.sleep(LOOK_SECONDS)
        except TimeoutError:
            raise ProofError(f"bot {bot} did not come back after kill -9: see `clawmates status`") from None

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
            console = await console_of(self.state, self.settings, (await self._bot(bot)).container)
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
                if folder.name.isdigit() and (folder / "comm").read_bytes().strip() == b"conmon":
                    arguments = (folder / "cmdline").read_bytes()
                    if mark in arguments:
                        found[f"conmon {folder.name}"] = int(folder.name)
        return found
