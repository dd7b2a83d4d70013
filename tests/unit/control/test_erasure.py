"""An account is deleted: by its owner on a page, or by an operator; to its end, whatever happens meanwhile."""

from __future__ import annotations

import asyncio
import html
import itertools
import json
import re
import shutil
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx2
import pytest
from click.testing import CliRunner, Result
from sqlalchemy import func, select, update
from tests.support.control import NOON, StandingClock, a_bot, deeds, signed_in
from tests.support.erasing import Furnished, Stage, a_stage, counted, database_bytes, furnish
from tests.support.launching import draft, launch

from clawmates.base.paths import State
from clawmates.base.shape import decode_json
from clawmates.cli.keys import receipt as receipt_command
from clawmates.control.accounts import familiar, links, sessions
from clawmates.control.accounts.links import Purpose
from clawmates.control.accounts.tables import Account, Session
from clawmates.control.admin import door
from clawmates.control.audit.chain import pseudonym_of
from clawmates.control.audit.tables import AuditEntry
from clawmates.control.bots.tables import Bot
from clawmates.control.erasure import begin as beginning
from clawmates.control.erasure import steps
from clawmates.control.erasure.restored import bury
from clawmates.control.erasure.tables import Erasure
from clawmates.control.nodes.desired import desired_of
from clawmates.control.outbox.tables import Errand
from clawmates.control.outbox.worker import Worker
from clawmates.control.retention.keeper import Keeper
from clawmates.control.retention.looks import retention, standing
from clawmates.control.store.database import FILE, open_database
from clawmates.control.vault import VaultLine
from clawmates.wire.deeds import Wish
from clawmates.wire.erasure import Ended, ErasureReceipt
from clawmates.wire.operator_client import OperatorClient
from clawmates.wire.receipt import MAX_RECEIPT

ADA = "ada@example.org"


async def count(stage: Stage, *wanted: Any) -> int:
    async with stage.place.database.reading() as session:
        return await session.scalar(select(func.count()).select_from(wanted[0]).where(*wanted[1:])) or 0


async def sealed(stage: Stage, erasure: str = "") -> ErasureReceipt:
    return decode_json(ErasureReceipt, (await stage.erasure(erasure)).receipt.encode(), MAX_RECEIPT)


async def rounds(stage: Stage, number: int = 6, worker: Worker | None = None) -> None:
    worker = worker or stage.worker()
    for _ in range(number):
        await worker.round()
        stage.place.clock.forward(seconds=61)


async def verify(file: Path, *more: str) -> Result:
    """The command, in a thread: it has a loop of its own."""
    return await asyncio.to_thread(CliRunner().invoke, receipt_command, ["verify", str(file), *more])


def shown_code(page: httpx2.Response) -> str:
    found = re.search(r'<code class="code">([A-Z0-9-]{23})</code>', page.text)
    assert found is not None, page.text
    return html.unescape(found[1])


async def test_on_the_page_with_a_fresh_proof_and_the_typed_address(tmp_path: Path) -> None:
    async with a_stage(tmp_path) as stage, stage.place.browser() as browser, stage.place.browser() as other:
        ada = await signed_in(stage.place, browser, ADA)
        await signed_in(stage.place, other, ADA)
        async with stage.place.database.writing() as session:
            session.add(a_bot("b-1", ada, node="node-1"))
        stage.place.clock.forward(minutes=11)
        assert "Delete my account" not in (await browser.get("/account/delete")).text, "step-up comes first"
        assert (await browser.post("/account/delete", data={"email": ADA})).status_code == 403
        await signed_in(stage.place, browser, ADA)
        for typed in ("", "eve@example.org"):
            assert (await browser.post("/account/delete", data={"email": typed})).status_code == 400
        assert await count(stage, Erasure) == 0
        done = await browser.post("/account/delete", data={"email": " Ada@Example.org "})
        assert done.status_code == 200
        dropped = [line for line in done.headers.get_list("set-cookie") if "Max-Age=0" in line]
        assert {line.partition("=")[0] for line in dropped} == {sessions.COOKIE, familiar.COOKIE}
        assert await count(stage, Session) == 0
        for one in (browser, other):
            assert (await one.get("/account")).headers["location"] == "/sign-in"
        async with stage.place.database.reading() as session:
            assert (await desired_of(session, "node-1", NOON)).bots == ()
        code = shown_code(done)
        waits = await browser.post("/receipt", data={"code": code})
        assert "Not everything is gone yet" in waits.text
        await stage.node_says()
        await stage.work()
        assert "Deleted" in (await browser.post("/receipt", data={"code": code})).text
        taken = await browser.post("/receipt", data={"code": code, "as": "file"})
        (tmp_path / "receipt.json").write_bytes(taken.content)
        stage.place.clock.forward(minutes=61)
        assert (await browser.post("/receipt", data={"code": code})).status_code == 410, "it was taken"
        assert (await browser.post("/receipt", data={"code": "short"})).status_code == 400
    shown = await verify(tmp_path / "receipt.json")
    assert shown.exit_code == 0, shown.output
    assert "b-1: its host said that it is gone" in shown.output
    assert "account: 1 rows" in shown.output
    changed = taken.text.replace('"rows":1', '"rows":0', 1)
    (tmp_path / "receipt.json").write_text(changed)
    assert (await verify(tmp_path / "receipt.json")).exit_code == 1


@pytest.mark.any_database
async def test_a_receipt_is_of_the_key_that_one_knows(tmp_path: Path) -> None:
    async with a_stage(tmp_path) as stage:
        ada = await furnish(stage.place, bots=0)
        await stage.ask(ada.account)
        await stage.work()
        text, key = (await stage.erasure()).receipt, (await sealed(stage)).control_key
    file = tmp_path / "receipt.json"
    file.write_text(text)
    assert (await verify(file, "--key", key)).exit_code == 0
    other = await verify(file, "--json", "--key", "A" * 43 + "=")
    assert json.loads(other.stdout)["error"]["code"] == "other-key"


async def test_nobody_signs_in_any_more_and_afterwards_the_address_is_free(tmp_path: Path) -> None:
    async with a_stage(tmp_path) as stage, stage.place.browser() as browser:
        ada = await signed_in(stage.place, browser, ADA)
        context = stage.place.context
        async with stage.place.database.writing() as session:
            codes = [await links.make(session, context, Purpose.SIGN_IN, ADA) for _ in range(2)]
        await stage.ask(ada)
        refused = await browser.post("/enter", data={"code": codes[0]})
        assert refused.status_code == 410
        assert "being deleted" in refused.text
        await stage.work()
        assert (await browser.post("/enter", data={"code": codes[1]})).status_code == 410, "its links are gone, too"
        async with stage.place.database.writing() as session:
            again = await links.make(session, context, Purpose.SIGN_IN, ADA)
        assert (await browser.post("/enter", data={"code": again})).status_code == 303
        assert await count(stage, Account, Account.id != ada, Account.email == ADA) == 1


async def test_while_a_bot_answers_there_is_no_receipt_before_its_node_has_spoken(tmp_path: Path) -> None:
    async with a_stage(tmp_path) as stage:
        ada = await furnish(stage.place)
        await stage.ask(ada.account)
        await stage.node_says(revision=0)
        await stage.node_says(leaving=ada.bots[:1])
        await rounds(stage)
        assert await stage.waiting() == [("erase-seal", "still-running")]
        assert (await stage.erasure()).receipt == ""
        assert set((await counted(stage.place, ada.account)).values()) == {0}, "what is here does not wait for it"
        await stage.node_says()
        await stage.work()
        assert [one.by for one in (await sealed(stage)).erasure.bots] == [Ended.NODE, Ended.NODE]


@pytest.mark.any_database
async def test_a_deletion_that_is_not_over_after_a_day_is_told_to_the_operator(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    async with a_stage(tmp_path) as stage:
        ada = await furnish(stage.place, node=None)
        await stage.ask(ada.account)
        keeper = Keeper(database=stage.place.database, clock=stage.place.clock, holder="one", jobs=())

        async def told() -> tuple[bool, bool, bool]:
            async with stage.place.database.reading() as session:
                now = stage.place.clock.now()
                shown = [row.overdue for row in (await retention(session, now, ())).jobs if row.late]
                at_a_glance = (await standing(session, now, ())).late
            return "deletion" in await keeper.alarm(), shown == [1], at_a_glance == ("deletion",)

        stage.place.clock.forward(hours=23.9)
        assert await told() == (False, False, False)
        stage.place.clock.forward(hours=0.2)
        assert await told() == (True, True, True)
        said = capsys.readouterr().err
        assert "deletion is late" in said
        assert ada.left_in(said.encode()) == []
        await stage.work()
        assert await told() == (False, False, False)


@pytest.mark.any_database
async def test_a_lost_node_holds_the_receipt_up_until_its_last_lease_has_ended(tmp_path: Path) -> None:
    async with a_stage(tmp_path) as stage:
        ada = await furnish(stage.place)
        begun, worker = await stage.ask(ada.account), stage.worker()
        await rounds(stage, 30, worker)
        assert await stage.waiting() == [("erase-seal", "still-running")]
        await stage.work(worker)
        said = await sealed(stage)
        assert [one.by for one in said.erasure.bots] == [Ended.LEASE, Ended.LEASE]
        assert said.erasure.issued > (begun.asked_at + timedelta(minutes=61)).isoformat()


@pytest.mark.any_database
@pytest.mark.parametrize("defect", [False, True], ids=["", "leases end by the wall clock"])
async def test_a_clock_that_jumps_years_neither_hurries_a_receipt_nor_keeps_it_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, defect: bool
) -> None:
    """Forward while a lost node is waited for, and back by as much; a replica that starts anew waits anew."""
    if defect:  # the weakened build
        monkeypatch.setattr(StandingClock, "monotonic", lambda self: (self.moment - NOON).total_seconds())
    async with a_stage(tmp_path) as stage:
        ada, clock = await furnish(stage.place), stage.place.clock
        async with stage.place.database.writing() as session:
            # Taken by a replica whose clock was years ahead; nothing waits for that moment.
            taken = update(Errand).where(Errand.lane == f"bot/{ada.bots[0]}")
            await session.execute(taken.values(tries=1, due_at=NOON + timedelta(days=1100)))
        await stage.ask(ada.account)
        await rounds(stage, 3)
        worker = stage.worker()
        await rounds(stage, 30, worker)
        clock.leap(days=1100)
        await rounds(stage, 3, worker)
        assert ((await stage.erasure()).receipt != "") is defect, "on its host it may still run"
        if defect:
            return
        assert await stage.waiting() == [("erase-seal", "still-running")]
        clock.leap(days=-1100)
        await rounds(stage, 26, worker)
        assert await stage.waiting() == [("erase-seal", "still-running")], "an hour and a minute have not gone by"
        await rounds(stage, 4, worker)
        assert [one.by for one in (await sealed(stage)).erasure.bots] == [Ended.LEASE, Ended.LEASE]


@pytest.mark.any_database
async def test_a_vault_that_is_away_is_waited_for_and_nothing_is_said_of_it(tmp_path: Path) -> None:
    async with a_stage(tmp_path) as stage:
        ada = await furnish(stage.place, bots=0)
        line, away = stage.place.context.vault, stage.place.context
        stage.place.context = replace(away, vault=VaultLine(_nobody, away.clock))
        await stage.ask(ada.account)
        await rounds(stage)
        assert await stage.waiting() == [("erase-keys", "vault-down")]
        assert await count(stage, Account) == 1, "keys come first"
        stage.place.context = replace(away, vault=line)
        await stage.work()
        assert await count(stage, Account) == 0


def _nobody() -> Any:
    raise OSError


async def test_during_a_launch_what_is_on_its_way_to_the_vault_comes_before_its_destruction(tmp_path: Path) -> None:
    async with a_stage(tmp_path) as stage, stage.place.browser() as browser:
        ada = await signed_in(stage.place, browser, ADA)
        bot = await draft(browser)
        assert (await launch(browser, bot)).status_code == 200
        worker = stage.worker()
        for task in await worker._take():
            assert await worker._settle(task, await worker._do(task)), "the vault knows whose it is"
        (taken,) = await worker._take()  # another replica has just gone with a sealed key, and will say it
        assert (taken.lane, taken.kind) == (f"bot/{bot}", "put")
        await stage.ask(ada)
        await worker.round()
        assert (await stage.waiting()) == [("erase-keys", "")], "not while it may still be said"
        assert await count(stage, Errand, Errand.lane == f"bot/{bot}") == 0, "the rest never will be"
        assert await worker._settle(taken, await worker._do(taken)) is False
        await stage.node_says()
        await stage.work()
        said = await sealed(stage)
        assert [one.bot for one in said.vault.receipt.items] == [bot], "what came meanwhile was destroyed with the rest"
        assert await count(stage, Bot) == 0


async def test_of_two_at_once_one_is_done(tmp_path: Path) -> None:
    async with a_stage(tmp_path) as stage:
        ada = await furnish(stage.place)
        first, second = await asyncio.gather(stage.ask(ada.account), stage.ask(ada.account, Wish.OPERATOR))
        assert first.erasure == second.erasure
        assert (await deeds(stage.place)).count("account.left") == 1
        await stage.node_says()
        await stage.work()
        assert await count(stage, Erasure) == 1


class KilledError(BaseException):
    """As ``kill -9``: nothing that comes after it is done."""


@dataclass
class Dying:
    """Dies once, at this moment of its step."""

    handler: Any
    moment: str
    dead: bool = False

    @property
    def perishes(self) -> bool:
        return bool(self.handler.perishes)

    def _die(self, moment: str) -> None:
        if moment == self.moment and not self.dead:
            self.dead = True
            raise KilledError

    async def do(self, task: Any) -> Any:
        self._die("before")
        outcome = await self.handler.do(task)
        self._die("done")
        return outcome

    async def settle(self, session: Any, task: Any, outcome: Any) -> None:
        await self.handler.settle(session, task, outcome)
        self._die("settled")


KINDS = (beginning.KEYS, beginning.TELL, steps.ROWS, steps.BYTES, steps.SEAL)


@pytest.mark.sqlite_alone
async def test_killed_at_any_step_it_is_finished_by_another_replica(tmp_path: Path) -> None:
    async with a_stage(tmp_path) as stage:
        moments = list(itertools.product(KINDS, ("before", "done", "settled")))
        for number, (kind, moment) in enumerate(moments, 1):
            ada = await furnish(stage.place)
            begun = await stage.ask(ada.account)
            await stage.node_says()
            dying = Dying(stage.worker().handlers[kind], moment)
            with pytest.raises(BaseExceptionGroup) as killed:
                await stage.work(stage.worker({kind: dying}))
            assert killed.group_contains(KilledError), (kind, moment)
            await stage.work()
            assert set((await counted(stage.place, ada.account)).values()) == {0}, (kind, moment)
            said = await sealed(stage, begun.erasure)
            assert [one.by for one in said.erasure.bots] == [Ended.NODE, Ended.NODE], (kind, moment)
            assert ada.left_in(database_bytes(tmp_path)) == [], (kind, moment)
            told = await deeds(stage.place)
            assert (told.count("account.left"), told.count("account.erased")) == (number, number), (kind, moment)


async def test_an_operator_asks_by_the_socket_and_the_chain_leads_to_nobody(tmp_path: Path) -> None:
    async with a_stage(tmp_path) as stage, door.serving(tmp_path / "control.sock", stage.place.context):
        ada = await furnish(stage.place, bots=0)
        async with stage.place.database.reading() as session:
            subject = await pseudonym_of(session, ada.account)
        client = OperatorClient(tmp_path / "control.sock")
        assert await client.erase("a-nobody") is None
        found = await client.erase(ada.account)
        assert found is not None
        await stage.work()
        assert (await sealed(stage)).erasure.id == found.receipt
        assert await client.erase(ada.account) is None
        async with stage.place.database.reading() as session:
            left = (await session.scalars(select(AuditEntry).where(AuditEntry.tag == "control.account.left"))).one()
            gone = (await session.scalars(select(AuditEntry).where(AuditEntry.tag == "control.account.erased"))).one()
        assert (left.subject, json.loads(left.detail)) == (subject, {"wish": "operator"})
        assert (gone.subject, json.loads(gone.detail)) == ("", {"receipt": found.receipt})
        assert ada.account not in left.detail + gone.detail


async def put_back(stage: Stage, tmp_path: Path, ada: Furnished, *, midway: bool = False) -> None:
    """The person is deleted; then the database of before, or of midway, is put back, as an operator would do it."""
    file, before = tmp_path / "control" / FILE, tmp_path / "before"
    if midway:
        await stage.ask(ada.account)
    await stage.place.database.engine.dispose()
    shutil.copy(file, before)
    await stage.ask(ada.account)
    await stage.node_says()
    await stage.work()
    await stage.place.database.close()
    for one in file.parent.glob(f"{FILE}-*"):
        one.unlink()
    shutil.copy(before, file)
    before.unlink()
    context = stage.place.context
    fresh = open_database(context.settings.control, State(tmp_path))
    stage.place.context = replace(context, database=fresh)


@pytest.mark.sqlite_alone
async def test_who_was_deleted_stays_deleted_after_a_restore(tmp_path: Path) -> None:
    async with a_stage(tmp_path) as stage:
        ada = await furnish(stage.place)
        eve = await furnish(stage.place, node=None)
        hers = await counted(stage.place, eve.account)
        await put_back(stage, tmp_path, ada)
        assert ada.email.encode() in database_bytes(tmp_path), "the backup had them"
        assert await bury(stage.place.context) == 1
        assert set((await counted(stage.place, ada.account)).values()) == {0}
        assert ada.left_in(database_bytes(tmp_path)) == []
        assert await counted(stage.place, eve.account) == hers
        assert await bury(stage.place.context) == 0
        await stage.work()
        assert ada.account.encode() not in (tmp_path / "control" / "erased").read_bytes()
        await stage.place.database.close()


@pytest.mark.sqlite_alone
async def test_a_restore_into_the_midst_of_a_deletion_goes_on_to_its_end(tmp_path: Path) -> None:
    async with a_stage(tmp_path) as stage:
        ada = await furnish(stage.place)
        await put_back(stage, tmp_path, ada, midway=True)
        assert await bury(stage.place.context) == 0, "it is under way, and its errand knows how far"
        assert (await stage.erasure()).receipt == ""
        await stage.node_says()
        await stage.work()
        assert [one.by for one in (await sealed(stage)).erasure.bots] == [Ended.NODE, Ended.NODE]
        assert set((await counted(stage.place, ada.account)).values()) == {0}
        assert ada.left_in(database_bytes(tmp_path)) == []
        await stage.place.database.close()


@pytest.mark.sqlite_alone
async def test_without_the_list_they_would_be_back(tmp_path: Path) -> None:
    """The seeded defect: the test above is red against it."""
    async with a_stage(tmp_path) as stage:
        ada = await furnish(stage.place)
        await put_back(stage, tmp_path, ada)
        stage.place.context.tombstones.path.unlink()
        assert await bury(stage.place.context) == 0
        assert ada.left_in(database_bytes(tmp_path)) != []
        await stage.place.database.close()
