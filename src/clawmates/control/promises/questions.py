"""What people ask, and what checks each answer that states a fact of the platform; the words are in the catalogue."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import groupby


@dataclass(frozen=True, slots=True)
class Question:
    """``key`` is that of its two texts; ``see`` a page that says more."""

    who: str
    """user, owner, or officer: who answers for data protection at the owner's."""
    key: str
    checks: tuple[str, ...] = ()
    see: str = ""


@dataclass(frozen=True, slots=True)
class Group:
    """All questions of one kind of asker."""

    who: str
    questions: tuple[Question, ...]


def _prove(claim: str) -> tuple[str, ...]:
    return (f"clawmates prove --claim {claim}",)


QUESTIONS = (
    Question("user", "store", _prove("no-storage"), "/privacy/stored"),
    Question("user", "read", _prove("no-storage")),
    Question("user", "who", _prove("tls13"), "/privacy/subprocessors"),
    Question("user", "remember", _prove("no-storage")),
    Question("user", "others", _prove("isolation")),
    Question("user", "broken", ("make soak",)),
    Question("user", "cookies", ("pytest tests/browser/test_pages.py",)),
    Question("owner", "keys", _prove("vault")),
    Question("owner", "taken-over", _prove("vault")),
    Question("owner", "where", ("pytest tests/unit/control/test_nodes.py",), "/privacy/subprocessors"),
    Question("owner", "cancel", ("pytest tests/unit/control/test_cancelling.py",)),
    Question("owner", "delete", ("clawmates receipt verify", "pytest tests/unit/control/test_erasure_bytes.py")),
    Question("owner", "take", ("pytest tests/unit/control/test_privacy.py",), "/account/data"),
    Question("owner", "self-host", _prove("self-host")),
    Question("officer", "processor", ("pytest tests/unit/control/test_agreement.py",), "/account/agreement"),
    Question("officer", "gdpr"),
    Question("officer", "inventory", _prove("inventory"), "/privacy/stored"),
    Question("officer", "subprocessors", ("pytest tests/unit/control/test_privacy.py",), "/privacy/subprocessors"),
    Question("officer", "transfers", (), "/privacy/subprocessors"),
    Question("officer", "retention", ("clawmates admin retention", *_prove("retention"))),
    Question("officer", "record", ("clawmates admin record",)),
    Question("officer", "audit", ("clawmates audit verify",), "/activity"),
    Question("officer", "soc2"),
    Question("officer", "vulnerability", ("pytest tests/unit/control/test_security_txt.py",)),
)
GROUPS = tuple(Group(who, tuple(some)) for who, some in groupby(QUESTIONS, key=lambda one: one.who))
"""In the order of the page."""
