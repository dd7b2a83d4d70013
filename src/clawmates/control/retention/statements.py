"""What is said to the rows of jobs and runs: made once, because a dozen jobs come to their end every minute.

They are asked of the connection itself; nobody holds these rows as objects.
"""

from __future__ import annotations

from typing import cast

from sqlalchemy import Table, bindparam, insert, or_, select, update

from clawmates.control.retention.tables import RetentionJob, RetentionRun

JOBS = cast(Table, RetentionJob.__table__)
RUNS = cast(Table, RetentionRun.__table__)
_FREE = or_(JOBS.c.held_until <= bindparam("now"), JOBS.c.held_until > bindparam("far"))
"""Not held; a hold that reaches further than any hold does is from before the clock was put back."""
_DUE = or_(JOBS.c.due_at <= bindparam("now"), JOBS.c.due_at > bindparam("tomorrow"))
_NAMED = JOBS.c.job == bindparam("name")

CLAIM = (
    update(JOBS)
    .where(_NAMED, _DUE, _FREE)
    .values(holder=bindparam("mine"), held_until=bindparam("until"))
    .returning(JOBS.c.job)
)
HOLD = (
    update(JOBS)
    .where(_NAMED, JOBS.c.holder == bindparam("mine"))
    .values(held_until=bindparam("until"))
    .returning(JOBS.c.job)
)
_ENDED = {
    "ended_at": bindparam("now"),
    "due_at": bindparam("next"),
    "holder": "",
    "held_until": bindparam("now"),
}
OVER = update(JOBS).where(_NAMED).values(_ENDED)
PASS = (
    update(JOBS)
    .where(JOBS.c.job.in_(bindparam("names", expanding=True)), _DUE, _FREE)
    .values(_ENDED)
    .returning(JOBS.c.job)
)
"""Several that have nothing to do."""
NEWEST = (
    select(RUNS.c.number, RUNS.c.ended_at)
    .where(RUNS.c.job == bindparam("name"))
    .order_by(RUNS.c.number.desc())
    .limit(1)
)
"""A run without an end was broken off, and the next one goes on with it: so none but the newest can be one."""
BEGUN = insert(RUNS)
COUNTED = (
    update(RUNS)
    .where(RUNS.c.number == bindparam("one"))
    .values(taken=RUNS.c.taken + bindparam("more"), ended_at=bindparam("ended"))
)
