from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from tests.unit.vault.conftest import FakeClock, House

from clawmates.vault import leases, store
from clawmates.vault.leases import BACKWARDS, Term, runs
from clawmates.vault.service import Vault
from clawmates.vault.store import RefusedError
from clawmates.wire.leases import Lease, LeaseRenewal
from clawmates.wire.names import ItemName
from clawmates.wire.vault import MAX_LEASE_SECONDS, Assignment, Redemption, TicketRequest, VaultRefusal

NOW = datetime(2026, 11, 22, 9, 0, tzinfo=UTC)
KEY = ItemName.PROVIDER_KEY
HOUR = 3600


def test_a_lease_runs_until_its_end_and_an_endless_one_for_ever() -> None:
    term = Term.begin(HOUR, NOW)
    assert term is not None
    assert runs(term, NOW)
    assert runs(term, NOW + timedelta(seconds=HOUR - 1))
    assert not runs(term, NOW + timedelta(seconds=HOUR))
    assert term.renewed(NOW + timedelta(seconds=60)).until == NOW + timedelta(seconds=HOUR + 60)
    assert Term.begin(None, NOW) is None
    assert runs(None, NOW + timedelta(days=10_000))


def test_a_clock_set_back_does_not_make_a_lease_longer(monkeypatch: pytest.MonkeyPatch) -> None:
    term = Term.begin(HOUR, NOW)
    assert runs(term, NOW - BACKWARDS)
    assert not runs(term, NOW - BACKWARDS - timedelta(seconds=1))
    monkeypatch.setattr(leases, "BACKWARDS", timedelta(days=365))  # the seeded defect
    assert runs(term, NOW - timedelta(days=300))


@pytest.mark.parametrize("seconds", [0, -1, MAX_LEASE_SECONDS + 1])
def test_a_lease_has_bounds(seconds: int) -> None:
    with pytest.raises(ValueError, match="lease"):
        Assignment(tenant="acme", node="node-1", lease_seconds=seconds)


@pytest.fixture
async def bot(vault: Vault, house: House) -> str:
    await vault.assign("b1", Assignment(tenant="acme", node="node-1", lease_seconds=HOUR))
    house.put("b1", KEY, 1, "sk-one")
    return "b1"


async def take(vault: Vault, node: str = "node-1") -> Redemption:
    ticket = await vault.ticket(node, TicketRequest(bot="b1", generation=1, items={KEY: 1}))
    return Redemption(bot="b1", ticket=ticket.ticket)


async def refusal(vault: Vault) -> VaultRefusal:
    with pytest.raises(RefusedError) as caught:
        await take(vault)
    return caught.value.refusal


async def test_no_ticket_after_the_end(
    vault: Vault, bot: str, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    await take(vault)
    clock.pass_(HOUR)
    assert await refusal(vault) is VaultRefusal.LEASE_ENDED
    monkeypatch.setattr(store, "runs", lambda _term, _now: True)  # the seeded defect
    await take(vault)


async def test_a_ticket_of_before_opens_nothing_after_the_end(vault: Vault, bot: str, clock: FakeClock) -> None:
    clock.pass_(HOUR - 10)
    ticket = await take(vault)
    clock.pass_(20)
    with pytest.raises(RefusedError, match="lease-ended"):
        await vault.redeem(ticket)


async def test_node_renews_what_runs_and_cannot_revive_what_has_ended(
    vault: Vault, bot: str, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    for _ in range(3):
        clock.pass_(HOUR - 1)
        answer = await vault.renew("node-1", LeaseRenewal(bots=(bot, bot, "nobody")))
        assert answer.leases == (Lease(bot=bot, seconds=HOUR, frozen=False),)
    clock.pass_(HOUR)
    assert (await vault.renew("node-1", LeaseRenewal(bots=(bot,)))).leases == ()
    assert await refusal(vault) is VaultRefusal.LEASE_ENDED
    await vault.assign(bot, Assignment(tenant="acme", node="node-1", lease_seconds=HOUR))
    await take(vault)
    clock.pass_(HOUR)
    with monkeypatch.context() as patched:
        patched.setattr(store, "runs", lambda _term, _now: True)  # the seeded defect
        await vault.renew("node-1", LeaseRenewal(bots=(bot,)))
    await take(vault)


async def test_another_nodes_bots_are_not_renewed(vault: Vault, bot: str, clock: FakeClock) -> None:
    assert (await vault.renew("node-2", LeaseRenewal(bots=(bot,)))).leases == ()
    clock.pass_(HOUR)
    assert await refusal(vault) is VaultRefusal.LEASE_ENDED


async def test_an_endless_lease_is_said_to_be_one(vault: Vault, bot: str) -> None:
    await vault.assign(bot, Assignment(tenant="acme", node="node-1"))
    answer = await vault.renew("node-1", LeaseRenewal(bots=(bot,)))
    assert answer.leases == (Lease(bot=bot, seconds=None, frozen=False),)


async def test_an_alarm_is_told_with_the_renewal_and_in_the_status(vault: Vault, bot: str) -> None:
    ticket = await take(vault)
    await vault.redeem(ticket)
    assert (await vault.status()).frozen == ()
    with pytest.raises(RefusedError, match="ticket-reused"):
        await vault.redeem(ticket)
    answer = await vault.renew("node-1", LeaseRenewal(bots=(bot,)))
    assert answer.leases == (Lease(bot=bot, seconds=HOUR, frozen=True),)
    assert (await vault.status()).frozen == (bot,)
    await vault.unfreeze(bot)
    assert (await vault.status()).frozen == ()


async def test_leases_outlive_the_vault_and_go_with_the_bot(
    vault: Vault, bot: str, house: House, clock: FakeClock
) -> None:
    clock.pass_(HOUR)
    assert house.store.records.term(bot) is not None
    await vault.destroy(bot)
    assert house.store.records.term(bot) is None
