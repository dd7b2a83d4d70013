from __future__ import annotations

import os
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from tests.support import releases

from clawmates.base.secret import Secret
from clawmates.vault.catalogue import Catalogue
from clawmates.vault.chores import Step, step
from clawmates.vault.closing import write_down
from clawmates.vault.ledger import Ledger
from clawmates.vault.masters import Masters, MasterSettings
from clawmates.vault.service import Vault, VaultEvent
from clawmates.vault.store import Store, open_store
from clawmates.vault.tickets import Grant
from clawmates.wire.names import ItemName
from clawmates.wire.receipt import SignedReceipt
from clawmates.wire.sealing import seal
from clawmates.wire.vault import Assignment, Binding, IntakeKey, SealedItem, sealed_text

if TYPE_CHECKING:
    from collections.abc import Iterator

    from clawmates.vault.envelope import Random

REGION = "local"
HOSTS = {ItemName.PROVIDER_KEY: ("api.openai.com",), ItemName.CHANNEL_TOKEN: ("api.telegram.org",)}


@dataclass
class FakeClock:
    moment: datetime = datetime(2026, 11, 22, 9, 0, tzinfo=UTC)
    seconds: float = 1000.0

    def now(self) -> datetime:
        return self.moment

    def monotonic(self) -> float:
        return self.seconds

    def pass_(self, seconds: float) -> None:
        self.moment += timedelta(seconds=seconds)
        self.seconds += seconds


@dataclass
class Events:
    seen: list[tuple[str, str]] = field(default_factory=list)

    def write(self, event: object, *, bot: str = "") -> None:
        assert isinstance(event, VaultEvent)
        self.seen.append((event.code.value, bot))


@dataclass
class House:
    """A vault's folder, and what a CLI would do with it."""

    folder: Path
    store: Store
    clock: FakeClock
    old_master_key: str = ""
    keys_copy: str = ""
    wanted: MasterSettings = MasterSettings("file:master.key")  # noqa: RUF009 - frozen
    """What the configuration says when it is read again."""

    def destroy(self, bot: str) -> SignedReceipt:
        return self.store.destroy(bot, self.clock.now())

    def work(self) -> list[Step]:
        """All chores, to their end."""
        done = []
        while (one := step(self.store, self.clock.now())) is not None:
            done.append(one.step)
            if one.receipt is not None:
                write_down(self.store.keys, self.ledger, one.receipt.receipt, self.clock.now())
        return done

    @property
    def ledger(self) -> Ledger:
        return Ledger(self.store.records.database)

    def reopen(self, *, region: str = REGION, master_key: str = "file:master.key") -> None:
        self.store.close()
        self.store = open_store(
            Masters(self.folder, MasterSettings(master_key, self.old_master_key), os.urandom, lambda: self.wanted),
            region=region,
            catalogue=self.store.catalogue,
            now=self.clock.now(),
            keys_copy=self.keys_copy,
        )

    def assign(self, bot: str, tenant: str = "acme", node: str = "node-1") -> None:
        self.store.assign(bot, Assignment(tenant=tenant, node=node), self.clock.now())

    def sealed(self, binding: Binding, text: str) -> SealedItem:
        key = self.store.intake_key()
        intake = IntakeKey(key_id=key.id, region=REGION, public=sealed_text(key.public))
        return seal(intake.public, binding, Secret(text))

    def binding(
        self,
        bot: str,
        name: ItemName = ItemName.PROVIDER_KEY,
        version: int = 1,
        tenant: str = "acme",
        hosts: tuple[str, ...] | None = None,
    ) -> Binding:
        if hosts is None:
            hosts = HOSTS.get(name, ())
        return Binding(
            key_id=self.store.intake_key().id,
            region=REGION,
            tenant=tenant,
            bot=bot,
            name=name,
            version=version,
            hosts=hosts,
        )

    def put(self, bot: str, name: ItemName, version: int, text: str, tenant: str = "acme") -> None:
        item = self.sealed(self.binding(bot, name, version, tenant), text)
        self.store.put(bot, name, version, item, self.clock.now())

    def open(self, bot: str, *items: tuple[ItemName, int], node: str = "node-1") -> list[str]:
        released = self.store.open(Grant(bot, node, 1, items), self.clock.now())
        return [item.value.reveal() for item in released]

    def raw(self) -> dict[str, bytes]:
        return {path.name: path.read_bytes() for path in self.folder.iterdir()}


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def events() -> Events:
    return Events()


def masters_in(folder: Path, key: str = "file:master.key", random: Random = os.urandom) -> Masters:
    settings = MasterSettings(key)
    return Masters(folder, settings, random, lambda: settings)


def catalogue_in(folder: Path) -> Catalogue:
    """A signed release in a folder of its own."""
    releases.publish(folder / "release")
    return Catalogue(folder / "release", releases.PUBLIC)


@pytest.fixture
def house(tmp_path: Path, clock: FakeClock) -> Iterator[House]:
    folder = tmp_path / "vault"
    store = open_store(masters_in(folder), region=REGION, catalogue=catalogue_in(tmp_path), now=clock.now())
    house = House(folder, store, clock)
    yield house
    house.store.close()


@pytest.fixture
def vault(house: House, clock: FakeClock, events: Events) -> Iterator[Vault]:
    vault = Vault(house.store, region=REGION, clock=clock, random=os.urandom, events=events)
    yield vault
    vault.close()
