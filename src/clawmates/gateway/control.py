"""What node may ask of the gateway: :mod:`clawmates.wire.gatewayctl`."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from clawmates.base.http import server
from clawmates.base.http.server import Reply
from clawmates.base.shape import ShapeError
from clawmates.gateway.query import whole_number
from clawmates.wire.door import DoorSpec
from clawmates.wire.gatewayctl import DoorLeases, GatewayStatus
from clawmates.wire.names import check_bot_id

if TYPE_CHECKING:
    import asyncio

    from clawmates.base.http.server import Peer, Request
    from clawmates.gateway.doors import Doors
    from clawmates.gateway.events import EventRing
    from clawmates.gateway.ingress import Ingress

MOST = 64
"""Connections at a time."""
_BOTS = "/bots/"


class Control:
    """Serves root, and this process's own user when it runs as another."""

    def __init__(self, doors: Doors, events: EventRing, ingress: Ingress | None = None) -> None:
        self._doors = doors
        self._events = events
        self._ingress = ingress

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection; strangers are closed without a byte."""
        await server.serve(reader, writer, handle=self._handle, allowed=self._admit)

    def _admit(self, peer: Peer) -> bool:
        return peer.uid in {0, os.geteuid()}

    async def _handle(self, request: Request, _peer: Peer) -> Reply:
        match (request.method, request.path):
            case ("PUT", path) if path.startswith(_BOTS):
                return await self._put(_bot(path), request.json(DoorSpec))
            case ("PUT", "/leases"):
                self._doors.lease(request.json(DoorLeases).until)
                return Reply()
            case ("DELETE", path) if path.startswith(_BOTS):
                return await self._delete(_bot(path))
            case ("GET", "/events"):
                after = whole_number(request, "after")
                return Reply.json(await self._events.poll(after, request.query("instance")))
            case ("GET", "/status"):
                return Reply.json(self.status())
            case _:
                return Reply.error(404, "not-found")

    def status(self) -> GatewayStatus:
        """All doors and flows."""
        return GatewayStatus(
            instance=self._events.instance,
            doors=tuple(door.status() for door in self._doors),
            flows=tuple(flow for door in self._doors for flow in door.flows()),
            ingress=self._ingress.status() if self._ingress is not None else None,
        )

    async def _put(self, bot: str, spec: DoorSpec) -> Reply:
        if spec.bot != bot:
            raise ShapeError("bot", "is not the one in the address")
        try:
            await self._doors.put(spec)
        except OSError:
            return Reply.error(507, "storage-failed")
        return Reply()

    async def _delete(self, bot: str) -> Reply:
        try:
            await self._doors.delete(bot)
        except OSError:
            return Reply.error(507, "storage-failed")
        return Reply()


def _bot(path: str) -> str:
    try:
        return check_bot_id(path.removeprefix(_BOTS))
    except ValueError as error:
        raise ShapeError("bot", str(error)) from None
