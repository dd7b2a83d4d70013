"""The daily backup beside a platform that runs: made when it is due, and what stands in the way is said once."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path

import pytest

from clawmates.base.paths import State
from clawmates.base.settings import Backup, Mode, Platform, Settings
from clawmates.selfhost import daily
from clawmates.selfhost.backup import BackupError, Made
from clawmates.wire.operator_client import ControlNotRunningError

HOSTED = Settings(platform=Platform(mode=Mode.HOSTED), backup=Backup(recipient="key"))
MADE = Made(file="a.backup", size=1, recipient="k", made="", master="", files=())


class EnoughError(BaseException):
    """The loop has gone round often enough."""


async def test_trouble_is_said_once_and_a_control_that_starts_is_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    happens: list[Exception | bool | Made | type[EnoughError]] = [
        ControlNotRunningError(),
        *(BackupError("no copy of the keys"), BackupError("no copy of the keys")),
        False,
        *(OSError("a path"), MADE),
        EnoughError,
    ]

    async def due(_settings: Settings) -> bool:
        if isinstance(happens[0], ControlNotRunningError):
            raise happens.pop(0)  # type: ignore[misc]
        if happens[0] is EnoughError:
            raise EnoughError
        return happens[0] is not False or bool(happens.pop(0))

    async def make(_state: State, _settings: Settings, recipient: str) -> Made:
        assert recipient == "key"
        now = happens.pop(0)
        if isinstance(now, Exception):
            raise now
        assert isinstance(now, Made)
        return now

    said: list[str] = []
    monkeypatch.setattr(daily, "due", due)
    monkeypatch.setattr(daily, "make", make)
    monkeypatch.setattr(daily, "LOOK_SECONDS", 0.0)
    with pytest.raises(EnoughError):
        await daily.keep(State(tmp_path), HOSTED, said.append)
    assert said[0] == "  no backup was made: no copy of the keys"
    assert said[1].startswith("  no backup was made: OSError")
    assert "a path" not in said[1]
    assert said[2:] == ["  backup     a.backup"]


async def test_without_a_key_or_in_self_host_there_is_nothing_to_do(tmp_path: Path) -> None:
    for settings in (Settings(backup=HOSTED.backup), replace(HOSTED, backup=Backup())):
        async with asyncio.timeout(5):
            await daily.keep(State(tmp_path), settings, print)
