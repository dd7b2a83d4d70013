"""A hosted platform as `clawmates hosted init` and `clawmates up` make it: all four processes, under their users."""

from __future__ import annotations

import asyncio
import json
import os
import sqlite3
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.support.declared import fields_of, files_of
from tests.support.home import Home, a_home

from clawmates.base.http.client import Connection
from clawmates.base.paths import State
from clawmates.base.tls import client_context
from clawmates.inventory.whole import INVENTORY
from clawmates.proofs.claims.listening import listening
from clawmates.proofs.live import LivePlatform
from clawmates.proofs.result import Claim, Status
from clawmates.proofs.run import run
from clawmates.proofs.trial import Options
from clawmates.selfhost.accounts import account_of
from clawmates.selfhost.platform import Platform
from clawmates.selfhost.supervisor import Phase
from clawmates.trials.hosted import free_port
from clawmates.wire.node_client import NodeClient

pytestmark = pytest.mark.timeout(300)
ANYWHERE = ("--listen", "127.0.0.1:0", "--ingress", "127.0.0.1:0", "--nodes", "127.0.0.1:0")


@pytest.fixture
def home() -> Iterator[Home]:
    with a_home() as made:
        yield made


def uid_of(pid: int) -> int:
    return Path(f"/proc/{pid}").stat().st_uid


def port_of(home: Home, name: str) -> int:
    return int(json.loads((home.run / "ports.json").read_bytes())[name])


async def test_all_four_processes_come_up_and_node_meets_control(home: Home) -> None:
    where = (*ANYWHERE, "--web", f"127.0.0.1:{free_port()}")
    for _ in range(2):  # again is no harm
        made = home.json("hosted", "init", "--run", str(home.run), *where)
        assert made["origin"] == "https://localhost:8443"
    state = State(home.state)
    platform = Platform(state)
    try:
        await platform.start()
        running = platform.supervisor.running
        expected = dict.fromkeys(("vault", "gateway", "control", "node"), Phase.READY)
        assert {name: one.phase for name, one in running.items()} == expected
        assert uid_of(running["control"].pid) == account_of("control").uid != uid_of(running["vault"].pid)
        node = NodeClient(platform.settings.run.node)
        async with asyncio.timeout(60):
            while not (await node.status()).revision:  # noqa: ASYNC110 - another process changes
                await asyncio.sleep(0.1)
        tls = client_context(authority=state.authority)
        browser = await Connection.tcp("127.0.0.1", port_of(home, "ingress"), tls=tls, server_name="localhost")
        assert (await browser.request("GET", "/")).status == 200
        await browser.close()
        assert stat.S_IMODE(os.stat(state.control).st_mode) == 0o700  # noqa: PTH116 - a look, not a wait
        await until_declared(LivePlatform(state, platform.settings))
        await looked_at(home)
        await proved(LivePlatform(state, platform.settings))
        kept, said = files_of(home.state), fields_of(state.log)
        assert (kept.undeclared, kept.missing, said.undeclared) == ((), ("desired.json",), ())
    finally:
        await platform.close()


async def proved(live: LivePlatform) -> None:
    """What this platform keeps is declared and told, and nobody who was deleted is in it; a strange file is seen."""
    report = await run(live, ["inventory", "retention"], Options())
    assert [(one.id, one.status, one.evidence.found) for one in report.claims] == [
        (Claim.INVENTORY, Status.HELD, ()),
        (Claim.RETENTION, Status.HELD, ()),
    ]
    kept, gone = (one.evidence.figures for one in report.claims)
    assert kept["rows"] == len(INVENTORY)
    assert int(kept["columns"]) > 200
    assert (gone["nights"], gone["log_files_removed"], gone["deleted_left"]) == (7, 7, 0)
    assert int(gone["deleted_values"]) > 30
    strange = live.state.log / "talk.txt"
    strange.touch()
    (broken,) = (await run(live, ["inventory"], Options())).claims
    strange.unlink()
    assert broken.evidence.found == ("files of the state folder: log/talk.txt is kept and not declared",)


async def until_declared(live: LivePlatform) -> None:
    """All that listens is what `clawmates prove` expects, once node's engine has come to rest."""
    async with asyncio.timeout(60):
        while (heard := await listening(live, await live.status())).found:  # noqa: ASYNC110 - other processes end
            await asyncio.sleep(0.2)
    assert heard.figures["listeners_tls"] == 2


async def looked_at(home: Home) -> None:
    """The operator's commands, and the chains that control and vault have signed for each other."""
    (node,) = (await asyncio.to_thread(home.json, "admin", "nodes"))["nodes"]
    assert (node["stage"], node["bots"]) == ("serving", 0)
    async with asyncio.timeout(120):
        while True:
            verdict = await asyncio.to_thread(home.json, "audit", "verify")
            chains = [(one["chain"], one["countersigner"]) for one in verdict["chains"]]
            if all(one["countersigned"] for one in verdict["chains"]):
                break
    assert (verdict["holds"], chains) == (True, [("vault", "node"), ("vault", "control"), ("control", "vault")])
    tags = [one["tag"] for one in (await asyncio.to_thread(home.json, "admin", "audit"))["entries"]]
    assert tags[0] == "control.node.joined"
    assert "control.admin.looked" in tags
    await begun_anew(home)


async def begun_anew(home: Home) -> None:
    """As after control's database was put back alone: root's order reaches both, each under its own user."""
    assert home.json("audit", "resume", "--yes", code=1)["code"] == "chains-hold"
    database = sqlite3.connect(home.state / "control" / "control.db", isolation_level=None, timeout=30)
    for guard in ("audit_witnesses_update", "audit_witnesses_delete"):
        database.execute(f"DROP TRIGGER {guard}")
    database.execute("DELETE FROM audit_witnesses")
    database.close()
    order = await asyncio.to_thread(home.json, "audit", "resume", "--yes")
    assert (order["control"] is None, order["by_nodes"]) == (False, [])
    async with asyncio.timeout(200):
        while True:
            verify = await asyncio.to_thread(home.run_command, "audit", "verify", "--json")
            verdict = json.loads(verify.stdout)["data"]
            breaks = [len(one["breaks"]) for one in verdict["chains"]]
            if verdict["holds"] and all(one["countersigned"] for one in verdict["chains"]) and any(breaks):
                break
    assert breaks == [0, 1, 1]
