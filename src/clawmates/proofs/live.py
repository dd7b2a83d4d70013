"""A self-hosted platform that runs on this host, as the proofs see it."""

from __future__ import annotations

import asyncio
import json
import os
import signal
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from clawmates.base.paths import Run, State
from clawmates.base.settings import Settings
from clawmates.node.engines.base import EngineError
from clawmates.node.facts import FactsUnavailableError, read_facts
from clawmates.node.isolation import judge
from clawmates.node.spec import FIRST_UID, UIDS, container_spec, mounts
from clawmates.proofs.platform import ChatError, ProofError
from clawmates.selfhost import bots
from clawmates.selfhost.console import Console, ConsoleError
from clawmates.selfhost.containers import podman_of
from clawmates.selfhost.draft import BotError
from clawmates.selfhost.talk import console_of
from clawmates.wire.node_client import NodeClient, NodeUnreachableError
from clawmates.wire.releases import ReleaseError
from clawmates.wire.releases import load as load_release
from clawmates.wire.status import BotState, BotStatus, Finding, NodeStatus

LIVE_AGAIN_SECONDS = 60.0
LOOK_SECONDS = 0.05


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
        try:
            release = load_release(self.state.release, self.settings.node.release_key)
            facts = read_facts(status.pid, mounts(self.run, bot))
            wanted = bots.find(bots.read(self.state), bot)
        except (ReleaseError, FactsUnavailableError, BotError) as error:
            raise ProofError(f"the isolation of bot {bot} cannot be read: {error}") from None
        outside = facts.uid_map[0].outside if facts.uid_map else 0
        spec = container_spec(
            wanted,
            release,
            self.run,
            slot=max(0, (outside - FIRST_UID) // UIDS),
            generation=status.generation,
            memory_mib=self.settings.node.memory_mib,
        )
        return (*judge(spec, facts), await self._image(status, spec.image))

    async def _image(self, bot: BotStatus, wanted: str) -> Finding:
        engine = podman_of(self.state, self.settings)
        try:
            running = next(one for one in await engine.list() if one.name == bot.container)
        except (EngineError, StopIteration):
            raise ProofError(f"the engine does not know the container of bot {bot.bot}") from None
        finally:
            engine.close()
        return Finding(name="image", wanted=wanted, found=running.image, ok=running.image == wanted)

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
