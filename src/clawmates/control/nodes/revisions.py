"""A node's revision: it grows in the transaction that changes what the node should do."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from sqlalchemy import Table, bindparam, update

from clawmates.control.nodes.tables import Node

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncSession


_TABLE = cast(Table, Node.__table__)
_RAISE = update(_TABLE).where(_TABLE.c.name == bindparam("node")).values(revision=_TABLE.c.revision + 1)


async def touch(session: AsyncSession, node: str | None) -> None:
    """Raises the revision of ``node`` by one; the row is locked until the commit, so revisions become visible in order.

    Without a node nothing happens: a bot that runs nowhere concerns nobody.
    """
    if node is not None:
        await session.execute(_RAISE, {"node": node})
