"""What the vault released to this mate, each usable for the hosts it is bound to and no other."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import TYPE_CHECKING

from clawmates.base.secret import Secret
from clawmates.mate.errors import BootError
from clawmates.wire.codes import Code
from clawmates.wire.names import ItemName
from clawmates.wire.vault import OpenItem

if TYPE_CHECKING:
    from collections.abc import Mapping

    from clawmates.wire.vault import Release

_KEY_BYTES = 64
"""The longest key that BLAKE2b takes."""
_NAME_BYTES = 16


@dataclass(slots=True)
class Credentials:
    """Replaced whole by what the next ticket opens."""

    kin: Secret[str] | None = None
    """What other lives of this bot are known by; see :mod:`clawmates.mate.handover.proof`."""
    _items: dict[ItemName, OpenItem] = field(default_factory=dict)
    taken: int = 0
    """How many releases there have been."""
    _replaced: asyncio.Event = field(default_factory=asyncio.Event)

    def take(self, release: Release) -> None:
        """Takes what a ticket opened, and forgets everything else: what its owner took away is gone.

        The list of people is not held here but in :class:`clawmates.mate.people.Register`.
        """
        self._items = {item.name: item for item in release.items if item.name is not ItemName.PEOPLE}
        self.kin = release.kin or self.kin
        self.taken += 1
        self._replaced.set()
        self._replaced = asyncio.Event()

    async def replaced(self, since: int) -> None:
        """Waits until more than ``since`` releases were taken: what was refused may be right then."""
        while self.taken <= since:
            await self._replaced.wait()

    @property
    def versions(self) -> Mapping[ItemName, int]:
        """What is held, by version."""
        return {name: item.version for name, item in self._items.items()}

    def for_host(self, name: ItemName, host: str) -> str:
        """The credential, opened for one host; raises :class:`BootError` when it may not go there."""
        item = self._items.get(name)
        if item is None:
            raise BootError(Code.ITEM_MISSING)
        if host not in item.hosts:
            raise BootError(Code.HOST_NOT_ALLOWED)
        return item.value.reveal()

    def pseudonym(self, chat: str) -> str:
        """A name for a chat that is the same in the bot's next life and tells nobody outside whose it is.

        A keyed hash (RFC 7693) under the channel's own credential; empty where a channel has none: its chats do not
        outlive the mate.
        """
        token = self._items.get(ItemName.CHANNEL_TOKEN)
        if token is None:
            return ""
        key = token.value.reveal().encode()[:_KEY_BYTES]
        return blake2b(chat.encode(), key=key, person=b"clawmates-chat", digest_size=_NAME_BYTES).hexdigest()

    @property
    def prompt(self) -> str:
        """The owner's instructions, or none."""
        item = self._items.get(ItemName.PROMPT)
        return item.value.reveal() if item is not None else ""
