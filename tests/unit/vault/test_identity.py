from __future__ import annotations

import pytest

from clawmates.vault import identity
from clawmates.vault.identity import ANYONE, CONTROL, NODE, Gate, admit
from clawmates.wire.callers import Caller, Nobody, caller_of
from clawmates.wire.names import Role, ServiceName
from clawmates.wire.vault import VaultRefusal

NODE_1 = ServiceName("local", Role.NODE, "node-1")
CLI = ServiceName("local", Role.CONTROL, "cli")
MATE = Nobody.NO_CERTIFICATE


def _certificate(*uris: str) -> dict[str, object]:
    return {"subjectAltName": (("DNS", "vault"), *(("URI", uri) for uri in uris))}


@pytest.mark.parametrize(
    ("certificate", "caller"),
    [
        (None, MATE),
        ({}, MATE),
        (_certificate("clawmates://local/node/node-1"), NODE_1),
        (_certificate("clawmates://local/control/cli"), CLI),
        (_certificate(), Nobody.UNREADABLE),
        ({"subject": ()}, Nobody.UNREADABLE),
        (_certificate("clawmates://local/king/me"), Nobody.UNREADABLE),
        (_certificate("https://local/node/node-1"), Nobody.UNREADABLE),
        (_certificate("clawmates://local/node/node-1/more"), Nobody.UNREADABLE),
        (_certificate("clawmates://local/node/node-1", "clawmates://local/control/cli"), Nobody.UNREADABLE),
    ],
)
def test_a_certificate_names_one_service_or_nobody(certificate: object, caller: Caller) -> None:
    assert caller_of(certificate) == caller


@pytest.mark.parametrize(
    ("caller", "gate", "let_in"),
    [
        (CLI, CONTROL, True),
        (CLI, NODE, False),
        (CLI, ANYONE, True),
        (NODE_1, NODE, True),
        (NODE_1, CONTROL, False),
        (ServiceName("local", Role.GATEWAY, "g"), NODE, False),
        (ServiceName("local", Role.GATEWAY, "g"), CONTROL, False),
        (ServiceName("local", Role.VAULT, "vault"), CONTROL, False),
        (ServiceName("eu", Role.NODE, "node-1"), NODE, False),
        (ServiceName("eu", Role.CONTROL, "cli"), CONTROL, False),
        (ServiceName("eu", Role.NODE, "node-1"), ANYONE, False),
        (MATE, ANYONE, True),
        (MATE, NODE, False),
        (MATE, CONTROL, False),
        (Nobody.UNREADABLE, ANYONE, False),
        (Nobody.UNREADABLE, NODE, False),
        (NODE_1, Gate(frozenset()), False),
    ],
)
def test_who_may_come_in(caller: Caller, gate: Gate, *, let_in: bool) -> None:
    assert admit(caller, gate, "local") is (None if let_in else VaultRefusal.NOT_ALLOWED)


def test_a_gate_that_forgot_its_roles_would_let_everyone_in(monkeypatch: pytest.MonkeyPatch) -> None:
    """The seeded defect: the test above is red against it."""
    monkeypatch.setattr(identity, "CONTROL", ANYONE)
    assert admit(MATE, identity.CONTROL, "local") is None
