"""A mate's life: boot, open the credentials, talk, follow the configuration, stop."""

from __future__ import annotations

import asyncio
import gc
import os
import signal
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from clawmates.base.hardening import quiet_loop
from clawmates.mate.boot import BootFolder, open_items
from clawmates.mate.brain import Brain, think
from clawmates.mate.conversation import Memory
from clawmates.mate.credentials import Credentials
from clawmates.mate.door import Door, News
from clawmates.mate.errors import BootError, MateError
from clawmates.mate.relay import Relay
from clawmates.mate.web import Web
from clawmates.wire.boot import Boot
from clawmates.wire.codes import Code, Event
from clawmates.wire.door import MateConfig
from clawmates.wire.names import ChannelKind

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from clawmates.mate.channels.base import Channel

TIDY_SECONDS = 15.0
DRAIN_SECONDS = 8.0
FAILED = 1


@dataclass(slots=True)
class Mate:
    """One bot. Built once its configuration and credentials are there."""

    door: Door
    folder: BootFolder
    web: Web
    config: MateConfig
    credentials: Credentials
    boot: Boot
    """With the ticket that was shown last."""
    brain: Brain = field(init=False)

    def __post_init__(self) -> None:
        self._think()

    def _think(self) -> None:
        self.brain = think(self.config, self.web, self.credentials, _jitter)

    async def follow(self, bequeath: Callable[[], Awaitable[None]]) -> None:
        """Takes every new configuration, and the ticket that comes with new item versions.

        ``bequeath`` is called when the bot's next life waits for what this one remembers.
        """
        while True:
            try:
                config = await self.door.config(self.config.revision)
                if config is None:
                    continue
                if isinstance(config, News):
                    await bequeath()
                    continue
                if dict(config.items) != dict(self.credentials.versions):
                    await self._renew()
                self.config = config
                self._think()
            except MateError as error:
                await self.door.say(error.event)
                await asyncio.sleep(1)

    async def _renew(self) -> None:
        self.boot = await self.folder.ticket(after=self.boot.ticket.reveal() if self.boot.ticket else "")
        self.credentials.take(await open_items(self.folder, self.boot, self.door))
        await self.door.say(Event(code=Code.OPENED, number=self.boot.mark))

    async def tidy(self) -> None:
        """Closes connections nobody uses, so that an idle mate is a small mate."""
        while True:
            await asyncio.sleep(TIDY_SECONDS)
            self.web.forget_idle()


def _channel(config: MateConfig, mate: Mate) -> Channel:
    """The adapter of the configured channel."""
    if config.channel is ChannelKind.TELEGRAM:
        from clawmates.mate.channels.telegram.api import TelegramApi  # noqa: PLC0415
        from clawmates.mate.channels.telegram.channel import Telegram  # noqa: PLC0415

        return Telegram(TelegramApi(mate.web, mate.credentials), mate.door.say, _jitter)
    if config.channel is ChannelKind.TERMINAL:
        from clawmates.mate.channels.terminal import Terminal  # noqa: PLC0415

        return Terminal(lambda: os.urandom(8).hex())
    raise BootError(Code.BOOT_INVALID)


def _jitter() -> float:
    """A factor between 0.8 and 1.2 that spreads retries."""
    return 0.8 + 0.4 * os.urandom(1)[0] / 255


async def _boot(door: Door, folder: BootFolder) -> Mate:
    boot: Boot = await folder.ticket()
    door.life = boot.generation
    release, config = await asyncio.gather(open_items(folder, boot, door), door.config(0))
    if not isinstance(config, MateConfig) or boot.ticket is None:
        raise BootError(Code.BOOT_INVALID)
    # Node takes the spent ticket out of the folder.
    await door.say(Event(code=Code.OPENED, number=boot.mark))
    credentials = Credentials()
    credentials.take(release)
    return Mate(door, folder, Web(door, folder.public_roots()), config, credentials, boot)


async def _talk(mate: Mate, stop: asyncio.Event) -> None:
    channel = _channel(mate.config, mate)
    loop = asyncio.get_running_loop()
    relay = Relay(channel, mate.door, Memory(loop.time), lambda: mate.brain, mate.credentials.pseudonym)
    gc.collect()
    gc.freeze()
    given, begun = False, asyncio.Event()

    async def serve() -> None:
        if mate.boot.predecessor:
            from clawmates.mate.handover.succeeding import succeed  # noqa: PLC0415 - an idle mate pays nothing for it

            await succeed(mate, relay)
        begun.set()
        await relay.run()

    async def bequeath() -> None:
        from clawmates.mate.handover.giving import give  # noqa: PLC0415 - as above

        nonlocal given
        await begun.wait()  # before that it has nothing to give, or not all of it
        given = await give(mate, relay)
        if given:
            stop.set()

    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(part) for part in (serve(), mate.follow(bequeath), mate.tidy())]
        if mate.config.channel is ChannelKind.TERMINAL:
            await mate.door.say(Event(code=Code.LIVE))
        await stop.wait()
        await mate.door.say(Event(code=Code.STOPPING))
        if not given:
            await relay.drain(DRAIN_SECONDS)
        for task in tasks:
            task.cancel()


async def run(door: Door, folder: BootFolder) -> int:
    """Runs until SIGTERM; the exit code is 0 then, and 1 when the mate could not begin."""
    loop = asyncio.get_running_loop()
    quiet_loop(loop)
    stop = asyncio.Event()
    # Not by the loop's own way, which loads half a MiB of modules to see whether the handler is a coroutine.
    signal.signal(signal.SIGTERM, lambda _number, _frame: loop.call_soon_threadsafe(stop.set))
    booting = asyncio.create_task(_boot(door, folder))
    stopping = asyncio.create_task(stop.wait())
    await asyncio.wait([booting, stopping], return_when=asyncio.FIRST_COMPLETED)
    if not booting.done():
        booting.cancel()
        return 0
    code = 0
    try:
        await _talk(booting.result(), stop)
    except* MateError as errors:
        code = FAILED
        await door.say(_first(errors).event)
    stopping.cancel()
    return code


def _first(errors: BaseExceptionGroup[MateError]) -> MateError:
    first = errors.exceptions[0]
    return _first(first) if isinstance(first, BaseExceptionGroup) else first
