"""A mate's life: boot, open the credentials, talk, follow the configuration, stop."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from dataclasses import InitVar, dataclass, field
from typing import TYPE_CHECKING

from clawmates.base.hardening import quiet_loop
from clawmates.base.secret import Secret
from clawmates.mate.boot import BootFolder, keep_item, open_items
from clawmates.mate.brain import Brain, think
from clawmates.mate.conversation import Memory
from clawmates.mate.credentials import Credentials
from clawmates.mate.door import Door, News
from clawmates.mate.errors import BootError, GoneError, MateError, StaleError
from clawmates.mate.lean import settle
from clawmates.mate.notices import Notices, state
from clawmates.mate.people import Register
from clawmates.mate.relay import Relay
from clawmates.mate.web import Web
from clawmates.wire.boot import Boot
from clawmates.wire.codes import Code, Event
from clawmates.wire.door import MateConfig
from clawmates.wire.names import ChannelKind, ItemName
from clawmates.wire.vault import Release, SessionItem

if TYPE_CHECKING:
    from clawmates.mate.channels.base import Channel
    from clawmates.mate.gate import Gate

TIDY_SECONDS = 15.0
TICKET_SECONDS = 15.0
"""How long a ticket that was asked for is waited for, before it is asked for again."""
NOTICE_SECONDS = 0.3
"""Within which a newer configuration is heard of."""
DRAIN_SECONDS = 8.0
FAILED = 1


@dataclass(slots=True)
class Mate:
    """One bot. Built once its configuration and credentials are there."""

    door: Door
    folder: BootFolder
    web: Web
    config: MateConfig
    boot: Boot
    """With the ticket that was shown last."""
    release: InitVar[Release]
    credentials: Credentials = field(default_factory=Credentials)
    register: Register = field(init=False)
    brain: Brain = field(init=False)
    changed: Callable[[], None] = lambda: None
    """Called when anything is new that an owner may have to hear of."""
    _behind: bool = False
    """A newer configuration is there, and not yet followed."""
    _news: asyncio.Event = field(default_factory=asyncio.Event)
    _session: Secret[str] | None = None
    _renewing: asyncio.Lock = field(default_factory=asyncio.Lock)

    def __post_init__(self, release: Release) -> None:
        keeps = self.config.channel is not ChannelKind.TERMINAL
        self.register = Register(self._keep_people, self._renew_session, _jitter, keeps=keeps)
        self._session = release.session
        self.credentials.take(release)
        self._think()

    def take_people(self, release: Release) -> None:
        """Raises :class:`BootError` for a list that cannot be read, once everything else is in place."""
        self.register.take(next((item for item in release.items if item.name is ItemName.PEOPLE), None))

    def _think(self) -> None:
        self.brain = think(self.config, self.web, self.credentials, _jitter)

    def _tell(self, *, behind: bool) -> None:
        self._behind = behind
        self._news.set()
        self._news = asyncio.Event()

    async def another(self, brain: Brain) -> bool:
        """Whether another brain than that one answers by now; one that is on its way is waited for.

        Gateway shuts the way to a provider and tells of the new one at the same moment; which shows first is chance.
        """
        with suppress(TimeoutError):
            async with asyncio.timeout(NOTICE_SECONDS):
                while self.brain is brain and not self._behind:
                    await self._news.wait()
        with suppress(TimeoutError):
            async with asyncio.timeout(TICKET_SECONDS):
                while self._behind:
                    await self._news.wait()
        return self.brain is not brain

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
                self._tell(behind=True)
                async with self._renewing:
                    # One that lies there unused would be too old when the next is waited for.
                    if not self._holds(config.items) or self.folder.has_news(after=self._ticket):
                        await self._renew()
                self.config = config
                self._think()
                self._tell(behind=False)
                self.changed()
            except GoneError:
                raise  # nobody may be left to end this container
            except MateError as error:
                await self.door.say(error.event)
                await asyncio.sleep(1)

    def _holds(self, items: Mapping[ItemName, int]) -> bool:
        """Whether these versions are held; of the people, whom the mate admits itself, these or newer ones."""
        people = items.get(ItemName.PEOPLE, 0) if self.register.keeps else 0
        others = {name: version for name, version in items.items() if name is not ItemName.PEOPLE}
        return others == dict(self.credentials.versions) and people <= self.register.version

    @property
    def _ticket(self) -> str:
        return self.boot.ticket.reveal() if self.boot.ticket else ""

    async def _renew(self) -> None:
        self.boot = await self.folder.ticket(after=self._ticket)
        release = await open_items(self.folder, self.boot, self.door, session=self.register.keeps)
        self._session = release.session
        self.credentials.take(release)
        await self.door.say(Event(code=Code.OPENED, number=self.boot.mark))
        self.take_people(release)

    async def _keep_people(self, version: int, text: Secret[str]) -> None:
        if self._session is None:
            raise StaleError(Code.TICKET_REFUSED)
        item = SessionItem(bot=self.boot.bot, session=self._session, version=version, value=text)
        await keep_item(self.folder, self.boot, self.door, ItemName.PEOPLE, item)

    async def _renew_session(self) -> None:
        """A new ticket, and with it the newest list and a session; raises :class:`BootError`."""
        stale = self._session
        async with self._renewing:
            if self._session is not stale:
                return
            await self.door.say(Event(code=Code.TICKET_WANTED))
            try:
                async with asyncio.timeout(TICKET_SECONDS):
                    await self._renew()
            except TimeoutError:
                raise BootError(Code.VAULT_UNREACHABLE) from None
        self._think()
        self.changed()

    def state(self) -> dict[str, str]:
        """What its owner hears of when it changes."""
        return state(self.config, self.credentials.versions, len(self.register.people.people))

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


def _guard(mate: Mate, admitted: Callable[[], None]) -> Gate | None:
    """A terminal's console is the operator's own."""
    if mate.config.channel is ChannelKind.TERMINAL:
        return None
    from clawmates.mate.gate import Gate  # noqa: PLC0415

    now = asyncio.get_running_loop().time
    return Gate(mate.boot.bot, lambda: mate.config, mate.register, now, _moment, admitted)


def _moment() -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())


async def _boot(door: Door, folder: BootFolder) -> Mate:
    boot = await folder.ticket()
    door.life = boot.generation
    config = await door.config(0)
    if not isinstance(config, MateConfig) or boot.ticket is None:
        raise BootError(Code.BOOT_INVALID)
    release = await open_items(folder, boot, door, session=config.channel is not ChannelKind.TERMINAL)
    # Node takes the spent ticket out of the folder.
    await door.say(Event(code=Code.OPENED, number=boot.mark))
    mate = Mate(door, folder, Web(door, folder.public_roots()), config, boot, release)
    try:
        mate.take_people(release)
    except BootError as error:
        await door.say(error.event)
    return mate


async def _talk(mate: Mate, stop: asyncio.Event) -> None:
    channel = _channel(mate.config, mate)
    loop = asyncio.get_running_loop()
    terminal = mate.config.channel is ChannelKind.TERMINAL
    notices = Notices(channel, mate.register, mate.state, anybody=terminal)
    guard = _guard(mate, notices.look)
    relay = Relay(
        channel,
        mate.door,
        Memory(loop.time),
        lambda: mate.brain,
        mate.credentials.pseudonym,
        guard,
        another=mate.another,
    )
    settle()
    given, begun = False, asyncio.Event()

    async def serve() -> None:
        if mate.boot.predecessor:
            from clawmates.mate.handover.succeeding import succeed  # noqa: PLC0415 - an idle mate pays nothing for it

            await succeed(mate, relay)
        begun.set()
        # Not before: its life before tells its owner, as long as it is the one who talks.
        mate.changed = notices.look
        notices.look()
        await relay.run()

    async def bequeath() -> None:
        from clawmates.mate.handover.giving import give  # noqa: PLC0415 - as above

        nonlocal given
        await begun.wait()  # before that it has nothing to give, or not all of it
        given = await give(mate, relay)
        if given:
            stop.set()

    async with asyncio.TaskGroup() as group:
        parts = (serve(), mate.follow(bequeath), mate.tidy(), notices.run(), mate.register.run())
        tasks = [group.create_task(part) for part in parts]
        if terminal:
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
