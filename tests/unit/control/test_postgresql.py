"""What a PostgreSQL server could write into its own log, and what control says of a server that does."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner
from sqlalchemy.exc import IntegrityError
from tests.support.control import a_place
from tests.support.postgresql import Server
from tests.unit.control.test_store import account
from tests.unit.selfhost.test_backup import NOW, manifest_of
from tests.unit.selfhost.test_backup_hosted import ADA, EVE, Hosted

from clawmates.base.paths import State
from clawmates.base.settings import Control, Settings
from clawmates.cli.main import clawmates
from clawmates.control.store.database import AWAY, Database, DatabaseError, check_logs, open_database
from clawmates.selfhost import backup, keyfile
from clawmates.trials.postgresql import USER

CANARY = "canary-5b1f@example.org"


async def offend(database: Database) -> None:
    """Writes an address that is there already, where all statements are logged."""
    for number in (1, 2):
        async with database.writing() as session:
            session.add(account(id=f"a-{number}", email=CANARY))


async def test_a_server_that_would_log_addresses_is_refused(tmp_path: Path, server: Server) -> None:
    settings = Settings(control=server.fresh(tmp_path))
    for one in ("log_min_duration_statement = 0", "log_parameter_max_length_on_error = -1"):
        server.tell(f"ALTER ROLE {USER} SET {one}")
    try:
        for verbosity, leaks in (("terse", False), ("default", True)):
            server.tell(f"ALTER ROLE {USER} SET log_error_verbosity = '{verbosity}'")
            before = (server.folder / "log").stat().st_size
            async with a_place(tmp_path, settings=settings) as place:
                if leaks:
                    with pytest.raises(DatabaseError, match="log_error_verbosity = terse"):
                        await check_logs(place.database)
                else:
                    await check_logs(place.database)
                with pytest.raises(IntegrityError):
                    await offend(place.database)
            said = (server.folder / "log").read_text()[before:]
            assert "INSERT INTO accounts" in said
            assert (CANARY in said) is leaks, "and without TERSE there would be something to see"
    finally:
        server.tell(f"ALTER ROLE {USER} RESET ALL")
        server.sweep()


async def test_a_pulse_that_was_cut_off_begins_again(tmp_path: Path, server: Server) -> None:
    settings = Settings(control=server.fresh(tmp_path))
    async with a_place(tmp_path, settings=settings) as place, place.database.pulse() as pulse:
        before = await pulse.beat()
        with server.away(tmp_path), pytest.raises(AWAY):
            await pulse.beat()
        async with place.database.writing() as session:
            session.add(account())
        assert await pulse.beat() != before
    server.sweep()


def test_the_command_restores_to_a_server_whole_or_not_at_all(tmp_path: Path, server: Server) -> None:
    """`clawmates backup restore`, as an operator types it; one of the two was deleted since."""
    hosted, there = Hosted(tmp_path), server.fresh(tmp_path)
    hosted.house.store.destroy_tenant(hosted.accounts[ADA], NOW)
    keys = hosted.keys()
    hosted.files[backup.CONFIG] += (
        f'[control]\ndatabase = "{there.database}"\ndatabase_authority = "{there.database_authority}"\n'.encode()
    )
    backup.write(
        tmp_path / "a.backup",
        keyfile.make(tmp_path / "key", keyfile.Kind.BACKUP, None),
        manifest_of(hosted.files),
        hosted.files,
    )
    words = ["backup", "restore", str(tmp_path / "a.backup"), "--key", str(tmp_path / "key"), "--json"]
    words += ["--keys-copy", str(keys.copy), "--master-key", str(keys.master), "--state"]
    done = CliRunner().invoke(clawmates, [*words, str(hosted.there.root)])
    assert done.exit_code == 0, done.output
    said = json.loads(done.stdout)["data"]
    assert (said["accounts"], said["gone"], said["bots"]) == (1, 1, ["b-eve"])
    name = there.database.rpartition("/")[2]
    assert server.tell("SELECT string_agg(email, ' ') FROM accounts", name) == (EVE,)
    again = CliRunner().invoke(clawmates, [*words, str(tmp_path / "another")])
    assert (again.exit_code, "not empty" in json.loads(again.stdout)["error"]["message"]) == (1, True)
    assert not (tmp_path / "another").exists()
    server.sweep()


def test_without_its_library_the_remedy_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "psycopg", None)
    settings = Control(database="postgresql://clawmates@localhost/clawmates")
    with pytest.raises(DatabaseError, match="apt-get install libpq5"):
        open_database(settings, State(tmp_path))
