"""Asking node, over its unix socket: a thin client for the CLI and the supervisor.

============================ =======================================================
``GET /status``              :class:`~clawmates.wire.status.NodeStatus`
``GET /status?isolation=no`` the same, brief
``POST /stop``               stops every bot and starts none any more → 204
============================ =======================================================
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from clawmates.base.shape import ShapeError, decode_json
from clawmates.wire.asking import FOREIGN, MAX_ANSWER, AwayError, ask
from clawmates.wire.status import NodeStatus

STATUS_SECONDS = 5.0
STOP_SECONDS = 120.0
_FOREIGN = FOREIGN.format("Node")


class NodeUnreachableError(Exception):
    """The platform does not run here, for its node does not answer."""


@dataclass(frozen=True, slots=True)
class NodeClient:
    """``socket`` is ``Settings.run.node``; only root and node's own user are let in."""

    socket: Path

    async def status(self, *, brief: bool = False) -> NodeStatus:
        """Node and its bots, ``brief`` for who asks again and again. Raises :class:`NodeUnreachableError`."""
        target = "/status?isolation=no" if brief else "/status"
        try:
            return decode_json(NodeStatus, await self._call("GET", target, 200, STATUS_SECONDS), MAX_ANSWER)
        except ShapeError:
            raise NodeUnreachableError(_FOREIGN) from None

    async def stop(self) -> None:
        """Returns when no container is left. Raises :class:`NodeUnreachableError`."""
        await self._call("POST", "/stop", 204, STOP_SECONDS)

    async def _call(self, method: str, target: str, status: int, seconds: float) -> bytes:
        try:
            found, answer = await ask(self.socket, "node", method, target, seconds=seconds)
        except AwayError:
            raise NodeUnreachableError from None
        if found != status:
            raise NodeUnreachableError(_FOREIGN)
        return answer
