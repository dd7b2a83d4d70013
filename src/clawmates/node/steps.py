"""The steps themselves: each talks to engine, gateway and vault for one bot, and leaves nothing half-done."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from clawmates.base.clock import Clock
from clawmates.node.boot import BootFolders, Ticketed
from clawmates.node.engines.base import ContainerSpec, Engine, EngineError, Running
from clawmates.node.facts import Facts, FactsUnavailableError
from clawmates.node.gateway import GatewayControl
from clawmates.node.isolation import judge, settling, sound
from clawmates.node.leases import Leases
from clawmates.node.tickets import TicketError, TicketOffice
from clawmates.node.turns import Turns, cores
from clawmates.wire.boot import Boot
from clawmates.wire.codes import Trouble
from clawmates.wire.door import DoorSpec
from clawmates.wire.names import ItemName
from clawmates.wire.status import Finding
from clawmates.wire.vault import Ticket, TicketRequest

if TYPE_CHECKING:
    from pathlib import Path


LOOK_SECONDS = 0.03
"""A look takes some milliseconds, which the mate that is just starting could use, and stops it for a moment."""
GLANCE_SECONDS = 0.01
GLANCES = 50
"""So often one asks whether another look is worth it, before one looks all the same."""
STARTS_A_CORE = 3
"""A start holds a ticket, which is good for 60 s: nobody asks for one and then queues."""
SETTLE_SECONDS = 2.0
"""How long the walls may take to stand."""
HARDEN_SECONDS = 15.0
"""How long the program itself may take to start and harden, on a machine that starts hundreds. No ticket until then."""
GRACE_SECONDS = 10


class StepFailedError(Exception):
    """A step could not be done; nothing of it is left."""

    def __init__(self, trouble: Trouble, findings: tuple[Finding, ...] = ()) -> None:
        self.trouble = trouble
        self.findings = findings
        super().__init__(trouble.value)


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """A bot to start."""

    bot: str
    generation: int
    container: ContainerSpec
    door: DoorSpec
    items: Mapping[ItemName, int]
    ticket_first: bool
    """The vault was the trouble last time: no container before it has answered."""
    predecessor: int = 0
    """The generation of a container of the bot that lives on until this one can take its place."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Started:
    """A container that was read back."""

    running: Running
    findings: tuple[Finding, ...]
    written: int
    """Bytes that it had written by then."""


@dataclass(slots=True)
class Steps:
    """``look`` reads a container's facts from the kernel."""

    engine: Engine
    gateway: GatewayControl
    vault: TicketOffice
    boot: BootFolders
    look: Callable[[ContainerSpec, Running], Facts]
    clock: Clock
    region: str
    vault_name: str
    settle_seconds: float = SETTLE_SECONDS
    harden_seconds: float = HARDEN_SECONDS
    leases: Leases | None = None
    """Told of the lease that comes with each ticket."""
    hardened: Callable[[ContainerSpec, Running], bool] = lambda _spec, _running: True
    """Whether the program may have hardened itself by now: costs next to nothing, decides but when to look."""
    _starts: Turns = field(default_factory=lambda: Turns(STARTS_A_CORE * cores()))

    async def start(self, order: Order) -> Started:
        """Door, container, read-back, ticket, in this order: a container is sound before it can open anything.

        The ticket is asked for while the container starts, which saves time and tells nobody anything.
        Raises :class:`StepFailedError` and ``GatewayError``.
        """
        async with self._starts.turn():
            return await self._start(order)

    async def _start(self, order: Order) -> Started:
        await self.open(order.door)
        gid = order.container.user_outside
        self.boot.prepare(self._boot(order, None), gid)
        if order.ticket_first:
            answer = await self._ask(order.bot, order.generation, order.items)
            if isinstance(answer, TicketError):
                raise StepFailedError(answer.trouble)
            up = await self._bring_up(order.container)
        else:
            answer, up = await asyncio.gather(
                self._ask(order.bot, order.generation, order.items), self._bring_up(order.container)
            )
        if isinstance(up, StepFailedError):
            raise up
        if isinstance(answer, TicketError):
            await self._discard(order.container.name)
            raise StepFailedError(answer.trouble)
        self.boot.write(self._boot(order, answer), gid)
        self.boot.note(order.bot, Ticketed(generation=order.generation, items=dict(order.items), written=up.written))
        return up

    async def open(self, door: DoorSpec) -> None:
        """Opens or updates a door, for as long as the bot's lease lasts. Raises ``GatewayError``."""
        until = self.leases.door(door.bot, self.clock.monotonic()) if self.leases is not None else None
        await self.gateway.put(replace(door, until=until))

    async def check(self, spec: ContainerSpec, running: Running) -> Started:
        """Reads an adopted container back; a weak one is killed. Raises :class:`StepFailedError`."""
        read = await self._read_back(spec, running)
        if not sound(read.findings):
            await self._discard(running.name)
            raise StepFailedError(Trouble.ISOLATION_WEAK, read.findings)
        return read

    async def ticket(self, bot: str, wanted: Ticketed, gid: int) -> None:
        """A new ticket for a running container. Raises :class:`StepFailedError`."""
        answer = await self._ask(bot, wanted.generation, wanted.items)
        if isinstance(answer, TicketError):
            raise StepFailedError(answer.trouble)
        before = self.boot.read(bot, wanted.generation)
        fresh = self._fresh(bot, wanted.generation, before.predecessor if before is not None else 0)
        self.boot.write(replace(fresh, ticket=answer.ticket), gid)
        self.boot.note(bot, wanted)

    def crown(self, bot: str, generation: int, gid: int) -> None:
        """Tells a container that it is its bot's only one now, and forgets the others. Raises ``OSError``."""
        boot = self.boot.read(bot, generation) or self._fresh(bot, generation, 0)
        self.boot.write(replace(boot, predecessor=0), gid)
        for life in self.boot.lives(bot):
            if life != generation:
                self.boot.drop(bot, life)

    def lived(self, bot: str, generation: int) -> None:
        """Notes that a container has said that it lives, for a node that is restarted. Raises ``OSError``."""
        noted = self.boot.noted(bot, generation)
        if noted is not None:
            self.boot.note(bot, replace(noted, lived=True))

    def spent(self, bot: str, generation: int, mark: int, gid: int) -> None:
        """Takes the ticket with that mark out of the boot folder, if it is the one that lies there."""
        boot = self.boot.read(bot, generation)
        if boot is not None and boot.ticket is not None and boot.mark == mark:
            self.boot.write(replace(boot, ticket=None), gid)

    async def stop(self, name: str, grace_seconds: int = GRACE_SECONDS) -> None:
        """Ends a container. Raises :class:`StepFailedError`."""
        try:
            await self.engine.stop(name, grace_seconds)
        except EngineError as error:
            raise StepFailedError(error.trouble) from None

    def forget(self, bot: str, door: Path) -> None:
        """Removes the bot's folders; the gateway has left its own empty."""
        self.boot.remove(bot)
        shutil.rmtree(door, ignore_errors=True)

    async def _bring_up(self, spec: ContainerSpec) -> Started | StepFailedError:
        try:
            running = await self.engine.start(spec)
        except EngineError as error:
            return StepFailedError(error.trouble)
        try:
            read = await self._read_back(spec, running)
        except StepFailedError as error:
            await self._discard(spec.name)
            return error
        if sound(read.findings):
            return read
        await self._discard(spec.name)
        return StepFailedError(Trouble.ISOLATION_WEAK, read.findings)

    async def _read_back(self, spec: ContainerSpec, running: Running) -> Started:
        """The findings as soon as all are good, or when patience is over."""
        image = Finding(name="image", wanted=spec.image, found=running.image, ok=spec.image == running.image)
        began = self.clock.monotonic()
        while True:
            try:
                facts = self.look(spec, running)
                findings = (image, *judge(spec, facts))
            except FactsUnavailableError:
                # It has ended, or the kernel does not tell; either way it gets no ticket.
                raise StepFailedError(Trouble.CRASHING) from None
            patience = self.harden_seconds if settling(findings) else self.settle_seconds
            if sound(findings) or self.clock.monotonic() - began > patience:
                return Started(running=running, findings=findings, written=facts.written)
            await asyncio.sleep(LOOK_SECONDS)
            if settling(findings):
                await self._until_hardened(spec, running)

    async def _until_hardened(self, spec: ContainerSpec, running: Running) -> None:
        for _glance in range(GLANCES):
            if self.hardened(spec, running):
                return
            await asyncio.sleep(GLANCE_SECONDS)

    async def _ask(self, bot: str, generation: int, items: Mapping[ItemName, int]) -> Ticket | TicketError:
        asked_at = self.clock.monotonic()
        try:
            ticket = await self.vault.ticket(TicketRequest(bot=bot, generation=generation, items=dict(items)))
        except TicketError as error:
            return error
        if self.leases is not None:
            with suppress(OSError):  # A full tmpfs costs the memory of it after a restart, not the lease's end now.
                self.leases.granted(bot, asked_at, ticket.lease)
        return ticket

    def _boot(self, order: Order, ticket: Ticket | None) -> Boot:
        fresh = self._fresh(order.bot, order.generation, order.predecessor)
        return replace(fresh, ticket=ticket.ticket if ticket is not None else None)

    def _fresh(self, bot: str, generation: int, predecessor: int) -> Boot:
        return Boot(bot=bot, region=self.region, generation=generation, vault=self.vault_name, predecessor=predecessor)

    async def _discard(self, name: str) -> None:
        try:
            await self.engine.stop(name, 0)
        except EngineError as error:
            raise StepFailedError(error.trouble) from None
