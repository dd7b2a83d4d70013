"""That an agreement was made: when, in which words, and the hash of the file. What it says is not kept."""

from __future__ import annotations

from datetime import datetime  # noqa: TC003 - SQLAlchemy reads these hints at run time

from sqlalchemy import ForeignKey, String
from sqlalchemy.orm import Mapped, mapped_column

from clawmates.control.accounts.tables import PROOF
from clawmates.control.store.base import Base, Moment


class Agreement(Base):
    """One of an account's; the same file made again is the same row."""

    __tablename__ = "agreements"

    account_id: Mapped[str] = mapped_column(ForeignKey("accounts.id", ondelete="CASCADE"), primary_key=True)
    digest: Mapped[str] = mapped_column(PROOF, primary_key=True)
    """SHA-256 of the PDF, hexadecimal."""
    version: Mapped[str] = mapped_column(String(40))
    """Of its words, and of the software whose declaration they quote."""
    language: Mapped[str] = mapped_column(String(2))
    made_at: Mapped[datetime] = mapped_column(Moment)
