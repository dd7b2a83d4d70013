"""A running mate whose owner chooses another provider: who is being asked gives way to who is asked from now on."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from tests.support.speeches import LoopDoor
from tests.unit.mate.test_providers_brain import CONFIG

from clawmates.base.secret import Secret
from clawmates.base.shape import encode_json
from clawmates.base.tls import client_context
from clawmates.mate import main
from clawmates.mate.boot import BootFolder
from clawmates.mate.door import Door
from clawmates.mate.main import Mate
from clawmates.mate.web import Web
from clawmates.wire.boot import BOOT_FILE, Boot
from clawmates.wire.codes import Event
from clawmates.wire.door import MateConfig
from clawmates.wire.names import ItemName
from clawmates.wire.vault import OpenItem, Release


def opened(version: int, host: str) -> Release:
    key = OpenItem(name=ItemName.PROVIDER_KEY, version=version, hosts=(host,), value=Secret("sk"))
    return Release(items=(key,))


@dataclass
class NewsDoor(Door):
    """Tells of one newer configuration, and then of nothing more."""

    newer: MateConfig | None = None

    async def config(self, after: int) -> MateConfig | None:
        if self.newer is None or after >= self.newer.revision:
            await asyncio.Event().wait()
        return self.newer

    async def say(self, event: Event) -> None:
        assert event


@pytest.fixture
def folder(tmp_path: Path) -> BootFolder:
    boot = Boot(bot="b1", region="eu-test", generation=1, vault="vault", ticket=Secret("second"))
    (tmp_path / BOOT_FILE).write_bytes(encode_json(boot.plain()))
    return BootFolder(str(tmp_path))


async def nothing() -> None:
    """Nobody waits for what it remembers."""


async def test_a_change_that_is_on_its_way_is_waited_for(folder: BootFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    called, there = asyncio.Event(), asyncio.Event()

    async def vault(*_: object, **__: object) -> Release:
        called.set()
        await there.wait()
        return opened(2, "api.anthropic.com")

    monkeypatch.setattr(main, "open_items", vault)
    items = {ItemName.PROVIDER_KEY: 2}
    newer = replace(
        CONFIG, revision=2, provider="anthropic", provider_hosts=("api.anthropic.com",), model="claude", items=items
    )
    door = NewsDoor(newer=newer)
    boot = replace(folder.read(), ticket=Secret("first"))
    mate = Mate(door, folder, Web(LoopDoor(0), client_context()), CONFIG, boot, opened(1, "api.openai.com"))
    before = mate.brain
    async with asyncio.TaskGroup() as group:
        following = group.create_task(mate.follow(nothing))
        asked = group.create_task(mate.another(before))
        await called.wait()
        assert not asked.done()
        assert mate.brain is before, "who is asked meanwhile is asked as before"
        there.set()
        assert await asked
        following.cancel()
    assert (mate.brain.provider.host, mate.brain.model) == ("api.anthropic.com", "claude")


async def test_where_nothing_changes_an_error_is_one(folder: BootFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(main, "NOTICE_SECONDS", 0.001)
    mate = Mate(
        NewsDoor(), folder, Web(LoopDoor(0), client_context()), CONFIG, folder.read(), opened(1, "api.openai.com")
    )
    assert not await mate.another(mate.brain)
