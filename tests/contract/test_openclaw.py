"""What leaves for OpenClaw, held against its own schema: the part of it that speaks of what we write.

The copy lies in ``tests/interop``; ``make interop`` holds it against the real one, and has its own command validate
the same.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from io import BytesIO
from typing import Any
from zipfile import ZipFile

import pytest
from tests.support.schemas import check

from clawmates.base.secret import Secret
from clawmates.selfhost.openclaw import going
from clawmates.selfhost.openclaw.words import CONFIG, VERSION
from clawmates.selfhost.wish import Wish
from clawmates.trials.interop_cases import FOLDER, cases
from clawmates.wire.names import ItemName

SCHEMA = json.loads((FOLDER / "schema.json").read_text())
NOW = datetime(2026, 11, 30, tzinfo=UTC)
TOKEN, KEY = "123456789:AAaCanaryThatNobodyMayEverSeeInAnExport", "sk-canary-that-nobody-may-ever-see"
CARRIED = {
    ItemName.CHANNEL_TOKEN: Secret(TOKEN),
    ItemName.PROVIDER_KEY: Secret(KEY),
    ItemName.FALLBACK_KEY: Secret(KEY),
}


@pytest.mark.parametrize("case", cases())
def test_its_schema_takes_what_leaves(case: str) -> None:
    check(SCHEMA, going.config(cases()[case]))


@pytest.mark.parametrize(
    "spoil",
    [
        lambda config: config["agents"].update(entires={}),
        lambda config: config["channels"]["telegram"]["accounts"]["home"].update(dmPolicy="paired"),
        lambda config: config["channels"]["telegram"]["accounts"]["home"].update(botToken={"id": "lower-case"}),
        lambda config: config["bindings"][0].pop("agentId"),
    ],
)
def test_its_schema_takes_nothing_else(spoil: Callable[[Any], object]) -> None:
    # Here alone: every worker loads this file, and it takes two seconds of its processor to load the library.
    from jsonschema import ValidationError  # type: ignore[import-untyped]  # noqa: PLC0415 - see above

    config = going.config(cases()["one"])
    spoil(config)
    with pytest.raises(ValidationError):
        check(SCHEMA, config)


def leaks(bots: Sequence[Wish]) -> list[str]:
    """The files of a zip in which a credential lies, though the bots carried theirs along."""
    laden = [
        Wish(**{**{name: getattr(bot, name) for name in Wish.__slots__}, "secrets": {**bot.secrets, **CARRIED}})
        for bot in bots
    ]
    with ZipFile(BytesIO(going.pack(laden, NOW))) as package:
        return [name for name in package.namelist() if any(one in package.read(name).decode() for one in (TOKEN, KEY))]


def test_no_credential_leaves(monkeypatch: pytest.MonkeyPatch) -> None:
    bots = cases()["every kind"]
    assert leaks(bots) == []

    def copied(bot: Wish) -> str:
        return bot.secrets[ItemName.CHANNEL_TOKEN].reveal()

    monkeypatch.setattr(going, "_token", copied)
    assert leaks(bots) == [CONFIG], "a build that copies the token is not noticed"


def test_what_is_installed_is_the_version_that_is_spoken_and_each_package_is_pinned_by_hash() -> None:
    assert json.loads((FOLDER / "package.json").read_text())["dependencies"] == {"openclaw": VERSION}
    packages = json.loads((FOLDER / "package-lock.json").read_text())["packages"]
    assert packages["node_modules/openclaw"]["version"] == VERSION
    assert packages["node_modules/openclaw"]["license"] == "MIT", "as the mission page says"
    fetched = [one for name, one in packages.items() if name and not one.get("inBundle")]
    assert len(fetched) > 300
    assert all(one["integrity"].startswith("sha512-") for one in fetched)
    assert not any("resolved" in one for one in packages.values()), "a lock file names no registry"
