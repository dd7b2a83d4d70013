"""Rows of the retention jobs: who is at one now, when it is due, and what its runs took away. None is about anybody."""

from __future__ import annotations

from datetime import datetime  # noqa: TC003 - SQLAlchemy reads these hints at run time

from sqlalchemy import BigInteger, Integer, String
from sqlalchemy.orm import Mapped, mapped_column

from clawmates.control.store.base import Base, Moment

NUMBER = BigInteger().with_variant(Integer, "sqlite")
JOB = String(32)


class RetentionJob(Base):
    """One job; its row is the lock by which one replica at a time does it."""

    __tablename__ = "retention_jobs"

    job: Mapped[str] = mapped_column(JOB, primary_key=True)
    due_at: Mapped[datetime] = mapped_column(Moment)
    ended_at: Mapped[datetime | None] = mapped_column(Moment)
    """When it last came to its end, whether or not there was anything to take away."""
    holder: Mapped[str] = mapped_column(String(32))
    """Random, of the replica that is at it; empty when none is."""
    held_until: Mapped[datetime] = mapped_column(Moment)
    """A replica that was killed holds it no longer than this."""


class RetentionRun(Base):
    """A run that took something away. One without an end was broken off, and the next one goes on with it."""

    __tablename__ = "retention_runs"

    number: Mapped[int] = mapped_column(NUMBER, primary_key=True, autoincrement=True)
    job: Mapped[str] = mapped_column(JOB, index=True)
    began_at: Mapped[datetime] = mapped_column(Moment, index=True)
    ended_at: Mapped[datetime | None] = mapped_column(Moment)
    taken: Mapped[int]
    """Rows; counted in the transactions that took them, so the sum is exact whenever a replica dies."""
