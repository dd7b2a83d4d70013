"""The vault's HTTP face: one table of routes, each with the gate before it, and nothing else answers."""

from __future__ import annotations

import asyncio
import re
import sys
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Match, Route

from clawmates.base.hardening import place_of
from clawmates.base.shape import ShapeError, decode_json, encode_json
from clawmates.vault.identity import ANYONE, CONTROL, COUNTERPART, NODE, Gate, admit
from clawmates.vault.service import Vault
from clawmates.vault.store import RefusedError
from clawmates.wire.audit import About, SignedHead, Witness
from clawmates.wire.backups import BackupKeysRequest
from clawmates.wire.callers import Caller, Nobody
from clawmates.wire.documents import ReadBack
from clawmates.wire.leases import MAX_RENEWED, LeaseRenewal
from clawmates.wire.names import ItemName, ServiceName, check_bot_id
from clawmates.wire.upkeep import RotationRequest
from clawmates.wire.vault import Assignment, Redemption, SealedItem, SessionItem, TicketRequest, VaultRefusal

if TYPE_CHECKING:
    from collections.abc import Sequence

    from starlette.types import ASGIApp, Receive, Scope, Send


T = TypeVar("T")

MAX_BODY = 200 * 1024
BODY_SECONDS = 10.0
_VERSION = re.compile(r"[1-9][0-9]{0,8}")
_NUMBER = re.compile(r"0|[1-9][0-9]{0,14}")
_GENERATIONS = range(1 << 53)
_VERSIONS = range(1, 1_000_000_000)

STATUS: dict[VaultRefusal, int] = {
    VaultRefusal.MALFORMED: 400,
    VaultRefusal.NOT_ALLOWED: 403,
    VaultRefusal.UNKNOWN_BOT: 404,
    VaultRefusal.UNKNOWN_ITEM: 404,
    VaultRefusal.UNKNOWN_KEY: 404,
    VaultRefusal.NOT_ASSIGNED: 403,
    VaultRefusal.LEASE_ENDED: 403,
    VaultRefusal.REVOKED: 403,
    VaultRefusal.SESSION_UNKNOWN: 403,
    VaultRefusal.TOO_MANY: 429,
    VaultRefusal.DIVERGED: 409,
    VaultRefusal.CANNOT_OPEN: 422,
    VaultRefusal.HOSTS_NOT_LISTED: 422,
    VaultRefusal.RELEASE_MISSING: 503,
    VaultRefusal.RELEASE_UNSIGNED: 503,
    VaultRefusal.VERSION_EXISTS: 409,
    VaultRefusal.TOO_LARGE: 413,
    VaultRefusal.TICKET_UNKNOWN: 403,
    VaultRefusal.TICKET_EXPIRED: 410,
    VaultRefusal.TICKET_REUSED: 409,
    VaultRefusal.FROZEN: 423,
    VaultRefusal.STORAGE_FAILED: 503,
    VaultRefusal.UNKNOWN_TENANT: 404,
    VaultRefusal.BEING_DESTROYED: 409,
    VaultRefusal.NO_NEW_MASTER: 409,
    VaultRefusal.MASTER_UNAVAILABLE: 503,
    VaultRefusal.KEYS_COPY_FAILED: 503,
}
INTERNAL = "internal"
"""The one code outside :class:`VaultRefusal`: a defect of the vault itself; place and type are on stderr."""


@dataclass(frozen=True, slots=True)
class Call:
    """An admitted request. Its methods raise ``ValueError`` for what is malformed (a ShapeError is one)."""

    caller: Caller
    path: Mapping[str, str]
    body: bytes

    @property
    def bot(self) -> str:
        """The bot in the path."""
        return check_bot_id(self.path["bot"])

    @property
    def item(self) -> tuple[ItemName, int]:
        """Name and version in the path."""
        if not _VERSION.fullmatch(self.path["version"]):
            raise ValueError("not a version")
        return ItemName(self.path["name"]), int(self.path["version"])

    @property
    def number(self) -> int:
        """The number in the path."""
        if not _NUMBER.fullmatch(self.path["number"]):
            raise ValueError("not a number")
        return int(self.path["number"])

    @property
    def service(self) -> str:
        """The calling service's name; empty for a mate."""
        return self.caller.name if isinstance(self.caller, ServiceName) else ""

    def json(self, cls: type[T]) -> T:
        """The body as a ``cls``."""
        return decode_json(cls, self.body, MAX_BODY)


async def intake_key(vault: Vault, _call: Call) -> bytes:
    """The public key to seal to."""
    return encode_json(await vault.intake_key())


async def assign(vault: Vault, call: Call) -> None:
    """Makes a bot known."""
    await vault.assign(call.bot, call.json(Assignment))


async def put(vault: Vault, call: Call) -> None:
    """Keeps a sealed item."""
    name, version = call.item
    await vault.put(call.bot, name, version, call.json(SealedItem))


async def destroy_item(vault: Vault, call: Call) -> None:
    """Destroys what is left of an item's older versions, or of the item."""
    name, version = call.item
    await vault.destroy_item(call.bot, name, version)


async def destroy(vault: Vault, call: Call) -> bytes:
    """Destroys a bot; the answer is the receipt."""
    return encode_json(await vault.destroy(call.bot))


async def destroy_tenant(vault: Vault, call: Call) -> bytes:
    """Destroys a tenant with all its bots; the answer is the receipt."""
    return encode_json(await vault.destroy_tenant(check_bot_id(call.path["tenant"])))


async def receipt_key(vault: Vault, _call: Call) -> bytes:
    """The public key that receipts are checked with."""
    return encode_json(await vault.upkeep.receipt_key())


async def rotate(vault: Vault, call: Call) -> bytes:
    """Begins a rotation."""
    return encode_json(await vault.rotate(call.json(RotationRequest)))


async def keys_status(vault: Vault, _call: Call) -> bytes:
    """How the keys are."""
    return encode_json(await vault.upkeep.status())


async def backup(vault: Vault, _call: Call) -> bytes:
    """``vault.db`` as it is now."""
    return await vault.image()


async def backup_keys(vault: Vault, call: Call) -> bytes:
    """What control's rows are sealed to in a backup."""
    return encode_json(await vault.backup_keys(call.json(BackupKeysRequest)))


async def unfreeze(vault: Vault, call: Call) -> None:
    """Lets tickets flow again after an alarm."""
    await vault.unfreeze(call.bot)


async def ticket(vault: Vault, call: Call) -> bytes:
    """Gives a ticket to the calling node."""
    request = call.json(TicketRequest)
    check_bot_id(request.bot)
    if request.generation not in _GENERATIONS:
        raise ShapeError("generation", "out of range")
    return encode_json((await vault.ticket(call.service, request)).plain())


async def redeem(vault: Vault, call: Call) -> bytes:
    """Opens what a ticket names."""
    redemption = call.json(Redemption)
    check_bot_id(redemption.bot)
    return encode_json((await vault.redeem(redemption)).plain())


async def put_in_session(vault: Vault, call: Call) -> None:
    """Keeps what was born inside a mate."""
    item = call.json(SessionItem)
    check_bot_id(item.bot)
    if item.version not in _VERSIONS:
        raise ShapeError("version", "out of range")
    await vault.put_in_session(ItemName(call.path["name"]), item)


async def renew(vault: Vault, call: Call) -> bytes:
    """Renews the leases of the calling node's bots."""
    renewal = call.json(LeaseRenewal)
    if len(renewal.bots) > MAX_RENEWED:
        raise ShapeError("bots", "too many")
    return encode_json(await vault.renew(call.service, renewal))


async def read_back(vault: Vault, call: Call) -> bytes:
    """Seals a document to its owner's one-time key."""
    return encode_json(await vault.read_back(call.bot, ItemName(call.path["name"]), call.json(ReadBack)))


async def status(vault: Vault, _call: Call) -> bytes:
    """What an operator should know."""
    return encode_json(await vault.status())


async def audit_head(vault: Vault, call: Call) -> bytes:
    """The chain's head, signed, and the head it had at a number."""
    return encode_json(await vault.audit.head(call.number))


async def audit_witness(vault: Vault, call: Call) -> None:
    """Keeps the caller's signature of a head."""
    if not isinstance(call.caller, ServiceName):
        raise RefusedError(VaultRefusal.NOT_ALLOWED)
    await vault.audit.witness(call.caller, call.json(Witness))


async def audit_control(vault: Vault, _call: Call) -> bytes:
    """The head of control's chain that the vault has signed last."""
    return encode_json(await vault.audit.control_head())


async def audit_countersign(vault: Vault, call: Call) -> bytes:
    """Signs the head of control's chain."""
    if not isinstance(call.caller, ServiceName):
        raise RefusedError(VaultRefusal.NOT_ALLOWED)
    return encode_json(await vault.audit.countersign(call.caller, call.json(SignedHead)))


async def audit_lines(vault: Vault, call: Call) -> bytes:
    """A page of control's heads that the vault has signed."""
    return encode_json(await vault.audit.control_heads(call.number))


async def audit_about(vault: Vault, call: Call) -> bytes:
    """The newest entries about some bots."""
    return encode_json(await vault.audit.about(call.json(About)))


async def audit_entries(vault: Vault, call: Call) -> bytes:
    """A page of the chain."""
    return encode_json(await vault.audit.entries(call.number))


async def audit_witnesses(vault: Vault, call: Call) -> bytes:
    """A page of what nodes signed."""
    return encode_json(await vault.audit.witnesses(call.number))


async def healthz(_vault: Vault, _call: Call) -> None:
    """Says that somebody is here."""


@dataclass(frozen=True, slots=True)
class Rule:
    """One route, who may call it, and what it does; ``handle`` returns a body or ``None`` for 204."""

    method: str
    path: str
    gate: Gate
    handle: Callable[[Vault, Call], Awaitable[bytes | None]]
    media: str = "application/json"


RULES: tuple[Rule, ...] = (
    Rule("GET", "/v1/intake-key", CONTROL, intake_key),
    Rule("PUT", "/v1/bots/{bot}", CONTROL, assign),
    Rule("PUT", "/v1/bots/{bot}/items/{name}/{version}", CONTROL, put),
    Rule("DELETE", "/v1/bots/{bot}/items/{name}/{version}", CONTROL, destroy_item),
    Rule("DELETE", "/v1/bots/{bot}", CONTROL, destroy),
    Rule("DELETE", "/v1/tenants/{tenant}", CONTROL, destroy_tenant),
    Rule("GET", "/v1/receipt-key", CONTROL, receipt_key),
    Rule("POST", "/v1/rotations", CONTROL, rotate),
    Rule("GET", "/v1/keys", CONTROL, keys_status),
    Rule("POST", "/v1/backup", CONTROL, backup, "application/octet-stream"),
    Rule("POST", "/v1/backup-keys", CONTROL, backup_keys),
    Rule("POST", "/v1/bots/{bot}/unfreeze", CONTROL, unfreeze),
    Rule("POST", "/v1/tickets", NODE, ticket),
    Rule("POST", "/v1/redeem", ANYONE, redeem),
    Rule("PUT", "/v1/session/items/{name}", ANYONE, put_in_session),
    Rule("POST", "/v1/leases", NODE, renew),
    Rule("POST", "/v1/bots/{bot}/documents/{name}", CONTROL, read_back),
    Rule("GET", "/v1/status", CONTROL, status),
    Rule("GET", "/v1/audit/head/{number}", COUNTERPART, audit_head),
    Rule("POST", "/v1/audit/witnesses", COUNTERPART, audit_witness),
    Rule("GET", "/v1/audit/control", CONTROL, audit_control),
    Rule("POST", "/v1/audit/control", CONTROL, audit_countersign),
    Rule("GET", "/v1/audit/control/{number}", CONTROL, audit_lines),
    Rule("POST", "/v1/audit/about", CONTROL, audit_about),
    Rule("GET", "/v1/audit/entries/{number}", CONTROL, audit_entries),
    Rule("GET", "/v1/audit/witnesses/{number}", CONTROL, audit_witnesses),
    Rule("GET", "/healthz", ANYONE, healthz),
)


def build_app(
    vault: Vault, rules: Sequence[Rule] = RULES, *, revoked: Callable[[ServiceName], bool] = lambda _name: False
) -> ASGIApp:
    """The ASGI application; ``scope["state"]["caller"]`` must hold the :class:`Caller`."""
    routes = [Route(rule.path, _guarded(vault, rule, revoked), methods=[rule.method]) for rule in rules]

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        for route in routes:
            found, child = route.matches(scope)
            if found is Match.FULL:
                scope.update(child)
                await route.handle(scope, receive, send)
                return
        await _answer_unlisted(scope, receive, send)

    return app


def _guarded(
    vault: Vault, rule: Rule, revoked: Callable[[ServiceName], bool]
) -> Callable[[Request], Awaitable[Response]]:
    async def endpoint(request: Request) -> Response:
        caller: Caller = request.scope["state"].get("caller", Nobody.UNREADABLE)
        refusal = admit(caller, rule.gate, vault.region)
        if isinstance(caller, ServiceName) and revoked(caller):
            refusal = VaultRefusal.REVOKED
        try:
            # Read even when refused: answering over an unread body would reset the connection under the answer.
            body = await read_body(request, keep=refusal is None)
            if refusal is not None:
                return refuse(refusal)
            done = await rule.handle(vault, Call(caller, request.path_params, body))
        except RefusedError as refused:
            return refuse(refused.refusal)
        except ValueError:
            return refuse(VaultRefusal.MALFORMED)
        except (ClientDisconnect, TimeoutError):
            return refuse(VaultRefusal.MALFORMED)
        except Exception as error:  # noqa: BLE001 - the last line: say type and place, drop the text
            sys.stderr.write(f"request failed: {place_of(error)}\n")
            return _error(500, INTERNAL)
        return Response(status_code=204) if done is None else Response(done, media_type=rule.media)

    return endpoint


async def read_body(request: Request, *, keep: bool = True, seconds: float = BODY_SECONDS) -> bytes:
    """At most :data:`MAX_BODY` bytes in at most ``seconds``; raises :class:`RefusedError` or ``TimeoutError``."""
    body = bytearray()
    size = 0
    async with asyncio.timeout(seconds):
        async for piece in request.stream():
            size += len(piece)
            if size > MAX_BODY:
                raise RefusedError(VaultRefusal.TOO_LARGE)
            if keep:
                body += piece
    return bytes(body)


def refuse(refusal: VaultRefusal) -> Response:
    """The answer to a refused call; the connection ends with it, so no rest of a body is waited for."""
    return _error(STATUS[refusal], refusal.value)


def _error(status: int, code: str) -> Response:
    return Response(
        encode_json({"error": {"code": code}}),
        status_code=status,
        media_type="application/json",
        headers={"Connection": "close"},
    )


async def _answer_unlisted(scope: Scope, receive: Receive, send: Send) -> None:
    if scope["type"] == "http":
        await refuse(VaultRefusal.NOT_ALLOWED)(scope, receive, send)
