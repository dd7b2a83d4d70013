"""Rows of nodes."""

from __future__ import annotations

from datetime import datetime  # noqa: TC003 - SQLAlchemy reads these hints at run time

from sqlalchemy import BigInteger, String
from sqlalchemy.orm import Mapped, mapped_column

from clawmates.control.store.base import Base, Moment


class Node(Base):
    """One host that runs bots; known since it first showed its certificate."""

    __tablename__ = "nodes"

    name: Mapped[str] = mapped_column(String(40), primary_key=True)
    region: Mapped[str] = mapped_column(String(32), index=True)
    stage: Mapped[str] = mapped_column(String(16))
    """*serving*, *draining* (takes no new bots), *lost*."""
    capacity: Mapped[int]
    """How many bots it takes."""
    revision: Mapped[int] = mapped_column(BigInteger)
    """Of its desired state; raised in the transaction that changes any of its bots."""
    seen_revision: Mapped[int] = mapped_column(BigInteger)
    """The newest that the node has said it knows."""
    release: Mapped[str] = mapped_column(String(71))
    """The digest of the image it runs."""
    joined_at: Mapped[datetime] = mapped_column(Moment)
    seen_at: Mapped[datetime] = mapped_column(Moment, index=True)
