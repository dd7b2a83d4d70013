"""Rows of bots. What is secret lies in the vault; here are names, choices, versions and counts."""

from __future__ import annotations

from datetime import date, datetime  # noqa: TC003 - SQLAlchemy reads these hints at run time

from sqlalchemy import BigInteger, Date, ForeignKey, Index, Integer, String, Text
from sqlalchemy.orm import Mapped, mapped_column

from clawmates.control.store.base import Base, Moment

ID = String(40)
NUMBER = BigInteger().with_variant(Integer, "sqlite")
"""SQLite numbers rows by itself only where the column is INTEGER."""


class Bot(Base):
    """One bot as its owner wants it."""

    __tablename__ = "bots"

    id: Mapped[str] = mapped_column(ID, primary_key=True)
    account_id: Mapped[str] = mapped_column(ForeignKey("accounts.id"), index=True)
    name: Mapped[str] = mapped_column(String(60))
    """What the owner calls it."""
    stage: Mapped[str] = mapped_column(String(16), index=True)
    """*draft* until its items are sealed, *active*, *deleting*."""
    channel: Mapped[str] = mapped_column(String(16))
    provider: Mapped[str] = mapped_column(String(40))
    model: Mapped[str] = mapped_column(String(120))
    temperature: Mapped[float | None]
    max_output_tokens: Mapped[int | None]
    fallback_provider: Mapped[str | None] = mapped_column(String(40))
    fallback_model: Mapped[str | None] = mapped_column(String(120))
    limits: Mapped[str] = mapped_column(Text)
    """:class:`~clawmates.wire.desired.Limits` as canonical JSON."""
    access: Mapped[str] = mapped_column(String(8))
    paused: Mapped[bool]
    restarts: Mapped[int]
    region: Mapped[str] = mapped_column(String(32), index=True)
    node: Mapped[str | None] = mapped_column(ForeignKey("nodes.name"), index=True)
    version: Mapped[int] = mapped_column()
    """Raised by every change: who edits an older one is told (optimistic locking)."""
    created_at: Mapped[datetime] = mapped_column(Moment)
    changed_at: Mapped[datetime] = mapped_column(Moment)

    __mapper_args__ = {"version_id_col": version}  # noqa: RUF012 - SQLAlchemy's own form


class BotItem(Base):
    """Which version of an item the vault keeps for a bot."""

    __tablename__ = "bot_items"

    bot_id: Mapped[str] = mapped_column(ForeignKey("bots.id", ondelete="CASCADE"), primary_key=True)
    name: Mapped[str] = mapped_column(String(16), primary_key=True)
    version: Mapped[int]
    """The newest that was sealed."""
    kept: Mapped[int]
    """The newest that the vault has said it keeps; 0 before the first."""
    trouble: Mapped[str] = mapped_column(String(32))
    """The code with which the newest was refused, or empty."""
    changed_at: Mapped[datetime] = mapped_column(Moment)


class BotReceipt(Base):
    """What the vault signed when a bot's keys were destroyed (:mod:`clawmates.wire.receipt`). It outlives the bot."""

    __tablename__ = "bot_receipts"

    bot_id: Mapped[str] = mapped_column(ID, primary_key=True)
    account_id: Mapped[str] = mapped_column(ForeignKey("accounts.id", ondelete="CASCADE"), index=True)
    at: Mapped[datetime] = mapped_column(Moment)
    body: Mapped[str] = mapped_column(Text)
    """:class:`~clawmates.wire.receipt.SignedReceipt` as canonical JSON."""


class BotPairing(Base):
    """A code that admits one person: its slow hash (:mod:`clawmates.wire.pairing`)."""

    __tablename__ = "bot_pairings"

    salt: Mapped[str] = mapped_column(String(64), primary_key=True)
    bot_id: Mapped[str] = mapped_column(ForeignKey("bots.id", ondelete="CASCADE"), index=True)
    digest: Mapped[str] = mapped_column(String(64))
    ends_at: Mapped[datetime] = mapped_column(Moment, index=True)


class BotState(Base):
    """What the bot's node said last of it."""

    __tablename__ = "bot_states"

    bot_id: Mapped[str] = mapped_column(ForeignKey("bots.id", ondelete="CASCADE"), primary_key=True)
    node: Mapped[str] = mapped_column(String(40))
    state: Mapped[str] = mapped_column(String(16))
    code: Mapped[str] = mapped_column(String(32))
    username: Mapped[str] = mapped_column(String(32))
    """The bot's own name at the messenger."""
    since: Mapped[datetime] = mapped_column(Moment)
    reported_at: Mapped[datetime] = mapped_column(Moment)


class BotDay(Base):
    """Counts of one UTC day, as the bot's container and gateway reported them."""

    __tablename__ = "bot_days"

    bot_id: Mapped[str] = mapped_column(ForeignKey("bots.id", ondelete="CASCADE"), primary_key=True)
    day: Mapped[date] = mapped_column(Date, primary_key=True, index=True)
    messages: Mapped[int]
    tokens: Mapped[int] = mapped_column(BigInteger)


class BotError(Base):
    """A code that a bot reported; never a text."""

    __tablename__ = "bot_errors"

    number: Mapped[int] = mapped_column(NUMBER, primary_key=True, autoincrement=True)
    bot_id: Mapped[str] = mapped_column(ForeignKey("bots.id", ondelete="CASCADE"))
    at: Mapped[datetime] = mapped_column(Moment, index=True)
    code: Mapped[str] = mapped_column(String(32))

    __table_args__ = (Index(None, "bot_id", "at"),)
