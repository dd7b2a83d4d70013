"""What claim *inventory* looks with: each look sees what is there, and what is certainly wrong."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest
from tests.support.catalogue import RELEASE
from tests.support.control import a_place

from clawmates.base.paths import Run, State
from clawmates.base.settings import Control, Mode, Platform, Settings
from clawmates.control.rooms import ROOMS
from clawmates.inventory.whole import Difference
from clawmates.proofs.canary import Canary
from clawmates.proofs.claims.inventory import _control
from clawmates.proofs.errors import BlindError, ProofError
from clawmates.proofs.fake import FakePlatform
from clawmates.proofs.kept import look, pages, places, told
from clawmates.proofs.kept.seven import CANCELLED_DAYS, COUNT_DAYS, ERROR_DAYS, SEVEN
from clawmates.vault import keys, records
from clawmates.vault.database import create_database

MISSION = (Path(__file__).parents[3] / "docs/mission.txt").read_text()
HOSTED = Settings(platform=Platform(mode=Mode.HOSTED))


def test_the_proofs_own_copy_is_the_mission_pages() -> None:
    lines = MISSION.splitlines()
    first = lines.index("DataWhyRetention") + 1
    assert ["".join(row) for row in SEVEN] == lines[first : lines.index("", first)]
    assert f"Rolling {COUNT_DAYS}-day window" == SEVEN[5][2]
    assert f"{ERROR_DAYS} days" == SEVEN[6][2]
    assert f"is deleted within {CANCELLED_DAYS} days" in MISSION


@pytest.mark.parametrize("language", told.LANGUAGES)
async def test_the_pages_are_read_as_they_are_made_and_any_other_page_is_objected_to(
    language: str, tmp_path: Path
) -> None:
    async with (
        a_place(tmp_path, *ROOMS, release=RELEASE) as place,
        place.browser(**{"Accept-Language": language}) as nobody,
    ):
        stored = (await nobody.get(pages.STORED)).text
        others = (await nobody.get(pages.SUBPROCESSORS)).text
    shown = pages.rows(stored)
    assert told.against_list(shown, language) == ()
    wanted = {host for one in RELEASE.providers for host in one.hosts} - {"ollama"}
    wanted |= {host for one in RELEASE.channels for host in one.hosts}
    assert pages.hosts(others) == wanted
    first, second, *rest = shown
    for wrong, word in (
        ((second, first, *rest), "row 1 is not the mission page's" if language == "en" else ""),
        ((first, second, *rest[:-1]), "not on the page"),
        ((first, second, *rest, rest[-1]), "2 times"),
        ((first, second, *rest, replace(first, id="diary")), "diary is on the page and not declared"),
        ((replace(first, why="For fun"), second, *rest), "account-email: why is another"),
        ((replace(first, more=""), second, *rest), "account-email: who sees it is not said"),
    ):
        assert any(word in one for one in told.against_list(wrong, language)) or not word, word
    _control(shown, (), language)


def test_a_comparison_that_objects_to_nothing_is_called_blind(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(told, "against_list", lambda _shown, _language: ())
    with pytest.raises(BlindError, match="page"):
        _control((pages.Row("a", "b", "c", "d"),), (), "en")


@pytest.fixture
def platform(state: State, run_folder: Run) -> FakePlatform:
    for path, schema in (("vault.db", records.SCHEMA), ("keys.db", keys.SCHEMA)):
        state.vault.mkdir(exist_ok=True)
        create_database(state.vault / path, schema)
    state.log.mkdir()
    (state.log / "node-2026-11-30.jsonl").write_text(
        '{"at": "now", "bot": "b-1", "process": "node", "code": "started"}\n'
    )
    return FakePlatform(state, run_folder, bots=())


def test_the_vaults_files_are_seen_as_they_are(platform: FakePlatform) -> None:
    assert [one.difference for one in look.vault(platform)] == [Difference(), Difference()]
    with closing(sqlite3.connect(platform.state.vault / "vault.db")) as database, database:
        database.execute("CREATE VIEW talk AS SELECT bot AS who FROM bots")
        database.execute("INSERT INTO bots VALUES ('b-1', 't-1', 'node-1', 0)")
        database.execute("INSERT INTO records VALUES ('b-1', 'diary', 1, 'k', '[]', x'00', x'00')")
    found = look.vault(platform)[0].difference
    assert found == Difference(undeclared=("talk.who", "records/diary"))
    (platform.state.vault / "keys.db").write_bytes(b"no database")
    with pytest.raises(ProofError, match="cannot be read"):
        look.vault(platform)


async def test_files_and_lines_are_seen_as_they_are(
    platform: FakePlatform, canary: Canary, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(look, "SECOND_LOOK_SECONDS", 0)
    (platform.state.root / "chats.db").touch()
    (platform.state.log / "link").symlink_to(platform.state.vault)
    found = await look.files(platform, canary)
    assert found.difference.undeclared == ("chats.db", "log/link")
    assert "desired.json" in found.difference.missing
    assert "control/pepper (on a hosted platform)" in found.excused
    assert list(platform.state.log.glob(".prove*")) == []
    assert look.log(platform.state.log).difference == Difference()
    with (platform.state.log / "node-2026-11-30.jsonl").open("a") as log:
        log.write('{"code": {"text": "hello"}}\n[1]\n')
    assert look.log(platform.state.log).difference.undeclared == (f"node.{places.NO_JSON}", "node.code/text")


def test_what_need_not_be_there_has_its_reason() -> None:
    assert places.elsewhere("desired.json", HOSTED)
    assert not places.elsewhere("control/control.db", HOSTED)
    elsewhere = Settings(platform=HOSTED.platform, control=Control(database="postgresql://a@b/c"))
    assert places.elsewhere("control/control.db", elsewhere)
    assert not places.elsewhere("clawmates.toml", Settings())


async def test_a_look_that_sees_nothing_wrong_in_anything_is_called_blind(
    platform: FakePlatform, canary: Canary, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(look, "SECOND_LOOK_SECONDS", 0)
    monkeypatch.setattr(look, "compare", lambda _store, _found: Difference())
    monkeypatch.setattr(look, "compare_files", lambda _found: Difference())
    with pytest.raises(BlindError):
        look.vault(platform)
    with pytest.raises(BlindError):
        look.log(platform.state.log)
    with pytest.raises(BlindError):
        await look.files(platform, canary)
    (platform.state.log / "node-2026-11-30.jsonl").unlink()
    with pytest.raises(BlindError, match="no line"):
        look.log(platform.state.log)
