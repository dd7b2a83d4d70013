"""What control tells an operator of its host, over a unix socket that only root may call: counts, ids and states.

================================ ===================================================================================
``GET /v1/accounts``             :class:`Accounts`; ``?after=ID&most=N``
``GET /v1/accounts/ID``          :class:`Accounts` with that one, or none
``POST /v1/accounts/ID/erase``   :class:`Leaving`: its deletion has begun, on its owner's wish by letter
``GET /v1/bots``                 :class:`Bots`; ``?after=ID&most=N``
``GET /v1/nodes``                :class:`Nodes`
``POST /v1/nodes/NAME/drain``    :class:`Nodes` as they are then: this one's bots move, and it is given none
``POST /v1/nodes/NAME/keep``     the opposite
``POST /v1/backup``              control's part of a backup, as :mod:`clawmates.wire.backups` has it; octets
``POST /v1/backups/due``         :class:`Due`: whether the daily one is to be made now, by whoever asks
``POST /v1/backups/made``        :class:`Due`: it was made
``GET /v1/retention``            :class:`Retention`: what is taken away by itself, and whether in time
``GET /v1/standing``             :class:`Standing`: that in one word, for who asks often
``GET /v1/audit``                :class:`AuditView`, the newest entries; ``?most=N``
``GET /v1/chain/entries/N``      :class:`~clawmates.wire.audit.Entries` after that number, for who verifies the chain
``GET /v1/chain/witnesses/N``    :class:`~clawmates.wire.audit.Witnesses` after that place: the vault's words on it
``GET /v1/chain/lines/N``        :class:`~clawmates.wire.audit.Lines` after that number: the vault's heads, as signed
================================ ===================================================================================

No e-mail address, no name that a person gave, no text: there is no field for one. Each call is written down in the
chain, where the people whom it concerns find it; the three that serve to verify the chain, once a minute at most. That
of the standing is not: it says nothing of anybody, and a monitor's would be most of the chain.
"""

from __future__ import annotations

from dataclasses import dataclass

from clawmates.wire.audit import PAGE, Entry

MOST = PAGE
"""Rows in one answer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountRow:
    """One account. ``subject`` is what the audit chain calls it; moments are RFC 3339.

    ``cancelled_at`` is empty while the subscription is not.
    """

    account: str
    subject: str
    plan: str
    language: str
    created_at: str
    cancelled_at: str
    bots: int
    sessions: int
    passkeys: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Accounts:
    """A page by id, and how many there are in all."""

    accounts: tuple[AccountRow, ...]
    total: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Leaving:
    """An account that is being deleted. ``receipt`` is the number that its receipt will have."""

    account: str
    receipt: str
    asked_at: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Due:
    """Whether a backup is to be made now: told to one host alone, and to it no second time for ten minutes."""

    due: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class BotRow:
    """One bot; ``state`` and ``code`` are its node's last word, counts are those of all days that are kept."""

    bot: str
    account: str
    stage: str
    paused: bool
    state: str
    code: str
    since: str
    channel: str
    provider: str
    model: str
    region: str
    node: str
    messages: int
    tokens: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Bots:
    """A page by id, and how many there are in all."""

    bots: tuple[BotRow, ...]
    total: int


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeRow:
    """One host that runs bots. ``behind``: it has not yet said that it knows the newest desired state."""

    node: str
    region: str
    stage: str
    bots: int
    capacity: int
    behind: bool
    release: str
    joined_at: str
    seen_at: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Nodes:
    """All of them, by name."""

    nodes: tuple[NodeRow, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class RetentionRow:
    """One job. Moments are RFC 3339, empty for one that never ended; ``overdue``: rows that should be gone by now."""

    job: str
    ended_at: str
    due_at: str
    taken: int
    """Rows, by all runs that are still remembered."""
    overdue: int
    late: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Retention:
    """All jobs, in the order of the inventory."""

    jobs: tuple[RetentionRow, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """How what is over is taken away: when a job last ended, empty where none ever did, and which jobs are late."""

    ended_at: str
    late: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditView:
    """The newest entries, the newest last, and how the chain stands."""

    entries: tuple[Entry, ...]
    length: int
    countersigned: int
    """Up to which entry the vault has signed."""
    countersigned_at: str
    trouble: str
    """Why the last meeting with the vault failed, or empty."""
