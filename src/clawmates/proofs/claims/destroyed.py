"""Destroyed is destroyed: not even an old backup and the master key bring it back."""

from __future__ import annotations

from typing import TYPE_CHECKING

from clawmates.proofs.claims.at_rest import files
from clawmates.proofs.errors import ProofError
from clawmates.proofs.part import Part
from clawmates.proofs.result import Table
from clawmates.proofs.vaultcalls import Who
from clawmates.proofs.vaultfile import UnreadableError, kept, open_record, raw

if TYPE_CHECKING:
    from clawmates.proofs.claims.victim import Victim
    from clawmates.proofs.platform import Platform
    from clawmates.proofs.vaultfile import Kept

HEAD = ("what was tried after the destruction", "must", "did", "as it must be")
NAMES = ("vault.db", "keys.db", "vault.db-journal", "keys.db-journal")


async def destroyed(platform: Platform, one: Victim, master: bytes) -> Part:
    """Takes a backup, destroys the bot, and tries to open the backup. Raises :class:`ProofError`."""
    backup = await one.calls.ask(Who.CLI, "POST", "/v1/backup", {})
    before, stolen = _mine(files(platform.state), one), raw(platform.state.vault / "keys.db")
    if backup.word != "done" or not before:
        raise ProofError(f"the vault gives no backup: {backup.word}")
    if (answer := await one.destroy()).word != "done":
        raise ProofError(f"the vault does not destroy a bot of this trial's own: {answer.word}")
    try:
        old = _mine(kept(backup.body, raw(platform.state.vault / "keys.db")), one)
        whole = _mine(kept(backup.body, stolen), one)
    except UnreadableError:
        raise ProofError("the backup, or the vault's files, cannot be read") from None
    if not whole or any(open_record(row, master) is None for row in whole):
        raise ProofError("the backup does not open even with the keys of then, so that it stays closed shows nothing")
    opened = sum(open_record(row, master) is not None for row in old)
    left = _mine(files(platform.state), one)
    traces = _traces(platform, before)
    rows = (
        (
            "the backup, with the keys of now and the master key",
            f"{len(old)} stay closed",
            f"{len(old) - opened} stay closed",
        ),
        ("the vault's own records of it", "be gone", "gone" if not left else f"{len(left)} left"),
        (
            "the wrapped keys and ciphertexts, in the raw bytes of all files, free pages and journals included",
            "be gone",
            "gone" if not traces else ", ".join(traces),
        ),
    )
    wrong = (bool(opened), bool(left), bool(traces))
    return Part(
        table=Table(
            title="destruction",
            rows=(HEAD, *((*row, "no" if bad else "yes") for row, bad in zip(rows, wrong, strict=True))),
        ),
        figures={"destroyed_records": len(before)},
        controls=(
            "the same backup with a stolen copy of the keys of before: opens, so their destruction is what closes it",
        ),
        found=tuple(f"after the destruction, {row[0]}: {row[2]}" for row, bad in zip(rows, wrong, strict=True) if bad),
        not_looked_at=(
            "copies of keys.db that somebody took by root's hand before the destruction: they open what they opened",
        ),
    )


def _mine(rows: tuple[Kept, ...], one: Victim) -> tuple[Kept, ...]:
    return tuple(row for row in rows if row.binding.bot == one.name)


def _traces(platform: Platform, before: tuple[Kept, ...]) -> list[str]:
    """Where a box of before still stands."""
    found = []
    for name in NAMES:
        path = platform.state.vault / name
        if not path.exists():
            continue
        data = path.read_bytes()
        if any(box in data for row in before for box in (row.data_key, row.box)):
            found.append(name)
    return found
