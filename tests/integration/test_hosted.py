"""A hosted platform as `clawmates hosted init` and `clawmates up` make it: all four processes, under their users."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import sqlite3
import stat
import subprocess
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from tests.support.declared import fields_of, files_of
from tests.support.home import CLAWMATES, Home, a_home

from clawmates.base.http.client import Connection
from clawmates.base.paths import Run, State
from clawmates.base.settings import load
from clawmates.base.tls import client_context
from clawmates.cli.audit import Judged, evidence_of, judge
from clawmates.inventory.whole import INVENTORY
from clawmates.proofs.claims.listening import listening
from clawmates.proofs.live import LivePlatform
from clawmates.proofs.result import Claim, Status
from clawmates.proofs.run import run
from clawmates.proofs.trial import Options
from clawmates.selfhost import layout
from clawmates.selfhost.accounts import account_of
from clawmates.selfhost.platform import Platform
from clawmates.selfhost.supervisor import Phase
from clawmates.trials.hosted import free_port
from clawmates.wire.node_client import NodeClient

pytestmark = pytest.mark.timeout(480)
LOOK_SECONDS = 2.0
"""Between two looks at chains that are countersigned once a minute: each reads and verifies all of them."""
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
    kit = with_backups(home)
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
        await backed_up(home, kit)
    finally:
        await platform.close()
    await lost_and_restored(home, kit)


def with_backups(home: Home) -> Path:
    """A key to seal to and a separate copy of the keys; the folder of what an operator keeps elsewhere."""
    kit = home.state.parent / "kit"
    (kit / "copies").mkdir(parents=True)
    os.chown(kit / "copies", *account_of("vault").owner)
    (kit / "copies").chmod(0o700)
    line = [*CLAWMATES, "backup", "keygen", "--out", str(kit / "key"), "--no-passphrase", "--json"]
    made = subprocess.run(line, capture_output=True, text=True, check=True)
    public = json.loads(made.stdout)["data"]["public"]
    config = home.state / "clawmates.toml"
    text = config.read_text().replace("[vault]\n", f'[vault]\nkeys_copy = "{kit}/copies/keys.db"\n', 1)
    config.write_text(f'{text}\n[backup]\nrecipient = "{public}"\n')
    return kit


async def backed_up(home: Home, kit: Path) -> None:
    """Today's backup, of three people; then one of them is deleted, and the disk is lost."""
    database = sqlite3.connect(home.state / "control" / "control.db", isolation_level=None, timeout=30)
    for name in ("ada", "eve", "kim"):
        values = (f"a-{name}", f"{name}@example.org", "en", "free", "2026-11-30 12:00:00.000000", b"k" * 32)
        columns = "id, email, language, plan, created_at, pseudonym_key"
        database.execute(f"INSERT INTO accounts ({columns}) VALUES (?, ?, ?, ?, ?, ?)", values)
    database.close()
    made = await asyncio.to_thread(home.json, "backup", "create", "--due")
    assert await asyncio.to_thread(home.json, "backup", "create", "--due") == {"due": False}
    assert {"control/rows", "control/pepper", "vault/vault.db"} < set(made["files"])
    (backup,) = (home.state / "backup").iterdir()
    assert backup.stat().st_uid == account_of("control").uid, "control removes it in thirty days"
    jobs = {one["job"]: one for one in (await asyncio.to_thread(home.json, "admin", "retention"))["jobs"]}
    assert (jobs["backup"]["late"], jobs["backup-daily"]["late"]) == (False, False)
    await asyncio.to_thread(home.json, "admin", "erase", "a-ada", "--yes")
    async with asyncio.timeout(60):
        while keyed(kit / "copies" / "keys.db") != ["a-eve", "a-kim"]:  # noqa: ASYNC110 - the vault changes it
            await asyncio.sleep(0.1)
    shutil.copy(backup, kit / "old.backup")
    for name in ("vault/master.key", "control/erased"):
        shutil.copy(home.state / name, kit)


def keyed(keys: Path) -> list[str]:
    """Whose rows in backups can still be opened."""
    database = sqlite3.connect(":memory:")
    database.deserialize(keys.read_bytes())
    found = [name for (name,) in database.execute("SELECT tenant FROM backup_keys ORDER BY tenant")]
    database.close()
    return found


async def lost_and_restored(home: Home, kit: Path) -> None:
    """From the backup, the copy of the keys and the master key, on a machine where nothing is left."""
    layout.remove_state(home.state)
    layout.remove_run(Run(home.run))
    wanted = ["backup", "restore", str(kit / "old.backup"), "--key", str(kit / "key")]
    wanted += ["--keys-copy", str(kit / "copies" / "keys.db"), "--master-key", str(kit / "master.key")]
    wanted += ["--erased", str(kit / "erased")]
    found = await asyncio.to_thread(home.json, *wanted)
    assert (found["accounts"], found["gone"], found["leaving"]) == (2, 1, 0)
    raw = b"".join(path.read_bytes() for path in (home.state / "control").iterdir())
    assert (b"eve@example.org" in raw, b"ada@example.org" in raw) == (True, False)
    assert (await asyncio.to_thread(home.json, *wanted, code=1))["code"] == "bad-backup"
    platform = Platform(State(home.state))
    try:
        await platform.start()
        assert {one.phase for one in platform.supervisor.running.values()} == {Phase.READY}
        people = (await asyncio.to_thread(home.json, "admin", "accounts"))["accounts"]
        assert [one["account"] for one in people] == ["a-eve", "a-kim"]
        await until_it_holds(home)
    finally:
        await platform.close()


async def until_it_holds(home: Home) -> None:
    """The chains go on from where the backup was made, or begin anew by root's order."""
    ordered = False
    async with asyncio.timeout(200):
        while not all(one.holds for one in await judged(home)):
            if not ordered:
                ordered = (await asyncio.to_thread(home.run_command, "audit", "resume", "--yes")).returncode == 0
            await asyncio.sleep(LOOK_SECONDS)
    home.json("audit", "verify")


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
        while not countersigned(await judged(home)):  # noqa: ASYNC110 - other processes sign
            await asyncio.sleep(LOOK_SECONDS)
    verdict = await asyncio.to_thread(home.json, "audit", "verify")
    chains = [(one["chain"], one["countersigner"]) for one in verdict["chains"]]
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
        while not (again(found := await judged(home)) and any(one.breaks for one in found)):  # noqa: ASYNC110
            await asyncio.sleep(LOOK_SECONDS)
    verdict = await asyncio.to_thread(home.json, "audit", "verify")
    assert [len(one["breaks"]) for one in verdict["chains"]] == [0, 1, 1]


async def judged(home: Home) -> list[Judged]:
    """What ``audit verify`` says, without a process for every look: they countersign each other once a minute."""
    state = State(home.state)
    return [judge(one, datetime.now(UTC)) for one in await evidence_of(state, load(state.config))]


def countersigned(found: list[Judged]) -> bool:
    assert all(one.holds for one in found)
    return all(one.countersigned for one in found)


def again(found: list[Judged]) -> bool:
    return all(one.holds and one.countersigned for one in found)
