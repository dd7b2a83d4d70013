"""Who may talk to the bot: asked before anything is done with a message, and before it costs anything."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from clawmates.mate.commands import Command, command
from clawmates.mate.people import Register
from clawmates.mate.texts import of
from clawmates.wire.desired import Access
from clawmates.wire.door import MateConfig
from clawmates.wire.people import PeopleFullError

if TYPE_CHECKING:
    from clawmates.mate.messages import Inbound
    from clawmates.mate.people import Handed
    from clawmates.wire.desired import Pairing
    from clawmates.wire.people import People

STRANGERS = 1000
"""So many are remembered as told, and as many as having tried a code; of more, the oldest are forgotten."""
TRIES = 5
TRY_SECONDS = 720.0
"""One person tries five codes at once, then five an hour."""
ALL_TRIES = 10
ALL_TRY_SECONDS = 5.0
"""All together ten at once, then one every five seconds: a try costs up to a third of a second of CPU."""
GRACE_SECONDS = 3.0
"""How long a code that fits nothing waits for the configuration with its hash, which may be on its way."""
LOOK_SECONDS = 0.1
KEPT_SECONDS = 3.0
"""How long an admission waits for the vault's word before the person hears of it."""


@dataclass(slots=True, eq=False, repr=False)
class Gate:
    """One bot's. ``now`` gives monotonic seconds, ``moment`` the wall clock in the form of a pairing's end."""

    bot: str
    config: Callable[[], MateConfig]
    register: Register
    now: Callable[[], float]
    moment: Callable[[], str]
    admitted: Callable[[], None] = lambda: None
    """Called when somebody was let in."""
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep
    _told: OrderedDict[str, None] = field(default_factory=OrderedDict)
    _tries: OrderedDict[str, float] = field(default_factory=OrderedDict)
    _all_tries: float = 0.0

    def admits(self, inbound: Inbound) -> bool:
        """Whether the person may talk to the bot."""
        return self.config().access is Access.OPEN or inbound.person in self.register.people.people

    async def ask(self, inbound: Inbound) -> str | None:
        """``None``: the message goes its way. Else all that there is to say to it, which may be nothing."""
        admitted = self.admits(inbound)
        if code := self._code(inbound, admitted=admitted):
            said = await self._try(inbound, code)
            if said is not None or not admitted:
                return said or ""
        if admitted:
            self._listen(inbound)
            return None
        return self._pass_over(inbound)

    def hand(self) -> Handed:
        """See :meth:`Register.hand`."""
        return self.register.hand()

    def inherit(self, handed: Handed) -> None:
        """See :meth:`Register.inherit`."""
        self.register.inherit(handed)

    def _pending(self) -> tuple[Pairing, ...]:
        config, moment = self.config(), self.moment()
        if config.access is Access.LIST or not self.register.readable:
            return ()
        return tuple(one for one in config.pairings if one.pends(moment))

    def _code(self, inbound: Inbound, *, admitted: bool) -> str:
        """The code in a message; in a group it would be seen by all, so there it is none."""
        if not inbound.private or not inbound.person or self.config().access is Access.LIST:
            return ""
        if admitted and not self._pending():
            return ""
        from clawmates.wire.pairing import read  # noqa: PLC0415 - most messages of most lives come after all codes

        text = inbound.text
        return read(text.partition(" ")[2] if command(text) is Command.START else text)

    async def _try(self, inbound: Inbound, code: str) -> str | None:
        """What to say to a code; ``None`` where the word of somebody who may talk anyway was none."""
        person, words = inbound.person, of(inbound.language)
        known = self.admits(inbound)
        if not self._may_try(person):
            return None if known else self._once(f"{person} tries", words.code_later)
        config = self.config()
        found = await self._find(code)
        if found is None and not known and await self._newer(config):
            found = await self._find(code)
        people = self.register.people
        if found is None:
            return None if known else words.code_wrong
        if person in people.people:
            return words.code_known
        if found.salt in people.spent:
            return words.code_wrong
        salt, language = found.salt, inbound.language

        def edit(people: People) -> People:
            return people.admit(person, language=language).spend(salt)

        try:
            self.register.change(edit)
        except PeopleFullError:
            return words.people_full
        self.admitted()
        await self.register.kept(KEPT_SECONDS)
        return words.welcome_owner if self.register.people.owner == person else words.welcome

    async def _find(self, code: str) -> Pairing | None:
        from clawmates.wire.pairing import find  # noqa: PLC0415

        pending = self._pending()
        # On a thread: the hash is slow on purpose, and others are being answered.
        return await asyncio.to_thread(find, self.bot, code, pending) if pending else None

    async def _newer(self, config: MateConfig) -> bool:
        """Waits a little for a newer configuration than this one; whether one came."""
        for _ in range(round(GRACE_SECONDS / LOOK_SECONDS)):
            if self.config() is not config:
                return True
            await self.sleep(LOOK_SECONDS)
        return False

    def _may_try(self, person: str) -> bool:
        """Takes a try of the person's and one of all, where both are left (the generic cell rate algorithm)."""
        now = self.now()
        own, all_tries = max(self._tries.get(person, 0.0), now), max(self._all_tries, now)
        if own - now > (TRIES - 1) * TRY_SECONDS or all_tries - now > (ALL_TRIES - 1) * ALL_TRY_SECONDS:
            return False
        self._all_tries = all_tries + ALL_TRY_SECONDS
        self._tries[person] = own + TRY_SECONDS
        self._tries.move_to_end(person)
        while len(self._tries) > STRANGERS:
            self._tries.popitem(last=False)
        return True

    def _pass_over(self, inbound: Inbound) -> str:
        """A stranger hears one line, and in a group nothing: there it is others who talk to the bot."""
        if not inbound.private or not inbound.person:
            return ""
        words = of(inbound.language)
        if command(inbound.text) is Command.PRIVACY:
            return self._once(f"{inbound.person} privacy", words.stranger_privacy)
        paired = self.config().access is Access.PAIRED
        return self._once(inbound.person, words.stranger_code if paired else words.stranger)

    def _once(self, whom: str, text: str) -> str:
        if whom in self._told:
            return ""
        self._told[whom] = None
        while len(self._told) > STRANGERS:
            self._told.popitem(last=False)
        return text

    def _listen(self, inbound: Inbound) -> None:
        """The owner's language is that of their newest message."""
        people, language = self.register.people, inbound.language
        if inbound.person == people.owner and language not in {"", people.language}:
            from dataclasses import replace  # noqa: PLC0415

            self.register.change(lambda people: replace(people, language=language if people.owner else ""))
