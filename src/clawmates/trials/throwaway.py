"""A whole platform that lives for one trial: real processes, real containers, stand-ins for the world outside."""

from __future__ import annotations

import asyncio
import json
import secrets
import shutil
import sys
import tempfile
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from clawmates.base.paths import State
from clawmates.base.secret import Secret
from clawmates.proofs.errors import ProofError
from clawmates.proofs.live import LivePlatform
from clawmates.selfhost import bots, layout
from clawmates.selfhost.draft import Draft, check
from clawmates.selfhost.install import Plan, install, vault_of
from clawmates.selfhost.platform import Platform
from clawmates.selfhost.supervisor import Phase, Supervisor
from clawmates.simulator.client import Simulator
from clawmates.simulator.model import Service
from clawmates.trials import outside as cabled
from clawmates.trials.disk import Apart, loop_disk, temp_on
from clawmates.trials.outside import open_outside
from clawmates.trials.renewal import Renewal
from clawmates.trials.stand_ins import Outside
from clawmates.wire.desired import Access, DesiredState
from clawmates.wire.names import ChannelKind, ItemName
from clawmates.wire.release import Release
from clawmates.wire.status import BotState, BotStatus

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Collection, Iterable, Mapping

    from clawmates.trials.cable import Cable


CHECKOUT = Path(__file__).resolve().parents[3]
RELEASE = CHECKOUT / "build" / "release"
LIVE_SECONDS = 120.0
LOOK_SECONDS = 0.1
"""Every look costs node and the trial some milliseconds which what is waited for could use."""
APART = ("the stand-ins for the messenger and the AI provider, and the trial itself: they hold what was said",)
PROVIDER = "openai"


class TrialError(Exception):
    """The trial cannot go on; the text says why."""


@dataclass(frozen=True, slots=True)
class _StandIns:
    """The simulator, as the supervisor sees it."""

    folder: Path
    name: str = "simulator"
    descriptors: tuple[int, ...] = ()

    def command(self) -> list[str]:
        """Any free ports."""
        line = [sys.executable, "-I", "-m", "clawmates.simulator", "--dir", str(self.folder)]
        return [*line, "--telegram-port", "0", "--openai-port", "0"]


@dataclass(frozen=True, slots=True)
class Bot:
    """A bot of the trial and the made-up credentials that the stand-ins know."""

    name: str
    channel: ChannelKind
    token: str
    key: str
    username: str
    provider: str = PROVIDER
    access: Access = Access.OPEN
    """What a trial says goes to whoever asks, unless people are what it is about."""

    @classmethod
    def invent(cls, name: str, channel: ChannelKind, provider: str = PROVIDER, *, mark: str = "") -> Bot:
        """Credentials of the real form, with ``mark`` in both of them."""
        token = f"{secrets.randbelow(9 * 10**8) + 10**8}:{(mark + secrets.token_urlsafe(27))[:35]}"
        key = f"sk-{mark}{secrets.token_hex(24)}"
        return cls(name, channel, token, key, f"{name.replace('-', '_')}_bot", provider)


@dataclass(slots=True)
class Throwaway:
    """What a trial holds in its hands."""

    root: Path
    state: State
    simulator: Simulator
    platform: Platform
    live: LivePlatform
    release: Release
    bots: dict[str, Bot]
    stand_ins: Outside
    outside: cabled.Outside | None = None
    """The world at the other end of the cable, where there is one."""
    place: Path | None = None
    """The trial's own disk, where there is one."""

    async def add(
        self,
        wanted: Iterable[Bot],
        *,
        prompt: str = "You are helpful.",
        paused: bool = False,
        known: bool = True,
    ) -> None:
        """Makes the stand-ins know the bots (if ``known``), seals their credentials, and lists them all at once."""
        specs = []
        async with vault_of(self.state, self.platform.settings) as vault:
            for bot in wanted:
                model = self.model_of(bot.provider)
                if known:
                    await self.introduce(bot, model)
                draft = Draft(
                    name=bot.name,
                    channel=bot.channel,
                    provider=bot.provider,
                    model=model,
                    secrets=_secrets(bot, prompt),
                    access=bot.access,
                )
                check(draft, self.release)
                node = self.platform.settings.node.name
                spec = await bots.seal_in(draft, self.state, self.release, vault, node)
                specs.append(replace(spec, paused=paused))
                self.bots[bot.name] = bot
        now = bots.read(self.state)
        names = {spec.id for spec in specs}
        kept = tuple(one for one in now.bots if one.id not in names)
        bots.write(self.state, DesiredState(revision=now.revision + 1, bots=(*kept, *specs)))

    def resume(self, names: Collection[str]) -> None:
        """Lets paused bots run, all at once."""
        now = bots.read(self.state)
        listed = tuple(replace(one, paused=False) if one.id in names else one for one in now.bots)
        bots.write(self.state, DesiredState(revision=now.revision + 1, bots=listed))

    async def introduce(self, bot: Bot, model: str) -> None:
        """Makes the stand-ins know a bot."""
        service = Service(bot.provider)
        await self.stand_ins.at(service).add_model(model, service)
        if service.encrypted:
            await self.simulator.add_key(bot.key, service)
        if bot.channel is ChannelKind.TELEGRAM:
            await self.simulator.add_bot(bot.token, bot.username)

    def take_out(self, *names: str) -> None:
        """Lets bots run no longer."""
        now = bots.read(self.state)
        kept = tuple(one for one in now.bots if one.id not in names)
        bots.write(self.state, DesiredState(revision=now.revision + 1, bots=kept))
        for name in names:
            self.bots.pop(name, None)

    async def until_live(self, *names: str, seconds: float = LIVE_SECONDS) -> tuple[BotStatus, ...]:
        """Waits until these bots are live; raises :class:`TrialError` with what they are instead."""
        return tuple(
            [await self.until(name, lambda bot: bot.state is BotState.LIVE, seconds=seconds) for name in names]
        )

    async def until_only(self, *names: str, seconds: float = LIVE_SECONDS) -> None:
        """Waits until no other bot has a container; raises :class:`TrialError`."""
        try:
            async with asyncio.timeout(seconds):
                while not await self._only(names):  # noqa: ASYNC110 - another process changes
                    await asyncio.sleep(LOOK_SECONDS)
        except TimeoutError:
            raise TrialError(f"other bots still run after {seconds:.0f} s") from None

    async def _only(self, names: tuple[str, ...]) -> bool:
        return {bot.bot for bot in (await self.live.status()).bots if bot.pid} <= set(names)

    async def until(
        self, name: str, condition: Callable[[BotStatus], bool], *, seconds: float = LIVE_SECONDS
    ) -> BotStatus:
        """Waits until a bot's status is as wanted; raises :class:`TrialError` with what it is instead."""
        now: tuple[BotStatus, ...] = ()
        try:
            async with asyncio.timeout(seconds):
                while True:
                    with suppress(ProofError):
                        now = (await self.live.status()).bots
                    for bot in now:
                        if bot.bot == name and condition(bot):
                            return bot
                    await asyncio.sleep(LOOK_SECONDS)
        except TimeoutError:
            states = "; ".join(f"{bot.bot}: {bot.state.value} {bot.code}" for bot in now)
            raise TrialError(f"not as wanted after {seconds:.0f} s: {states}") from None

    @property
    def model(self) -> str:
        """The first model of the trial's usual provider."""
        return self.model_of(PROVIDER)

    def model_of(self, provider: str) -> str:
        """The first model of a provider."""
        found = self.release.provider(provider)
        if found is None:
            raise TrialError(f"the release has no provider {provider}")
        return found.models[0].id


@asynccontextmanager
async def throwaway(
    *,
    disk: bool = False,
    keep: bool = False,
    settings: Mapping[str, Mapping[str, object]] | None = None,
    cable: Cable | None = None,
    apart: Apart | None = None,
    terminal: int = -1,
) -> AsyncIterator[Throwaway]:
    """Starts everything but bots; ends and removes everything afterwards, unless ``keep``.

    A ``terminal`` is where a hosted platform shows links that no mail carries. ``disk`` puts the state folder on a
    small disk image of its own, and with ``apart`` the folder for temporary files is on it too; with a ``cable`` the
    stand-ins are at its other end. Raises :class:`TrialError` and the errors of :mod:`clawmates.selfhost`.
    """
    async with AsyncExitStack() as stack:
        root = Path(tempfile.mkdtemp(prefix="clawmates-", dir="/var/tmp"))
        if not keep:
            stack.callback(shutil.rmtree, root, ignore_errors=True)
            # A trial may have put folders of its own beside the state's, with something mounted in them.
            stack.callback(layout.unmount_below, root)
        place = stack.enter_context(loop_disk(root)) if disk else root
        if disk and apart is not None:
            stack.enter_context(temp_on(place, apart))
        state, run = State(place / "state"), Path("/run") / root.name
        outside = await open_outside(stack, cable, root) if cable is not None else None
        if outside is not None:
            simulator, world = outside.simulator, outside.settings
        else:
            simulator, folder = await _start_simulator(stack, root)
            world = _stand_ins(folder)
        plan = Plan(state=state, release=RELEASE, settings=_settings(world, run, settings or {}))
        made, release = install(plan, datetime.now(UTC))
        stack.callback(layout.unmount_below, state.root)
        stack.callback(layout.remove_run, made.run)
        platform = Platform(state, terminal=terminal)
        stack.push_async_callback(platform.close)
        await platform.start()
        if not all(one.phase is Phase.READY for one in platform.supervisor.running.values()):
            raise TrialError("the platform does not start; its own sentences stand above")
        live = LivePlatform(state, made, APART)
        stack.push_async_callback(live.close)

        known: dict[str, Bot] = {}
        live.stand_ins = stand_ins = Outside(simulator, known, local=outside.local if outside is not None else None)
        live.newer = Renewal(RELEASE, root / "newer").next
        yield Throwaway(
            root,
            state,
            simulator,
            platform,
            live,
            release,
            known,
            stand_ins,
            outside=outside,
            place=place if disk else None,
        )


def _settings(
    world: Mapping[str, Mapping[str, object]], run: Path, more: Mapping[str, Mapping[str, object]]
) -> dict[str, dict[str, object]]:
    sections: dict[str, dict[str, object]] = {
        "platform": {"run": str(run)},
        "vault": {"listen": "127.0.0.1:0"},
    }
    for name, values in (*world.items(), *more.items()):
        sections.setdefault(name, {}).update(values)
    return sections


def _stand_ins(folder: Path) -> dict[str, dict[str, object]]:
    ports = json.loads((folder / "ports.json").read_bytes())
    return {
        "gateway": {
            "unsafe_resolve": {
                service.host: f"127.0.0.1:{ports[service.value]}" for service in Service if service.encrypted
            },
            "ollama": f"127.0.0.1:{ports[Service.OLLAMA.value]}",
        },
        "node": {"unsafe_extra_ca": str(folder / "ca.pem")},
    }


async def _start_simulator(stack: AsyncExitStack, root: Path) -> tuple[Simulator, Path]:
    folder, supervised = root / "simulator", root / "supervisor"
    folder.mkdir()
    supervised.mkdir()
    supervisor = Supervisor(supervised)
    stack.push_async_callback(supervisor.close)
    await supervisor.start([_StandIns(folder)])
    if supervisor.running["simulator"].phase is not Phase.READY:
        raise TrialError("the stand-ins do not start")
    return Simulator(folder / "admin.sock"), folder


def _secrets(bot: Bot, prompt: str) -> dict[ItemName, Secret[str]]:
    found = {ItemName.PROVIDER_KEY: Secret(bot.key), ItemName.PROMPT: Secret(prompt)}
    if bot.channel is ChannelKind.TELEGRAM:
        found[ItemName.CHANNEL_TOKEN] = Secret(bot.token)
    return found
