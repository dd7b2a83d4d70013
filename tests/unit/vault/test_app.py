from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any

import pytest
from starlette.requests import Request

from clawmates.vault import app as app_module
from clawmates.vault.app import MAX_BODY, RULES, STATUS, Rule, build_app, read_body
from clawmates.vault.identity import ANYONE, CONTROL, COUNTERPART, NODE, Gate
from clawmates.vault.store import RefusedError
from clawmates.wire import vault as wire
from clawmates.wire.callers import Caller, Nobody
from clawmates.wire.documents import SealedDocument
from clawmates.wire.leases import MAX_RENEWED
from clawmates.wire.names import ItemName, Role, ServiceName
from clawmates.wire.reading import Reader
from clawmates.wire.vault import VaultRefusal

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from starlette.types import ASGIApp, Message
    from tests.unit.vault.conftest import House

    from clawmates.vault.app import Call
    from clawmates.vault.service import Vault

CLI = ServiceName("local", Role.CONTROL, "cli")
NODE_1 = ServiceName("local", Role.NODE, "node-1")
MATE = Nobody.NO_CERTIFICATE


async def call(
    app: ASGIApp, method: str, path: str, body: bytes = b"", caller: Caller | None = CLI, kind: str = "http"
) -> tuple[int, Any, dict[bytes, bytes]]:
    sent: list[Message] = []

    async def receive() -> Message:
        return {"type": "http.request", "body": body, "more_body": False}

    async def send(message: Message) -> None:
        sent.append(message)

    state = {} if caller is None else {"caller": caller}
    scope = {"type": kind, "method": method, "path": path, "headers": [], "state": state, "query_string": b""}
    await app(scope, receive, send)
    if not sent:
        return 0, None, {}
    text = b"".join(message.get("body", b"") for message in sent[1:])
    return sent[0]["status"], json.loads(text) if text else None, dict(sent[0]["headers"])


def error(code: str) -> dict[str, object]:
    return {"error": {"code": code}}


def test_the_table_of_routes_is_the_contracts() -> None:
    documented = [
        tuple(line.split("``")[1].split(" ")) + tuple(line.split("``")[2].split()[:1])
        for line in (wire.__doc__ or "").splitlines()
        if line.startswith("``")
    ]
    names = {CONTROL: "control", NODE: "node", COUNTERPART: "both", ANYONE: "(none)"}
    assert documented == [(rule.method, rule.path, names[rule.gate]) for rule in RULES]


def test_every_refusal_has_a_status() -> None:
    assert set(STATUS) == set(VaultRefusal)
    assert all(400 <= status < 600 for status in STATUS.values())


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("caller", [CLI, NODE_1, MATE, Nobody.UNREADABLE, ServiceName("eu", Role.CONTROL, "cli"), None])
async def test_only_the_named_roles_pass(vault: Vault, rule: Rule, caller: Caller | None) -> None:
    async def passed(_vault: Vault, _call: Call) -> None:
        return

    app = build_app(vault, [Rule(rule.method, rule.path, rule.gate, passed)])
    path = (
        rule.path.format(bot="b1", tenant="acme", name="prompt", version="1", number="0")
        if "{" in rule.path
        else rule.path
    )
    status, body, headers = await call(app, rule.method, path, b"{}", caller)
    admitted: dict[Gate, set[object]] = {
        CONTROL: {CLI},
        NODE: {NODE_1},
        COUNTERPART: {CLI, NODE_1},
        ANYONE: {CLI, NODE_1, MATE},
    }
    if caller in admitted[rule.gate]:
        assert (status, body) == (204, None)
    else:
        assert (status, body) == (403, error("not-allowed"))
        assert headers[b"connection"] == b"close"


async def test_an_open_gate_lets_a_mate_destroy(vault: Vault) -> None:
    """The seeded defect: the test above is red against it."""
    app = build_app(vault, [Rule("DELETE", "/v1/bots/{bot}", ANYONE, app_module.destroy)])
    assert (await call(app, "DELETE", "/v1/bots/b1", caller=MATE))[0] == 200


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/"),
        ("GET", "/v1/bots/b1"),
        ("POST", "/v1/bots/b1"),
        ("GET", "/v1/redeem"),
        ("POST", "/healthz"),
        ("GET", "/v1/intake-key/"),
        ("PUT", "/v1/bots/b1/items/prompt"),
        ("GET", "/docs"),
    ],
)
async def test_what_is_not_listed_is_not_allowed(vault: Vault, method: str, path: str) -> None:
    assert (await call(build_app(vault), method, path))[:2] == (403, error("not-allowed"))


async def test_other_protocols_are_not_answered(vault: Vault) -> None:
    assert (await call(build_app(vault), "GET", "/x", kind="websocket"))[0] == 0


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("PUT", "/v1/bots/b1", b""),
        ("PUT", "/v1/bots/b1", b"not json"),
        ("PUT", "/v1/bots/b1", b'{"tenant": "acme"}'),
        ("PUT", "/v1/bots/b1", b'{"tenant": "acme", "node": "node-1", "more": 1}'),
        ("PUT", "/v1/bots/b1", b'{"tenant": "../x", "node": "node-1"}'),
        ("PUT", "/v1/bots/B1", b'{"tenant": "acme", "node": "node-1"}'),
        ("PUT", "/v1/bots/b1/items/diary/1", b"{}"),
        ("PUT", "/v1/bots/b1/items/prompt/0", b"{}"),
        ("PUT", "/v1/bots/b1/items/prompt/-1", b"{}"),
        ("PUT", "/v1/bots/b1/items/prompt/01", b"{}"),
        ("PUT", "/v1/bots/b1/items/prompt/1e3", b"{}"),
        ("PUT", "/v1/bots/b1/items/prompt/1", b"{}"),
        ("PUT", "/v1/bots/b1/items/prompt/1", b'{"key_id":"k","tenant":"t","hosts":["A"],"sealed":""}'),
        ("DELETE", "/v1/bots/..", b""),
        ("POST", "/v1/redeem", b'{"bot": "b1", "ticket": 7}'),
        ("POST", "/v1/redeem", b'{"bot": "", "ticket": "x"}'),
        ("POST", "/v1/redeem", b"[" * 10_000),
    ],
)
async def test_malformed_requests_are_told_so_and_nothing_else(
    vault: Vault, method: str, path: str, body: bytes
) -> None:
    assert (await call(build_app(vault), method, path, body))[:2] == (400, error("malformed"))


@pytest.mark.parametrize(
    "body",
    [
        {"bot": "b1", "generation": -1, "items": {}},
        {"bot": "b1", "generation": 1 << 53, "items": {}},
        {"bot": "b1", "generation": True, "items": {}},
        {"bot": "-", "generation": 1, "items": {}},
        {"bot": "b1", "generation": 1, "items": {"diary": 1}},
        {"bot": "b1", "generation": 1, "items": {"prompt": "1"}},
    ],
)
async def test_malformed_ticket_requests(vault: Vault, body: dict[str, object]) -> None:
    answer = await call(build_app(vault), "POST", "/v1/tickets", json.dumps(body).encode(), NODE_1)
    assert answer[:2] == (400, error("malformed"))


async def test_a_refusal_travels_as_its_code(vault: Vault) -> None:
    body = json.dumps({"bot": "b1", "generation": 1, "items": {}}).encode()
    assert (await call(build_app(vault), "POST", "/v1/tickets", body, NODE_1))[:2] == (404, error("unknown-bot"))


async def test_a_defect_says_its_place_and_never_its_text(vault: Vault, capsys: pytest.CaptureFixture[str]) -> None:
    async def broken(_vault: Vault, _call: Call) -> None:
        raise RuntimeError("sk-one")

    status, body, _ = await call(build_app(vault, [Rule("GET", "/x", ANYONE, broken)]), "GET", "/x")
    assert (status, body) == (500, error("internal"))
    said = capsys.readouterr().err
    assert "RuntimeError at test_app.py:" in said
    assert "sk-one" not in said


def request_of(pieces: Callable[[], AsyncIterator[Message]]) -> Request:
    stream = pieces()
    return Request({"type": "http", "headers": []}, lambda: anext(stream))


async def test_a_body_is_read_up_to_its_limit_and_no_further(monkeypatch: pytest.MonkeyPatch) -> None:
    taken = 0

    async def endless() -> AsyncIterator[Message]:
        nonlocal taken
        while taken < 4 * MAX_BODY:
            taken += 1024
            yield {"type": "http.request", "body": b"x" * 1024, "more_body": taken < 4 * MAX_BODY}

    with pytest.raises(RefusedError, match=r"^too-large$"):
        await read_body(request_of(endless))
    assert taken == MAX_BODY + 1024
    taken = 0
    monkeypatch.setattr(app_module, "MAX_BODY", 8 * MAX_BODY)  # the seeded defect
    assert len(await read_body(request_of(endless))) == 4 * MAX_BODY


async def test_a_refused_callers_body_is_not_kept() -> None:
    async def some() -> AsyncIterator[Message]:
        yield {"type": "http.request", "body": b"x" * 1024, "more_body": False}

    assert await read_body(request_of(some), keep=False) == b""


async def test_a_sender_who_never_ends_is_cut_off() -> None:
    async def slow() -> AsyncIterator[Message]:
        yield {"type": "http.request", "body": b"x", "more_body": True}
        await asyncio.Event().wait()

    with pytest.raises(TimeoutError):
        await read_body(request_of(slow), seconds=0.01)
    waiting = asyncio.ensure_future(read_body(request_of(slow), seconds=3600))  # the seeded defect
    done, _ = await asyncio.wait([waiting], timeout=0.1)
    assert not done
    waiting.cancel()


async def test_a_slow_body_is_answered_malformed(vault: Vault, monkeypatch: pytest.MonkeyPatch) -> None:
    async def late(_request: Request, *, keep: bool) -> bytes:
        raise TimeoutError

    monkeypatch.setattr(app_module, "read_body", late)
    assert (await call(build_app(vault), "GET", "/healthz"))[:2] == (400, error("malformed"))


async def test_every_call_of_a_bots_life_by_its_route(vault: Vault, house: House) -> None:
    app = build_app(vault)
    house.assign("b1")
    house.put("b1", ItemName.PROVIDER_KEY, 1, "sk-one")
    house.put("b1", ItemName.PROMPT, 1, "a prompt")
    ticket = json.dumps({"bot": "b1", "generation": 1, "items": {"provider-key": 1}}).encode()
    _, given, _ = await call(app, "POST", "/v1/tickets", ticket, NODE_1)
    shown = json.dumps({"bot": "b1", "ticket": given["ticket"], "session": True}).encode()
    status, released, _ = await call(app, "POST", "/v1/redeem", shown, MATE)
    assert (status, released["items"][0]["value"]) == (200, "sk-one")
    item = {"bot": "b1", "session": released["session"], "version": 1, "value": "people"}
    put = json.dumps(item).encode()
    assert (await call(app, "PUT", "/v1/session/items/people", put, MATE))[0] == 204
    for bad in ({"version": 0}, {"version": 1 << 30}, {"bot": "-"}, {"value": "\ud800", "version": 2}):
        answer = await call(app, "PUT", "/v1/session/items/people", json.dumps(item | bad).encode(), MATE)
        assert answer[:2] == (400, error("malformed"))
    status, leases, _ = await call(app, "POST", "/v1/leases", b'{"bots": ["b1"]}', NODE_1)
    assert (status, leases) == (200, {"leases": [{"bot": "b1", "seconds": None, "frozen": False}]})
    many = json.dumps({"bots": ["b1"] * (MAX_RENEWED + 1)}).encode()
    assert (await call(app, "POST", "/v1/leases", many, NODE_1))[:2] == (400, error("malformed"))
    reader = Reader(region="local", tenant="acme", bot="b1", name=ItemName.PROMPT)
    asked = json.dumps({"public": reader.request.public}).encode()
    status, document, _ = await call(app, "POST", "/v1/bots/b1/documents/prompt", asked)
    assert (status, reader.open(SealedDocument(**document)).reveal()) == (200, "a prompt")
    for path in ("/v1/bots/b1/documents/diary", "/v1/bots/B1/documents/prompt"):
        assert (await call(app, "POST", path, asked))[:2] == (400, error("malformed"))
    assert (await call(app, "POST", "/v1/bots/b1/documents/prompt", b'{"public": ""}'))[:2] == (400, error("malformed"))
    status, said, _ = await call(app, "GET", "/v1/status")
    assert (status, said["frozen"], said["entries"], said["witnessed"]) == (200, [], 3, 0)
    _, page, _ = await call(app, "GET", "/v1/audit/entries/1")
    assert [entry["tag"] for entry in page["entries"]] == ["vault.item.kept", "vault.document.read"]
    assert (await call(app, "GET", "/v1/audit/witnesses/0"))[:2] == (200, {"witnesses": [], "last": 0})
    assert (await call(app, "GET", "/v1/audit/head/0", caller=NODE_1))[:2] == (403, error("not-allowed"))
    for path in ("/v1/audit/entries/-1", "/v1/audit/entries/01", "/v1/audit/entries/x"):
        assert (await call(app, "GET", path))[:2] == (400, error("malformed"))


@pytest.mark.parametrize("number", [-1, 1 << 53, 1 << 64, 10**4000])
async def test_a_countersignature_of_no_possible_length_is_malformed(
    vault: Vault, number: int, capsys: pytest.CaptureFixture[str]
) -> None:
    """SQLite holds 64 bits: a number beyond them is refused before it gets there."""
    head = {"number": number, "hash": "00" * 32}
    word = json.dumps({"head": head, "line": head, "at": "", "certificate": "", "signature": ""}).encode()
    assert (await call(build_app(vault), "POST", "/v1/audit/witnesses", word, NODE_1))[:2] == (400, error("malformed"))
    assert capsys.readouterr().err == ""
    with pytest.raises(OverflowError):  # what a build without the bound would meet
        vault.audit.ledger.at(1 << 64)


async def test_a_countersignature_comes_from_a_node_or_not_at_all(vault: Vault) -> None:
    head = {"number": 0, "hash": "00" * 32}
    word = json.dumps({"head": head, "line": head, "at": "", "certificate": "", "signature": ""}).encode()
    path = "/v1/audit/witnesses"
    assert (await call(build_app(vault), "POST", path, word, NODE_1))[:2] == (403, error("not-allowed"))
    open_gate = build_app(vault, [Rule("POST", path, ANYONE, app_module.audit_witness)])  # the seeded defect
    assert (await call(open_gate, "POST", path, word, MATE))[:2] == (403, error("not-allowed"))


async def test_a_head_is_countersigned_for_control_or_not_at_all(vault: Vault) -> None:
    head = {"number": 1, "hash": "00" * 32}
    said = json.dumps({"head": head, "before": head, "at": "", "certificate": "", "signature": ""}).encode()
    path = "/v1/audit/control"
    for who in (NODE_1, MATE):
        assert (await call(build_app(vault), "POST", path, said, who))[:2] == (403, error("not-allowed"))
    open_gate = build_app(vault, [Rule("POST", path, ANYONE, app_module.audit_countersign)])  # the seeded defect
    assert (await call(open_gate, "POST", path, said, MATE))[:2] == (403, error("not-allowed"))
    asked = b'{"bots": ["b1"], "until": "2026-11-22T09:00:00.000Z", "most": 5}'
    assert (await call(build_app(vault), "POST", "/v1/audit/about", asked))[:2] == (200, {"entries": []})
    assert (await call(build_app(vault), "GET", "/v1/audit/control/0"))[:2] == (200, {"lines": []})
