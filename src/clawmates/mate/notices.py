"""What has changed about the bot: its paired owner is told, in words, once, also when it changed while it was down.

Names and versions are compared, never content. What the owner was told last is a part of the list of people; it is
written after the message was sent, so a crash in between repeats a notice rather than losing it.
"""

from __future__ import annotations

import asyncio
from binascii import crc32
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from clawmates.base.shape import encode_json
from clawmates.mate.channels.base import Channel
from clawmates.mate.errors import ChannelError
from clawmates.mate.people import Register
from clawmates.mate.texts import of
from clawmates.wire.codes import Code

if TYPE_CHECKING:
    from clawmates.wire.door import MateConfig
    from clawmates.wire.names import ItemName


def state(config: MateConfig, versions: Mapping[ItemName, int], people: int) -> dict[str, str]:
    """What an owner hears of when it changes; ``people`` is how many may talk to the bot."""
    spare = config.fallback
    limits = crc32(encode_json((config.limits, config.output_tokens)))
    return {
        "provider": config.provider,
        "model": config.model,
        "fallback": f"{spare.model} ({spare.provider})" if spare is not None else "",
        "limits": f"{limits:x}",
        "access": config.access.value,
        "people": str(people),
        **{name.value: str(version) for name, version in versions.items()},
    }


def sentences(was: Mapping[str, str], now: Mapping[str, str], language: str) -> str:
    """The difference in words, as Markdown; empty where there is none that has any."""
    words = of(language)
    lines = []
    for name, sentence in words.changes.items():
        before, after = (tuple(state.get(one, "") for one in name.split("+")) for state in (was, now))
        if before != after:
            gone = words.taken_away.get(name) if not any(after) else None
            shown = {key: value.replace("`", "'") for key, value in now.items() if key.isalpha()}
            shown["access"] = words.accesses.get(now.get("access", ""), "")
            lines.append(f"- {gone or sentence.format(**shown)}")
    return "\n".join((words.changed, "", *lines, "", words.changed_by_whom)) if lines else ""


@dataclass(slots=True, eq=False, repr=False)
class Notices:
    """``state`` is what the bot is now. Wakes at :meth:`look`.

    ``anybody`` is told where there is no owner to be paired: at a terminal.
    """

    channel: Channel
    register: Register
    state: Callable[[], dict[str, str]]
    anybody: bool = False
    _news: asyncio.Event = field(default_factory=asyncio.Event)

    def look(self) -> None:
        """Something may have changed."""
        self._news.set()

    async def run(self) -> None:
        """Tells what changes, for ever."""
        while True:
            await self._news.wait()
            self._news.clear()
            await self._tell()

    async def _tell(self) -> None:
        people, now = self.register.people, self.state()
        if people.told == now or not (people.owner or self.anybody):
            return
        # An owner who was told nothing yet begins with what is.
        text = sentences(people.told, now, people.language) if people.told else ""
        if text:
            try:
                await self.channel.tell(people.owner, text)
            except ChannelError as error:
                if error.code is not Code.PERSON_UNREACHABLE:
                    return
        self.register.change(lambda people: replace(people, told=now) if people.owner or self.anybody else people)
        self.look()
