"""What Alembic runs; the connection is handed in by :mod:`clawmates.control.store.upgrade`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from alembic import context

from clawmates.control.store.base import Moment
from clawmates.control.store.tables import METADATA

if TYPE_CHECKING:
    from alembic.autogenerate.api import AutogenContext


def _render(kind: str, item: object, _context: AutogenContext) -> str | Literal[False]:
    """A migration speaks of plain columns: what our types become later must not change what it did."""
    return "sa.DateTime(timezone=True)" if kind == "type" and isinstance(item, Moment) else False


context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=METADATA,
    # SQLite changes a table by making it anew (Alembic, "Running Batch Migrations").
    render_as_batch=True,
    compare_type=True,
    render_item=_render,
)
with context.begin_transaction():
    context.run_migrations()
