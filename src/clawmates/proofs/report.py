"""A report for the terminal, and for programs."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING

from clawmates.base.shape import encode_json
from clawmates.proofs.result import Status

if TYPE_CHECKING:
    from clawmates.proofs.result import Report, Result

WIDTH = 100
CELL = 34
"""Characters of a table's cell; longer ones are cut here and whole in the JSON."""


def text(report: Report) -> str:
    """What a person reads: a line a claim, then what was done, seen and passed over."""
    names = max((len(claim.id) for claim in report.claims), default=0)
    overview = [f"{claim.id:<{names}}  {claim.status}" for claim in report.claims]
    details = [part for claim in report.claims if claim.status is not Status.NOT_HERE for part in _detail(claim)]
    reasons = [claim for claim in report.claims if claim.status is Status.NOT_HERE]
    if reasons:
        details += ["", "not demonstrable here"]
        details += [part for one in reasons for part in _wrapped(f"{one.id}: {one.evidence.summary}", "  ")]
    return "\n".join([*overview, *details]) + "\n"


def json(report: Report) -> bytes:
    """``{"claims": [{"id", "status", "evidence", "repeat"}]}``."""
    return encode_json(report) + b"\n"


def _detail(claim: Result) -> list[str]:
    evidence = claim.evidence
    lines = ["", f"{claim.id}: {claim.status}", *_wrapped(evidence.summary, "  ")]
    if evidence.table:
        lines += ["", *table(evidence.table)]
    for one in evidence.tables:
        lines += ["", f"  {one.title}", *table(one.rows)]
    if evidence.controls:
        lines += ["", "  controls", *(part for one in evidence.controls for part in _wrapped(one, "    "))]
    if evidence.found:
        lines += ["", "  against the claim", *(part for one in evidence.found for part in _wrapped(one, "    "))]
    unsafe = evidence.figures.get("unsafe_switches", "none")
    if unsafe != "none":
        lines += ["", *_wrapped(f"unsafe switches that are on: {unsafe}", "  ")]
    if "separation" in evidence.figures:
        lines += ["", f"  separation of the host's processes: {evidence.figures['separation']}"]
    if evidence.not_looked_at:
        lines += ["", "  not looked at", *(part for one in evidence.not_looked_at for part in _wrapped(one, "    "))]
    return [*lines, "", f"  again: {claim.repeat}"]


def table(rows: tuple[tuple[str, ...], ...]) -> list[str]:
    """Aligned columns: text to the left, numbers to the right."""
    rows = tuple(tuple(cell if len(cell) <= CELL else f"{cell[: CELL - 1]}…" for cell in row) for row in rows)
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    numeric = [all(is_number(row[column]) for row in rows[1:]) for column in range(len(rows[0]))]
    return [
        "  "
        + "  ".join(
            cell.rjust(width) if right else cell.ljust(width)
            for cell, width, right in zip(row, widths, numeric, strict=True)
        ).rstrip()
        for row in rows
    ]


def is_number(cell: str) -> bool:
    """Whether a cell stands to the right."""
    return cell.replace(",", "").replace(".", "", 1).isdigit()


def _wrapped(sentence: str, indent: str) -> list[str]:
    return textwrap.wrap(
        sentence, WIDTH, initial_indent=indent, subsequent_indent=indent + "  ", break_long_words=False
    )
