"""Control and a vault that really runs countersign each other, and every hand on either chain shows."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from tests.support.control import Counted
from tests.support.launching import REGION, Bench, a_bench
from tests.support.vault import furnished

from clawmates.base.clock import SystemClock
from clawmates.base.paths import Run
from clawmates.base.settings import Platform, Settings
from clawmates.base.shape import encode_json
from clawmates.base.x509 import Names
from clawmates.control.admin import door
from clawmates.control.audit import meeting, words
from clawmates.control.audit.chain import note
from clawmates.control.audit.meeting import Countersign
from clawmates.control.outbox.worker import Worker
from clawmates.control.store.database import FILE
from clawmates.selfhost import auditing
from clawmates.selfhost.auditing import Evidence, Fault, verify
from clawmates.selfhost.evidence import gather_hosted
from clawmates.selfhost.resuming import order_of
from clawmates.wire.audit import EMPTY, GENESIS, Entry, Head, chained
from clawmates.wire.deeds import Deed
from clawmates.wire.names import Role
from clawmates.wire.notary import Notary
from clawmates.wire.operator_client import OperatorClient
from clawmates.wire.resumption import read_resumed
from clawmates.wire.vault import Assignment
from clawmates.wire.vault_deeds import OfBot

WHO = "ab" * 16


@dataclass
class Court:
    """Both sides, and what an auditor would read of them."""

    bench: Bench
    socket: Path
    written: int = 0

    @property
    def resumed(self) -> Path:
        return Run(self.bench.house.root / "run").resumed

    @property
    def worker(self) -> Worker:
        context, state = self.bench.place.context, self.bench.house.state
        # Certificates are of today, whatever the test's own clock says.
        notary = Notary(REGION, state.identity("control"), state.authority)
        order = partial(read_resumed, self.resumed)
        handler = Countersign(context.database, context.vault, notary, SystemClock(), order)
        return Worker(
            database=context.database, clock=context.clock, random=Counted(), handlers={meeting.KIND: handler}
        )

    async def write(self, count: int = 3) -> None:
        """Something happens on both sides."""
        for _ in range(count):
            self.written += 1
            bot = f"b-{self.written}"
            async with self.bench.place.database.writing() as session:
                note(session, datetime.now(UTC), Deed.BOT_CREATED, OfBot(bot=bot), WHO)
            await self.bench.vault.client(f"{REGION}/control/control").assign(
                bot, Assignment(tenant="acme", node="node-1")
            )

    async def meet(self) -> str:
        """One meeting; what it says is the matter, or nothing."""
        async with self.bench.place.database.writing() as session:
            await meeting.wish(session, self.bench.place.context)
        await self.worker.round()
        async with self.bench.place.database.reading() as session:
            return await meeting.trouble(session)

    async def later(self) -> str:
        """The same, when it is tried again."""
        self.bench.place.clock.forward(minutes=10)
        return await self.meet()

    async def evidence(self) -> tuple[Evidence, Evidence]:
        settings = Settings(platform=Platform(region=REGION))
        vault = self.bench.vault.client(f"{REGION}/control/control")
        return await gather_hosted(self.bench.house.state, settings, vault, OperatorClient(self.socket))


@asynccontextmanager
async def a_court(folder: Path) -> AsyncIterator[Court]:
    async with a_bench(folder) as bench:
        socket = bench.house.root / "run" / "control.sock"
        async with door.serving(socket, bench.place.context):
            yield Court(bench, socket)


def faults(evidence: Evidence) -> set[Fault]:
    return {one.fault for one in verify(evidence, datetime.now(UTC) + timedelta(minutes=10)).findings} - {
        Fault.UNSIGNED  # the test's own clock stands at noon
    }


def rechained(entries: Sequence[Entry]) -> list[Entry]:
    """All numbers and hashes computed anew, as somebody would who owns the database."""
    fresh: list[Entry] = []
    previous = GENESIS
    for number, entry in enumerate(entries, 1):
        previous = chained(previous, number, entry.at, entry.tag, entry.detail, entry.subject)
        fresh.append(replace(entry, number=number, hash=previous.hex()))
    return fresh


def swapped(entries: Sequence[Entry]) -> list[Entry]:
    return [entries[1], entries[0], *entries[2:]]


HANDS: dict[str, Callable[[Evidence], Evidence]] = {
    "cut": lambda one: replace(one, entries=one.entries[:3]),
    "edited": lambda one: replace(one, entries=[replace(one.entries[0], at=one.entries[1].at), *one.entries[1:]]),
    "edited and recomputed": lambda one: replace(
        one, entries=rechained([replace(one.entries[0], at=one.entries[1].at), *one.entries[1:]])
    ),
    "of another person": lambda one: replace(
        one, entries=[replace(one.entries[0], subject="cd" * 16), *one.entries[1:]]
    ),
    "reordered": lambda one: replace(one, entries=swapped(one.entries)),
    "reordered and recomputed": lambda one: replace(one, entries=rechained(swapped(one.entries))),
    "a countersignature missing": lambda one: replace(one, witnesses=one.witnesses[1:]),
    "all countersignatures missing": lambda one: replace(one, witnesses=[]),
    "the countersigner's list cut": lambda one: replace(one, lines=one.lines[:1]),
    "the countersigner's list rewritten": lambda one: replace(one, lines=[*one.lines[1:]]),
}


async def test_both_sign_and_every_hand_on_either_chain_shows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with a_court(tmp_path) as court:
        for _ in range(3):
            await court.write()
            assert await court.meet() == ""
        pair = await court.evidence()
        for evidence in pair:
            verdict = verify(evidence, datetime.now(UTC))
            assert (faults(evidence), len(evidence.witnesses)) == (set(), 3)
            assert verdict.countersigned >= 9
            for name, hand in HANDS.items():
                assert faults(hand(evidence)), (evidence.owner, name)
        # Since then only an auditor has looked, which control's chain says; a meeting writes into neither.
        for _ in range(2):
            assert await court.meet() == ""
        again = await court.evidence()
        assert [len(one.witnesses) for one in again] == [3, 4]
        assert again[1].entries[-1].tag == Deed.ADMIN_LOOKED
        # The seeded defect: an auditor who does not compare with what was signed believes a chain that hangs together.
        monkeypatch.setattr(auditing, "_against", lambda *_: ())
        for evidence in pair:
            assert not faults(HANDS["edited and recomputed"](evidence))
            assert not faults(HANDS["reordered and recomputed"](evidence))
            assert not faults(HANDS["cut"](evidence))


async def test_a_word_that_was_lost_comes_again_and_a_vault_that_is_away_is_met_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with a_court(tmp_path) as court:

        async def lost(*_: object) -> None:
            raise OSError

        await court.write()
        with monkeypatch.context() as patched:
            patched.setattr(words, "add_word", lost)  # the vault has signed, and nobody has written it down
            assert await court.meet() == meeting.NO_IDENTITY
        court.bench.place.clock.forward(minutes=2)
        with monkeypatch.context() as patched:
            patched.setattr(court.bench.place.context.vault, "connect", court.bench.vault.client)
            assert await court.meet() == "not-allowed"  # without a certificate of control's
        court.bench.place.clock.forward(minutes=2)
        await court.write(1)
        assert await court.meet() == ""
        for evidence in await court.evidence():
            assert faults(evidence) == set()


def test_control_signs_no_head_of_the_vault_that_does_not_follow() -> None:
    """Whoever sits in the vault's place and holds its key."""
    now = datetime.now(UTC)
    with furnished() as house:
        hands = {
            role: Notary(
                REGION,
                house.certify(role, Names(uri=(f"clawmates://{REGION}/{role}/{role}",))),
                house.state.authority,
            )
            for role in ("vault", "control", "node")
        }
        mine: Any = None
        ours = Countersign(mine, mine, hands["control"], SystemClock())
        last, other, next_one = (Head(number=n, hash=fill * 64) for n, fill in ((5, "a"), (5, "b"), (7, "c")))
        assert ours._check(hands["vault"].sign(next_one, last, now), last)
        assert not ours._check(hands["vault"].sign(last, last, now), last)
        for role, head, before in (
            ("vault", replace(next_one, number=4), last),
            ("vault", other, last),
            ("vault", next_one, other),
            ("vault", next_one, EMPTY),
            ("node", next_one, last),
            ("control", next_one, last),
        ):
            with pytest.raises(meeting.DivergedError):
                ours._check(hands[role].sign(head, before, now), last)


@pytest.mark.sqlite_alone
@pytest.mark.parametrize(
    "hand",
    [
        "DELETE FROM audit_entries WHERE number > 2",
        "UPDATE audit_entries SET hash = 'ff' WHERE number = 3",
        "DELETE FROM audit_witnesses WHERE chain = 'vault'",
    ],
)
async def test_neither_signs_a_chain_that_is_not_the_one_it_signed_before(tmp_path: Path, hand: str) -> None:
    async with a_court(tmp_path) as court:
        await court.write()
        assert await court.meet() == ""
        tamper(tmp_path, hand)
        await court.write()
        assert await court.meet() == meeting.DIVERGED
        assert any(faults(one) for one in await court.evidence())

        # Root has them begin anew: each says so in its chain, and what does not hang together still does not.
        order = order_of(await court.evidence(), datetime.now(UTC))
        assert order is not None
        where = court.resumed
        where.write_bytes(encode_json(order))
        os.chown(where, 4242, -1)
        assert await court.later() == meeting.DIVERGED, "an order that is not root's is none"
        os.chown(where, 0, -1)
        assert await court.later() == ""
        await court.write()
        assert await court.later() == ""
        for one in await court.evidence():
            broken = "UPDATE" in hand and one.owner is Role.CONTROL
            assert faults(one) == ({Fault.HASH} if broken else set())
            (gap,) = verify(one, datetime.now(UTC)).breaks
            seen = order.by_vault if one.owner is Role.CONTROL else order.by_control
            assert seen is not None
            assert gap.seen == seen.number
            assert gap.kept is (one.owner is Role.VAULT or "witnesses" in hand)
        assert order_of(await court.evidence(), datetime.now(UTC)) is None or "UPDATE" in hand


def tamper(folder: Path, statement: str) -> None:
    """As who owns the database: the guards first, then the rows."""
    (path,) = folder.rglob(FILE)
    database = sqlite3.connect(path, isolation_level=None)
    for (name,) in database.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall():
        database.execute(f"DROP TRIGGER {name}")
    database.execute(statement)
    database.close()
