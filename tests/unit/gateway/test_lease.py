"""A door whose lease has ended: cut, closed to everybody, and its mate ends by itself, with or without a node."""

from __future__ import annotations

import asyncio
import math
import subprocess
import sys
import time
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
from tests.unit.gateway.test_relay import LIMITS, rig, share

from clawmates.base.clock import SystemClock
from clawmates.base.http.client import HttpError
from clawmates.gateway import door as door_module
from clawmates.gateway.lease import Lease
from clawmates.gateway.relay import Relay
from clawmates.mate.door import Door
from clawmates.mate.errors import GoneError
from clawmates.mate.main import Mate
from clawmates.wire.gatewayctl import LEASE_GRACE_SECONDS, DoorLeases

if TYPE_CHECKING:
    from tests.unit.gateway.conftest import House, ManualClock

HOST = "api.telegram.org"
BOT = "bot-1"


def ended() -> float:
    return SystemClock().monotonic() - LEASE_GRACE_SECONDS - 1


async def answers(house: House) -> list[int]:
    """What the door says to a call, a wish to park and a tunnel."""
    calls = [(await house.call("POST", "/turn/begin", {"turn": "1"}))[0]]
    for method, target, headers in (
        ("POST", "/park", [("Upgrade", "clawmates-call"), ("Connection", "upgrade")]),
        ("CONNECT", f"{HOST}:443", []),
    ):
        mate = await house.knock()
        answer = await mate.request(method, target, headers=headers)
        calls.append(answer.status)
        await mate.close()
    return calls


async def test_at_the_end_of_its_lease_a_door_is_cut_and_closed(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    await house.client.put(house.spec(until=SystemClock().monotonic()))
    mate = await house.knock()
    waiting = asyncio.create_task(mate.request("GET", "/config?after=1"))
    assert (await house.call("POST", "/turn/begin", {"turn": "1"}))[0] == 200, "node has a little time of its own first"
    await house.client.lease(DoorLeases(until={BOT: ended(), "nobodys": ended()}))
    async with asyncio.timeout(5):
        with pytest.raises(HttpError):
            await waiting
    await mate.close()
    assert await answers(house) == [410, 410, 410]
    assert house.resolver.asked == []
    assert await house.refusals() == {"lease-ended": 1}
    await house.client.lease(DoorLeases(until={BOT: None}))
    assert (await answers(house))[::2] == [200, 504], "a node that is back says so"
    await house.client.put(house.spec(until=ended(), revision=2))
    assert await answers(house) == [410, 410, 410]
    monkeypatch.setattr(Lease, "runs", lambda _self: True)  # the weakened build
    assert (await answers(house))[::2] == [200, 504]


async def test_the_mate_of_a_closed_door_ends(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(door_module.Door, "_knows", lambda _self, _uid: True)
    await house.client.put(house.spec())
    door = Door(str(house.doors / BOT / "door.sock"))
    mate: Any = SimpleNamespace(door=door, config=SimpleNamespace(revision=1))
    following = asyncio.create_task(Mate.follow(mate, None))  # type: ignore[arg-type]
    await house.call("POST", "/turn/begin", {"turn": "1"})
    await house.client.lease(DoorLeases(until={BOT: ended()}))
    async with asyncio.timeout(10):
        with pytest.raises(GoneError):
            await following
    for call in door._calls:
        await call.close()


async def test_a_lease_ends_on_time_also_when_it_was_renewed_or_shortened() -> None:
    loop = asyncio.get_running_loop()
    over = asyncio.Event()
    lease = Lease(loop.time, over.set)
    lease.take(loop.time() + 3600)
    lease.take(None)
    assert lease.runs()
    lease.take(loop.time() - LEASE_GRACE_SECONDS + 0.02)  # sooner than before
    lease.take(loop.time() - LEASE_GRACE_SECONDS + 0.05)  # a little later, which its timer finds out
    async with asyncio.timeout(5):
        await over.wait()
    assert not lease.runs()
    lease.take(loop.time() + 3600)
    assert lease.runs()
    lease.forget()
    assert math.isinf(lease._due)


@pytest.mark.parametrize("weakened", [False, True])
async def test_a_gateway_that_stood_still_passes_nothing_on(
    clock: ManualClock, monkeypatch: pytest.MonkeyPatch, *, weakened: bool
) -> None:
    if weakened:
        monkeypatch.setattr(Relay, "may", lambda _self: True)
    lease = Lease(clock.monotonic)
    lease.take(clock.monotonic() + 60)
    async with rig() as tested:
        task = asyncio.create_task(
            Relay(*tested.sides, tested.traffic, share(), asyncio.get_running_loop().time, lease).run(LIMITS)
        )
        await tested.send(tested.far, b"before")
        assert await tested.receive(tested.mate, 6) == b"before"
        clock.forward(3600)  # its timer knows nothing of this
        await tested.send(tested.far, b"update")
        assert await tested.receive(tested.mate, 6) == (b"update" if weakened else b"")
        task.cancel()
        await asyncio.wait([task])
    lease.forget()


def test_the_clock_of_leases_counts_while_a_host_sleeps() -> None:
    """In a time namespace (time_namespaces(7)) whose boot was an hour longer ago, while the other clock is the same."""
    line = (
        "from clawmates.base.clock import SystemClock; import time; print(SystemClock().monotonic() - time.monotonic())"
    )
    command = ("unshare", "--time", "--boottime", "3600", "--fork", sys.executable, "-I", "-c", line)
    found = subprocess.run(command, capture_output=True, text=True, check=True)
    slept = time.clock_gettime(time.CLOCK_BOOTTIME) - time.monotonic()
    assert float(found.stdout) - slept == pytest.approx(3600, abs=5)
