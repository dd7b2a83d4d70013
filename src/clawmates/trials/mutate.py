"""``make mutate``: defects are seeded one by one into a copy of this checkout, and the right claim must see each.

A claim that stays green while the thing it claims is broken proves nothing; one that turns red for something else
sends people the wrong way. Before the first defect the copy is tried unbroken: every claim must hold.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

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
    from collections.abc import Callable, Sequence

PLACE = CHECKOUT / "build" / "mutate"


@dataclass(frozen=True, slots=True)
class Plan:
    """``narrow`` tries only the claim that a mutation names, on a platform as small as can be."""

    mutations: tuple[Mutation, ...]
    narrow: bool = False


def mutate(plan: Plan, tell: Callable[[str], None] = lambda _line: None, place: Path = PLACE) -> tuple[Verdict, ...]:
    """Tries every mutation of the plan; raises :class:`TrialError` when the unbroken copy does not hold its claims."""
    with copied(CHECKOUT, place) as tree:
        if not plan.narrow:
            _unbroken(tree, tell)
        verdicts = []
        for number, mutation in enumerate(plan.mutations, 1):
            verdict = _try(tree, mutation, plan)
            tell(f"{number:>3}/{len(plan.mutations)} {verdict.outcome:<9} {verdict.seconds:>5.1f} s  {mutation.id}")
            verdicts.append(verdict)
        return tuple(verdicts)


def _unbroken(tree: Tree, tell: Callable[[str], None]) -> None:
    tree.build()
    seen = Seen.of(json.loads(tree.prove(_all())))
    if seen.red:
        raise TrialError(f"without any defect these are red: {', '.join(sorted(seen.red))}")
    tell(f"without a defect {len(seen.tried)} claims hold: {', '.join(sorted(seen.tried))}")


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
    with tree.broken(mutation):
        if mutation.claim is None:
            failed = tree.fails(mutation.test)
            return (Outcome.CAUGHT, "it fails, as it must") if failed else (Outcome.MISSED, "it passes")
        tree.build()
        report = tree.prove_one(mutation.claim.value) if plan.narrow else tree.prove(_all())
        return by_claim(mutation.claim, Seen.of(json.loads(report)))


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


async def _run(plan: Plan, path: Path | None) -> int:
    verdicts = mutate(plan, lambda line: print(line, file=sys.stderr, flush=True))  # noqa: T201 - how far it is
    if path is not None:
        found = {**keys(verdicts), "table": encode(verdicts)}
        path.write_text(json.dumps(found, indent=2, sort_keys=True) + "\n")  # noqa: ASYNC240 - nothing runs beside it
    sys.stdout.write(text(verdicts) + "\n")
    return 0 if good(verdicts) else 1


def main() -> int:
    """Parses the command line."""
    parser = argparse.ArgumentParser(prog="make mutate", description=__doc__)
    parser.add_argument("--only", action="append", default=[], choices=[one.id for one in MUTATIONS])
    parser.add_argument(
        "--quick", action="store_true", help="the few that `make test` tries, each with its claim alone"
    )
    parser.add_argument("--json", type=Path)
    wanted = parser.parse_args()
    chosen = [
        one for one in MUTATIONS if (not wanted.only or one.id in wanted.only) and (one.quick or not wanted.quick)
    ]
    return run_trial(_run(Plan(tuple(chosen), narrow=wanted.quick), wanted.json))


if __name__ == "__main__":
    sys.exit(main())
