"""What a hog costs its neighbour: the arithmetic, and that both halves are really measured."""

from __future__ import annotations

import os
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from clawmates.proofs.claims import neighbours
from clawmates.proofs.claims.neighbours import BLOCK, ROUNDS, Hogged, measure, percentile
from clawmates.proofs.errors import ChatError, NoBotError
from clawmates.proofs.fake import FakePlatform
from clawmates.proofs.trial import Bench
from clawmates.wire.names import ChannelKind

if TYPE_CHECKING:
    from datetime import datetime

    from clawmates.base.paths import Run, State
    from clawmates.proofs.trial import Options


@pytest.mark.parametrize(("share", "value"), [(50, 50), (90, 90), (99, 99), (100, 100), (1, 1)])
def test_percentiles(share: int, value: int) -> None:
    assert percentile([float(one) for one in range(100, 0, -1)], share) == value
    assert percentile([7.0], share) == 7.0


def hogged(slower: float) -> Hogged:
    alone = tuple(one / 1000 for one in range(1, 601))
    return Hogged(alone=alone, beside=tuple(one * slower for one in alone))


def test_a_fifth_is_allowed_and_more_is_not() -> None:
    assert hogged(1.19).against == ()
    (said,) = hogged(1.3).against
    assert "1.30 times" in said
    assert hogged(1.1).summary.endswith("moved from 594.0 to 653.4 ms (+10%).")
    assert hogged(1.1).figures["neighbour_p99_ratio"] == 1.1
    assert hogged(1.1).table.rows[-1] == ("p99", "594.0", "653.4")


class SlowClock:
    """Moves by what the platform says a reply takes."""

    def __init__(self) -> None:
        self.time = 0.0

    def monotonic(self) -> float:
        return self.time

    def now(self) -> datetime:
        raise AssertionError("a reply is measured by the clock that never jumps")


@pytest.mark.parametrize(("slower", "broken"), [(1.0, False), (1.5, True)])
async def test_both_halves_are_measured_in_turns(
    slower: float,
    broken: bool,  # noqa: FBT001 - a parameter
    state: State,
    run_folder: Run,
    options: Options,
) -> None:
    clock = SlowClock()
    turns: list[bool] = []

    async def reply(platform: FakePlatform, _text: str) -> None:
        turns.append(bool(platform.hogs))
        clock.time += 0.01 * (slower if platform.hogs else 1.0)

    async with FakePlatform(state, run_folder, bots=("one", "two"), on_message=reply) as platform:
        bots = (await platform.status()).bots
        found = await measure(platform, bots, options, Bench(clock=clock, entropy=os.urandom))
    assert found is not None
    assert bool(found.against) is broken
    assert len(found.alone) == len(found.beside) == ROUNDS * BLOCK
    assert platform.hogged == ["two"] * ROUNDS
    assert turns.count(True) == ROUNDS * BLOCK
    blocks = [turns[neighbours.WARM_UP + at * BLOCK] for at in range(2 * ROUNDS)]
    assert blocks[:4] == [True, False, False, True], "a slow minute must hit both sides alike"


async def test_without_another_bot_nothing_is_measured(
    state: State, run_folder: Run, options: Options, bench: Bench
) -> None:
    async with FakePlatform(state, run_folder) as platform:
        assert await measure(platform, (await platform.status()).bots, options, bench) is None
    async with FakePlatform(state, run_folder, channel=ChannelKind.TELEGRAM) as platform:
        with pytest.raises(NoBotError, match="talked to"):
            await measure(platform, (await platform.status()).bots, options, bench)


async def test_a_bot_that_falls_silent_ends_the_measurement(
    state: State, run_folder: Run, options: Options, bench: Bench
) -> None:
    async def stuck(_platform: FakePlatform, _text: str) -> None:
        raise TimeoutError

    async with FakePlatform(state, run_folder, bots=("one", "two"), on_message=stuck) as platform:
        with pytest.raises(ChatError, match="did not answer"):
            await measure(platform, (await platform.status()).bots, replace(options, chat_seconds=0.01), bench)
