"""All tables: whoever needs the whole schema imports this."""

from __future__ import annotations

from clawmates.control.accounts import tables as accounts
from clawmates.control.agreement import tables as agreement
from clawmates.control.audit import tables as audit
from clawmates.control.bots import tables as bots
from clawmates.control.erasure import tables as erasure
from clawmates.control.nodes import tables as nodes
from clawmates.control.outbox import tables as outbox
from clawmates.control.retention import tables as retention
from clawmates.control.store.base import Base

METADATA = Base.metadata
__all__ = ["METADATA", "accounts", "agreement", "audit", "bots", "erasure", "nodes", "outbox", "retention"]
