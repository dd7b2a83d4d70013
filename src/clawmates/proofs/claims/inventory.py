"""Claim *inventory*: what is kept is what is declared, and what is declared is what the public page says."""

from __future__ import annotations

from typing import TYPE_CHECKING

from clawmates.inventory.datum import Store
from clawmates.inventory.whole import INVENTORY, columns
from clawmates.proofs.canary import mint
from clawmates.proofs.errors import BlindError
from clawmates.proofs.kept import look, pages, told
from clawmates.proofs.part import Part, figures_of
from clawmates.proofs.result import Claim, Evidence, Result, Status, Table, repeat

if TYPE_CHECKING:
    from clawmates.proofs.platform import Platform
    from clawmates.proofs.trial import Bench, Options

HEAD = ("kept in", "there", "declared", "undeclared", "declared and not there")
PAGES = ("page", "rows or hosts there", "wanted", "objections")
ALWAYS = (
    "the inside of the container engine's own storage: its images are signed, and no container has a disk",
    (
        f"the {len(columns(Store.RAM))} things that are declared to be in memory alone: memory has no schema; that"
        " nothing of a conversation is elsewhere is claim no-storage"
    ),
    "files outside of the state folder that an operator's own programs make: dumps, snapshots, backups of machines",
)
SELF_HOSTED = (
    "control's database and the public pages: a self-hosted platform has neither accounts nor pages; the databases,"
    " files and log lines that it has were looked at"
)


async def inventory(platform: Platform, _options: Options, bench: Bench) -> Result:
    """Looks at everything that is kept, and at the pages. Raises :class:`~clawmates.proofs.errors.ProofError`."""
    hosted = platform.settings.hosted
    looks = [*look.vault(platform), await look.files(platform, mint(bench.entropy)), look.log(platform.state.log)]
    if hosted:
        looks.insert(0, await look.control(platform))
    bench.progress("columns, files and fields", sum(one.found for one in looks))
    parts = [_kept(looks)]
    if hosted:
        parts.append(await _told(platform))
    unsafe = (await platform.status()).unsafe
    found = tuple(one for part in parts for one in part.found)
    figures = figures_of(parts)
    shown = f", {figures['rows']} rows and {figures['hosts']} hosts on the public pages" if hosted else ""
    return Result(
        id=Claim.INVENTORY,
        status=Status.BROKEN if found else Status.HELD,
        evidence=Evidence(
            summary=f"{figures['columns']} columns, {figures['files']} files and {figures['log_fields']} fields of log"
            f" lines{shown}, held against {len(INVENTORY)} declared entries. Objections: {len(found) or 'none'}.",
            figures={**figures, "objections": len(found), "unsafe_switches": ", ".join(unsafe) or "none"},
            tables=tuple(part.table for part in parts),
            controls=tuple(one for part in parts for one in part.controls),
            found=found,
            not_looked_at=(
                *(one for part in parts for one in part.not_looked_at),
                *ALWAYS,
                *(() if hosted else (SELF_HOSTED,)),
                *platform.apart,
            ),
        ),
        repeat=repeat(Claim.INVENTORY),
    )


def _kept(looks: list[look.Look]) -> Part:
    found = [
        f"{one.where}: {what} is {state}"
        for one in looks
        for state, those in (
            ("kept and not declared", one.difference.undeclared),
            ("declared and not there", one.difference.missing),
        )
        for what in those
    ]
    *databases, files, log = looks
    return Part(
        table=Table(
            title="what is kept",
            rows=(
                HEAD,
                *(
                    (
                        one.where,
                        f"{one.found:,}",
                        f"{one.found - len(one.difference.undeclared):,}",
                        str(len(one.difference.undeclared)),
                        str(len(one.difference.missing)),
                    )
                    for one in looks
                ),
            ),
        ),
        figures={
            "columns": sum(one.found for one in databases),
            "files": files.found,
            "log_fields": log.found,
            "undeclared": sum(len(one.difference.undeclared) for one in looks),
            "missing": sum(len(one.difference.missing) for one in looks),
        },
        controls=(
            "a copy of each schema with one column more and one table fewer: both noticed by the same comparison",
            "a file that nobody declared, in the log's folder for the time of the look: noticed",
            "a log line with one field more: noticed",
        ),
        found=tuple(found),
        not_looked_at=(
            *((f"declared files that need not be there: {', '.join(files.excused)}",) if files.excused else ()),
            *((f"declared fields without a line so far: {', '.join(log.excused)}",) if log.excused else ()),
        ),
    )


async def _told(platform: Platform) -> Part:
    found: list[str] = []
    rows = [PAGES]
    seen: dict[str, int] = {}
    for language in told.LANGUAGES:
        shown = pages.rows(await pages.fetch(platform, pages.STORED, language))
        against = told.against_list(shown, language)
        _control(shown, against, language)
        found += [f"{pages.STORED}, {one}" for one in against]
        rows.append((f"{pages.STORED}, {language}", str(len(shown)), str(len(INVENTORY)), str(len(against))))
        seen[language] = len(shown)
    wanted, there = told.wanted_hosts(platform), pages.hosts(await pages.fetch(platform, pages.SUBPROCESSORS, "en"))
    more, fewer = sorted(there - wanted), sorted(wanted - there)
    found += [f"{pages.SUBPROCESSORS}: {host} is on the page and not in the release" for host in more]
    found += [f"{pages.SUBPROCESSORS}: {host} is in the release and not on the page" for host in fewer]
    rows.append((pages.SUBPROCESSORS, str(len(there)), str(len(wanted)), str(len(more) + len(fewer))))
    return Part(
        table=Table(title="what the public pages say", rows=tuple(rows)),
        figures={"rows": seen["en"], "hosts": len(there)},
        controls=("the same page without one of its rows, and with a word of another one changed: both objected to",),
        found=tuple(found),
    )


def _control(shown: tuple[pages.Row, ...], against: tuple[str, ...], language: str) -> None:
    """A row fewer and another row's word must each bring an objection that was not there. Raises ``BlindError``."""
    if not shown:
        return
    *kept, last = shown
    changed = pages.Row(last.id, last.what, last.why, f"{last.end} or later", last.more)
    for page in (tuple(kept), (*kept, changed)):
        if set(told.against_list(page, language)) <= set(against):
            raise BlindError("a page that says something else was not objected to: this comparison shows nothing")
