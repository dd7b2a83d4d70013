"""Claim *retention*: nothing is kept longer than declared, and of whoever is deleted not a byte is left."""

from __future__ import annotations

from typing import TYPE_CHECKING

from clawmates.proofs.lapse.days import LINKS, LOOKS, Night, days
from clawmates.proofs.lapse.erased import erased
from clawmates.proofs.lapse.logs import logs
from clawmates.proofs.lapse.region import region
from clawmates.proofs.lapse.standing import standing
from clawmates.proofs.not_here import not_self_hosted
from clawmates.proofs.part import Part, figures_of
from clawmates.proofs.result import Claim, Evidence, Result, Status, Table, repeat

if TYPE_CHECKING:
    from clawmates.proofs.platform import Platform
    from clawmates.proofs.trial import Bench, Options

NAMES = ("messages", "days counted", "error codes", "sessions", "bots of the cancelled", "the vault's boxes for them")
ALWAYS = (
    (
        "a database on PostgreSQL in its raw bytes: who is deleted here was made up in a database of the trial's own,"
        " never in yours, and a server's files are its administrator's, often on another host; a receipt says"
        " whether its log was emptied, and tests/unit/control/test_erasure_bytes.py and `make bench PART=retention`"
        " read all files of servers of their own"
    ),
    "copies of keys.db that somebody took by root's hand before a deletion: with one of them an old backup opens",
    "blocks that a file system has freed: a file that is written anew leaves its old blocks to the disk",
    "this platform's own people: none was touched, the deleted one was made up in a region made for this trial",
)


async def retention(platform: Platform, _options: Options, bench: Bench) -> Result:
    """Moves a clock, deletes somebody, and reads the bytes. Raises :class:`~clawmates.proofs.errors.ProofError`."""
    if not platform.settings.hosted:
        return not_self_hosted(Claim.RETENTION)
    parts = [await standing(platform, bench)]
    async with region(platform) as made:
        nights = await days(made, bench)
        parts.append(_clock(nights, *await logs(made.folder("logs"))))
        parts.append(await erased(made, bench))
    unsafe = (await platform.status()).unsafe
    found = tuple(one for part in parts for one in part.found)
    figures = figures_of(parts)
    return Result(
        id=Claim.RETENTION,
        status=Status.BROKEN if found else Status.HELD,
        evidence=Evidence(
            summary=f"A clock moved over {max(LOOKS)} days, sums compared to the message on {len(nights)} of them;"
            f" {figures['deleted_values']} values of somebody who was deleted looked for in"
            f" {int(figures['bytes_searched']) / 2**20:.1f} MiB of raw files the moment there was a receipt."
            f" Objections: {len(found) or 'none'}.",
            figures={**figures, "objections": len(found), "unsafe_switches": ", ".join(unsafe) or "none"},
            tables=tuple(part.table for part in parts),
            controls=tuple(one for part in parts for one in part.controls),
            found=found,
            not_looked_at=(*(one for part in parts for one in part.not_looked_at), *ALWAYS, *platform.apart),
        ),
        repeat=repeat(Claim.RETENTION),
    )


def _clock(nights: list[Night], removed: int, against_logs: tuple[str, ...]) -> Part:
    return Part(
        table=Table(
            title="what a night leaves, by a clock moved by hand",
            rows=(
                ("day", *NAMES, "as it must be"),
                *(
                    (
                        str(night.day),
                        *(f"{night.left[name]:,}" for name in NAMES),
                        "no" if night.objections else "yes",
                    )
                    for night in nights
                ),
            ),
        ),
        figures={"nights": len(nights), "log_files_removed": removed},
        controls=(
            (
                f"before the first night every error code and the addresses of {LINKS} links were found in the same"
                " files' bytes; on every night those that must still be there were"
            ),
        ),
        found=(*(one for night in nights for one in night.objections), *against_logs),
    )
