"""``make mutate``: defects are seeded, one at a time, into copies of this checkout, and the right claim must see each.

A claim that stays green while the thing it claims is broken proves nothing; one that turns red for something else
sends people the wrong way. Before the first of all defects the copy is tried unbroken: every claim must hold. What was
found is written down after each defect, and the claims' whole reports lie in ``build/mutate/reports``.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import sys
import time
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from queue import SimpleQueue
from threading import Event
from typing import TYPE_CHECKING

from clawmates.base.files import write_atomic
from clawmates.base.shape import encode
from clawmates.proofs.prove import TRIALS
from clawmates.proofs.report import table
from clawmates.proofs.result import Claim
from clawmates.trials.mutate_tree import Tree, copied
from clawmates.trials.mutate_verdict import Outcome, Seen, Verdict, by_claim, keys
from clawmates.trials.mutation import Mutation, StaleError
from clawmates.trials.mutations import MUTATIONS
from clawmates.trials.running import run as run_trial
from clawmates.trials.throwaway import CHECKOUT, TrialError

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator, Sequence

PLACE = CHECKOUT / "build" / "mutate"
MOST_JOBS = 16
CONTROL = "no-defect"
"""The report of the copy as it is."""


@dataclass(frozen=True, slots=True)
class Plan:
    """``narrow`` tries only the claim that a mutation names, on a platform as small as can be."""

    mutations: tuple[Mutation, ...]
    narrow: bool = False
    control: bool = False
    """Whether the copy is tried unbroken first."""
    jobs: int = 1
    """How many are tried at a time, each in a copy of its own: a trial mostly waits."""


def mutate(
    plan: Plan, tell: Callable[[str], None] = lambda _line: None, place: Path = PLACE, stop: Event | None = None
) -> Generator[Verdict]:
    """Tries every mutation of the plan; verdicts come as they are found. ``stop``: whoever sets it ends what runs.

    Raises :class:`TrialError` when the unbroken copy does not hold its claims, or when somebody else is at ``place``.
    """
    with copied(CHECKOUT, place, plan.jobs, stop or Event()) as trees:
        if plan.control:
            tell("the copy without a defect")
            tell(f"  {_unbroken(trees[0])}")
        yield from _tried(trees, plan, tell)


def _tried(trees: Sequence[Tree], plan: Plan, tell: Callable[[str], None]) -> Iterator[Verdict]:
    free: SimpleQueue[Tree] = SimpleQueue()
    for tree in trees:
        free.put(tree)

    def attempt(number: int, mutation: Mutation) -> Verdict:
        tree = free.get()
        tell(f"{number:>3}/{len(plan.mutations)} {mutation.id}: {mutation.what}")
        try:
            return _try(tree, mutation, plan)
        finally:
            free.put(tree)

    threads = ThreadPoolExecutor(max_workers=len(trees))
    try:
        for done in as_completed([threads.submit(attempt, *one) for one in enumerate(plan.mutations, 1)]):
            verdict = done.result()
            tell(f"  {verdict.mutation}: {verdict.outcome}, {verdict.seconds:.0f} s: {verdict.why}")
            yield verdict
    finally:
        threads.shutdown(cancel_futures=True)


def _unbroken(tree: Tree) -> str:
    tree.build()
    seen = _reported(tree, CONTROL, tree.prove(_all()))
    if seen.red:
        against = "; ".join(f"{claim}: {why}" for claim, why in sorted(seen.red.items()))
        raise TrialError(f"without any defect these are red: {against}")
    return f"{len(seen.tried)} claims hold: {', '.join(sorted(seen.tried))}"


def _reported(tree: Tree, name: str, report: bytes) -> Seen:
    """What a report says. It holds no word of any conversation, so that it may lie there for whoever asks why."""
    tree.reports.mkdir(exist_ok=True)
    (tree.reports / f"{name}.json").write_bytes(report)
    return Seen.of(json.loads(report))


def _all() -> list[str]:
    return [claim.value for claim in Claim if claim in TRIALS]


def _try(tree: Tree, mutation: Mutation, plan: Plan) -> Verdict:
    began = time.monotonic()
    try:
        outcome, why = _look(tree, mutation, plan)
    except (StaleError, TrialError) as error:
        outcome, why = Outcome.NOT_TRIED, str(error)
    return Verdict(
        mutation=mutation.id,
        expected=mutation.expected,
        outcome=outcome,
        why=why,
        seconds=round(time.monotonic() - began, 1),
    )


def _look(tree: Tree, mutation: Mutation, plan: Plan) -> tuple[Outcome, str]:
    if mutation.claim is None and tree.fails(mutation.test):
        return Outcome.NOT_TRIED, "it fails without the defect too"
    with tree.broken(mutation):
        if mutation.claim is None:
            failed = tree.fails(mutation.test)
            return (Outcome.CAUGHT, "it fails, as it must") if failed else (Outcome.MISSED, "it passes")
        tree.build()
        report = tree.prove_one(mutation.claim.value) if plan.narrow else tree.prove(_all())
        return by_claim(mutation.claim, _reported(tree, mutation.id, report))


def text(verdicts: Sequence[Verdict]) -> str:
    """The table, and a line of sums."""
    rows = (
        ("mutation", "must be seen by", "outcome", "seconds", "how"),
        *((one.mutation, one.expected, one.outcome.value, f"{one.seconds:.1f}", one.why) for one in verdicts),
    )
    sums = ", ".join(f"{name} {count}" for name, count in keys(verdicts).items())
    return "\n".join([*table(rows), "", f"  {sums}"])


def good(verdicts: Sequence[Verdict]) -> bool:
    """Whether every mutation was caught, by the right claim."""
    return bool(verdicts) and all(one.outcome is Outcome.CAUGHT for one in verdicts)


def write(verdicts: Sequence[Verdict], path: Path) -> None:
    """Flat keys and the table, whole at every moment."""
    found = {**keys(verdicts), "table": encode(tuple(verdicts))}
    write_atomic(path, json.dumps(found, indent=2, sort_keys=True).encode() + b"\n", mode=0o644)


async def _run(plan: Plan, path: Path | None) -> int:
    verdicts: list[Verdict] = []
    stop = Event()
    found = mutate(plan, lambda line: print(line, file=sys.stderr, flush=True), stop=stop)  # noqa: T201 - how far it is
    with closing(found):
        while verdict := await _next(found, stop):
            verdicts.append(verdict)
            if path is not None:
                write(verdicts, path)
    sys.stdout.write(text(verdicts) + "\n")
    return 0 if good(verdicts) else 1


async def _next(found: Iterator[Verdict], stop: Event) -> Verdict | None:
    """The next verdict, for which this waits beside the loop: a Ctrl-C or a SIGTERM is heard at once."""
    waiting = asyncio.ensure_future(asyncio.to_thread(next, found, None))
    try:
        return await asyncio.shield(waiting)
    except asyncio.CancelledError:
        stop.set()
        await asyncio.wait([waiting])
        raise


def main() -> int:
    """Parses the command line."""
    parser = argparse.ArgumentParser(prog="make mutate", description=__doc__)
    parser.add_argument("--only", action="append", default=[], choices=[one.id for one in MUTATIONS], metavar="DEFECT")
    parser.add_argument(
        "--quick", action="store_true", help="the few that `make test` tries, each with its claim alone"
    )
    parser.add_argument("--jobs", type=_jobs, default=os.cpu_count() or 1, metavar="N", help="so many at a time")
    parser.add_argument("--json", type=Path)
    wanted = parser.parse_args()
    chosen = tuple(
        one for one in MUTATIONS if (not wanted.only or one.id in wanted.only) and (one.quick or not wanted.quick)
    )
    plan = Plan(chosen, narrow=wanted.quick, control=chosen == MUTATIONS, jobs=wanted.jobs)
    return run_trial(_run(plan, wanted.json))


def _jobs(text: str) -> int:
    if text.isdecimal() and 0 < int(text) <= MOST_JOBS:
        return int(text)
    raise argparse.ArgumentTypeError(f"so many at a time: a number from 1 to {MOST_JOBS}")


if __name__ == "__main__":
    sys.exit(main())
