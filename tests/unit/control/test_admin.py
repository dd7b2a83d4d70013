"""What an operator may ask of control: nothing of anybody's, only from root, and never unseen."""

from __future__ import annotations

import asyncio
import json
import os
from dataclasses import replace
from datetime import date
from pathlib import Path

import pytest
from click.testing import CliRunner
from sqlalchemy.ext.asyncio import AsyncSession
from tests.support.control import NOON, Place, a_bot, a_node, a_place, signed_in

from clawmates.base.clock import stamp
from clawmates.base.http import local
from clawmates.base.http.client import Connection
from clawmates.base.http.server import Peer, Request
from clawmates.base.paths import State
from clawmates.base.settings import load
from clawmates.base.shape import encode_json
from clawmates.cli import admin as cli
from clawmates.control.accounts.tables import Account, Passkey
from clawmates.control.admin import door, looks
from clawmates.control.audit import chain
from clawmates.control.audit.chain import pseudonym_of
from clawmates.control.bots.tables import BotDay, BotState
from clawmates.control.retention.keeper import Keeper
from clawmates.control.retention.rules import JOBS
from clawmates.selfhost.overview import AWAY, retained
from clawmates.wire.audit import Entry
from clawmates.wire.operator_client import ControlNotRunningError, OperatorClient

ADA, CANARY = "ada@example.org", "canary-diary-of-ada"


async def furnish(place: Place) -> str:
    """An account with everything that must not be shown; its id."""
    async with place.browser() as browser:
        account = await signed_in(place, browser, ADA)
    async with place.database.writing() as session:
        session.add(a_node())
        await session.flush()
        session.add(a_bot("b-1", account, node="node-1", name=CANARY))
        session.add(a_bot("b-2", account, stage="draft", name=CANARY))
        await session.flush()
        session.add(
            BotState(
                bot_id="b-1",
                node="node-1",
                state="live",
                code="",
                username="canary_username",
                since=NOON,
                reported_at=NOON,
            )
        )
        session.add(BotDay(bot_id="b-1", day=NOON.date(), messages=7, tokens=900))
        session.add(
            Passkey(
                id="canary-passkey",
                account_id=account,
                public_key=b"",
                sign_count=0,
                name=CANARY,
                created_at=NOON,
                used_at=None,
            )
        )
    return account


async def looked(place: Place) -> list[Entry]:
    async with place.database.reading() as session:
        return [one for one in await chain.entries(session, 0) if one.tag == "control.admin.looked"]


async def test_a_look_shows_counts_and_states_and_stays_in_the_chain(tmp_path: Path) -> None:
    async with a_place(tmp_path) as place, door.serving(tmp_path / "control.sock", place.context):
        account = await furnish(place)
        client = OperatorClient(tmp_path / "control.sock")
        everybody = await client.accounts("", 10)
        alone = await client.account(account)
        assert (everybody.total, everybody.accounts) == (1, alone.accounts)
        assert (alone.accounts[0].bots, alone.accounts[0].sessions, alone.accounts[0].passkeys) == (2, 1, 1)
        bots = await client.bots("", 1)
        assert (bots.total, [(one.bot, one.state, one.messages) for one in bots.bots]) == (2, [("b-1", "live", 7)])
        assert [one.bot for one in (await client.bots("b-1", 10)).bots] == ["b-2"]
        nodes = await client.nodes()
        assert [(one.node, one.bots, one.behind) for one in nodes.nodes] == [("node-1", 1, True)]
        view = await client.audit(2)
        assert (len(view.entries), view.countersigned) == (2, 0)
        found = await looked(place)
        said = [(one.subject, json.loads(one.detail)["what"]) for one in found]
        async with place.database.reading() as session:
            mine = await pseudonym_of(session, account)
        assert said == [
            *(("", "accounts"), (mine, "accounts"), ("", "bots"), ("", "bots"), ("", "nodes"), ("", "audit"))
        ]
        assert (await client.account("a-nobody")).accounts == ()
        shown = b"".join(map(encode_json, (everybody, alone, bots, nodes, view)))
        for word in (ADA, "ada", "canary", "Firefox"):
            assert word.encode() not in shown


async def test_who_verifies_the_chain_is_seen_once_a_minute(tmp_path: Path) -> None:
    async with a_place(tmp_path) as place, door.serving(tmp_path / "control.sock", place.context):
        client = OperatorClient(tmp_path / "control.sock")
        for _ in range(2):
            await client.entries(0)
            await client.witnesses(0)
            await client.lines(0)
        assert len(await looked(place)) == 1
        place.clock.forward(minutes=2)
        await client.entries(5)
        assert len(await looked(place)) == 2


async def test_what_cannot_be_written_down_is_not_shown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def full(_session: AsyncSession) -> None:
        raise OSError("no space left")

    async with a_place(tmp_path) as place, door.serving(tmp_path / "control.sock", place.context):
        monkeypatch.setattr(chain, "head", full)
        with pytest.raises(ControlNotRunningError):
            await OperatorClient(tmp_path / "control.sock").accounts("", 10)


@pytest.mark.any_database
@pytest.mark.parametrize(
    ("method", "target"),
    [
        ("POST", "/v1/accounts"),
        ("GET", "/v1/emails"),
        ("GET", "/v1/accounts?after=ada@example.org"),
        ("GET", "/v1/accounts?most=501"),
        ("GET", "/v1/accounts?most=0"),
        ("GET", "/v1/chain/entries/-1"),
        ("GET", "/v1/chain/keys/0"),
        ("GET", "/"),
    ],
)
async def test_what_is_not_in_the_table_of_calls_is_not_there(tmp_path: Path, method: str, target: str) -> None:
    async with a_place(tmp_path) as place:
        assert (await door.answer(place.context, Request(method, target, b""))).status == 404
        assert await looked(place) == []


@pytest.mark.any_database
async def test_only_root_and_controls_own_user_are_let_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert local.allowed(Peer(1, 0, 0))
    assert local.allowed(Peer(1, os.geteuid(), 0))
    assert not local.allowed(Peer(1, 12345, 0))
    async with a_place(tmp_path) as place:
        monkeypatch.setattr(local, "allowed", lambda _peer: False)
        async with door.serving(tmp_path / "control.sock", place.context):
            assert (tmp_path / "control.sock").stat().st_mode & 0o777 == 0o600
            with pytest.raises(ControlNotRunningError):
                await OperatorClient(tmp_path / "control.sock").nodes()
            assert await looked(place) == []
    with pytest.raises(ControlNotRunningError):
        await OperatorClient(tmp_path / "nobody.sock").nodes()


@pytest.mark.any_database
async def test_a_door_that_asked_nobody_would_let_anybody_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The seeded defect: the test above is red against it."""
    monkeypatch.setattr(local, "allowed", lambda _peer: True)
    async with a_place(tmp_path) as place, door.serving(tmp_path / "control.sock", place.context):
        connection = await Connection.unix(str(tmp_path / "control.sock"), "control")
        assert (await connection.request("GET", "/v1/nodes")).status == 200
        await connection.close()


async def test_a_look_that_read_an_address_would_show_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The seeded defect: the first test is red against it."""
    real = looks.accounts

    async def leaky(session: AsyncSession, *rest: object) -> object:
        found = await real(session, *rest)  # type: ignore[arg-type]
        emails = [(await session.get_one(Account, one.account)).email for one in found.accounts]
        rows = zip(found.accounts, emails, strict=True)
        return replace(found, accounts=tuple(replace(one, plan=email) for one, email in rows))

    async with a_place(tmp_path) as place, door.serving(tmp_path / "control.sock", place.context):
        await furnish(place)
        monkeypatch.setattr(looks, "accounts", leaky)
        shown = await OperatorClient(tmp_path / "control.sock").accounts("", 10)
        assert ADA.encode() in encode_json(shown)


def test_the_commands_refuse_what_is_no_id_and_a_platform_without_accounts(tmp_path: Path) -> None:
    (tmp_path / "clawmates.toml").write_text("")
    state = ["--json", "--state", str(tmp_path)]
    ran = CliRunner().invoke(cli.admin, ["nodes", *state])
    assert (ran.exit_code, json.loads(ran.stdout)["error"]["code"]) == (2, "not-hosted")
    (tmp_path / "clawmates.toml").write_text(f'[platform]\nmode = "hosted"\nrun = "{tmp_path}/run"\n')
    for words in (["accounts", "ada@example.org"], ["bots", "--after", "B_1"]):
        ran = CliRunner().invoke(cli.admin, [*words, *state])
        assert (ran.exit_code, json.loads(ran.stdout)["error"]["code"]) == (2, "usage")
    assert CliRunner().invoke(cli.admin, ["bots", "--limit", "0", *state]).exit_code == 2
    ran = CliRunner().invoke(cli.admin, ["audit", *state])
    assert (ran.exit_code, json.loads(ran.stdout)["error"]["code"]) == (69, "not-running")


async def test_a_monitor_learns_by_the_exit_code_that_a_job_is_late(tmp_path: Path) -> None:
    state = State(tmp_path)
    state.config.write_text(f'[platform]\nmode = "hosted"\nrun = "{tmp_path}/run"\n')

    async def asked() -> tuple[int, str]:
        ran = await asyncio.to_thread(CliRunner().invoke, cli.admin, ["retention", "--state", str(tmp_path)])
        return ran.exit_code, ran.stdout

    control = OperatorClient(load(state.config).run.control)
    assert (await retained(state, control, date(2026, 11, 30))).trouble == AWAY
    async with a_place(tmp_path) as place, door.serving(load(state.config).run.control, place.context):
        await furnish(place)
        code, said = await asked()
        assert (code, said.count("LATE")) == (1, len(JOBS)), "none has ever run"
        assert (await retained(state, control, date(2026, 11, 30))).late == tuple(job.name for job in JOBS)
        await Keeper(database=place.database, clock=place.clock, holder="k").round()
        code, said = await asked()
        assert (code, said.count("LATE")) == (0, 0)
        now = await retained(state, control, date(2026, 11, 30))
        assert (now.ended_at, now.late) == (stamp(place.clock.now()), ())
        assert "message-count" in said
        place.clock.forward(minutes=12)
        code, said = await asked()
        assert code == 1
        assert "late: do control and the vault run" in said
        assert [json.loads(one.detail)["what"] for one in await looked(place)] == ["retention"] * 3


def test_lists_say_how_many_there_are_in_all() -> None:
    assert cli._listed(("BOT", "N"), [("b-long", 1), ("b", 20)], 3) == "BOT     N\nb-long  1\nb       20\n(2 of 3)"


async def test_a_node_is_drained_at_the_socket_and_it_is_written_down(tmp_path: Path) -> None:
    async with a_place(tmp_path) as place, door.serving(tmp_path / "control.sock", place.context):
        await furnish(place)
        client = OperatorClient(tmp_path / "control.sock")
        for wanted, stage in ((True, "draining"), (True, "draining"), (False, "serving")):
            found = await client.drain("node-1", wanted=wanted)
            assert found is not None
            assert [one.stage for one in found.nodes] == [stage]
        assert await client.drain("node-9", wanted=True) is None
        async with place.database.reading() as session:
            tags = [one.tag for one in await chain.entries(session, 0) if one.tag.startswith("control.node.")]
        assert tags == ["control.node.drained", "control.node.kept"], "once each"
