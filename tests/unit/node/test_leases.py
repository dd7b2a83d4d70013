"""Node's minute: leases renewed, a frozen bot shown, and nothing lost while the vault is away."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from clawmates.base.identity import ClientIdentity
from clawmates.base.paths import State
from clawmates.base.settings import Settings, Vault
from clawmates.base.x509 import Authority, Names
from clawmates.node import witness as witness_module
from clawmates.node.hold import Hold
from clawmates.node.leases import Renewal
from clawmates.node.witness import Counterpart
from clawmates.wire import vault_calls
from clawmates.wire.audit import COUNTERSIGN_SECONDS
from clawmates.wire.codes import Trouble
from clawmates.wire.leases import Lease, LeaseRenewal, Leases
from clawmates.wire.status import BotState
from clawmates.wire.vault_client import VaultUnreachableError

AT = "2026-11-22T09:00:00.000Z"


class Clock:
    def now(self) -> datetime:
        return datetime.now(UTC)

    def monotonic(self) -> float:
        return 0.0


class Log:
    def write(self, event: object, *, bot: str = "") -> None:
        raise AssertionError


@pytest.fixture
def state(tmp_path: Path) -> State:
    state = State(tmp_path)
    authority = Authority.create("test", datetime.now(UTC))
    pair = authority.issue(Names(uri=("clawmates://local/node/node-1",)), datetime.now(UTC))
    certificate, key = state.identity("node")
    certificate.parent.mkdir(parents=True)
    state.authority.write_bytes(authority.pair.certificate)
    certificate.write_bytes(pair.certificate)
    key.write_bytes(pair.key)
    return state


def counterpart(state: State, settings: Settings | None = None) -> Counterpart:
    return Counterpart(settings or Settings(), state, ClientIdentity(state, "node"), Clock(), Log())  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("seconds", "pause"), [((), 60.0), ((None,), 60.0), ((3600,), 60.0), ((90, None), 30.0), ((1,), 1.0)]
)
async def test_leases_are_renewed_in_time_and_in_parts(
    state: State, monkeypatch: pytest.MonkeyPatch, seconds: tuple[int | None, ...], pause: float
) -> None:
    asked: list[int] = []
    told: list[Renewal] = []

    async def renew(_vault: object, renewal: LeaseRenewal) -> Leases:
        asked.append(len(renewal.bots))
        first = int(renewal.bots[0][1:])
        chosen = seconds[first : first + len(renewal.bots)]
        return Leases(leases=tuple(Lease(bot="b", seconds=one, frozen=False) for one in chosen))

    monkeypatch.setattr(witness_module, "MAX_RENEWED", 1)
    monkeypatch.setattr(vault_calls, "renew", renew)
    node = counterpart(state)
    node.bots = lambda: tuple(f"b{number}" for number in range(len(seconds)))
    node.leased = told.append
    await node._renew(None)  # type: ignore[arg-type]
    assert asked == [1] * len(seconds)
    assert [lease.seconds for lease in told[0].leases] == list(seconds)
    assert told[0].bots == node.bots()
    assert node._pause == pause <= COUNTERSIGN_SECONDS


async def test_a_vault_that_is_away_is_met_again_before_the_minute_is_over(
    state: State, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def away(*_given: object) -> Any:
        raise VaultUnreachableError

    monkeypatch.setattr(vault_calls, "audit_head", away)
    met, loop = asyncio.Event(), asyncio.get_running_loop()
    node = counterpart(state)
    meetings: list[int] = []
    honest = Counterpart.meet

    async def meet(self: Counterpart) -> bool:
        there = await honest(self)
        meetings.append(1)
        if len(meetings) == 2:
            loop.call_soon(met.set)
        return there

    monkeypatch.setattr(Counterpart, "meet", meet)
    monkeypatch.setattr(witness_module, "AWAY_SECONDS", 0.0)
    keeping = asyncio.create_task(node.keep())
    async with asyncio.timeout(10):
        await met.wait()
    keeping.cancel()
    assert not node.diverged


async def test_a_node_without_an_address_or_a_certificate_waits(tmp_path: Path, state: State) -> None:
    await counterpart(state, Settings(vault=Vault(listen="127.0.0.1:0"))).meet()
    nowhere = counterpart(State(tmp_path / "nothing"))
    await nowhere.meet()
    assert not nowhere.diverged


def hold(state: BotState, code: str = "", *, runs: bool = True) -> Hold:
    found = Hold(bot="b1", slot=0)
    found.running = object() if runs else None  # type: ignore[assignment]
    found.becomes(state, code, AT)
    return found


def test_a_frozen_bot_is_shown_once_and_goes_on_when_let_go() -> None:
    live = hold(BotState.LIVE)
    assert live.hears_of_freeze(frozen=True, at=AT)
    assert (live.state, live.code) == (BotState.DEGRADED, Trouble.FROZEN)
    assert not live.hears_of_freeze(frozen=True, at=AT)
    live.tickets = live.tickets.failed(0.0, 0.5)
    assert not live.hears_of_freeze(frozen=False, at=AT)
    assert (live.state, live.code) == (BotState.LIVE, "")
    assert live.tickets.ready_at <= 0.0


def test_one_that_could_not_start_is_tried_at_once_when_let_go() -> None:
    waiting = hold(BotState.REFUSED, Trouble.FROZEN, runs=False)
    waiting.starts = waiting.starts.failed(0.0, 0.5)
    assert not waiting.hears_of_freeze(frozen=False, at=AT)
    assert waiting.starts.ready_at <= 0.0
    assert waiting.state is BotState.REFUSED


@pytest.mark.parametrize("frozen", [True, False])
def test_other_troubles_are_left_alone(frozen: bool) -> None:  # noqa: FBT001 - a parameter
    other = hold(BotState.DEGRADED, Trouble.VAULT_DOWN)
    assert not other.hears_of_freeze(frozen=frozen, at=AT)
    assert other.code == Trouble.VAULT_DOWN
