from __future__ import annotations

import asyncio
import os
import time
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.unit.gateway.test_relay import rig

from clawmates.base.settings import GatewayLimits
from clawmates.gateway.bandwidth import (
    BURST_SECONDS,
    LEAST_READ,
    READ_BYTES,
    WINDOW_SECONDS,
    Crowd,
    Debt,
    Share,
)
from clawmates.gateway.relay import Relay

if TYPE_CHECKING:
    from tests.unit.gateway.conftest import ManualClock

LIMITS = GatewayLimits()


class TestDebt:
    def test_no_limit(self, clock: ManualClock) -> None:
        debt = Debt(0, clock.monotonic)
        assert debt.spend(1 << 40)
        assert debt.seconds() == 0

    def test_burst_then_debt_then_paid(self, clock: ManualClock) -> None:
        debt = Debt(1000, clock.monotonic)
        assert debt.spend(250)
        assert not debt.spend(500)
        assert debt.seconds() == 0.5
        clock.forward(0.5)
        assert debt.seconds() == 0
        clock.forward(3600)
        assert debt.spend(int(1000 * BURST_SECONDS))
        assert not debt.spend(1), "rest is not saved up beyond the burst"

    def test_time_never_runs_backwards(self, clock: ManualClock) -> None:
        debt = Debt(1000, clock.monotonic)
        debt.spend(1250)
        clock.forward(-100)
        assert debt.seconds() == 1.0

    @given(st.lists(st.tuples(st.floats(0, 0.5), st.integers(0, 50_000)), max_size=50))
    def test_never_more_than_rate_and_burst(self, steps: list[tuple[float, int]]) -> None:
        seconds, moved, rate, largest = 0.0, 0, 100_000, 0
        debt = Debt(rate, lambda: seconds)
        for pause, size in steps:
            seconds += pause
            if debt.seconds() == 0:
                debt.spend(size)
                moved, largest = moved + size, max(largest, size)
        assert moved <= rate * (seconds + BURST_SECONDS) + largest + 1

    async def test_who_waits_first_goes_on_first(self) -> None:
        debt, order, done = Debt(100_000, time.monotonic), [], asyncio.Event()
        assert not debt.spend(26_000)
        debt.wait(lambda: order.append("first"))
        debt.wait(lambda: order.append("second"))
        debt.wait(done.set)
        debt.spend(1_000)  # somebody else of this bot: the wait grows with it
        begun = time.monotonic()
        await asyncio.wait_for(done.wait(), 5)
        assert order == ["first", "second"]
        assert time.monotonic() - begun >= 0.015


class TestShare:
    def shares(self, clock: ManualClock, count: int) -> list[Share]:
        clock.forward(WINDOW_SECONDS / 2)  # away from a window's edge, where rounding decides
        crowd = Crowd()
        return [Share(0, crowd, clock.monotonic) for _ in range(count)]

    def test_alone_a_bot_reads_as_much_as_it_can(self, clock: ManualClock) -> None:
        (alone,) = self.shares(clock, 1)
        for _ in range(32):
            alone.seen(-1)
        assert alone.piece() == READ_BYTES

    def test_with_others_many_tunnels_are_worth_one(self, clock: ManualClock) -> None:
        many, one = self.shares(clock, 2)
        for _ in range(2):
            clock.forward(WINDOW_SECONDS)
            for _ in range(16):
                many.seen(-1)
            one.seen(-1)
        clock.forward(WINDOW_SECONDS)
        one.seen(-1)
        many.seen(-1)
        assert (many.piece(), one.piece()) == (READ_BYTES // 16, READ_BYTES)

    def test_one_tunnel_that_reads_often_counts_once(self, clock: ManualClock) -> None:
        busy, other = self.shares(clock, 2)
        window = -1
        for _ in range(20):
            window = busy.seen(window)
        other.seen(-1)
        assert busy.piece() == READ_BYTES

    def test_never_less_than_the_least(self, clock: ManualClock) -> None:
        many, other = self.shares(clock, 2)
        for _ in range(1000):
            many.seen(-1)
        other.seen(-1)
        assert many.piece() == LEAST_READ

    def test_those_who_have_stopped_are_not_waited_for(self, clock: ManualClock) -> None:
        many, other = self.shares(clock, 2)
        for _ in range(16):
            many.seen(-1)
        other.seen(-1)
        clock.forward(10)
        many.seen(-1)
        assert many.piece() == READ_BYTES

    def test_weakened_without_the_rule_many_tunnels_get_many_shares(
        self, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("clawmates.gateway.bandwidth.LEAST_READ", READ_BYTES)
        many, other = self.shares(clock, 2)
        for _ in range(16):
            many.seen(-1)
        other.seen(-1)
        assert many.piece() == READ_BYTES


class TestRelayed:
    SIZE = 300_000

    async def seconds(self, limit: int, *, both: bool = False) -> float:
        """How long it takes to relay :attr:`SIZE` bytes out, in two tunnels of one bot if ``both``."""
        share = Share(limit, Crowd(), time.monotonic)
        begun = time.monotonic()
        async with asyncio.timeout(30), asyncio.TaskGroup() as group:
            for _ in range(1 + both):
                group.create_task(self.one(share))
        return time.monotonic() - begun

    async def one(self, share: Share) -> None:
        async with rig() as tested:
            task = asyncio.create_task(Relay(*tested.sides, tested.traffic, share, time.monotonic).run(LIMITS))
            blob = os.urandom(self.SIZE)
            async with asyncio.TaskGroup() as group:
                group.create_task(tested.send(tested.mate, blob))
                assert await tested.receive(tested.far, len(blob)) == blob
            task.cancel()
            await asyncio.wait([task])

    async def fair(self) -> float:
        """What one bot with one tunnel gets, beside what another with twelve gets in all of them."""
        crowd, got, enough, ready = Crowd(), [0, 0], asyncio.Event(), asyncio.Barrier(13)

        async def busy(whose: int, share: Share) -> None:
            async with rig() as tested:
                relay = Relay(*tested.sides, tested.traffic, share, time.monotonic)
                blob, loop = bytes(1 << 20), asyncio.get_running_loop()

                async def pour() -> None:
                    while True:
                        await loop.sock_sendall(tested.mate, blob)

                async def drink() -> None:
                    while True:
                        more = len(await loop.sock_recv(tested.far, 1 << 20))
                        got[whose] += more
                        if sum(got) > 48 << 20:
                            enough.set()

                await ready.wait()
                tasks = [asyncio.ensure_future(work) for work in (relay.run(LIMITS), pour(), drink())]
                try:
                    await enough.wait()
                finally:
                    for task in tasks:
                        task.cancel()
                    await asyncio.wait(tasks)

        # In a second that does not end, so that a busy machine does not decide who is taken for one that stopped.
        many, one = Share(0, crowd, lambda: 0.0), Share(0, crowd, lambda: 0.0)
        async with asyncio.timeout(30), asyncio.TaskGroup() as group:
            for whose, share in ((0, one), *((1, many),) * 12):
                group.create_task(busy(whose, share))
        return got[0] / got[1]

    async def test_a_bot_with_many_tunnels_takes_no_more_than_one_with_one(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        assert await self.fair() > 0.3
        monkeypatch.setattr("clawmates.gateway.bandwidth.LEAST_READ", READ_BYTES)  # the weakened build
        assert await self.fair() < 0.2

    async def test_not_faster_than_the_limit(self) -> None:
        limit = 500_000
        floor = (self.SIZE - READ_BYTES) / limit - BURST_SECONDS
        assert await self.seconds(limit) >= floor > 0.05

    async def test_two_tunnels_share_one_limit(self) -> None:
        limit = 1_000_000
        assert await self.seconds(limit, both=True) >= (2 * self.SIZE - 2 * READ_BYTES) / limit - BURST_SECONDS > 0.08

    async def test_weakened_without_the_limit_it_is_faster(self) -> None:
        assert await self.seconds(0) < (self.SIZE - READ_BYTES) / 500_000 - BURST_SECONDS
