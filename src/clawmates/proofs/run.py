"""Tries claims and shows the result: what ``clawmates prove`` and ``make prove`` share."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from clawmates.base.clock import SystemClock
from clawmates.base.files import write_atomic
from clawmates.inventory.claims import known
from clawmates.proofs import report
from clawmates.proofs.circumstances import Circumstances, Watch
from clawmates.proofs.page import html
from clawmates.proofs.prove import prove
from clawmates.proofs.result import Claim, Report, Result
from clawmates.proofs.trial import Bench, Options

if TYPE_CHECKING:
    from collections.abc import Sequence

    from clawmates.proofs.platform import Platform


class Progress:
    """What is being done, on stderr: a line that changes where somebody looks, and one for each claim anywhere."""

    def __init__(self) -> None:
        self._counts: dict[str, int] = {}

    def __call__(self, what: str, much: int) -> None:
        """Adds to what was done."""
        self._counts[what] = self._counts.get(what, 0) + much
        if sys.stderr.isatty():
            amount = self._counts[what]
            shown = f"{amount / 2**20:.0f} MiB" if amount > 1 << 16 else str(amount)
            sys.stderr.write(f"\r\033[K  {what}: {shown}")
            sys.stderr.flush()

    def ended(self, result: Result) -> None:
        """Leaves a line of its own."""
        self.done()
        sys.stderr.write(f"  {result.id.value}: {result.status.value}\n")
        sys.stderr.flush()

    def done(self) -> None:
        """Clears the line."""
        if sys.stderr.isatty():
            sys.stderr.write("\r\033[K")


async def run(platform: Platform, claims: Sequence[str], options: Options) -> Report:
    """Tries the claims named, or all of them. Raises :class:`~clawmates.proofs.errors.ProofError`."""
    progress = Progress()
    bench = Bench(clock=SystemClock(), entropy=os.urandom, progress=progress, ended=progress.ended)
    try:
        return await prove(platform, [Claim(one) for one in claims] or list(Claim), options, bench)
    finally:
        progress.done()


async def tell(platform: Platform, claims: Sequence[str], options: Options, *, as_json: bool, page: str = "") -> int:
    """Tries claims, prints the report, writes it to ``page`` as HTML where one is named; the exit code.

    Raises :class:`~clawmates.proofs.errors.ProofError`, and ``OSError`` for a page that cannot be written.
    """
    watch = Watch(SystemClock())
    watch.start()
    result = await run(platform, claims, options)
    if page:
        leave(result, await watch.stop(platform, full=options.full), page)
    return show(result, as_json=as_json)


def leave(result: Report, circumstances: Circumstances, page: str) -> None:
    """Writes a report as one page of HTML. Raises ``OSError``."""
    write_atomic(Path(page), html(result, circumstances, known().claims).encode(), mode=0o644)


def show(result: Report, *, as_json: bool) -> int:
    """Prints a report and returns the exit code."""
    if as_json:
        sys.stdout.write(report.json(result).decode())
    else:
        sys.stdout.write(report.text(result))
    return result.exit_code
