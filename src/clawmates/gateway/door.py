"""One bot's door: what its mate may ask, and what is counted."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import TYPE_CHECKING, cast

from clawmates.base.http import server
from clawmates.base.http.server import Reply
from clawmates.gateway.bell import Bell
from clawmates.gateway.bucket import Bucket
from clawmates.gateway.decision import ALLOW, Decision, deny
from clawmates.gateway.handover import Succession
from clawmates.gateway.lease import Lease
from clawmates.gateway.parking import Parking
from clawmates.gateway.query import whole_number
from clawmates.gateway.streams import Reader
from clawmates.gateway.traffic import Traffic
from clawmates.gateway.tunnel import DeniedError, Meter, answer, carry, decide, enforce, refuse
from clawmates.gateway.turns import Ledger
from clawmates.wire.codes import Event
from clawmates.wire.door import (
    CONFIG_WAIT_SECONDS,
    PARK_PROTOCOL,
    PARK_WAIT_SECONDS,
    VAULT_HOST,
    Refusal,
    TurnAnswer,
    TurnBegin,
    TurnEnd,
)
from clawmates.wire.gatewayctl import DoorStatus, Flow
from clawmates.wire.handover import MAX_SEALED

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from clawmates.base.clock import Clock
    from clawmates.base.http.server import Peer, Request, Stream
    from clawmates.gateway.events import EventRing
    from clawmates.gateway.parking import Call
    from clawmates.gateway.tunnel import Outside
    from clawmates.wire.door import DoorSpec

EVENT_BURST = 20
EVENTS_PER_SECOND = 1.0
SPARE_CONNECTIONS = 32
"""Connections beside the tunnels: calls and long polls, and parked ones."""
CALLERS = "hooks"
"""What the flows call those who called; their bot's label is nobody's business."""


class Door:
    """Lives from node's first PUT to its DELETE; connections come and go."""

    def __init__(self, spec: DoorSpec, outside: Outside, events: EventRing, clock: Clock, key: bytes) -> None:
        """``key`` hashes turn ids: :class:`~clawmates.gateway.turns.Ledger`."""
        self.spec = spec
        self.ledger = Ledger(key, clock, outside.limits.turns_per_minute)
        self._outside = outside
        self._events = events
        self._clock = clock
        self._bucket = Bucket(EVENT_BURST, EVENTS_PER_SECOND, clock.monotonic())
        self._bell = Bell()
        self._turn_ended = Bell()
        self._draining = False
        self._peers: dict[asyncio.Task[object], int] = {}
        self._readers: dict[asyncio.Task[object], Reader] = {}
        self._tunnels: dict[asyncio.Task[object], str] = {}
        self._calls: set[asyncio.Task[object]] = set()
        self._parking = Parking()
        self._succession = Succession(self._bell.ring)
        self._share = outside.share()
        self._traffic: dict[str, Traffic] = {}
        self._refused: Counter[Refusal] = Counter()
        self.lease = Lease(clock.monotonic, self._close)
        self.lease.take(spec.until)

    @property
    def most(self) -> int:
        """How many connections the door takes."""
        return self._outside.limits.connections + self._outside.limits.parked + SPARE_CONNECTIONS

    def update(self, spec: DoorSpec) -> None:
        """Takes a newer specification: what it no longer allows is cut, what it says anew is told."""
        if spec.hook != self.spec.hook:
            for task in self._calls:
                task.cancel()
        self.spec = spec
        self.lease.take(spec.until)
        for task, uid in self._peers.items():
            if not self._knows(uid):
                task.cancel()
        for task, host in self._tunnels.items():
            if host not in {*spec.hosts, VAULT_HOST}:
                task.cancel()
        self._bell.ring()

    def _close(self) -> None:
        """The lease is over: whatever is open is cut, and who knocks is told so."""
        for task in tuple(self._peers):
            task.cancel()

    def drain(self) -> None:
        """No new tunnels; calls go on, so that running turns can end."""
        self._draining = True
        self._parking.close()
        self._bell.ring()

    async def idle(self, seconds: float) -> bool:
        """Waits at most so long until no turn is running; returns whether none is."""
        return await self._turn_ended.until(lambda: not self.ledger.running, seconds)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection. A peer outside the bot's uid range is closed without a byte."""
        task = _this_task()
        self._readers[task] = cast(Reader, reader)  # a door accepts with these: clawmates.gateway.listen
        try:
            await server.serve(
                reader, writer, handle=self._handle, connect=self._upgrade, allowed=self._admit, most=self._most_body
            )
        finally:
            del self._readers[task]
            self._peers.pop(task, None)

    async def ring(self, call: Call, seconds: float) -> Decision:
        """Hands a caller to the mate, waiting a little for a parked connection; who may not come in is not waited for.

        Calls take at most half of the bot's tunnels: whoever calls must not keep the mate from its messenger.
        ``call.over`` is set at the end of a call that was taken.
        """
        room = self._decide_room()
        if not room.allowed:
            return room
        if len(self._calls) >= max(1, self._outside.limits.connections // 2):
            return deny(Refusal.TOO_MANY)
        return ALLOW if await self._parking.take(call, seconds) else deny(Refusal.NOBODY_WAITS)

    def status(self) -> DoorStatus:
        """Counts since the door was opened; ``tunnels`` are those open now."""
        flows = self._traffic.values()
        return DoorStatus(
            bot=self.spec.bot,
            tunnels=len(self._tunnels) + len(self._calls),
            bytes_out=sum(flow.bytes_out for flow in flows),
            bytes_in=sum(flow.bytes_in for flow in flows),
            turns=self.ledger.turns,
            input_tokens=self.ledger.input_tokens,
            output_tokens=self.ledger.output_tokens,
            refused=self._refused.total(),
            reasons=dict(self._refused),
            parked=len(self._parking),
        )

    def flows(self) -> tuple[Flow, ...]:
        """Where the bytes went."""
        return tuple(
            Flow(
                bot=self.spec.bot,
                host=host,
                connections=traffic.connections,
                bytes_out=traffic.bytes_out,
                bytes_in=traffic.bytes_in,
            )
            for host, traffic in self._traffic.items()
        )

    def _knows(self, uid: int) -> bool:
        return self.spec.uid_first <= uid < self.spec.uid_first + self.spec.uid_count

    def _admit(self, peer: Peer) -> bool:
        self._peers[_this_task()] = peer.uid
        return self._knows(peer.uid)

    async def _handle(self, request: Request, _peer: Peer) -> Reply:  # noqa: PLR0911 - one a route
        if not self.lease.runs():
            return refuse(Refusal.LEASE_ENDED)
        match (request.method, request.path):
            case ("POST", "/turn/begin"):
                return self._begin(request.json(TurnBegin))
            case ("POST", "/turn/end"):
                self.ledger.end(request.json(TurnEnd))
                self._turn_ended.ring()
                return Reply()
            case ("POST", "/event"):
                return self._event(request.json(Event))
            case ("GET", "/config"):
                life, heard = whole_number(request, "life"), whole_number(request, "heard")
                return await self._config(whole_number(request, "after"), life, heard)
            case (_, path) if path.startswith("/handover/"):
                return await self._succession.answer(request, self._while_there)
            case ("POST", "/park"):
                return Reply.error(426, "upgrade-required")
            case _:
                return Reply.error(404, "not-found")

    def _begin(self, begin: TurnBegin) -> Reply:
        met = self.ledger.met(begin.chat)
        verdict = self.ledger.begin(begin, self.spec.limits, self.spec.config.output_tokens)
        if not begin.chat:
            # A mate that does not name chats is from before there was more to say than the verdict.
            return Reply.json({"verdict": verdict})
        return Reply.json(TurnAnswer(verdict=verdict, met=met))

    def _event(self, event: Event) -> Reply:
        if not self._bucket.take(self._clock.monotonic()):
            return Reply.error(429, "too-many")
        self._events.add(self.spec.bot, event)
        return Reply()

    async def _config(self, after: int, life: int, heard: int) -> Reply:
        """News of the configuration comes first: an heir can wait."""

        def newer() -> bool:
            return self.spec.config.revision > after

        def heir() -> bool:
            return self._succession.heir(life, heard) is not None

        with self._while_there():
            await self._bell.until(lambda: self._draining or newer() or heir(), CONFIG_WAIT_SECONDS)
        if newer():
            return Reply.json(self.spec.config)
        return Reply(303) if heir() else Reply()

    def _most_body(self, method: str, target: str) -> int:
        """Large bodies are for contexts that an heir waits for, one at a time."""
        context = (method, target.partition("?")[0]) == ("POST", "/handover/context")
        return MAX_SEALED if context and self._succession.expects(_this_task()) else server.MAX_BODY

    def _decide_room(self) -> Decision:
        """Whether there may be one more tunnel."""
        if not self.lease.runs():
            return deny(Refusal.LEASE_ENDED)
        if self._draining:
            return deny(Refusal.DRAINING)
        if len(self._tunnels) + len(self._calls) >= self._outside.limits.connections:
            return deny(Refusal.TOO_MANY)
        return ALLOW

    def _while_there(self) -> AbstractContextManager[None]:
        """For waits: they end at once when the mate dies, and its connection is free again."""
        task = _this_task()
        return self._readers[task].only_while_there(task)

    async def _upgrade(self, request: Request, peer: Peer, stream: Stream) -> Reply | None:
        if request.method == "CONNECT":
            return await self._connect(request, stream)
        if (request.method, request.path, request.upgrade) == ("POST", "/park", PARK_PROTOCOL):
            return await self._park(stream)
        return await self._handle(request, peer)

    async def _park(self, stream: Stream) -> Reply | None:
        if not self.lease.runs():
            return refuse(Refusal.LEASE_ENDED)
        if not self.spec.hook:
            return Reply.error(404, "not-found")
        if self._draining:
            return refuse(Refusal.DRAINING)
        if len(self._parking) >= self._outside.limits.parked:
            self._refused[Refusal.TOO_MANY] += 1
            return refuse(Refusal.TOO_MANY)
        with self._while_there():
            call = await self._parking.wait(PARK_WAIT_SECONDS)
        if call is None:
            return Reply()
        await self._take(call, stream)
        return None

    async def _take(self, call: Call, stream: Stream) -> None:
        task = _this_task()
        self._calls.add(task)
        try:
            meter = Meter(self._traffic.setdefault(CALLERS, Traffic(inbound=True)), self._share, self.lease)
            await answer(call, stream, meter, self._outside)
        except DeniedError as error:
            self._refused[error.reason] += 1
        finally:
            self._calls.discard(task)
            call.over.set()

    async def _connect(self, request: Request, stream: Stream) -> Reply | None:
        task = _this_task()
        told = False
        try:
            enforce(self._decide_room())
            target = decide(request.target, self.spec.hosts)
            self._tunnels[task] = target.host
            with self._while_there():
                sock = await self._outside.reach(target)
            told = True
            meter = Meter(self._traffic.setdefault(target.host, Traffic()), self._share, self.lease)
            await carry(target.host, sock, stream, meter, self._outside)
        except DeniedError as error:
            self._refused[error.reason] += 1
            return None if told else refuse(error.reason)
        finally:
            self._tunnels.pop(task, None)
        return None


def _this_task() -> asyncio.Task[object]:
    return cast("asyncio.Task[object]", asyncio.current_task())  # a door always serves inside one
