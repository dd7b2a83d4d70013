"""Everything that a platform listens on, called by those who should get nothing."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import TYPE_CHECKING, assert_never

from clawmates.base.proxyheader import header
from clawmates.proofs.errors import ProofError
from clawmates.proofs.kernel import users
from clawmates.proofs.net.declared import Declared, Must, reach
from clawmates.proofs.net.probe import CLOSED, SPEAKS, Answers, probe
from clawmates.proofs.net.sockets import UNIX_KINDS, Listener, descendants, listeners
from clawmates.proofs.net.strangers import ANSWERED, NOTE_SECONDS, REFUSED, STRANGER, call, reachable
from clawmates.proofs.net.weak import old_tls, plain
from clawmates.proofs.part import Part
from clawmates.proofs.result import Table
from clawmates.wire.names import ChannelKind

if TYPE_CHECKING:
    from collections.abc import Mapping

    from clawmates.proofs.net.packets import End
    from clawmates.proofs.platform import Platform
    from clawmates.wire.status import NodeStatus

HEAD = ("process", "kind", "where", "must be", "a stranger gets", "as it must be")
NOT_THERE = "must not be there"


async def listening(platform: Platform, status: NodeStatus) -> Part:
    """Finds every listener of every process of the platform, calls it, and compares. Raises ``ProofError``."""
    mates = {f"mate {bot.bot}": bot.pid for bot in status.bots if bot.pid}
    terminals = {f"mate {bot.bot}" for bot in status.bots if bot.channel == ChannelKind.TERMINAL}
    processes = await platform.processes()
    everything = descendants({**processes, **supervisor(processes), **mates})
    declared = Declared(platform.state, platform.run, platform.settings, terminals)
    rows, found = [HEAD], []
    there = _listeners(everything)
    for one in there:
        seen, objections = await examine(one, declared.must(one))
        found += [f"{one.process}, {one.where}: {objection}" for objection in objections]
        rows.append((one.process, _kind(one), _where(one), _must(declared.must(one)), seen, _yes(not objections)))
    if declared.vault not in {one.end for one in there}:
        raise ProofError("the vault's own listener was not found: run this as root, or start the platform")
    return Part(
        table=Table(title="what the platform listens on", rows=tuple(rows)),
        figures={"listeners": len(there), "listeners_tls": sum(declared.must(one) is Must.TLS for one in there)},
        controls=(*await _control(declared), *await _admitted(there, mates)),
        found=tuple(found),
        not_looked_at=(
            (
                "/proc shows the processes that node, gateway and vault know of or started; what else runs on this host"
                " is the host's own"
            ),
        ),
    )


async def examine(one: Listener, must: Must) -> tuple[str, tuple[str, ...]]:
    """(what a stranger gets, what is wrong with that)."""
    match must:
        case Must.TLS | Must.RELAY:
            answers = await probe(reach(one.end)) if one.end is not None else Answers(())
            return _said(answers), answers.objections if must is Must.TLS else _of_relay(answers)
        case Must.INTRODUCED:
            return await _introduced(reach(one.end)) if one.end is not None else (CLOSED, ())
        case Must.PRIVATE:
            said = await call(reachable(one.where, one.pid), kind=one.kind)
            return said, () if said in REFUSED else (f"user {STRANGER}, a stranger, is {said}",)
        case Must.INSIDE:
            return "no way in", _of_container(one.pid)
        case Must.NOTES | Must.RETURN:
            said = await call(one.where, kind=one.kind, seconds=NOTE_SECONDS)
            return "no answer", (f"it {said} a stranger",) if said == ANSWERED else ()
        case Must.ABSENT:
            return "not tried", (NOT_THERE,)
        case _:
            assert_never(must)


def _listeners(processes: Mapping[str, int]) -> tuple[Listener, ...]:
    """Each socket once, under the first of its holders; processes that have just ended hold none."""
    there: dict[tuple[str, str, int], Listener] = {}
    for name, pid in processes.items():
        try:
            held = listeners({name: pid})
        except PermissionError:
            raise ProofError(f"/proc does not show what {name} listens on: run this as root") from None
        except OSError:
            continue
        for one in held:
            # Mates listen each on a loopback of its own: there the address says nothing.
            namespace = pid if one.process.startswith("mate") else 0
            there.setdefault((one.protocol, _where(one), namespace), one)
    return tuple(there.values())


def supervisor(processes: Mapping[str, int]) -> dict[str, int]:
    """``clawmates up``, which holds sockets of the vault and the gateway while they restart; not this very process."""
    try:
        found = re.search(r"^PPid:\s+(\d+)", Path(f"/proc/{processes['vault']}/status").read_text(), re.MULTILINE)
    except (KeyError, OSError):
        return {}
    parent = int(found[1]) if found else 0
    return {"clawmates up": parent} if parent not in {0, 1, os.getpid()} else {}


async def _introduced(end: End) -> tuple[str, tuple[str, ...]]:
    """Nobody is heard without a relay's word; where this very host may be one, what is behind it is called as well."""
    alone, behind = (
        await probe(end),
        await probe(end, before=header((str(end.address), 1), (str(end.address), end.port))),
    )
    heard = tuple(
        f"without a relay's word, offered {one.offered}, it answers: {one.said}"
        for one in alone.answers
        if one.said != CLOSED
    )
    if all(one.said == CLOSED for one in behind.answers):
        return "closed, to this host also behind a relay's word", heard
    return f"closed; behind a relay's word {_said(behind)}", (*heard, *behind.objections)


def _of_relay(answers: Answers) -> tuple[str, ...]:
    """A relay may hang up on an unknown name, or answer with what stands behind it: TLS 1.3."""
    return tuple(
        f"offered {one.offered}, it answers: {one.said}"
        for one in answers.answers
        if one.said == SPEAKS or (one.said.startswith(("TLS", "SSL")) and one.said != "TLS 1.3")
    )


def _of_container(pid: int) -> tuple[str, ...]:
    """The container must have nothing but its loopback."""
    names = set(re.findall(r"^\s*([^\s:]+):", Path(f"/proc/{pid}/net/dev").read_text(), re.MULTILINE))
    shared = Path(f"/proc/{pid}/ns/net").readlink() == Path("/proc/self/ns/net").readlink()
    return () if names == {"lo"} and not shared else ("its network namespace has a way in",)


async def _control(declared: Declared) -> tuple[str, ...]:
    """Two weak listeners in this very process, which the same code must find and object to."""
    async with old_tls() as old, plain() as clear:
        own = _listeners({"prove": os.getpid()})
        for end, what in ((old, "TLS 1.2"), (clear, "no TLS")):
            mine = next((one for one in own if one.end == end), None)
            if mine is None or declared.must(mine) is not Must.ABSENT:
                raise ProofError("a listener that nobody declared was not noticed: the search does not work here")
            if not (await probe(end)).objections:
                raise ProofError(f"a listener that speaks {what} was not objected to: the probe does not work here")
    return (
        (
            "two listeners of this trial's own, one with TLS 1.2 and one without TLS: both found in /proc as"
            " undeclared, and objected to by the same probe"
        ),
    )


async def _admitted(there: tuple[Listener, ...], mates: Mapping[str, int]) -> tuple[str, ...]:
    """The doors are not merely dead: whom they are for is answered."""
    answered = 0
    for name, pid in mates.items():
        bot = name.partition(" ")[2]
        door = next((path for one in there if (path := _door(one, bot))), None)
        uid = users({name: pid}).get(name)
        if door is not None and uid is not None:
            answered += await call(door, uid) == ANSWERED
    if mates and not answered:
        raise ProofError("no door answers its own bot, so that it refuses a stranger shows nothing")
    return (f"{answered} doors answer their own bot's user id, and refuse user {STRANGER}",)


def _door(one: Listener, bot: str) -> str:
    path = reachable(one.where, one.pid) if one.protocol == "unix" else ""
    return path if path.endswith(f"/{bot}/door.sock") else ""


def _kind(one: Listener) -> str:
    return f"unix, {UNIX_KINDS.get(one.kind, str(one.kind))}" if one.protocol == "unix" else one.protocol


def _where(one: Listener) -> str:
    return reachable(one.where, one.pid) if one.protocol == "unix" else one.where


def _must(must: Must) -> str:
    return NOT_THERE if must is Must.ABSENT else must.value


def _said(answers: Answers) -> str:
    return "; ".join(f"{one.offered}: {one.said}" for one in answers.answers)


def _yes(good: bool) -> str:  # noqa: FBT001 - a word for it
    return "yes" if good else "no"
