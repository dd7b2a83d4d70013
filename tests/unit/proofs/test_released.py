"""Tickets and routes, tried on a vault in memory that can be weak in one point at a time."""

from __future__ import annotations

import json
import secrets
from dataclasses import dataclass, field
from typing import Any, cast

import pytest

from clawmates.base.shape import encode
from clawmates.proofs.canary import mint
from clawmates.proofs.claims.released import gates, routes, tickets
from clawmates.proofs.claims.victim import Victim
from clawmates.proofs.errors import ProofError
from clawmates.proofs.vaultcalls import Answer, VaultCalls, Who
from clawmates.vault.app import RULES
from clawmates.vault.identity import ANYONE, CONTROL, COUNTERPART, NODE
from clawmates.wire.names import ItemName

DONE = Answer(200, b"{}")


def refused(code: str, status: int = 403) -> Answer:
    return Answer(status, json.dumps({"error": {"code": code}}).encode())


@dataclass
class WeakVault:
    """Keeps the rules, but for those named in ``weak``."""

    weak: frozenset[str] = frozenset()
    text: str = "nothing"
    given: dict[str, int] = field(default_factory=dict)
    used: set[str] = field(default_factory=set)
    generation: int = 0
    frozen: bool = False

    async def ask(self, who: Who, method: str, path: str, value: object = None) -> Answer:
        body: Any = encode(value) if not isinstance(value, dict) else value
        match method, path:
            case "POST", "/v1/tickets":
                return self.ticket(who, body)
            case "POST", "/v1/redeem":
                return self.redeem(body)
            case "GET", "/v1/status":
                return Answer(200, b"victim" if self.frozen and "silent" not in self.weak else b"{}")
            case "POST", _ if path.endswith("/unfreeze"):
                self.frozen = False
                return Answer(204, b"")
        raise AssertionError(path)

    def ticket(self, who: Who, body: dict[str, Any]) -> Answer:
        if who is Who.OTHER_NODE and "any node" not in self.weak:
            return refused("not-assigned")
        if self.frozen and "tickets while frozen" not in self.weak:
            return refused("frozen", 423)
        self.generation = max(self.generation, body["generation"])
        ticket = secrets.token_hex(8)
        self.given[ticket] = body["generation"]
        return Answer(200, json.dumps({"ticket": ticket, "expires_in": 60}).encode())

    def redeem(self, body: dict[str, Any]) -> Answer:
        ticket = body["ticket"]
        if body["bot"] != "victim" and "any bot" not in self.weak:
            return refused("ticket-unknown")
        if ticket in self.used and "twice" not in self.weak:
            self.frozen = "no alarm" not in self.weak
            return refused("ticket-reused", 409)
        if self.frozen:
            return refused("frozen", 423)
        if self.given[ticket] < self.generation and "old generation" not in self.weak:
            return refused("ticket-expired", 410)
        self.used.add(ticket)
        return Answer(200, self.text.encode())


def victim(vault: WeakVault) -> Victim:
    one = Victim("victim", "node-1", cast(VaultCalls, vault), mint())
    vault.text = json.dumps({"value": one.text(ItemName.PROVIDER_KEY)})
    return one


async def test_a_vault_that_keeps_the_rules_holds() -> None:
    part = await tickets(victim(WeakVault()))
    assert part.found == ()
    assert all(row[-1] == "yes" for row in part.table.rows[1:])


@pytest.mark.parametrize(
    "weak", ["any node", "any bot", "old generation", "twice", "no alarm", "tickets while frozen", "silent"]
)
async def test_each_weakness_is_found(weak: str) -> None:
    part = await tickets(victim(WeakVault(frozenset({weak}))))
    assert part.found


async def test_a_vault_that_opens_nothing_shows_nothing() -> None:
    vault = WeakVault()
    one = victim(vault)
    vault.text = "{}"
    with pytest.raises(ProofError, match="opens nothing"):
        await tickets(one)


def test_the_table_of_routes_is_the_vaults_own() -> None:
    names = {ANYONE: "(none)", CONTROL: "control", NODE: "node", COUNTERPART: "both"}
    theirs = {(rule.method, rule.path, names[rule.gate]) for rule in RULES}
    assert {(one.method, one.path, one.role) for one in routes()} == theirs


@dataclass
class Gated:
    """Lets in by role; ``open_to`` names one who is let in everywhere."""

    open_to: Who | None = None

    async def ask(self, who: Who, method: str, path: str, _value: object = None) -> Answer:
        if who is Who.STRANGER and who is not self.open_to:
            return Answer(0, b"")
        role = {Who.CLI: "control", Who.NODE: "node"}.get(who, "")
        for one in routes():
            if (one.method, one.filled("proof-nobody")) == (method, path):
                allowed = one.lets_in(role) or who is self.open_to
                return DONE if allowed else refused("not-allowed")
        return DONE


async def test_gates_that_are_shut_hold() -> None:
    part = await gates(cast(VaultCalls, Gated()), harmless=False)
    assert part.found == ()
    assert int(part.figures["route_refusals"]) > 50


@pytest.mark.parametrize("who", [Who.NOBODY, Who.NODE, Who.CLI, Who.STRANGER])
async def test_an_open_gate_is_found(who: Who) -> None:
    assert (await gates(cast(VaultCalls, Gated(who)), harmless=False)).found


async def test_on_a_real_platform_only_reading_routes_are_called() -> None:
    part = await gates(cast(VaultCalls, Gated()), harmless=True)
    assert int(part.figures["routes"]) == sum(one.method == "GET" for one in routes())
    assert part.not_looked_at


def test_answers_have_words() -> None:
    assert Answer(0, b"").word == "no connection"
    assert Answer(204, b"").word == "done"
    assert refused("frozen", 423).word == "frozen"
    assert Answer(500, b"oops").word == "status 500"
