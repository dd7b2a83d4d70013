"""Who gets a credential out of the vault: a ticket's holder, once, and nobody else by any route."""

from __future__ import annotations

import asyncio
import re
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING

import clawmates.wire.vault as protocol
from clawmates.base.http.client import Connection, HttpError
from clawmates.proofs.errors import ProofError
from clawmates.proofs.part import Part
from clawmates.proofs.result import Table
from clawmates.proofs.search import Found, Patterns, search
from clawmates.proofs.sources import Piece
from clawmates.proofs.vaultcalls import NO_CONNECTION, Answer, VaultCalls, Who
from clawmates.wire.reading import Reader
from clawmates.wire.vault import TICKET_SECONDS, VaultRefusal

if TYPE_CHECKING:
    from clawmates.proofs.canary import Canary
    from clawmates.proofs.claims.victim import Victim
    from clawmates.proofs.platform import Platform

HEAD = ("who", "does what", "must be", "was", "as it must be")
REFUSED = VaultRefusal.NOT_ALLOWED.value
_ROUTE = re.compile(r"^``(GET|PUT|POST|DELETE) (\S+)``\s+(\(none\)|\w+)", re.MULTILINE)
"""Asked only by those who must be refused."""
COMMANDS = (
    ("status", "--json"),
    ("bot", "list", "--json"),
    ("logs",),
    ("vault", "status", "--json"),
    ("vault", "keys", "--json"),
    ("audit", "verify", "--json"),
    ("doctor", "--json"),
)
MAY_FAIL = frozenset({("doctor", "--json"), ("audit", "verify", "--json")})
"""They say by their exit code what they think of the host, and of the chain."""
TICKETS = (
    "a ticket that is a minute old: its end is tried with a moved clock in tests/unit/vault/test_tickets.py, not here"
)


@dataclass(frozen=True, slots=True)
class Route:
    """One line of the vault's own table."""

    method: str
    path: str
    role: str

    def lets_in(self, role: str) -> bool:
        """Whether a caller of that role may call it; *both* are node and control."""
        return self.role in {role, "(none)"} or (self.role == "both" and role in {"node", "control"})

    @property
    def is_harmful(self) -> bool:
        """Whether it would take away what the trial still needs, or change what others keep."""
        return self.method in {"PUT", "DELETE"} or self.path == "/v1/rotations" or self.path.endswith("/unfreeze")

    def filled(self, bot: str) -> str:
        """The path for a bot's API key."""
        names = {"bot": bot, "name": "provider-key", "version": "1", "number": "0", "tenant": "self-proof"}
        return re.sub(r"\{(\w+)\}", lambda found: names[found[1]], self.path)


def routes() -> tuple[Route, ...]:
    """What the vault answers to, as its protocol says. Raises :class:`ProofError` when that says nothing."""
    found = tuple(Route(*one.groups()) for one in _ROUTE.finditer(protocol.__doc__ or ""))
    if len(found) < 15:
        raise ProofError("the vault's table of routes cannot be read: nothing would be tried")
    return found


async def gates(calls: VaultCalls, *, harmless: bool) -> Part:
    """Every route, called by those who may not. ``harmless``: only what would change nothing if it were answered."""
    tried = [one for one in routes() if not harmless or one.method == "GET"]
    rows, found = [HEAD], []
    for who, role in ((Who.NOBODY, "(none)"), (Who.NODE, "node"), (Who.CLI, "control"), (Who.STRANGER, "")):
        barred = [one for one in tried if not one.lets_in(role)] if role else list(tried)
        wrong: dict[str, int] = {}
        for one in barred:
            word = (await calls.ask(who, one.method, one.filled("proof-nobody"), _body(one))).word
            if word != (REFUSED if role else NO_CONNECTION):
                wrong[f"{one.method} {one.path}: {word}"] = 1
        must = REFUSED if role else NO_CONNECTION
        rows.append(
            (who.value, f"calls {len(barred)} routes", must, must if not wrong else "; ".join(wrong), _yes(not wrong))
        )
        found += [f"{who.value} is not refused: {what}" for what in wrong]
    good = [
        await calls.ask(who, "GET", path) for who, path in ((Who.CLI, "/v1/status"), (Who.NODE, "/v1/audit/head/0"))
    ]
    if any(one.word != "done" for one in good):
        raise ProofError("the vault refuses even those who may call it, so a refusal shows nothing")
    return Part(
        table=Table(title="who may call the vault", rows=tuple(rows)),
        figures={"routes": len(tried), "route_refusals": sum(int(row[1].split()[1]) for row in rows[1:])},
        controls=("the command line and this node, with their certificates, at routes of their own: answered",),
        found=tuple(found),
        not_looked_at=(("routes that change something: only reading ones were called here",) if harmless else ()),
    )


def _body(one: Route) -> object:
    return None if one.method in {"GET", "DELETE"} else {}


async def tickets(one: Victim) -> Part:
    """A ticket's life: bound, single use, and an alarm when it is shown twice. Raises :class:`ProofError`."""
    rows, found = [HEAD], []

    def note(who: str, what: str, must: str, answer: Answer) -> None:
        rows.append((who, what, must, answer.word, _yes(answer.word == must)))
        if answer.word != must:
            found.append(f"{who} {what}: {answer.word}, not {must}")

    first = await one.good_ticket()
    note(
        Who.OTHER_NODE.value,
        "asks for a ticket of this node's bot",
        VaultRefusal.NOT_ASSIGNED,
        await one.ticket(Who.OTHER_NODE),
    )
    lent = await one.good_ticket()
    note(
        "a mate", "shows a ticket as another bot's", VaultRefusal.TICKET_UNKNOWN, await one.redeem(lent, "proof-nobody")
    )
    note("a mate", "shows one as its own", "done", opened := await one.redeem(first))
    if not _holds(opened.body, one.canary):
        raise ProofError("a good ticket opens nothing, so that a bad one opens nothing shows nothing")
    old = await one.good_ticket(1)
    await one.good_ticket(2)
    note("a mate", "shows a ticket of the generation before", VaultRefusal.TICKET_EXPIRED, await one.redeem(old))
    spare = await one.good_ticket(3)
    note("somebody", "shows the first ticket again", VaultRefusal.TICKET_REUSED, await one.redeem(first))
    note("a mate", "shows an unused ticket after that alarm", VaultRefusal.FROZEN, await one.redeem(spare))
    note("this node", "asks for another ticket", VaultRefusal.FROZEN, await one.ticket(generation=4))
    status = await one.calls.ask(Who.CLI, "GET", "/v1/status")
    if one.name.encode() not in status.body:
        found.append("the vault's status does not name the bot that the alarm froze")
    note(
        "the operator",
        "lets tickets flow again",
        "done",
        await one.calls.ask(Who.CLI, "POST", f"/v1/bots/{one.name}/unfreeze"),
    )
    again = await one.good_ticket(5)
    note("a mate", "shows a new ticket", "done", await one.redeem(again))
    return Part(
        table=Table(title="a ticket's life", rows=tuple(rows)),
        figures={"tickets": 6, "ticket_seconds": TICKET_SECONDS},
        controls=("good tickets, shown once by whom they are for: each opened the credentials that were sealed",),
        found=tuple(found),
        not_looked_at=(TICKETS,),
    )


async def nowhere_else(platform: Platform, one: Victim) -> Part:
    """Calls everything that answers, and looks for the credentials in what comes back. Raises :class:`ProofError`."""
    opened = await one.redeem(await one.good_ticket(6))
    if not _holds(opened.body, one.canary):
        raise ProofError("the search does not find the credentials where they are, so its silence would prove nothing")
    answers = [(f"{who.value}: {route.method} {route.path}", body) for who, route, body in await _all_routes(one)]
    answers += await _sockets(platform)
    answers += await _commands(platform)
    found = [f"{what}: a credential stands in the answer" for what, body in answers if _holds(body, one.canary)]
    found += await _as_document(one)
    kinds = {"routes of the vault": ": ", "sockets of node and gateway": "socket ", "commands": "clawmates "}
    rows: list[tuple[str, ...]] = [("what was asked", "answers", "bytes", "credentials in them")]
    for kind, mark in kinds.items():
        mine = [(what, body) for what, body in answers if (what.startswith(mark) if mark != ": " else mark in what)]
        hits = sum(_holds(body, one.canary) for _, body in mine)
        rows.append((kind, str(len(mine)), f"{sum(len(body) for _, body in mine):,}", str(hits or "none")))
    return Part(
        table=Table(title="what can be read back", rows=tuple(rows)),
        figures={"answers": len(answers)},
        controls=(
            "the answer to a good ticket, the one place where credentials must stand: found by the same search",
            "a prompt, which its owner may read back: given out by the call that refuses both credentials",
        ),
        found=tuple(found),
    )


async def _all_routes(one: Victim) -> list[tuple[Who, Route, bytes]]:
    found = []
    for route in routes():
        for who in (Who.CLI, Who.NODE, Who.NOBODY):
            if route.is_harmful:
                continue
            answer = await one.calls.ask(who, route.method, route.filled(one.name), _body(route))
            found.append((who, route, answer.body))
    return found


async def _as_document(one: Victim) -> list[str]:
    """A document can be read back, sealed to its reader; a credential must not be, by the very same call."""
    opened = []
    for item in one.items:
        reader = Reader(region="", tenant="", bot=one.name, name=item)
        answer = await one.calls.ask(Who.CLI, "POST", f"/v1/bots/{one.name}/documents/{item.value}", reader.request)
        if item.is_document and answer.word != "done":
            raise ProofError("not even a prompt can be read back, so that a credential cannot shows nothing")
        if not item.is_document and answer.word == "done":
            opened.append(f"the {item.value} can be read back like a document")
    return opened


async def _sockets(platform: Platform) -> list[tuple[str, bytes]]:
    found = []
    for path, targets in (
        (platform.run.node, ("/status",)),
        (platform.run.gateway, ("/status", "/events?after=0&instance=none")),
    ):
        for target in targets:
            try:
                async with asyncio.timeout(5):
                    connection = await Connection.unix(str(path))
                    try:
                        response = await connection.request("GET", target)
                        found.append((f"socket {path.name} {target}", await response.read(1 << 24)))
                    finally:
                        await connection.close()
            except (HttpError, TimeoutError):
                found.append((f"socket {path.name} {target}", b""))
    return found


async def _commands(platform: Platform) -> list[tuple[str, bytes]]:
    async def run(words: tuple[str, ...]) -> tuple[str, bytes]:
        command = (sys.executable, "-I", "-m", "clawmates.cli.main", *words, "--state", str(platform.state.root))
        process = await asyncio.create_subprocess_exec(
            *command, stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
        )
        out, _ = await process.communicate()
        if process.returncode != 0 and words not in MAY_FAIL:
            raise ProofError(f"`clawmates {' '.join(words)}` does not answer, so that it tells nothing shows nothing")
        return f"clawmates {' '.join(words)}", out

    return list(await asyncio.gather(*(run(words) for words in COMMANDS)))


def _holds(body: bytes, canary: Canary) -> bool:
    """Whether it stands there, in any encoding."""
    return any(isinstance(event, Found) for event in search(Piece(body), Patterns.of(canary)))


def _yes(good: bool) -> str:  # noqa: FBT001 - a word for it
    return "yes" if good else "no"
