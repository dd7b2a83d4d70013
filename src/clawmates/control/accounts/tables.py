"""Rows of accounts. Of every link, session and challenge only a hash is kept."""

from __future__ import annotations

from datetime import datetime  # noqa: TC003 - SQLAlchemy reads these hints at run time

from sqlalchemy import ForeignKey, LargeBinary, String
from sqlalchemy.orm import Mapped, mapped_column

from clawmates.control.store.base import Base, Moment

ID = String(40)
PROOF = String(64)
"""SHA-256, hexadecimal."""
EMAIL = String(254)
"""RFC 5321, section 4.5.3.1.3, without the brackets."""


class Account(Base):
    """One person or company; to the vault it is a *tenant* of the same id."""

    __tablename__ = "accounts"

    id: Mapped[str] = mapped_column(ID, primary_key=True)
    email: Mapped[str] = mapped_column(EMAIL, unique=True)
    language: Mapped[str] = mapped_column(String(2))
    plan: Mapped[str] = mapped_column(String(32))
    cancelled_at: Mapped[datetime | None] = mapped_column(Moment, index=True)
    """When the subscription was cancelled; empty while it is not. Its bots do not run from then on."""
    created_at: Mapped[datetime] = mapped_column(Moment)
    pseudonym_key: Mapped[bytes] = mapped_column(LargeBinary(32))
    """By which the audit chain calls the person; gone with the account, and then nobody can tell who it was."""
    leaving_at: Mapped[datetime | None] = mapped_column(Moment)
    """It is being deleted since: nobody is signed in any more (:mod:`clawmates.control.erasure`)."""


class Link(Base):
    """A link in an e-mail: good once."""

    __tablename__ = "links"

    proof: Mapped[str] = mapped_column(PROOF, primary_key=True)
    purpose: Mapped[str] = mapped_column(String(16))
    email: Mapped[str] = mapped_column(EMAIL, index=True)
    account_id: Mapped[str | None] = mapped_column(ForeignKey("accounts.id", ondelete="CASCADE"), index=True)
    ends_at: Mapped[datetime] = mapped_column(Moment, index=True)


class Session(Base):
    """A signed-in browser."""

    __tablename__ = "sessions"

    proof: Mapped[str] = mapped_column(PROOF, primary_key=True)
    account_id: Mapped[str] = mapped_column(ForeignKey("accounts.id", ondelete="CASCADE"), index=True)
    created_at: Mapped[datetime] = mapped_column(Moment)
    seen_at: Mapped[datetime] = mapped_column(Moment)
    """To the minute at best."""
    ends_at: Mapped[datetime] = mapped_column(Moment, index=True)
    proved_at: Mapped[datetime] = mapped_column(Moment)
    """When the person last proved who they are: what is dangerous asks again (step-up)."""
    browser: Mapped[str] = mapped_column(String(40))
    """``Firefox, Linux``: of a closed list, for the person's own list of sessions."""


class Passkey(Base):
    """A public key of an authenticator (WebAuthn Level 3)."""

    __tablename__ = "passkeys"

    id: Mapped[str] = mapped_column(String(1366), primary_key=True)
    """The credential's id, Base64url: at most 1,023 bytes."""
    account_id: Mapped[str] = mapped_column(ForeignKey("accounts.id", ondelete="CASCADE"), index=True)
    public_key: Mapped[bytes] = mapped_column(LargeBinary(4096))
    sign_count: Mapped[int]
    name: Mapped[str] = mapped_column(String(60))
    created_at: Mapped[datetime] = mapped_column(Moment)
    used_at: Mapped[datetime | None] = mapped_column(Moment)


class Challenge(Base):
    """What an authenticator was asked to sign; good once."""

    __tablename__ = "challenges"

    proof: Mapped[str] = mapped_column(PROOF, primary_key=True)
    """Of the challenge itself: it comes back inside what is signed."""
    purpose: Mapped[str] = mapped_column(String(16))
    account_id: Mapped[str | None] = mapped_column(ForeignKey("accounts.id", ondelete="CASCADE"), index=True)
    ends_at: Mapped[datetime] = mapped_column(Moment, index=True)


class EmailChange(Base):
    """A new address that both sides must confirm."""

    __tablename__ = "email_changes"

    account_id: Mapped[str] = mapped_column(ForeignKey("accounts.id", ondelete="CASCADE"), primary_key=True)
    email: Mapped[str] = mapped_column(EMAIL)
    old_confirmed: Mapped[bool]
    new_confirmed: Mapped[bool]
    ends_at: Mapped[datetime] = mapped_column(Moment, index=True)


class Attempt(Base):
    """How often somebody tried something within one window. ``who`` is a keyed hash of an address or a network."""

    __tablename__ = "attempts"

    who: Mapped[str] = mapped_column(PROOF, primary_key=True)
    what: Mapped[str] = mapped_column(String(24), primary_key=True)
    since: Mapped[datetime] = mapped_column(Moment, primary_key=True)
    """When the window began."""
    count: Mapped[int]
    ends_at: Mapped[datetime] = mapped_column(Moment, index=True)
