"""The declaration against what there is: databases as their migrations make them, log lines as they are written."""

from __future__ import annotations

import json
import sqlite3
from collections import Counter
from collections.abc import Iterator
from dataclasses import fields, replace
from pathlib import Path

import pytest
from alembic import command
from sqlalchemy import Connection, inspect
from tests.support import control
from tests.support.control import StandingClock, a_place
from tests.support.postgresql import Server, postgresql

from clawmates.base.eventlog import KEPT_DAYS, EventLog
from clawmates.base.paths import Run, State
from clawmates.control.store import migrations
from clawmates.control.store.upgrade import configuration
from clawmates.gateway.events import Logged
from clawmates.inventory import files, vault
from clawmates.inventory.datum import Basis, Datum, Said, Store, Until, Viewer
from clawmates.inventory.page import PAGE
from clawmates.inventory.whole import INVENTORY, Difference, by_id, columns, compare, compare_files, of_store, owner_of
from clawmates.inventory.words import end, length
from clawmates.node.events import Happening, NodeEvent
from clawmates.proofs.fake import FakePlatform
from clawmates.proofs.kept import look
from clawmates.vault import chores, keys, records
from clawmates.vault.database import Schema, create_database
from clawmates.vault.service import Happening as VaultHappening
from clawmates.vault.service import VaultEvent
from clawmates.wire.codes import Code
from clawmates.wire.names import ItemName

MISSION = Path(__file__).parents[3] / "docs/mission.txt"
MIGRATION = """
import sqlalchemy as sa
from alembic import op

revision = "beyond"
down_revision = "{head}"
branch_labels = None
depends_on = None


def upgrade():
    op.add_column("accounts", sa.Column("shoe_size", sa.Integer(), nullable=True))
    op.create_table("diaries", sa.Column("page", sa.Text(), nullable=False))
    op.drop_column("bots", "restarts")
"""


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with postgresql() as running:
        yield running


@pytest.fixture(params=["sqlite", "postgresql"])
def engine(request: pytest.FixtureRequest) -> Iterator[None]:
    if request.param == "postgresql":
        control.elsewhere = request.getfixturevalue("server")
    try:
        yield
    finally:
        control.elsewhere = None


def schema_of(connection: Connection) -> set[str]:
    found = inspect(connection)
    return {f"{table}.{one['name']}" for table in found.get_table_names() for one in found.get_columns(table)}


@pytest.mark.usefixtures("engine")
async def test_controls_database_is_what_is_declared_and_a_migration_beyond_it_is_found_out(tmp_path: Path) -> None:
    ours = Path(str(migrations.__file__)).parent / "versions"
    theirs = tmp_path / "versions"
    theirs.mkdir()

    def beyond(connection: Connection) -> None:
        config = configuration(connection)
        config.set_main_option("version_locations", f"{ours}:{theirs}")
        command.upgrade(config, "head")

    async with a_place(tmp_path / "state") as place:
        proof = FakePlatform(State(tmp_path / "state"), Run(tmp_path), settings=place.context.settings)
        assert (await look.control(proof)).difference == Difference()
        async with place.database.engine.begin() as connection:
            assert compare(Store.CONTROL, await connection.run_sync(schema_of)) == Difference()
            head = (await connection.exec_driver_sql("SELECT version_num FROM alembic_version")).scalar_one()
            (theirs / "one_more.py").write_text(MIGRATION.format(head=head))
            await connection.run_sync(beyond)
            red = compare(Store.CONTROL, await connection.run_sync(schema_of))
        assert (await look.control(proof)).difference == red
    assert red.undeclared == ("accounts.shoe_size", "diaries.page")
    assert red.missing == ("bots.restarts",)


def created(path: Path, schema: Schema) -> set[str]:
    """The columns of a file of the vault's."""
    create_database(path, schema)
    with sqlite3.connect(path) as database:
        tables = [name for (name,) in database.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")]
        found = {f"{table}.{row[1]}" for table in tables for row in database.execute(f"PRAGMA table_info({table})")}
    database.close()
    return found


@pytest.mark.parametrize(("store", "schema"), [(Store.VAULT, records.SCHEMA), (Store.KEYS, keys.SCHEMA)])
def test_the_vaults_databases_are_what_is_declared(store: Store, schema: Schema, tmp_path: Path) -> None:
    known = created(tmp_path / "as-it-is.db", schema)
    assert compare(store, known) == Difference()
    wider = replace(schema, additions=schema.additions + "CREATE TABLE notes (text TEXT) STRICT;")
    assert compare(store, created(tmp_path / "wider.db", wider)).undeclared == ("notes.text",)
    assert compare(store, sorted(known)[1:]).missing == (min(known),)


def test_every_kind_of_item_is_declared_by_itself() -> None:
    for name in ItemName:
        record, key = (
            owner_of(Store.VAULT, "records.box", name.value),
            owner_of(Store.KEYS, "data_keys.wrapped", name.value),
        )
        assert record is not None, name
        assert record is key
        assert record.exported == name.is_document
    assert owner_of(Store.VAULT, "records.box", "diary") is None
    assert owner_of(Store.CONTROL, "accounts.email") is PAGE[0]


@pytest.mark.parametrize(
    ("process", "events"),
    [
        ("gateway", [Logged(code=Code.LIVE, number=1, life=2)]),
        ("node", [NodeEvent(code=Happening.STARTED, number=1, milliseconds=3)]),
        ("vault", [VaultEvent(code=VaultHappening.STARTED)]),
    ],
)
def test_lines_of_the_log_have_the_declared_fields(process: str, events: list[object], tmp_path: Path) -> None:
    log = EventLog(tmp_path, process, StandingClock())
    for event in events:
        log.write(event, bot="b-1")
    (path,) = tmp_path.iterdir()
    found = {f"{process}.{name}" for line in path.read_bytes().splitlines() for name in json.loads(line)}
    mine = {one for one in columns(Store.LOG) if one.startswith(f"{process}.")}
    assert (
        found
        == mine
        == {f"{process}.{one}" for one in ("at", "bot", "process")}
        | {
            f"{process}.{one.name}"
            for event in events
            for one in fields(event)  # type: ignore[arg-type]
        }
    )
    assert compare(Store.LOG, found | {f"{process}.text"}).undeclared == (f"{process}.text",)
    assert compare_files([f"log/{path.name}"]).undeclared == ()


def test_a_file_that_nobody_declared_is_named_and_a_declared_one_that_is_not_there_too() -> None:
    strange = ("chats.db", "vault/vault.db-wal", "log/deeper/node-2026-11-30.jsonl", "pki/key.pem")
    found = compare_files(("clawmates.toml", "pki/node/cert.pem", "engine/storage/overlay/l/A", *strange))
    assert found.undeclared == tuple(sorted(strange))
    assert "desired.json" in found.missing
    assert "clawmates.toml" not in found.missing


def test_each_thing_is_declared_once() -> None:
    assert set(Counter(column for datum in INVENTORY for column in datum.columns).values()) == {1}
    assert len({datum.id for datum in INVENTORY}) == len(INVENTORY)
    assert by_id("account-email") is INVENTORY[0]
    assert {datum.id for datum in of_store(Store.KEYS)} > {"bot-token", "tenant-key"}


def test_the_first_seven_are_the_pages_rows_word_for_word() -> None:
    lines = MISSION.read_text().splitlines()
    first = lines.index("DataWhyRetention") + 1
    rows = [datum.what.en + datum.why.en + end(datum).en for datum in INVENTORY[:7]]
    assert rows == lines[first : lines.index("", first)]
    assert INVENTORY[:7] == PAGE


def test_spans_are_those_that_the_processes_keep_to() -> None:
    assert files.EVENTS.days == KEPT_DAYS
    assert vault.RECEIPTS == chores.RECEIPTS_KEPT


def test_every_datum_has_its_end_in_words_of_both_languages() -> None:
    ends = {datum.id: end(datum) for datum in INVENTORY}
    assert ends["error-logs"] == Said("30 days", "30 Tage")
    assert ends["sign-in-link"].en == "Until it is used, at most 15 minutes"
    assert ends["attempts"].de == "1 Tag"
    assert length(by_id("pairing-hash").span or by_id("session").span).en == "1 hour"  # type: ignore[arg-type]
    for datum in INVENTORY:
        for said in (datum.what, datum.why, ends[datum.id]):
            assert said.to("de") == said.de != said.en == said.to("fr") != "", datum.id


def test_what_is_about_a_person_ends() -> None:
    one = {"id": "x", "what": Said("", ""), "why": Said("", ""), "basis": Basis.CONTRACT, "seen_by": (Viewer.OWNER,)}
    with pytest.raises(ValueError, match="ends"):
        Datum(**one, until=Until.NEVER, columns=())  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="span"):
        Datum(**one, until=Until.AGE, columns=())  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="store"):
        Datum(**one, until=Until.USED, columns=("table.column",))  # type: ignore[arg-type]
