"""Somebody is deleted, and the moment there is a receipt, every byte of what is kept is read."""

from __future__ import annotations

import asyncio
import hmac
import sqlite3
from contextlib import closing, suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from clawmates.base.shape import ShapeError, decode_json
from clawmates.proofs.errors import BlindError, ProofError
from clawmates.proofs.kept.look import CONTROL_DB
from clawmates.proofs.kept.schemas import beside
from clawmates.proofs.lapse.backups import Backup
from clawmates.proofs.lapse.person import Person, boxes, entrust, furnish
from clawmates.proofs.lapse.retained import wrapped_key
from clawmates.proofs.part import Part
from clawmates.proofs.result import Table
from clawmates.wire.erasure import ErasureReceipt, Log, check
from clawmates.wire.operator_client import ControlNotRunningError, OperatorClient
from clawmates.wire.receipt import MAX_RECEIPT, ReceiptError

if TYPE_CHECKING:
    from pathlib import Path

    from clawmates.proofs.lapse.region import Region
    from clawmates.proofs.trial import Bench

OTHERS = 20
"""Rows of other people around theirs, so that pages were split while they were written."""
SECONDS = 60.0
LOOK_SECONDS = 0.05
NOT_KEPT = frozenset({"engine", "release"})
"""The signed software: there before anybody was."""
HEAD = ("after the deletion, bytes of", "files", "KiB", "values looked for", "left")
TOMBSTONE = b"tombstone\0"


@dataclass(slots=True)
class Bytes:
    """All files of a folder, as they lie there."""

    files: dict[str, bytes] = field(default_factory=dict, repr=False)

    @classmethod
    def of(cls, root: Path, copy: Path) -> Bytes:
        """Free pages, write-ahead logs, journals and backups are files too, or parts of them. Raises ``OSError``.

        ``copy`` is the vault's separate copy of its keys.
        """
        found = cls()
        for path in sorted(root.rglob("*")):
            name = path.relative_to(root)
            if path.is_file() and not path.is_symlink() and name.parts[0] not in NOT_KEPT:
                with suppress(FileNotFoundError):  # another process has just put one in another's place
                    found.files[str(name)] = path.read_bytes()
        found.files["vault/(separate copy)/keys.db"] = copy.read_bytes()
        return found

    def places(self) -> dict[str, list[str]]:
        """File names by what they belong to."""
        found: dict[str, list[str]] = {}
        for name in self.files:
            place = {"control": "control's files", "vault": "the vault's files", "log": "the log"}
            place |= {"backup": "backups"}
            found.setdefault(place.get(name.partition("/")[0], "other files"), []).append(name)
        return found

    def left(self, one: Person) -> dict[str, list[str]]:
        """What is there of a person, by file."""
        found = {name: one.left_in(data) for name, data in self.files.items()}
        return {name: left for name, left in found.items() if left}


async def erased(region: Region, bench: Bench) -> Part:
    """Deletes one of many, by the operator's word to a control that runs. Raises :class:`ProofError`."""
    context = region.context(region.database, bench.clock, region.root)
    ada, *others, eve = [await furnish(context, bench.entropy) for _ in range(OTHERS + 2)]
    for one in (ada, eve):
        await entrust(region.calls, one.account, one.bot, region.settings.node.name)
        one.marks |= boxes(region, one.bot)
    backup = await Backup.made(region, bench, (ada, eve))
    ada.marks["vault: backup key"] = wrapped_key(backup.stolen, ada.account)
    before = Bytes.of(region.state.root, region.copy)
    _must_be_there(ada, before, "before the deletion")
    number, receipt = await _deleted(region, ada)
    # At once: it says that it is true now.
    after = Bytes.of(region.state.root, region.copy)
    bench.progress("bytes of files", sum(map(len, after.files.values())))
    _must_be_there(eve, after, "after somebody else's deletion")
    found = [f"after the deletion {name} holds: {', '.join(left)}" for name, left in sorted(after.left(ada).items())]
    if left := ada.left_in(receipt):
        found.append(f"the receipt holds: {', '.join(left)}")
    found += _against_receipt(receipt, ada, number)
    found += _against_tombstone(region, ada, eve)
    found += backup.against(region, ada, eve)
    return Part(
        table=Table(title="a deletion", rows=(HEAD, *_rows(after, ada))),
        figures={
            "deleted_values": len(ada.marks),
            "deleted_left": sum(len(left) for left in after.left(ada).values()),
            "bytes_searched": sum(map(len, after.files.values())),
            "files_searched": len(after.files),
            "backup_values": len(backup.shown),
        },
        controls=(
            (
                f"the same search before the deletion: all {len(ada.marks)} values found; and after it all"
                f" {len(eve.marks)} of somebody else's, who was not deleted ({len(others)} more people lay around them)"
            ),
            (
                f"a backup of before, opened with the keys of then: {len(backup.shown)} values found, and with a stolen"
                " copy of those keys they still are; somebody else's are found in it with the keys of now"
            ),
        ),
        found=tuple(found),
    )


def _must_be_there(one: Person, files: Bytes, when: str) -> None:
    there = {name for left in files.left(one).values() for name in left}
    if missed := sorted(one.marks.keys() - there):
        raise BlindError(f"{when} this search does not find what is certainly there: {', '.join(missed)}")


async def _deleted(region: Region, one: Person) -> tuple[str, bytes]:
    """(number of the deletion, its receipt), as soon as there is one."""
    try:
        begun = await OperatorClient(region.settings.run.control).erase(one.account)
    except ControlNotRunningError:
        raise ProofError("the trial's control does not answer its operator") from None
    if begun is None:
        raise ProofError("the trial's control does not know a person who was just made")
    try:
        async with asyncio.timeout(SECONDS):
            while not (receipt := _receipt(region, begun.receipt)):  # noqa: ASYNC110 - another process writes it
                await asyncio.sleep(LOOK_SECONDS)
    except TimeoutError:
        raise ProofError(f"a deletion has no receipt after {SECONDS:.0f} s") from None
    return begun.receipt, receipt


def _receipt(region: Region, number: str) -> bytes:
    try:
        with closing(beside(region.state.control / CONTROL_DB)) as connection:
            row = connection.execute("SELECT receipt FROM erasures WHERE id = ?", (number,)).fetchone()
    except sqlite3.Error:
        return b""
    return str(row[0]).encode() if row else b""


def _against_receipt(receipt: bytes, one: Person, number: str) -> list[str]:
    try:
        said = check(decode_json(ErasureReceipt, receipt, MAX_RECEIPT))
    except (ShapeError, ReceiptError):
        return ["the receipt's signatures do not hold"]
    moments = [said.asked, said.erased, said.rewritten, said.issued]
    found = []
    if (said.id, said.account) != (number, one.account):
        found.append("the receipt is about somebody else")
    if moments != sorted(moments):
        found.append("the receipt's moments are not in their order")
    if said.log is not Log.EMPTIED:
        found.append("the receipt does not say that the write-ahead log was emptied")
    if not said.data:
        found.append("the receipt names nothing that was deleted")
    return found


def _against_tombstone(region: Region, gone: Person, here: Person) -> list[str]:
    """Whoever is deleted stays deleted after a restore: by an HMAC-SHA-256 of the account's number, one a line."""
    lines = region.erased.read_bytes().split() if region.erased.exists() else []

    def mark(one: Person) -> bytes:
        return hmac.new(region.pepper, TOMBSTONE + one.account.encode(), "sha256").hexdigest().encode()

    found = [] if mark(gone) in lines else ["who was deleted is not on the list that a restore is held against"]
    return found + ["somebody is on the list of the deleted who was not deleted"] * (mark(here) in lines)


def _rows(files: Bytes, one: Person) -> list[tuple[str, ...]]:
    found: list[tuple[str, ...]] = []
    for place, names in sorted(files.places().items()):
        size = sum(len(files.files[name]) for name in names) / 1024
        left = sum(len(one.left_in(files.files[name])) for name in names)
        found.append((place, str(len(names)), f"{size:,.0f}", str(len(one.marks)), str(left)))
    return found
