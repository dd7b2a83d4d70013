"""Node's way to the gateway: a thin client of :mod:`clawmates.wire.gatewayctl`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from clawmates.base.shape import ShapeError, decode_json, encode_json
from clawmates.wire.asking import MAX_ANSWER, AwayError, ask
from clawmates.wire.gatewayctl import EVENTS_WAIT_SECONDS, DoorLeases, Events, GatewayStatus

if TYPE_CHECKING:
    from clawmates.wire.door import DoorSpec

T = TypeVar("T")

CALL_SECONDS = 10.0


class GatewayError(Exception):
    """A call to the gateway failed."""


class GatewayDownError(GatewayError):
    """The gateway does not answer."""


class GatewayRefusedError(GatewayError):
    """The gateway answered, and not with what was asked for."""


@dataclass(frozen=True, slots=True)
class GatewayClient:
    """A connection a call: the gateway may restart between any two. Every call raises :class:`GatewayError`."""

    path: Path
    """``Run.gateway``."""

    async def put(self, spec: DoorSpec) -> None:
        """Opens or updates a bot's door."""
        await self._call("PUT", f"/bots/{spec.bot}", encode_json(spec))

    async def lease(self, leases: DoorLeases) -> None:
        """Says until when doors stay open; a bot without a door is passed over."""
        await self._call("PUT", "/leases", encode_json(leases))

    async def delete(self, bot: str) -> None:
        """Closes a bot's door and forgets it; an unknown bot is no error."""
        await self._call("DELETE", f"/bots/{bot}")

    async def events(self, after: int, instance: str) -> Events:
        """What mates said since; waits up to 50 s for something new.

        Another ``instance`` in the answer is a restarted gateway: put every bot again.
        """
        target = f"/events?after={after}&instance={instance}"
        return _parse(Events, await self._call("GET", target, seconds=EVENTS_WAIT_SECONDS + CALL_SECONDS))

    async def status(self) -> GatewayStatus:
        """All doors."""
        return _parse(GatewayStatus, await self._call("GET", "/status"))

    async def _call(self, method: str, target: str, body: bytes = b"", *, seconds: float = CALL_SECONDS) -> bytes:
        try:
            status, answer = await ask(self.path, "gateway", method, target, body, seconds=seconds)
        except AwayError:
            raise GatewayDownError from None
        if status not in {200, 204}:
            raise GatewayRefusedError
        return answer


def _parse(cls: type[T], answer: bytes) -> T:
    try:
        return decode_json(cls, answer, MAX_ANSWER)
    except ShapeError:
        raise GatewayRefusedError from None
