"""kill -9 at every step of a rotation and of a destruction, and a full disk in the middle: nothing half-done.

A *step* is the first, or the last, time that a line of the vault's own code is reached. SIGKILL takes from a process
what it has in memory and nothing that it has written: what it leaves is what lies in its folder at that moment. So the
folder is copied at each step of one run, and this process opens the copy; what lies there byte for byte as at the step
before is opened once for both. For every fourth such copy a child is truly killed, what it left takes the copy's place,
and the two are held against each other.
"""

from __future__ import annotations

import asyncio
import gc
import json
import os
import shutil
import signal
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Generator, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from types import FrameType
from typing import Any

import pytest
from tests.support import releases
from tests.support.vault import SECRETS, Running, furnished, refusal, running
from tests.unit.vault.conftest import FakeClock, House, catalogue_in, masters_in
from tests.unit.vault.test_destruction import Loot

from clawmates import vault
from clawmates.trials import disk
from clawmates.vault import rotation
from clawmates.vault.catalogue import Catalogue
from clawmates.vault.closing import write_down
from clawmates.vault.masters import Masters
from clawmates.vault.store import open_store
from clawmates.wire import upkeep_calls
from clawmates.wire.audit import Entries
from clawmates.wire.names import ItemName
from clawmates.wire.receipt import KeysCopy, check
from clawmates.wire.upkeep import KeysStatus, RotationRequest, Trouble
from clawmates.wire.vault import Redemption, TicketRequest, VaultRefusal
from clawmates.wire.vault_client import VaultClient, VaultUnreachableError
from clawmates.wire.vault_deeds import KeyKind, Tag

pytestmark = pytest.mark.timeout(600)

OURS = str(Path(vault.__file__).parent)
KEY, PROMPT = ItemName.PROVIDER_KEY, ItemName.PROMPT
Work = Callable[[House], object]
Line = tuple[str, int]
BOTS = {"b1": "acme", "b2": "acme", "b3": "other"}
TRULY = 4
"""To fork a process with all tests in it takes longer than everything else at a step."""


def open_house(root: Path) -> House:
    clock = FakeClock()
    copy = str(root / "away" / "keys.db")
    signed = root / "release"
    catalogue = Catalogue(signed, releases.PUBLIC) if signed.exists() else catalogue_in(root)
    store = open_store(masters_in(root / "vault"), region="local", catalogue=catalogue, now=clock.now(), keys_copy=copy)
    return House(root / "vault", store, clock, keys_copy=copy)


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    """In RAM where it can be: a killed process loses nothing there either, and waiting for a disk shows nothing."""
    fast = Path("/dev/shm")
    made = Path(tempfile.mkdtemp(prefix="cm-kill-", dir=fast if fast.is_dir() else tmp_path))
    yield made
    shutil.rmtree(made)


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A vault with three bots of two tenants."""
    root = tmp_path_factory.mktemp("template")
    (root / "away").mkdir(mode=0o700)
    house = open_house(root)
    for bot, tenant in BOTS.items():
        house.assign(bot, tenant)
        house.put(bot, KEY, 1, f"sk-{bot}", tenant)
        house.put(bot, PROMPT, 1, f"prompt {bot}", tenant)
    house.store.settle()
    house.store.close()
    return root


def watched(root: Path, work: Work, at: Callable[[Line], None]) -> None:
    """Does the work and calls ``at`` before each line of ours that it passes."""

    def look(frame: FrameType, event: str, _argument: Any) -> Any:
        if not frame.f_code.co_filename.startswith(OURS):
            return None
        if event == "line":
            at((frame.f_code.co_filename, frame.f_lineno))
        return look

    house = open_house(root)
    sys.settrace(look)
    try:
        work(house)
    finally:
        sys.settrace(None)
        house.store.close()


def lines_of(root: Path, work: Work) -> list[Line]:
    """Every line of ours that the work passes, in order."""
    seen: list[Line] = []
    watched(root, work, seen.append)
    return seen


def copied_at(root: Path, work: Work, steps: list[int], copies: Path) -> dict[int, int]:
    """Does the work and leaves below ``copies`` the folder as it lies there at the steps.

    Step → how many steps, from that one on, find the folder exactly so: they share a copy.
    """
    wanted, number = frozenset(steps), count()
    found: dict[int, int] = {}
    lies: dict[Path, bytes] = {}

    def copy(_line: Line) -> None:
        nonlocal lies
        if (step := next(number)) not in wanted:
            return
        now = {path: path.read_bytes() for path in root.rglob("*") if path.is_file()}
        if now != lies:
            lies = now
            shutil.copytree(root, copies / str(step))
            found[step] = 0
        found[max(found)] += 1

    watched(root, work, copy)
    return found


def killed_at(root: Path, work: Work, step: int) -> None:
    """Does the work in a child that dies by SIGKILL at the ``step``-th line."""
    # What the parent holds the child neither looks through nor, by looking, copies.
    gc.freeze()
    child = os.fork()
    if child == 0:
        try:
            gc.disable()
            left = count(-step)
            watched(root, work, lambda _line: None if next(left) else os.kill(os.getpid(), signal.SIGKILL))
        finally:
            os._exit(0)
    assert os.waitpid(child, 0)[1] == signal.SIGKILL
    gc.unfreeze()


def form_of(root: Path) -> dict[str, int]:
    """Each file and its size: keys and nonces differ from one run to the next."""
    return {str(path.relative_to(root)): path.stat().st_size for path in root.rglob("*") if path.is_file()}


def steps_of(lines: list[Line]) -> list[int]:
    """The first and the last time that each line is reached."""
    first: dict[Line, int] = {}
    last: dict[Line, int] = {}
    for number, line in enumerate(lines):
        first.setdefault(line, number)
        last[line] = number
    return sorted({*first.values(), *last.values()})


@dataclass(frozen=True)
class After:
    """A vault as it was left by a kill, once it has been started again and has done its chores."""

    root: Path
    house: House
    files: dict[str, bytes]
    """As they lay there before it was started."""
    kills: int
    """How many of the steps leave exactly this."""

    def opens(self, bot: str) -> bool:
        return self.house.open(bot, (KEY, 1), (PROMPT, 1)) == [f"sk-{bot}", f"prompt {bot}"]


@contextmanager
def each_kill(
    template: Path, folder: Path, work: Work, *, within: tuple[str, ...] = ("",)
) -> Iterator[Iterator[After]]:
    """``within`` are the modules whose lines count as steps; all of ours by default.

    Who looks for what a seeded defect does may stop where it shows.
    """
    measured, whole, copies = folder / "measured", folder / "whole", folder / "copies"
    shutil.copytree(template, measured)
    lines = lines_of(measured, work)
    steps = [step for step in steps_of(lines) if lines[step][0].endswith(within)]
    assert len(steps) > 40, "the steps were not seen"
    shutil.copytree(template, whole)
    found = copied_at(whole, work, steps, copies)
    assert sum(found.values()) == len(steps)

    def run() -> Generator[After]:
        for number, (step, kills) in enumerate(found.items()):
            root = copies / str(step)
            if number % TRULY == 0:
                form = form_of(root)
                shutil.rmtree(root)
                shutil.copytree(template, root)
                killed_at(root, work, step)
                assert form_of(root) == form, "a process that is killed leaves something else"
            files = {path.name: path.read_bytes() for path in (root / "vault").iterdir()}
            house = open_house(root)
            try:
                house.store.settle()
                house.work()
                yield After(root, house, files, kills)
            finally:
                house.store.close()
                shutil.rmtree(root)

    with closing(run()) as kills:
        yield kills


def names_in(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


QUIET = {"master.key", "keys.db", "keys.db-journal", "vault.db", "vault.db-journal"}


def test_the_master_keys_rotation(template: Path, folder: Path) -> None:
    old = (template / "vault" / "master.key").read_bytes()

    def work(house: House) -> None:
        house.store.begin_rotation(RotationRequest(kind=KeyKind.MASTER), house.clock.now())
        house.work()

    turned = kept = 0
    with each_kill(template, folder, work) as kills:
        for after in kills:
            assert all(after.opens(bot) for bot in BOTS)
            assert rotation.under_way(after.house.store.keys) == ()
            now = (after.root / "vault" / "master.key").read_bytes()
            assert any(now)
            assert names_in(after.root / "vault") == QUIET
            assert names_in(after.root / "away") == {"keys.db"}
            turned, kept = turned + (now != old) * after.kills, kept + (now == old)
            assert Loot(after.files["vault.db"], (after.root / "away" / "keys.db").read_bytes(), now).opened()
    assert turned > 30
    assert kept > 0


def test_a_tenants_and_the_intake_keys_rotation(template: Path, folder: Path) -> None:
    def work(house: House) -> None:
        house.store.begin_rotation(RotationRequest(kind=KeyKind.TENANT, tenant="acme"), house.clock.now())
        house.work()
        house.store.begin_rotation(RotationRequest(kind=KeyKind.INTAKE), house.clock.now())
        house.work()

    with each_kill(template, folder, work) as kills:
        for after in kills:
            assert all(after.opens(bot) for bot in BOTS)
            assert rotation.under_way(after.house.store.keys) == ()
            assert names_in(after.root / "away") == {"keys.db"}
            after.house.put("b1", PROMPT, 2, "still takes items in")


@pytest.mark.parametrize("subject", ["bot", "tenant"])
def test_a_destruction(template: Path, folder: Path, subject: str) -> None:
    backup = (template / "vault" / "vault.db").read_bytes()
    gone = {"b1"} if subject == "bot" else {"b1", "b2"}
    secrets = {f"sk-{bot}" for bot in gone} | {f"prompt {bot}" for bot in gone}

    def work(house: House) -> None:
        if subject == "bot":
            house.store.destroy("b1", house.clock.now())
        else:
            house.store.destroy_tenant("acme", house.clock.now())

    before = done = 0
    with each_kill(template, folder, work) as kills:
        for after in kills:
            keys = [(after.root / "vault" / "keys.db"), (after.root / "away" / "keys.db")]
            master = (after.root / "vault" / "master.key").read_bytes()
            found = [Loot(backup, path.read_bytes(), master).opened() & secrets for path in keys]
            there = {bot for bot in BOTS if after.house.store.records.bot(bot) is not None}
            if there == set(BOTS):  # killed before it began: nothing happened
                assert found == [secrets, secrets]
                assert all(after.opens(bot) for bot in BOTS)
                before += 1
            else:
                assert there == set(BOTS) - gone
                assert found == [set(), set()]
                assert after.house.store.keys.known() == after.house.store.records.known()
                done += after.kills
            work(after.house)
            assert names_in(after.root / "away") == {"keys.db"}
    assert done > 30
    assert before > 0


def test_a_vault_that_forgets_what_it_began_would_be_half_done(
    template: Path, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The seeded defect: no note of what is still to be done. The test above is red against it."""
    monkeypatch.setattr("clawmates.vault.destruction.pending", lambda _keys: ())

    def work(house: House) -> None:
        house.store.destroy("b1", house.clock.now())

    with each_kill(template, folder, work) as kills:
        assert any(
            not after.house.store.keys.items_of("b1") and after.house.store.records.bot("b1") is not None
            for after in kills
        )


def destroyed(house: House) -> Counter[str]:
    """How often each destruction stands in the audit chain."""
    entries = house.ledger.entries(0)
    return Counter(str(json.loads(entry.detail)["bot"]) for entry in entries if entry.tag == Tag.BOT_DESTROYED)


AROUND_THE_END = ("closing.py", "destruction.py", "ledger.py")


def destroy_and_write_down(house: House) -> None:
    house.store.destroy_tenant("acme", house.clock.now())
    house.work()


def test_a_destructions_entry_is_there_once_wherever_it_was_killed(template: Path, folder: Path) -> None:
    once = written = 0
    with each_kill(template, folder, destroy_and_write_down, within=AROUND_THE_END) as kills:
        for after in kills:
            gone = {bot for bot in ("b1", "b2") if after.house.store.records.bot(bot) is None}
            assert destroyed(after.house) == Counter(gone), "a receipt without an entry, or an entry twice"
            once, written = once + (gone == {"b1", "b2"}) * after.kills, written + (gone == set())
            destroy_and_write_down(after.house)
            assert destroyed(after.house) == Counter(("b1", "b2"))
    assert once > 20
    assert written > 0


@pytest.mark.parametrize(
    ("seam", "forgetful", "wrong"),
    [
        ("clawmates.vault.destruction.without_entries", lambda _keys: (), Counter()),
        ("clawmates.vault.ledger.Ledger.holds", lambda _self, _note: False, Counter({"b1": 2, "b2": 2})),
    ],
    ids=["forgets that it owes one", "does not look for it"],
)
def test_a_vault_that_does_not_look_would_leave_none_or_two(
    template: Path,
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    seam: str,
    forgetful: Callable[..., object],
    wrong: Counter[str],
) -> None:
    """The seeded defects: the test above is red against either."""

    def work(house: House) -> None:
        receipt = house.store.destroy_tenant("acme", house.clock.now()).receipt
        write_down(house.store.keys, house.ledger, receipt, house.clock.now())

    monkeypatch.setattr(seam, forgetful)
    with each_kill(template, folder, work, within=AROUND_THE_END) as kills:
        assert any(destroyed(after.house) == wrong for after in kills if after.house.store.records.bot("b1") is None)


async def test_a_killed_process_writes_the_entry_at_its_next_start() -> None:
    """The process itself, killed between the end of a destruction and its entry."""
    die = "import os; from clawmates.vault import service; service.write_down = lambda *_: os.kill(os.getpid(), 9)"
    with furnished() as house:
        async with running(house, weaken=die) as one:
            await one.fill()
            with pytest.raises(VaultUnreachableError):
                await upkeep_calls.destroy_bot(one.cli, "b1")
            await one.process.wait()
        async with running(house) as one:
            found = await one.cli.ask(Entries, "GET", "/v1/audit/entries/0")
            assert [entry.tag for entry in found.entries].count(Tag.BOT_DESTROYED) == 1
            signed = await upkeep_calls.destroy_bot(one.cli, "b1")
            entries = (await one.cli.ask(Entries, "GET", "/v1/audit/entries/0")).entries
            noted = [entry.detail for entry in entries if entry.tag == Tag.BOT_DESTROYED]
            assert [json.loads(detail)["receipt"] for detail in noted] == [signed.receipt.id]


def test_a_rotation_that_goes_in_the_wrong_order_would_lose_everything(
    template: Path, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The seeded defect: the new master key takes the old one's place before anything is under it."""
    honest = Masters.begin

    def hasty(self: Masters, ring: Any) -> None:
        honest(self, ring)
        retiring = ring.retiring
        self.finish(ring)
        ring.retiring = retiring

    monkeypatch.setattr(Masters, "begin", hasty)

    def work(house: House) -> None:
        house.store.begin_rotation(RotationRequest(kind=KeyKind.MASTER), house.clock.now())
        house.work()

    with pytest.raises(Exception, match="does not open"), each_kill(template, folder, work) as kills:
        for _ in kills:
            pass


# A full disk


@pytest.fixture
def small(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """An ext4 of its own, 16 MiB."""
    monkeypatch.setattr(disk, "SIZE", 16 << 20)
    with disk.loop_disk(folder) as point:
        yield point


def fill(point: Path) -> Path:
    """Takes every block; the file to remove afterwards."""
    hog = point / "hog"
    with hog.open("wb", buffering=0) as stream:
        size = 1 << 20
        while size >= 512:
            try:
                stream.write(bytes(size))
            except OSError:
                size //= 2
    return hog


LOOK_SECONDS = 0.05
"""Each look is a handshake, which takes from the vault what it needs to come on."""
RETRY = "from clawmates.vault import upkeep; upkeep.RETRY_SECONDS = 0.2"


async def all_released(one: Running, *bots: str) -> None:
    node = one.node
    for bot in bots:
        request = TicketRequest(bot=bot, generation=1, items=dict.fromkeys(SECRETS, 1))
        ticket = Redemption(bot=bot, ticket=(await node.ticket(request)).ticket)
        assert {item.name: item.value.reveal() for item in (await one.mate.redeem(ticket)).items} == SECRETS


async def test_a_full_disk_during_rotations(small: Path) -> None:
    """What was begun goes on where its journal has room or waits; what would need a new file is refused, unbegun."""
    bots = [f"b{number}" for number in range(8)]
    with furnished() as house:
        shutil.move(house.state.root, small / "state")
        house.state.root.symlink_to(small / "state")
        slow = "from clawmates.vault.master import FileMaster; FileMaster.batch = property(lambda self: 1)"
        async with running(house, weaken=f"{RETRY}\n{slow}") as one:
            cli = one.cli
            for bot in bots:
                await one.fill(bot)
            await upkeep_calls.rotate(cli, RotationRequest(kind=KeyKind.TENANT, tenant="acme"))
            before = await upkeep_calls.keys(cli)
            hog = fill(small)
            refused = upkeep_calls.rotate(cli, RotationRequest(kind=KeyKind.MASTER))
            assert await refusal(refused) is VaultRefusal.STORAGE_FAILED
            assert (await upkeep_calls.keys(cli)).master == before.master
            assert {path.name for path in (small / "state" / "vault").iterdir()} == QUIET
            hog.unlink()
            await upkeep_calls.rotate(cli, RotationRequest(kind=KeyKind.MASTER))
            healed = await _until(cli, lambda now: not (now.rotations or now.trouble))
            assert healed.master != before.master
            await all_released(one, *bots)
        async with running(house) as one:
            await all_released(one, *bots)
        house.state.root.unlink()
        shutil.move(small / "state", house.state.root)


async def test_a_full_disk_under_the_copy_of_the_keys(small: Path) -> None:
    with furnished() as house:
        house.configure(more=f'keys_copy = "{small}/keys.db"\n')
        async with running(house, weaken=RETRY) as one:
            cli = one.cli
            for bot in ("b1", "b2"):
                await one.fill(bot)
            hog = fill(small)
            assert await refusal(upkeep_calls.destroy_bot(cli, "b1")) is VaultRefusal.KEYS_COPY_FAILED
            stuck = await _until(cli, lambda now: bool(now.trouble))
            assert (stuck.destroying, stuck.trouble) == (1, (Trouble.KEYS_COPY_FAILED,))
            await upkeep_calls.rotate(cli, RotationRequest(kind=KeyKind.MASTER))
            await all_released(one, "b2")
            assert (await one.stop(signal.SIGKILL))[0] == -signal.SIGKILL
        async with running(house, weaken=RETRY) as one:
            stuck = await _until(one.cli, lambda now: bool(now.trouble))
            assert (stuck.destroying, len(stuck.rotations)) == (1, 1)
            await all_released(one, "b2")
            hog.unlink()
            await _until(one.cli, lambda now: not (now.rotations or now.trouble or now.destroying))
            signed = await upkeep_calls.destroy_bot(one.cli, "b1")
            assert check((await upkeep_calls.receipt_key(one.cli)).public, signed).keys_copy is KeysCopy.REPLACED
        events = "".join(path.read_text() for path in house.state.log.glob("vault-*.jsonl"))
        assert '"code":"keys-copy-failed"' in events


async def _until(client: VaultClient, wanted: Callable[[KeysStatus], bool]) -> KeysStatus:
    async with asyncio.timeout(60):
        while not wanted(now := await upkeep_calls.keys(client)):  # noqa: ASYNC110 - another process changes
            await asyncio.sleep(LOOK_SECONDS)
        return now


def test_destroyed_keys_are_not_on_the_raw_disk(small: Path, folder: Path) -> None:
    """On a plain disk: a copy-on-write one keeps what is overwritten (docs/vault.md says so)."""
    clock = FakeClock()
    (small / "away").mkdir(mode=0o700)
    house = open_house(small)
    wrapped: dict[str, bytes] = {}
    for number in range(40):
        bot = f"b{number}"
        house.assign(bot)
        house.put(bot, KEY, 1, "x")
        house.work()
        (wrapped[bot],) = house.store.keys.database.connection.execute(
            "SELECT wrapped FROM data_keys WHERE bot = ?", (bot,)
        ).fetchone()
    old_master = (small / "vault" / "master.key").read_bytes()
    for number in range(0, 40, 2):
        house.store.destroy(f"b{number}", clock.now())
    house.store.begin_rotation(RotationRequest(kind=KeyKind.MASTER), clock.now())
    house.work()
    house.store.close()
    os.sync()
    raw = (folder / "disk.img").read_bytes()
    alive = [f"b{number}" for number in range(1, 40, 2)]
    assert all(wrapped[bot][14:46] in raw for bot in alive), "the control: what is alive is found"
    assert not [bot for bot, box in wrapped.items() if bot not in alive and box[14:46] in raw]
    assert old_master not in raw
