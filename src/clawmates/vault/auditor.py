"""The vault's audit chain at work: entries are written in batches, heads signed, counterparts' signatures kept."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, TypeVar

from clawmates.vault.ledger import CONTROL
from clawmates.vault.recorder import Recorder
from clawmates.vault.store import RefusedError
from clawmates.wire.audit import EMPTY, Entries, Head, Lines
from clawmates.wire.names import Role
from clawmates.wire.vault import VaultRefusal

if TYPE_CHECKING:
    from collections.abc import Callable

    from clawmates.base.clock import Clock
    from clawmates.vault.ledger import Ledger
    from clawmates.wire.audit import About, Line, SignedHead, Witness, Witnesses
    from clawmates.wire.names import ServiceName
    from clawmates.wire.notary import Notary
    from clawmates.wire.vault_deeds import Detail, Resumed, Tag

T = TypeVar("T")
COUNTERPARTS = (Role.NODE, Role.CONTROL)


class Stored(Protocol):
    """Runs work on the store's thread; raises :class:`RefusedError`."""

    async def __call__(self, work: Callable[[], T], /) -> T:
        """What ``work`` returned."""
        ...


def counterpart(caller: ServiceName) -> str:
    """Under which name a counterpart's words are kept."""
    return caller.name if caller.role is Role.NODE else CONTROL


class Auditor:
    """Every method may raise :class:`RefusedError`."""

    def __init__(self, ledger: Ledger, stored: Stored, clock: Clock) -> None:
        self.notary: Notary | None = None
        """Signs heads; without one there is no countersigning."""
        self.order: Callable[[], Resumed | None] = lambda: None
        """Root's order to have countersigning begun anew."""
        self._followed: Resumed | None = None
        self.ledger = ledger
        self._stored = stored
        self._clock = clock
        self._recorder = Recorder(lambda notes: stored(lambda: ledger.append(notes)), clock)

    async def record(self, tag: Tag, detail: Detail) -> None:
        """Returns when the entry is on the disk."""
        await self._recorder.write(tag, detail)

    async def head(self, number: int) -> SignedHead:
        """The chain's head, signed, and the head it had at ``number``."""
        notary = self._notary()

        def look() -> SignedHead:
            self._resume()
            before = self.ledger.at(number)
            if before is None:
                raise RefusedError(VaultRefusal.DIVERGED)
            return notary.sign(self.ledger.head(), before, self._clock.now())

        return await self._stored(look)

    async def witness(self, caller: ServiceName, witness: Witness) -> None:
        """Keeps a counterpart's signature of a head; one that contradicts the chain is refused."""
        notary = self._notary()

        def keep() -> bool:
            if notary.witnessed_by(witness, self._clock.now(), *COUNTERPARTS) != caller:
                raise RefusedError(VaultRefusal.MALFORMED)
            return self.ledger.add_witness(counterpart(caller), witness)

        if not await self._stored(keep):
            raise RefusedError(VaultRefusal.DIVERGED)

    async def control_head(self) -> Witness:
        """The vault's word, given anew, on the head of control's that it has signed last."""
        notary = self._notary()

        def look() -> Witness:
            return self._word(notary, self.ledger.last_control_head())

        return await self._stored(look)

    async def countersign(self, caller: ServiceName, said: SignedHead) -> Witness:
        """Signs control's head and keeps it; one that does not follow from the one before is refused."""
        notary = self._notary()

        def keep() -> Witness:
            if notary.said_by(said, self._clock.now(), Role.CONTROL) != caller:
                raise RefusedError(VaultRefusal.MALFORMED)
            line = self.ledger.add_control_head(said)
            if line is None:
                raise RefusedError(VaultRefusal.DIVERGED)
            return self._word(notary, line)

        return await self._stored(keep)

    async def control_heads(self, after: int) -> Lines:
        """A page of the vault's own list of control's heads."""
        return Lines(lines=await self._stored(lambda: self.ledger.control_heads(after)))

    async def about(self, question: About) -> Entries:
        """The newest entries about some bots, the newest first."""
        return Entries(entries=await self._stored(lambda: self.ledger.about(question)))

    def _resume(self) -> None:
        """Looked at whenever a counterpart asks for the head: whoever shall begin anew does so first."""
        order = self.order()
        if order is not None and order != self._followed:
            self.ledger.resume(order, self._clock.now())
            self._followed = order

    def _word(self, notary: Notary, line: Line | None) -> Witness:
        head, mine = (EMPTY, EMPTY) if line is None else (line.said.head, Head(number=line.number, hash=line.hash))
        return notary.countersign(head, mine, self._clock.now())

    async def entries(self, after: int) -> Entries:
        """A page of the chain."""
        return Entries(entries=await self._stored(lambda: self.ledger.entries(after)))

    async def witnesses(self, after: int) -> Witnesses:
        """A page of what counterparts signed."""
        return await self._stored(lambda: self.ledger.witnesses(after))

    def _notary(self) -> Notary:
        if self.notary is None:
            raise RefusedError(VaultRefusal.NOT_ALLOWED)
        return self.notary
