"""The list of people in RAM, and its newer versions on their way to the vault.

Who is admitted may talk at once; the vault is told as soon as it answers. What is not kept yet is remembered as edits
and applied again to whatever the vault releases meanwhile, so that a change of the owner's and one of ours both stay.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from clawmates.base.secret import Secret
from clawmates.base.shape import ShapeError
from clawmates.mate.errors import BootError, MateError, StaleError
from clawmates.wire.codes import Code
from clawmates.wire.people import People, PeopleFullError, dump, load

if TYPE_CHECKING:
    from clawmates.wire.vault import OpenItem

    Edit = Callable[[People], People]

FIRST_PAUSE = 1.0
LONGEST_PAUSE = 300.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Handed:
    """What a life of a bot tells the next one of its list."""

    version: int = 0
    kept: People = field(default_factory=People)
    """As the vault has it in that version: it may have been kept after the next life opened its own."""
    unkept: People = field(default_factory=People)
    """Who and what the vault does not have yet."""

    def __post_init__(self) -> None:
        if not 0 <= self.version < 1 << 31:
            raise ValueError("a version is out of range")


@dataclass(slots=True, eq=False, repr=False)
class Register:
    """``put`` keeps a version, ``renew`` gets a new ticket (both raise MateErrors); ``jitter`` is a factor near 1."""

    put: Callable[[int, Secret[str]], Awaitable[None]]
    renew: Callable[[], Awaitable[None]]
    jitter: Callable[[], float]
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep
    keeps: bool = True
    """Whether there is anything to keep at the vault: not at a terminal."""
    people: People = field(default_factory=People)
    version: int = 0
    """The newest version at the vault that is known here; 0 while there is none."""
    readable: bool = True
    """A list that cannot be read admits nobody and is not written over."""
    _kept_people: People = field(default_factory=People)
    """As the vault has it."""
    _edits: list[Edit] = field(default_factory=list)
    _changed: asyncio.Event = field(default_factory=asyncio.Event)
    _kept: asyncio.Event = field(default_factory=asyncio.Event)

    def take(self, item: OpenItem | None) -> None:
        """What a ticket opened; raises :class:`BootError` for a list that cannot be read."""
        if item is None or not self.keeps:
            return
        self.version = item.version
        try:
            self.people, self.readable = load(item.value), True
        except ShapeError:
            self.people, self.readable = People(), False
            raise BootError(Code.PEOPLE_UNREADABLE) from None
        self._kept_people = self.people
        for edit in self._edits:
            with suppress(PeopleFullError):
                self.people = edit(self.people)

    def change(self, edit: Edit) -> None:
        """Changes the list at once, and at the vault as soon as it answers. ``edit`` may be applied again later."""
        if not self.readable:
            return
        self.people = edit(self.people)
        if self.keeps:
            self._edits.append(edit)
            self._kept.clear()
            self._changed.set()

    def hand(self) -> Handed:
        """For the bot's next life."""
        had, now = self._kept_people, self.people
        if not self.readable:
            return Handed()
        if not self._edits:
            return Handed(version=self.version, kept=had)
        people = tuple(person for person in now.people if person not in had.people)
        spent = tuple(salt for salt in now.spent if salt not in had.spent)
        unkept = People(language=now.language, people=people, spent=spent, told=now.told)
        return Handed(version=self.version, kept=had, unkept=unkept)

    def inherit(self, handed: Handed) -> None:
        """What the life before has kept since this one opened the list, and what it could not keep any more."""
        unkept = handed.unkept
        if handed.version > self.version:
            self.version, self.readable = handed.version, True
            self.people = self._kept_people = handed.kept

        def edit(people: People) -> People:
            people = people.admit(*unkept.people, language=unkept.language)
            for salt in unkept.spent:
                people = people.spend(salt)
            return replace(people, told=unkept.told) if unkept.told and people.owner else people

        if unkept != People():
            with suppress(PeopleFullError):
                self.change(edit)

    async def kept(self, seconds: float) -> None:
        """Waits until the vault has every change, ``seconds`` at most."""
        if self._edits:
            with suppress(TimeoutError):
                async with asyncio.timeout(seconds):
                    await self._kept.wait()

    async def run(self) -> None:
        """Keeps what changes, for ever."""
        failures = 0
        while True:
            await self._changed.wait()
            try:
                await self._keep()
                failures = 0
            except StaleError:
                failures += 1
                # The first time at once: the vault has merely been restarted, or the owner was quicker.
                await self._pause(failures - 1)
                with suppress(MateError):
                    await self.renew()
            except MateError:
                failures += 1
                await self._pause(failures)

    async def _keep(self) -> None:
        count, version, people = len(self._edits), self.version + 1, self.people
        if count and self.readable:
            await self.put(version, dump(people))
            del self._edits[:count]
            if version > self.version:
                self.version, self._kept_people = version, people
        if not self._edits or not self.readable:
            self._changed.clear()
            self._kept.set()

    async def _pause(self, failures: int) -> None:
        if failures:
            await self.sleep(min(FIRST_PAUSE * float(1 << min(failures - 1, 10)), LONGEST_PAUSE) * self.jitter())
