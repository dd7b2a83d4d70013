"""Rows of nodes."""

from __future__ import annotations

from datetime import datetime  # noqa: TC003 - SQLAlchemy reads these hints at run time

from sqlalchemy import BigInteger, ForeignKey, String
from sqlalchemy.orm import Mapped, mapped_column

from clawmates.control.store.base import Base, Moment


class Node(Base):
    """One host that runs bots; known since it first showed its certificate."""

    __tablename__ = "nodes"

    name: Mapped[str] = mapped_column(String(40), primary_key=True)
    region: Mapped[str] = mapped_column(String(32), index=True)
    stage: Mapped[str] = mapped_column(String(16))
    """*serving*, *draining* (takes no new bots), *lost*."""
    drains: Mapped[bool]
    """The operator wants it empty: its bots move one by one, and it is given none."""
    capacity: Mapped[int]
    """How many bots it takes."""
    revision: Mapped[int] = mapped_column(BigInteger)
    """Of its desired state; raised in the transaction that changes any of its bots."""
    seen_revision: Mapped[int] = mapped_column(BigInteger)
    """The newest that the node has said it knows."""
    release: Mapped[str] = mapped_column(String(71))
    """The digest of the image it runs."""
    report_run: Mapped[str] = mapped_column(String(32))
    """Which life of the host its reports are numbered in."""
    report_number: Mapped[int] = mapped_column(BigInteger)
    """The last report whose counts were added: one that comes again counts once."""
    joined_at: Mapped[datetime] = mapped_column(Moment)
    seen_at: Mapped[datetime] = mapped_column(Moment, index=True)


class BotMove(Base):
    """A bot on its way to another node. See :mod:`clawmates.control.nodes.moving` and ``draining``."""

    __tablename__ = "bot_moves"

    bot_id: Mapped[str] = mapped_column(ForeignKey("bots.id", ondelete="CASCADE"), primary_key=True)
    origin: Mapped[str] = mapped_column(ForeignKey("nodes.name"), index=True)
    """Where it was."""
    free_at: Mapped[datetime | None] = mapped_column(Moment)
    """When no lease of ``origin`` can run any more; empty until the vault has said that it renews none."""
    gone_after: Mapped[int | None] = mapped_column(BigInteger)
    """The node drains: once it knows this revision, its word that the container is gone counts."""
    target: Mapped[str | None] = mapped_column(ForeignKey("nodes.name"))
    """Where it goes, once that is decided."""


class BotEnd(Base):
    """A container that must be gone before somebody says that it is. See :mod:`clawmates.control.nodes.ending`."""

    __tablename__ = "bot_ends"

    bot_id: Mapped[str] = mapped_column(String(40), primary_key=True)
    """It outlives the bot's own row."""
    reason: Mapped[str] = mapped_column(String(40), index=True)
    """Whose concern it is: the id of a deletion."""
    node: Mapped[str] = mapped_column(String(40), index=True)
    """Where it was, or empty."""
    gone_after: Mapped[int] = mapped_column(BigInteger)
    """Once the node knows this revision, its word that the container is gone counts."""
    ended_by: Mapped[str] = mapped_column(String(8))
    """:class:`clawmates.wire.erasure.Ended`, or empty."""
