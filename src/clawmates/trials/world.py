"""A throw-away platform's outside, as the proofs use it: bots for every way, hops with masks at their ends."""

from __future__ import annotations

import asyncio
import json
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from clawmates.base.x509 import Names
from clawmates.proofs.errors import ChatError, ProofError
from clawmates.proofs.net.packets import End
from clawmates.selfhost import bots, pki
from clawmates.simulator.client import SimulatorError
from clawmates.simulator.model import Service, TlsMode
from clawmates.trials.guises import OURS, PUBLIC, Masked, Wardrobe
from clawmates.trials.hops import CommandLine, MaskedHop, Switchboard
from clawmates.trials.outside import DNS_NAME, ELSEWHERE, TLS_PORT
from clawmates.trials.outside import PUBLIC as SERVICES
from clawmates.trials.throwaway import Bot, Throwaway, TrialError
from clawmates.wire.names import ChannelKind, Role, ServiceName
from clawmates.wire.status import BotState, BotStatus

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Mapping

    from clawmates.proofs.world import Hop
    from clawmates.trials.outside import Outside

PERSON = 4712
REPLY_SECONDS = 60.0
BACK_SECONDS = 120.0
BETWEEN_LOOKS = 0.5
TALKERS = (
    ("openai", ChannelKind.TERMINAL),
    ("anthropic", ChannelKind.TERMINAL),
    ("google", ChannelKind.TERMINAL),
    ("openai", ChannelKind.TELEGRAM),
    ("openai", ChannelKind.TELEGRAM),
    ("openai", ChannelKind.TELEGRAM),
)
"""Several of Telegram's, because one alone waits ever longer between two tries."""


class StandInWorld:
    """See :class:`~clawmates.proofs.world.World`."""

    def __init__(self, trial: Throwaway, outside: Outside) -> None:
        self._trial = trial
        self._outside = outside
        self._before: tuple[str, ...] = ()
        self._bots = [
            Bot.invent(f"way-{number}", channel, provider) for number, (provider, channel) in enumerate(TALKERS)
        ]
        self._alone = Bot.invent("alone", ChannelKind.TERMINAL, "ollama")
        now, authority = datetime.now(UTC), pki.load_authority(trial.state, datetime.now(UTC))
        region = trial.platform.settings.platform.region
        vault = Names(("vault", "localhost", "127.0.0.1"), (str(ServiceName(region, Role.VAULT, "vault-1")),))
        node = Names((), (str(ServiceName(region, Role.NODE, trial.platform.settings.node.name)),))
        self._masks = {
            name: Masked(Wardrobe.of(authority, vault, now, other=node)) for name in ("node", "gateway", "command line")
        }
        self._switchboard = Switchboard(
            trial.state,
            trial.live.run.ports,
            json.loads(trial.live.run.ports.read_bytes())["vault"],
            trial.live.processes,
            {name: self._masks[name] for name in ("node", "gateway")},
        )
        self._command = CommandLine(trial.state, trial.root / "other-state", self._masks["command line"])

    @property
    def places(self) -> Mapping[End, str]:
        """The servers of the world."""
        return self._outside.places

    @property
    def nowhere(self) -> End:
        """See :class:`~clawmates.proofs.world.World`."""
        return End(ELSEWHERE, TLS_PORT)

    @property
    def asked(self) -> Mapping[str, int]:
        """See :class:`~clawmates.proofs.world.World`."""
        return dict(self._outside.zone.asked)

    @property
    def rounds(self) -> tuple[tuple[Hop, ...], ...]:
        """The servers out there; then their names; then the vault, for node before its mates."""
        out = [self._public(service) for service in SERVICES]
        command = MaskedHop(
            "command line → vault", OURS, self._masks["command line"], self._command.provoke, _nothing, _nothing
        )
        names = MaskedHop(f"resolver → {DNS_NAME}", PUBLIC, self._outside.dns, self._talk, self.refresh, _nothing)
        node = MaskedHop(
            "node → vault", OURS, self._masks["node"], self._restart, self._switchboard.open, self._switchboard.close
        )
        mate = MaskedHop(
            "mate → vault", OURS, self._masks["gateway"], self._restart, self._switchboard.open, self._switchboard.close
        )
        return ((*out, command), (names,), (node,), (mate,))

    def _public(self, service: Service) -> MaskedHop:
        async def detour() -> None:
            self._outside.lead(service, to_mask=True)
            await self._outside.simulator.set_tls(service, TlsMode.GOOD)

        async def back() -> None:
            self._outside.lead(service, to_mask=False)

        async def provoke() -> None:
            if service is Service.TELEGRAM:
                # Its mates call by themselves, for that is where messages come from.
                await asyncio.sleep(BETWEEN_LOOKS)
            else:
                await asyncio.gather(*(self._try(bot) for bot in self._terminals() if bot.provider == service.value))

        return MaskedHop(f"mate → {service.host}", PUBLIC, self._outside.masks[service], provoke, detour, back)

    def _terminals(self) -> list[Bot]:
        return [bot for bot in self._bots if bot.channel is ChannelKind.TERMINAL]

    async def _try(self, bot: Bot) -> None:
        with suppress(ChatError):
            await self._trial.live.chat(bot.name, "anybody there?")

    async def _talk(self) -> None:
        """Every message needs a name looked up, for all connections were cut."""
        await asyncio.gather(*(self._try(bot) for bot in self._terminals()))

    async def _restart(self) -> None:
        """Node starts every bot anew, with a ticket each."""
        for bot in self._bots:
            bots.restart(self._trial.state, bot.name)
        await asyncio.sleep(4 * BETWEEN_LOOKS)

    async def prepare(self) -> None:
        """See :class:`~clawmates.proofs.world.World`."""
        self._before = tuple(self._trial.bots)
        await self._trial.add(self._bots)
        await self._until_live()

    async def _until_live(self) -> None:
        try:
            await self._trial.until_live(*(bot.name for bot in self._bots), seconds=BACK_SECONDS)
        except TrialError as problem:
            raise ProofError(f"the trial's bots do not live: {problem}") from None

    async def refresh(self) -> None:
        """See :class:`~clawmates.proofs.world.World`."""
        for service in SERVICES:
            await self._outside.simulator.set_tls(service, TlsMode.GOOD)
        self._outside.dns.cut()
        self._outside.zone.asked.clear()

    async def converse(self, text: Callable[[int], str]) -> Mapping[str, int]:
        """See :class:`~clawmates.proofs.world.World`."""
        replies: dict[str, int] = {}
        for number, bot in enumerate(self._bots):
            way = f"{bot.channel} → {Service(bot.provider).host}"
            if bot.channel is ChannelKind.TERMINAL:
                reply = await self._trial.live.chat(bot.name, text(number))
            else:
                reply = await self._ask(bot, text(number))
            _check(bot, text(number), reply)
            replies[way] = replies.get(way, 0) + 1
        await self._begin_anew(self._bots[0])
        return replies

    async def _begin_anew(self, bot: Bot) -> None:
        """One bot starts from the beginning: node asks the vault for its ticket, and the mate redeems it."""
        old = (await self._trial.until_live(bot.name))[0].generation
        await self._trial.live.close()
        bots.restart(self._trial.state, bot.name)
        try:
            await self._trial.until(
                bot.name, lambda now: now.state is BotState.LIVE and now.generation > old, seconds=BACK_SECONDS
            )
        except TrialError as problem:
            raise ProofError(f"a bot does not start again: {problem}") from None

    async def _ask(self, bot: Bot, text: str) -> str:
        simulator = self._trial.simulator
        try:
            # What it answered the claim before is no answer to this one.
            before = await simulator.sent(bot.token, PERSON)
            await simulator.say(bot.token, PERSON, text)
            after = before[-1].message_id if before else 0
            return (await simulator.wait_reply(bot.token, PERSON, after=after, timeout=REPLY_SECONDS)).text
        except SimulatorError:
            raise ChatError(f"bot {bot.name} did not answer in Telegram") from None

    async def retreat(self) -> None:
        """See :class:`~clawmates.proofs.world.World`."""
        self._trial.take_out(*(bot.name for bot in self._bots))
        for name in self._before:
            bots.pause(self._trial.state, name, paused=True)
        try:
            await self._trial.add([self._alone])
            await self._trial.until_live(self._alone.name, seconds=BACK_SECONDS)
            await self._trial.until_only(self._alone.name, seconds=BACK_SECONDS)
        except TrialError as problem:
            raise ProofError(f"the trial's bots do not make room: {problem}") from None
        await self.refresh()

    async def converse_alone(self, text: Callable[[int], str]) -> Mapping[str, int]:
        """See :class:`~clawmates.proofs.world.World`."""
        for number in range(2):
            _check(self._alone, text(number), await self._trial.live.chat(self._alone.name, text(number)))
        return {f"{ChannelKind.TERMINAL} → a model on this host": 2}

    async def settle(self) -> None:
        """See :class:`~clawmates.proofs.world.World`."""
        await self._switchboard.close()
        # Their consoles were those of containers that are no more.
        await self._trial.live.close()
        self._trial.take_out(self._alone.name, *(bot.name for bot in self._bots))
        for name in self._before:
            bots.pause(self._trial.state, name, paused=False)
        try:
            for name in self._before:
                await self._trial.until(name, _runs, seconds=BACK_SECONDS)
            # Who comes next must not meet what is just ending.
            await self._trial.until_only(*self._before, seconds=BACK_SECONDS)
        except TrialError as problem:
            raise ProofError(f"the platform does not come back: {problem}") from None


def _check(bot: Bot, text: str, reply: str) -> None:
    """The stand-ins' models repeat what they were told; an apology of the mate's own was never at a model."""
    if text.split(maxsplit=1)[0] not in reply:
        raise ChatError(f"bot {bot.name} gave a reply that is not its model's: see `clawmates status`")


def _runs(bot: BotStatus) -> bool:
    """What its last word was is a matter of what was tried before."""
    return bot.pid != 0 and bot.state in {BotState.LIVE, BotState.DEGRADED}


async def _nothing() -> None:
    return


@asynccontextmanager
async def world_of(trial: Throwaway) -> AsyncIterator[StandInWorld]:
    """The trial's outside, in the hands of its proofs while the block runs. Raises :class:`TrialError`."""
    if trial.outside is None:
        raise TrialError("this trial has no world of its own")
    async with AsyncExitStack() as stack:
        world = StandInWorld(trial, trial.outside)
        await stack.enter_async_context(world._command.ready())  # noqa: SLF001 - born here
        trial.live.world = world
        yield world
