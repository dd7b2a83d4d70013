"""Rows of what still has to be done elsewhere."""

from __future__ import annotations

from datetime import datetime  # noqa: TC003 - SQLAlchemy reads these hints at run time

from sqlalchemy import BigInteger, Integer, String, Text
from sqlalchemy.orm import Mapped, mapped_column

from clawmates.control.store.base import Base, Moment

NUMBER = BigInteger().with_variant(Integer, "sqlite")


class Errand(Base):
    """One call to be made. Errands with one ``lane`` are done in their order; each may be done twice."""

    __tablename__ = "errands"

    number: Mapped[int] = mapped_column(NUMBER, primary_key=True, autoincrement=True)
    lane: Mapped[str] = mapped_column(String(48), index=True)
    """``bot/ID``, ``old/ID`` of what a bot no longer has, ``mail/…``."""
    kind: Mapped[str] = mapped_column(String(16))
    body: Mapped[str] = mapped_column(Text)
    """What to say: names, versions, and ciphertext sealed to the vault. Gone once it is said."""
    tries: Mapped[int]
    trouble: Mapped[str] = mapped_column(String(32))
    """The code of the last refusal, or empty."""
    due_at: Mapped[datetime] = mapped_column(Moment, index=True)
    made_at: Mapped[datetime] = mapped_column(Moment)
