"""A deletion under way, and afterwards its receipt. Nothing here is a person's but the account's drawn id."""

from __future__ import annotations

from datetime import datetime  # noqa: TC003 - SQLAlchemy reads these hints at run time

from sqlalchemy import String, Text
from sqlalchemy.orm import Mapped, mapped_column

from clawmates.control.store.base import Base, Moment

ID = String(40)


class Erasure(Base):
    """One account's deletion. It outlives the account, so it has no key that leads there."""

    __tablename__ = "erasures"

    id: Mapped[str] = mapped_column(ID, primary_key=True)
    account_id: Mapped[str | None] = mapped_column(ID, unique=True)
    """Empty as soon as there is a receipt."""
    asked_at: Mapped[datetime] = mapped_column(Moment)
    page_proof: Mapped[str] = mapped_column(String(64), index=True)
    """The keyed hash of the code that the page has shown, or empty."""
    mail_proof: Mapped[str] = mapped_column(String(64), index=True)
    """The keyed hash of the code in the mail, or empty."""
    told: Mapped[bool]
    """The mail has left, or never will."""
    vault: Mapped[str] = mapped_column(Text)
    """What the vault has signed, with its key, as canonical JSON."""
    erased_at: Mapped[datetime | None] = mapped_column(Moment)
    data: Mapped[str] = mapped_column(Text)
    """Counts of what was deleted, by entry of the inventory: canonical JSON."""
    rewritten_at: Mapped[datetime | None] = mapped_column(Moment)
    log: Mapped[str] = mapped_column(String(8))
    """:class:`clawmates.wire.erasure.Log`, or empty."""
    receipt: Mapped[str] = mapped_column(Text)
    """:class:`clawmates.wire.erasure.ErasureReceipt` as canonical JSON, or empty."""
    ends_at: Mapped[datetime | None] = mapped_column(Moment, index=True)
    """When the receipt goes, too."""
