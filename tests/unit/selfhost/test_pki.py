from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from clawmates.base.paths import State
from clawmates.base.secret import Secret
from clawmates.base.x509 import Authority, Names, begins, expires, new_request, uri_names_of
from clawmates.selfhost import enrolment as enrolment_module
from clawmates.selfhost import pki
from clawmates.selfhost.enrolment import EnrolmentError, Enrolments
from clawmates.wire.enrolment import TOKEN_SECONDS, EnrolmentRequest
from clawmates.wire.names import Role, ServiceName
from clawmates.wire.signatures import sign, signer

NOW = datetime(2026, 11, 22, 9, 0, tzinfo=UTC)
NODE = ServiceName("local", Role.NODE, "node-1")


@pytest.fixture
def state(tmp_path: Path) -> State:
    state = State(tmp_path)
    pki.ensure(state, "local", "node-1", NOW)
    return state


@pytest.fixture
def desk(state: State) -> Enrolments:
    return Enrolments(state, "local", os.urandom)


def names(state: State, folder: str) -> tuple[str, ...]:
    return uri_names_of(state.identity(folder)[0].read_bytes())


def test_leaves_live_a_week_and_are_renewed_in_time(state: State) -> None:
    first = state.identity("vault")[0].read_bytes()
    assert expires(first) == NOW + timedelta(days=7)
    assert pki.ensure(state, "local", "node-1", NOW + timedelta(days=3)) == ()
    assert pki.ensure(state, "local", "node-1", NOW + timedelta(days=4)) == ("vault", "node", "cli")
    assert state.identity("vault")[0].read_bytes() != first


def test_each_process_reaches_its_own_whatever_the_umask_is(tmp_path: Path) -> None:
    """As systemd runs `selfhost prepare`, on a platform that was self-hosted until now."""
    before = os.umask(0o077)
    try:
        pki.ensure(State(tmp_path / "state"), "local", "node-1", NOW, hosted=True)
    finally:
        os.umask(before)
    folders = [State(tmp_path / "state").pki, *(one for one in State(tmp_path / "state").pki.iterdir() if one.is_dir())]
    modes = {one.name: one.stat().st_mode & 0o777 for one in folders}
    assert modes == {"pki": 0o711} | dict.fromkeys(("vault", "node", "cli", "control", "revoked"), 0o755)


def test_after_the_clock_was_set_back_leaves_are_issued_that_are_good_now(state: State) -> None:
    earlier = NOW - timedelta(days=30)
    assert pki.ensure(state, "local", "node-1", earlier) == ("vault", "node", "cli")
    assert begins(state.identity("vault")[0].read_bytes()) <= earlier
    assert pki.ensure(state, "local", "node-1", earlier) == ()


def test_a_revoked_leaf_of_this_host_is_issued_anew_at_the_next_generation(state: State) -> None:
    assert names(state, "node") == (str(NODE),)
    fresh = pki.revoke(state, NODE)
    assert pki.ensure(state, "local", "node-1", NOW) == ("node",)
    assert names(state, "node") == (str(fresh),) == ("clawmates://local/node/node-1/1",)
    assert pki.ensure(state, "local", "node-1", NOW) == ()


def test_a_leaf_of_another_name_is_issued_anew(state: State) -> None:
    assert pki.ensure(state, "local", "node-2", NOW) == ("node",)


def test_a_name_stands_for_itself_at_its_generation_and_later() -> None:
    later = ServiceName.parse("clawmates://local/node/node-1/3")
    assert (later.generation, str(later), later.base) == (3, "clawmates://local/node/node-1/3", str(NODE))
    assert later.stands_for(NODE)
    assert not NODE.stands_for(later)
    assert not later.stands_for(ServiceName("local", Role.NODE, "node-2"))
    for bad in ("/0", "/01", "/-1", "/", "/1/2", "/1234567890"):
        with pytest.raises(ValueError, match="service name"):
            ServiceName.parse(str(NODE) + bad)


def asked(token: Secret[str]) -> tuple[bytes, EnrolmentRequest]:
    key, request = new_request()
    return key, EnrolmentRequest(token=token, request=request.decode())


def test_a_node_enrols_once_with_a_key_that_never_travels(desk: Enrolments, state: State) -> None:
    token = desk.invite("node-7", NOW)
    key, request = asked(token)
    assert b"PRIVATE" not in request.request.encode()
    grant = desk.admit(request, NOW)
    assert grant.uri == "clawmates://local/node/node-7"
    assert expires(grant.certificate.encode()) == NOW + timedelta(days=7)
    assert grant.authority.encode() == state.authority.read_bytes()
    name = signer(grant.certificate, b"x", sign(key, b"x"), authority=state.authority.read_bytes(), at=NOW)
    assert str(name) == grant.uri
    with pytest.raises(EnrolmentError, match="unknown, used or too old"):
        desk.admit(asked(token)[1], NOW)


def test_a_token_is_kept_as_a_hash_alone(desk: Enrolments, state: State) -> None:
    token = desk.invite("node-7", NOW).reveal()
    files = [path for path in state.root.rglob("*") if path.is_file()]
    assert state.enrolments in files
    assert not any(token.encode() in path.read_bytes() for path in files)
    assert state.enrolments.stat().st_mode & 0o777 == 0o600


def test_a_token_is_good_for_a_quarter_of_an_hour(desk: Enrolments, monkeypatch: pytest.MonkeyPatch) -> None:
    soon, late = NOW + timedelta(seconds=TOKEN_SECONDS - 1), NOW + timedelta(seconds=TOKEN_SECONDS)
    desk.admit(asked(desk.invite("node-7", NOW))[1], soon)
    with pytest.raises(EnrolmentError, match="too old"):
        desk.admit(asked(desk.invite("node-7", NOW))[1], late)
    monkeypatch.setattr(enrolment_module, "TOKEN_SECONDS", TOKEN_SECONDS + 1)  # the seeded defect
    desk.admit(asked(desk.invite("node-7", NOW))[1], late)


def test_a_desk_that_did_not_spend_tokens_would_enrol_twice(desk: Enrolments, monkeypatch: pytest.MonkeyPatch) -> None:
    """The seeded defect: the first test is red against it."""
    token = desk.invite("node-7", NOW)
    monkeypatch.setattr(enrolment_module, "write_atomic", lambda *_args, **_more: None)
    for _ in range(2):
        desk.admit(asked(token)[1], NOW)


def test_another_token_or_a_newer_one_ends_the_old(desk: Enrolments) -> None:
    first, other = desk.invite("node-7", NOW), desk.invite("node-8", NOW)
    second = desk.invite("node-7", NOW)
    for bad in (first, Secret(""), Secret("\ud800"), Secret(second.reveal() + "x")):
        with pytest.raises(EnrolmentError, match="unknown"):
            desk.admit(asked(bad)[1], NOW)
    assert desk.admit(asked(other)[1], NOW).uri.endswith("/node-8")
    assert desk.admit(asked(second)[1], NOW).uri.endswith("/node-7")


@pytest.mark.parametrize("name", ["", "Node", "a/b", "x/3", "-", "n" * 41])
def test_a_name_that_is_none_is_not_invited(desk: Enrolments, name: str) -> None:
    with pytest.raises(EnrolmentError, match="no name for a node"):
        desk.invite(name, NOW)


def test_the_name_is_the_issuers_and_a_bad_request_spends_the_token(desk: Enrolments) -> None:
    for request in ("", "nonsense", Authority.create("x", NOW).pair.certificate.decode()):
        token = desk.invite("node-7", NOW)
        with pytest.raises(EnrolmentError, match="request"):
            desk.admit(EnrolmentRequest(token=token, request=request), NOW)
        with pytest.raises(EnrolmentError, match="unknown"):
            desk.admit(asked(token)[1], NOW)


def test_a_request_not_signed_by_its_own_key_is_refused(state: State) -> None:
    authority = pki.load_authority(state, NOW)
    _, request = new_request()
    lines = request.decode().splitlines()
    lines[-2] = lines[-2][:10] + ("A" if lines[-2][10] != "A" else "B") + lines[-2][11:]
    with pytest.raises(ValueError, match="request"):
        authority.certify("\n".join(lines).encode(), Names(), NOW)


def test_a_revoked_nodes_next_certificate_is_of_the_next_generation(desk: Enrolments, state: State) -> None:
    pki.revoke(state, ServiceName("local", Role.NODE, "node-7"))
    assert desk.admit(asked(desk.invite("node-7", NOW))[1], NOW).uri == "clawmates://local/node/node-7/1"


def test_a_damaged_book_says_so(desk: Enrolments, state: State) -> None:
    state.enrolments.write_text("{")
    with pytest.raises(EnrolmentError, match="is damaged"):
        desk.invite("node-7", NOW)


def test_the_request_travels_open_through_the_operators_pipe_only() -> None:
    request = EnrolmentRequest(token=Secret("t"), request="r")
    assert request.plain() == {"token": "t", "request": "r"}
    assert "'t'" not in repr(request)
