"""Looks after the keys while the vault serves: does :mod:`clawmates.vault.chores` step by step, and tells of it."""

from __future__ import annotations

import asyncio
from base64 import b64encode
from typing import TYPE_CHECKING, Protocol, TypeVar

from clawmates.vault import destruction as destructions
from clawmates.vault import rotation
from clawmates.vault.chores import COLLECT_SECONDS, Done, step
from clawmates.vault.store import RefusedError
from clawmates.wire.receipt import ReceiptKey
from clawmates.wire.upkeep import KeysStatus, Trouble
from clawmates.wire.vault import VaultRefusal

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from clawmates.base.clock import Clock
    from clawmates.vault.store import Store
    from clawmates.wire.upkeep import RotationRequest

T = TypeVar("T")

RETRY_SECONDS = 5.0
IDLE_SECONDS = 600.0
"""How often it looks for keys that have expired."""
TROUBLE: dict[VaultRefusal, Trouble] = {
    VaultRefusal.STORAGE_FAILED: Trouble.STORAGE_FAILED,
    VaultRefusal.MASTER_UNAVAILABLE: Trouble.MASTER_UNAVAILABLE,
    VaultRefusal.KEYS_COPY_FAILED: Trouble.KEYS_COPY_FAILED,
}
"""What a step may fail with, and what is then said."""


class OnStore(Protocol):
    """Runs work on the store's thread; its failures are :class:`RefusedError`."""

    def __call__(self, work: Callable[[], T], /) -> Awaitable[T]:
        """The result of ``work``."""
        ...


class Upkeep:
    """``told`` hears of every step that was done, and of every trouble when it begins."""

    def __init__(
        self, store: Store, run: OnStore, clock: Clock, told: Callable[[Done | Trouble], Awaitable[None]]
    ) -> None:
        self._store = store
        self._run = run
        self._clock = clock
        self._told = told
        self._wake = asyncio.Event()
        self._hurry = asyncio.Event()
        self._trouble: Trouble | None = None

    def later(self) -> None:
        """Something was left to do that may wait a little."""
        self._wake.set()

    async def rotate(self, request: RotationRequest) -> KeysStatus:
        """Begins a rotation; it goes on by itself, through restarts. Raises :class:`RefusedError`."""
        await self._run(lambda: self._store.begin_rotation(request, self._clock.now()))
        self._wake.set()
        self._hurry.set()
        return await self.status()

    async def status(self) -> KeysStatus:
        """How the keys are."""

        def look() -> KeysStatus:
            keys = self._store.keys
            return KeysStatus(
                region=keys.region,
                master=keys.master.id,
                intake_key=keys.intake_key().id,
                intake_keys_honoured=keys.honoured_intake(),
                rotations=rotation.under_way(keys),
                destroying=len(destructions.pending(keys)),
                trouble=() if self._trouble is None else (self._trouble,),
            )

        return await self._run(look)

    async def receipt_key(self) -> ReceiptKey:
        """The public key that receipts are checked with."""
        key = await self._run(self._store.keys.signing_key)
        return ReceiptKey(key_id=key.id, region=self._store.keys.region, public=b64encode(key.public).decode())

    async def keep(self) -> None:
        """Works for ever: at once what is urgent, after a while what may be collected, again what failed."""
        while True:
            done = await self.work()
            try:
                async with asyncio.timeout(IDLE_SECONDS if done else RETRY_SECONDS):
                    await self._wake.wait()
                async with asyncio.timeout(COLLECT_SECONDS):
                    await self._hurry.wait()
            except TimeoutError:
                pass
            self._wake.clear()
            self._hurry.clear()

    async def work(self) -> bool:
        """Does all there is to do; ``False`` when something stands in the way, which :meth:`status` then names."""
        try:
            while (done := await self._run(lambda: step(self._store, self._clock.now()))) is not None:
                self._trouble = None
                await self._told(done)
        except RefusedError as refused:
            await self._note(TROUBLE.get(refused.refusal, Trouble.STORAGE_FAILED))
            return False
        self._trouble = None
        return True

    async def finish(self) -> None:
        """Before anyone is served: what was being destroyed is destroyed to the end, where that can be done."""

        def unfinished() -> bool:
            keys = self._store.keys
            return bool(destructions.pending(keys) or destructions.without_entries(keys))

        while await self._run(unfinished):
            try:
                if (done := await self._run(lambda: step(self._store, self._clock.now()))) is not None:
                    await self._told(done)
            except RefusedError as refused:
                await self._note(TROUBLE.get(refused.refusal, Trouble.STORAGE_FAILED))
                return

    async def end(self) -> None:
        """At the end: the copy is brought up to date, where that can be done."""
        try:
            await self._run(self._store.debts.settle)
        except RefusedError as refused:
            await self._note(TROUBLE.get(refused.refusal, Trouble.STORAGE_FAILED))

    async def _note(self, trouble: Trouble) -> None:
        if trouble is not self._trouble:
            self._trouble = trouble
            await self._told(trouble)
