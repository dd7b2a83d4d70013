"""A few seeded defects, each on a real platform made of a broken copy; `make mutate` tries all, with every claim."""

from __future__ import annotations

import pytest

from clawmates.trials.mutate import Plan, mutate
from clawmates.trials.mutate_verdict import Outcome
from clawmates.trials.mutations import MUTATIONS

pytestmark = pytest.mark.timeout(600)


def test_the_quick_ones_are_caught_by_their_claims() -> None:
    verdicts = list(mutate(Plan(tuple(one for one in MUTATIONS if one.quick), narrow=True)))
    assert [(one.mutation, one.why) for one in verdicts if one.outcome is not Outcome.CAUGHT] == []
    assert len(verdicts) == sum(one.quick for one in MUTATIONS) > 0
