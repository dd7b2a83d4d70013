from __future__ import annotations

from pathlib import Path

import pytest
from tests.unit.vault.test_app import CLI, call, error

from clawmates.base.paths import State
from clawmates.selfhost import pki
from clawmates.vault.app import build_app
from clawmates.vault.service import Vault
from clawmates.wire.callers import Nobody
from clawmates.wire.names import Role, ServiceName
from clawmates.wire.revocations import Revocations, RevocationsError

NODE = ServiceName("local", Role.NODE, "node-1")
SECOND = ServiceName("local", Role.NODE, "node-1", 1)


def test_a_revoked_generation_counts_no_more_from_that_moment(tmp_path: Path) -> None:
    state = State(tmp_path)
    known = Revocations(state.revoked)
    assert not known.revoked(NODE)
    assert pki.revoke(state, NODE) == SECOND
    assert known.revoked(NODE)
    assert not known.revoked(SECOND)
    assert not known.revoked(ServiceName("local", Role.CONTROL, "node-1"))
    assert not known.revoked(ServiceName("eu", Role.NODE, "node-1"))
    assert pki.revoke(state, SECOND).generation == 2
    assert known.revoked(SECOND)
    assert Revocations(state.revoked).revoked(SECOND)


def test_a_list_that_is_not_looked_at_again_would_let_it_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The seeded defect: the test above is red against it."""
    state = State(tmp_path)
    known = Revocations(state.revoked)
    monkeypatch.setattr(Revocations, "_look", lambda _self: None)
    pki.revoke(state, NODE)
    assert not known.revoked(NODE)


def test_a_damaged_list_stops_the_start_and_later_keeps_the_last_good_one(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    state = State(tmp_path)
    pki.revoke(state, NODE)
    known = Revocations(state.revoked)
    state.revoked.write_text("nonsense")
    assert known.revoked(NODE)
    assert capsys.readouterr().err.startswith("revocations not reloaded: ShapeError at ")
    with pytest.raises(RevocationsError, match="whom not to trust"):
        Revocations(state.revoked)


def test_a_list_that_is_taken_away_brings_nobody_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    state = State(tmp_path)
    pki.revoke(state, NODE)
    known = Revocations(state.revoked)
    state.revoked.unlink()
    assert known.revoked(NODE)
    assert known.revoked(NODE)
    pki.revoke(state, ServiceName("local", Role.NODE, "node-2"))
    assert not known.revoked(NODE), "a list that is written again counts again"
    state.revoked.unlink()
    assert known.revoked(ServiceName("local", Role.NODE, "node-2"))
    monkeypatch.setattr(Revocations, "_look", lambda _self: (0, 0, 0))  # weakened: it does not see it
    assert not known.revoked(ServiceName("local", Role.NODE, "node-2"))


async def test_a_revoked_caller_gets_nothing_even_from_what_is_open_to_all(vault: Vault) -> None:
    app = build_app(vault, revoked=lambda name: name == CLI)
    for path in ("/v1/intake-key", "/healthz"):
        assert (await call(app, "GET", path, caller=CLI))[:2] == (403, error("revoked"))
    assert (await call(app, "GET", "/healthz", caller=Nobody.NO_CERTIFICATE))[0] == 204
    weak = build_app(vault)
    assert (await call(weak, "GET", "/v1/intake-key", caller=CLI))[0] == 200
