"""The vault's answers as node's codes, and node's own socket."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

from clawmates.base import identity as identity_module
from clawmates.base.http.local import allowed
from clawmates.base.http.server import Peer
from clawmates.base.identity import ClientIdentity
from clawmates.base.paths import State
from clawmates.base.settings import Settings, Vault
from clawmates.base.x509 import Authority, Names
from clawmates.node.serving import serving
from clawmates.node.tickets import (
    BotFrozenError,
    LeaseEndedError,
    RevokedError,
    TicketDeniedError,
    TicketError,
    VaultDownError,
    VaultOffice,
)
from clawmates.wire.codes import REMEDY
from clawmates.wire.node_client import NodeClient, NodeUnreachableError
from clawmates.wire.status import BotState, BotStatus, Finding, NodeStatus
from clawmates.wire.vault import TicketRequest, VaultRefusal
from clawmates.wire.vault_client import VaultClient, VaultError, VaultUnreachableError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from pathlib import Path

REQUEST = TicketRequest(bot="anna", generation=1, items={})
STATUS = NodeStatus(
    revision=3,
    node="node-1",
    region="local",
    engine="fake 1",
    release="sha256:" + "a" * 64,
    gateway=True,
    unsafe=("node.unsafe_extra_ca",),
    bots=(
        BotStatus(
            bot="anna",
            state=BotState.LIVE,
            since="2026-11-22T00:00:00.000Z",
            channel="telegram",
            provider="openai",
            model="gpt-5.4-nano",
            isolation=(Finding(name="user", wanted="1", found="1", ok=True),),
        ),
    ),
)


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


@pytest.mark.parametrize("refusal", list(VaultRefusal))
async def test_a_refusal_is_a_denial_unless_the_vault_itself_is_ill(
    state: State, monkeypatch: pytest.MonkeyPatch, refusal: VaultRefusal
) -> None:
    async def refuse(_client: VaultClient, _request: TicketRequest) -> None:
        raise VaultError(refusal)

    monkeypatch.setattr(VaultClient, "ticket", refuse)
    expected: dict[VaultRefusal, type[TicketError]] = {
        VaultRefusal.STORAGE_FAILED: VaultDownError,
        VaultRefusal.FROZEN: BotFrozenError,
        VaultRefusal.LEASE_ENDED: LeaseEndedError,
        VaultRefusal.REVOKED: RevokedError,
    }
    with pytest.raises(TicketError) as caught:
        await VaultOffice(Settings(), ClientIdentity(state, "node")).ticket(REQUEST)
    assert type(caught.value) is expected.get(refusal, TicketDeniedError)
    assert caught.value.trouble in REMEDY


async def test_no_answer_is_a_vault_that_is_down(state: State, monkeypatch: pytest.MonkeyPatch) -> None:
    async def fail(_client: VaultClient, _request: TicketRequest) -> None:
        raise VaultUnreachableError

    monkeypatch.setattr(VaultClient, "ticket", fail)
    with pytest.raises(VaultDownError):
        await VaultOffice(Settings(), ClientIdentity(state, "node")).ticket(REQUEST)


async def test_so_is_one_whose_port_or_certificate_is_not_known_yet(state: State, tmp_path: Path) -> None:
    nobody = ClientIdentity(State(tmp_path / "nothing"), "node")
    with pytest.raises(VaultDownError):
        await VaultOffice(Settings(vault=Vault(listen="127.0.0.1:0")), nobody).ticket(REQUEST)
    with pytest.raises(VaultDownError):
        await VaultOffice(Settings(), nobody).ticket(REQUEST)


def _issue(state: State, authority: Authority) -> bytes:
    pair = authority.issue(Names(uri=("clawmates://local/node/node-1",)), datetime.now(UTC))
    certificate, key = state.identity("node")
    key.write_bytes(pair.key)
    certificate.write_bytes(pair.certificate)
    return pair.certificate


def test_a_renewed_certificate_is_taken_and_half_a_pair_is_not(state: State) -> None:
    authority = Authority.create("test", datetime.now(UTC))
    state.authority.write_bytes(authority.pair.certificate)
    _issue(state, authority)
    identity = ClientIdentity(state, "node")
    first = identity.context()
    assert identity.context() is first
    _issue(state, authority)
    second = identity.context()
    assert second is not first
    state.identity("node")[1].write_bytes(authority.issue(Names(), datetime.now(UTC)).key)
    assert identity.context() is second
    _issue(state, authority)
    assert identity.context() is not second


def test_a_node_that_never_looked_again_would_keep_the_old_certificate(
    state: State, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The seeded defect: the test above is red against it."""
    monkeypatch.setattr(identity_module, "mark", lambda *_paths: ())
    identity = ClientIdentity(state, "node")
    first = identity.context()
    _issue(state, Authority.create("test", datetime.now(UTC)))
    assert identity.context() is first


def _never() -> Callable[[], Awaitable[None]]:
    async def halt() -> None:
        raise AssertionError

    return halt


async def test_the_status_travels_whole(tmp_path: Path) -> None:
    path = tmp_path / "node" / "node.sock"
    async with serving(path, status=lambda: STATUS, halt=_never()):
        assert await NodeClient(path).status() == STATUS
        assert STATUS.bots[0].isolation
        brief = replace(STATUS, bots=(replace(STATUS.bots[0], isolation=()),))
        assert await NodeClient(path).status(brief=True) == brief
        assert path.stat().st_mode & 0o777 == 0o600
        assert path.parent.stat().st_mode & 0o777 == 0o700


async def test_stop_answers_when_everything_has_stopped(tmp_path: Path) -> None:
    path, stopped = tmp_path / "node.sock", asyncio.Event()
    asked = asyncio.Event()

    async def halt() -> None:
        asked.set()
        await stopped.wait()

    async with serving(path, status=lambda: STATUS, halt=halt), asyncio.TaskGroup() as group:
        stopping = group.create_task(NodeClient(path).stop())
        await asked.wait()
        assert not stopping.done()
        stopped.set()


async def test_a_stale_socket_is_replaced(tmp_path: Path) -> None:
    path = tmp_path / "node.sock"
    for _ in range(2):
        async with serving(path, status=lambda: STATUS, halt=_never()):
            assert (await NodeClient(path).status()).revision == 3


async def test_nobody_there_is_unreachable(tmp_path: Path) -> None:
    for call in (NodeClient(tmp_path / "none").status, NodeClient(tmp_path / "none").stop):
        with pytest.raises(NodeUnreachableError):
            await call()


async def test_an_answer_of_another_kind_is_unreachable(tmp_path: Path) -> None:
    path = tmp_path / "node.sock"
    async with serving(path, status=lambda: STATUS, halt=_never()):
        with pytest.raises(NodeUnreachableError):
            await NodeClient(path)._call("GET", "/elsewhere", 200, 1.0)
        with pytest.raises(NodeUnreachableError):
            await NodeClient(path).stop()


def test_only_root_and_node_itself_are_let_in() -> None:
    assert allowed(Peer(pid=1, uid=0, gid=0))
    assert not allowed(Peer(pid=1, uid=1_000_001_000, gid=0))
    assert not allowed(Peer(pid=1, uid=1000, gid=1000))
