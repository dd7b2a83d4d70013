"""The containers of a self-hosted platform, read without asking node: what they should be, and what they are."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from clawmates.base.paths import State
from clawmates.base.settings import Settings, vault_address
from clawmates.node.engines.base import EngineError
from clawmates.node.facts import FactsUnavailableError, read_facts
from clawmates.node.isolation import judge
from clawmates.node.spec import FIRST_UID, UIDS, container_spec, mounts
from clawmates.proofs.errors import ProofError
from clawmates.proofs.probes.attempt import Site, door_of
from clawmates.proofs.probes.marks import Known
from clawmates.selfhost import bots
from clawmates.selfhost.containers import podman_of
from clawmates.selfhost.draft import BotError
from clawmates.wire.releases import ReleaseError
from clawmates.wire.releases import load as load_release
from clawmates.wire.status import Finding

if TYPE_CHECKING:
    from collections.abc import Sequence

    from clawmates.node.engines.base import ContainerSpec, Running
    from clawmates.node.facts import Facts
    from clawmates.wire.status import BotStatus

OWN_CHOICE = frozenset({"not dumpable", "umask"})
"""What every process chooses for itself, and no wall: the mate hardens itself, an attacker would not."""


@dataclass(frozen=True, slots=True)
class Containers:
    """Those of one platform; everything raises :class:`~clawmates.proofs.errors.ProofError`."""

    state: State
    settings: Settings

    async def read_back(self, bot: BotStatus) -> tuple[Finding, ...]:
        """Judged from the kernel, the signed release and ``desired.json``."""
        spec, facts = self._asked_and_found(bot)
        running = await self._running(bot)
        wanted = self._signed(spec.image, running.image)
        image = Finding(name="image", wanted=wanted, found=running.image, ok=running.image == wanted)
        return (*judge(spec, facts), image)

    def _signed(self, newest: str, found: str) -> str:
        """While a newer release is tried, or was refused, the last good one is as good: signed by the same key."""
        with suppress(ReleaseError):
            good = load_release(self.state.good_release, self.settings.node.release_key).image.config
            return good if good == found else newest
        return newest

    async def site(self, bot: BotStatus, others: Sequence[BotStatus]) -> Site:
        """What is needed to try to break out of a bot's container, where ``others`` run beside it."""
        spec, _ = self._asked_and_found(bot)
        beside = (self._asked_and_found(one)[0] for one in others)
        neighbour = next((one for one in beside if door_of(one).exists()), None)

        async def judged(pid: int) -> tuple[Finding, ...]:
            found = judge(spec, self._found(bot, pid, monitored=False))
            return tuple(one for one in found if one.name not in OWN_CHOICE)

        run = self.settings.run
        return Site(
            files=podman_of(self.state, self.settings).files,
            runtime=self.settings.node.runtime,
            running=await self._running(bot),
            spec=spec,
            run=run.root,
            known=Known(
                vault=vault_address(self.settings),
                sockets={"node": str(run.node), "gateway": str(run.gateway)},
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
            self.settings.run,
            slot=max(0, (outside - FIRST_UID) // UIDS),
            generation=bot.generation,
            memory_mib=self.settings.node.memory_mib,
        )
        return spec, facts

    def _found(self, bot: BotStatus, pid: int, *, monitored: bool = True) -> Facts:
        try:
            return read_facts(pid, mounts(self.settings.run, bot.bot, bot.generation), monitored=monitored)
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
