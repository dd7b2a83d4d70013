"""Which jobs there are, what is over, when a job is due or late: values, made from the inventory. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import TYPE_CHECKING

from sqlalchemy import Date

from clawmates.control.store.tables import METADATA
from clawmates.inventory.datum import Store
from clawmates.inventory.whole import of_store

if TYPE_CHECKING:
    from collections.abc import Iterable

    from clawmates.inventory.datum import Datum, End

EVERY = timedelta(minutes=1)
"""How often is looked for what ends at a moment."""
DAY = timedelta(days=1)
GRACE = timedelta(minutes=10)
"""A job that is due for longer is late, and so is a row that is over for longer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """Rows of ``table`` are over by what their ``column`` says: a UTC day where ``by_day``, else a moment.

    ``through``: (column, other table), where it is said in the row of the other table whose ``id`` that column holds.
    """

    table: str
    column: str
    after: timedelta
    by_day: bool
    only: tuple[str, str] | None = None
    """(column, value) of the rows that are meant, where not all are."""
    through: tuple[str, str] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """What is done in one run. ``daily``: nothing can be over but at the turn of a UTC day."""

    name: str
    rules: tuple[Rule, ...]
    daily: bool


@dataclass(frozen=True, slots=True)
class Bound:
    """Over is what is earlier; what is equal too, where ``inclusive``."""

    value: date | datetime
    inclusive: bool


def bound(rule: Rule, now: datetime) -> Bound:
    """Up to where a rule's rows are over. With 90 days and a day's bucket, the 90th stays and the 91st goes."""
    before = now - rule.after
    return Bound(before.astimezone(UTC).date(), inclusive=False) if rule.by_day else Bound(before, inclusive=True)


def next_due(job: Job, now: datetime) -> datetime:
    """When a job that has just come to its end is due again."""
    if not job.daily:
        return now + EVERY
    return datetime.combine(now.astimezone(UTC).date() + DAY, time(), UTC)


def is_due(due_at: datetime, now: datetime) -> bool:
    """Also where the clock was put back since: nothing is ever due in more than a day."""
    return due_at <= now or due_at > now + DAY


def is_late(due_at: datetime, now: datetime) -> bool:
    """Whether a job should have come to its end some time ago."""
    return due_at + GRACE < now


def jobs(declared: Iterable[Datum]) -> tuple[Job, ...]:
    """One for each datum of control's that ends by itself. Raises ``LookupError`` for a column that is not there."""
    found: dict[str, list[Rule]] = {}
    for datum in declared:
        for end in datum.over:
            found.setdefault(f"{datum.id}-{end.name}" if end.name else datum.id, []).append(_rule(end))
    return tuple(
        Job(name=name, rules=tuple(rules), daily=all(rule.by_day for rule in rules)) for name, rules in found.items()
    )


def _rule(end: End) -> Rule:
    store, table, column = end.column.split(".")
    if store != Store.CONTROL:
        raise LookupError(end.column)
    only = None
    if end.only is not None:
        only = (end.only[0].rpartition(".")[2], end.only[1])
    by_day, through = isinstance(METADATA.tables[table].c[column].type, Date), None
    if end.of:
        _store, own, reference = end.of.split(".")
        table, through = own, (reference, table)
    return Rule(table=table, column=column, after=end.after, by_day=by_day, only=only, through=through)


JOBS = jobs(of_store(Store.CONTROL))
