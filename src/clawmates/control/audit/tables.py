"""Rows of control's audit chain. The database itself refuses to change them (:mod:`clawmates.control.store.guards`)."""

from __future__ import annotations

from sqlalchemy import BigInteger, Integer, String, Text
from sqlalchemy.orm import Mapped, mapped_column

from clawmates.control.store.base import Base

NUMBER = BigInteger().with_variant(Integer, "sqlite")


class AuditEntry(Base):
    """One link of the chain, as :class:`clawmates.wire.audit.Entry` has it."""

    __tablename__ = "audit_entries"

    number: Mapped[int] = mapped_column(NUMBER, primary_key=True, autoincrement=False)
    at: Mapped[str] = mapped_column(String(24))
    tag: Mapped[str] = mapped_column(String(40))
    subject: Mapped[str] = mapped_column(String(32), index=True)
    """The pseudonym of the account it concerns, or empty."""
    detail: Mapped[str] = mapped_column(Text)
    hash: Mapped[str] = mapped_column(String(64))


class AuditWitness(Base):
    """A head that was countersigned: by us of the vault's chain, or by the vault of ours."""

    __tablename__ = "audit_witnesses"

    chain: Mapped[str] = mapped_column(String(8), primary_key=True)
    """*control* or *vault*: whose head it is; *c2*, *v2* and so on for lists that were begun anew."""
    number: Mapped[int] = mapped_column(NUMBER, primary_key=True, autoincrement=False)
    """Of the line in the list of whoever countersigned it: of our own, or of the vault's."""
    at: Mapped[str] = mapped_column(String(24))
    body: Mapped[str] = mapped_column(Text)
    """Canonical JSON: a :class:`~clawmates.wire.audit.Line` of ours, or the vault's ``Witness`` as it travelled."""
