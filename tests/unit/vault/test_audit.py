"""The chain, its countersignatures, and what an auditor sees when somebody touched either."""

from __future__ import annotations

import asyncio
import os
import sqlite3
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from functools import partial
from pathlib import Path
from random import Random
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from tests.unit.vault.conftest import FakeClock, House

from clawmates.base.clock import stamp
from clawmates.base.identity import ClientIdentity
from clawmates.base.paths import State
from clawmates.base.settings import Platform, Settings
from clawmates.base.shape import encode_json
from clawmates.base.x509 import Authority, Names
from clawmates.node import heads as heads_module
from clawmates.node import witness as witness_module
from clawmates.node.heads import HeadsError, HeadsFile
from clawmates.node.witness import Counterpart
from clawmates.selfhost import auditing
from clawmates.selfhost.auditing import Evidence, Fault, Verdict, verify
from clawmates.selfhost.evidence import read_lines
from clawmates.selfhost.resuming import order_of
from clawmates.vault import ledger as ledger_module
from clawmates.vault.auditor import Auditor, counterpart
from clawmates.vault.ledger import Ledger, Note
from clawmates.vault.recorder import Recorder
from clawmates.vault.service import Vault
from clawmates.vault.store import RefusedError
from clawmates.wire.audit import (
    EMPTY,
    GENESIS,
    About,
    Entry,
    Head,
    Line,
    SignedHead,
    Witness,
    Witnesses,
    chained,
    chained_line,
    head_bytes,
)
from clawmates.wire.leases import LeaseRenewal, Leases
from clawmates.wire.names import Role, ServiceName
from clawmates.wire.notary import Notary
from clawmates.wire.resumption import read_resumed
from clawmates.wire.signatures import SignatureError, sign, signer
from clawmates.wire.vault import Assignment, VaultRefusal
from clawmates.wire.vault_client import VaultCallError, VaultError, VaultUnreachableError
from clawmates.wire.vault_deeds import DETAILS, Assigned, KeyKind, OfBot, Resumed, Rotated, SeenBy, Tag, detail_of

NODE = ServiceName("local", Role.NODE, "node-1")
CONTROL = ServiceName("local", Role.CONTROL, "control-1")
LATER = timedelta(minutes=10)
MUTATIONS = 1000


class Log:
    """Where node's events go."""

    def __init__(self) -> None:
        self.codes: list[str] = []

    def write(self, event: Any, *, bot: str = "") -> None:
        self.codes.append(event.code)


@dataclass
class Court:
    """A vault and a node that meet without a network."""

    state: State
    authority: Authority
    house: House
    clock: FakeClock
    auditor: Auditor
    node: Counterpart
    log: Log

    def certify(self, folder: str, uri: str) -> None:
        pair = self.authority.issue(Names(uri=(uri,)), self.clock.now())
        certificate, key = self.state.identity(folder)
        certificate.parent.mkdir(parents=True, exist_ok=True)
        certificate.write_bytes(pair.certificate)
        key.write_bytes(pair.key)

    @property
    def resumed(self) -> Path:
        return self.node.settings.run.resumed

    def write(self, count: int = 1) -> None:
        for number in range(count):
            self.clock.pass_(0.5)
            self.ledger.append([Note(self.clock.now(), Tag.BOT_FROZEN, OfBot(bot=f"b{number}"))])

    async def live(self, minutes: int, each: int = 10) -> None:
        for _ in range(minutes):
            self.write(each)
            await self.node.meet()

    @property
    def ledger(self) -> Ledger:
        return self.auditor.ledger

    def evidence(self) -> Evidence:
        entries: list[Entry] = []
        while page := self.ledger.entries(len(entries)):
            entries += page
        return Evidence(
            region="local",
            node="node-1",
            trusted=self.state.authority.read_bytes(),
            entries=entries,
            witnesses=self.ledger.witnesses(0).witnesses,
            lines=read_lines(self.state.heads),
        )

    def verdict(self, after: timedelta = LATER) -> Verdict:
        return verify(self.evidence(), self.clock.now() + after)


class Calls:
    """The calls of :mod:`clawmates.wire.vault_calls`, answered by the auditor itself."""

    def __init__(self, auditor: Auditor) -> None:
        self.auditor = auditor
        self.down = False
        self.lose_answers = False

    async def audit_head(self, _vault: object, number: int) -> SignedHead:
        if self.down:
            raise VaultUnreachableError
        try:
            return await self.auditor.head(number)
        except RefusedError as refused:
            raise VaultError(refused.refusal) from None

    async def witness(self, _vault: object, signed: Witness) -> None:
        try:
            await self.auditor.witness(NODE, signed)
        except RefusedError as refused:
            raise VaultError(refused.refusal) from None
        if self.lose_answers:
            raise VaultUnreachableError

    async def renew(self, _vault: object, _renewal: LeaseRenewal) -> Leases:
        return Leases(leases=())


async def at_once(work: Callable[[], Any]) -> Any:
    return work()


@pytest.fixture
def calls(house: House, clock: FakeClock) -> Calls:
    return Calls(Auditor(Ledger(house.store.records.database), at_once, clock))


@pytest.fixture
def court(tmp_path: Path, house: House, clock: FakeClock, calls: Calls, monkeypatch: pytest.MonkeyPatch) -> Court:
    state = State(tmp_path / "state")
    state.node.mkdir(parents=True)
    state.pki.mkdir()
    authority = Authority.create("test", clock.now())
    state.authority.write_bytes(authority.pair.certificate)
    log = Log()
    settings = Settings(platform=Platform(run=str(tmp_path / "run")))
    node = Counterpart(settings, state, ClientIdentity(state, "node"), clock, log)  # type: ignore[arg-type]
    court = Court(state, authority, house, clock, calls.auditor, node, log)
    court.certify("vault", "clawmates://local/vault/vault-1")
    court.certify("node", str(NODE))
    calls.auditor.notary = Notary("local", state.identity("vault"), state.authority)
    monkeypatch.setattr(witness_module, "vault_calls", calls)
    return court


# The chain itself.


def test_an_entry_follows_from_the_one_before(court: Court) -> None:
    assert court.ledger.head() == EMPTY == court.ledger.at(0)
    court.write(3)
    (first, second, third) = court.ledger.entries(0)
    assert first.hash == chained(GENESIS, 1, first.at, first.tag, first.detail).hex()
    assert third.hash == chained(bytes.fromhex(second.hash), 3, third.at, third.tag, third.detail).hex()
    assert court.ledger.head() == court.ledger.at(3) == Head(number=3, hash=third.hash)
    assert court.ledger.at(4) is None
    assert court.ledger.entries(2) == (third,)


def test_every_tag_is_in_the_grammar_and_has_one_form() -> None:
    assert set(DETAILS) == set(Tag)
    assert {len(tag.value.split(".")) for tag in Tag} == {3}
    good = encode_json(OfBot(bot="b1")).decode()
    assert detail_of("vault.bot.frozen", good) == OfBot(bot="b1")
    for tag, detail in (
        ("vault.bot.thawed", good),
        ("vault.bot.frozen", '{"bot": "b1"}'),
        ("vault.bot.frozen", '{"bot":"b1","who":"Ada"}'),
        ("vault.bot.frozen", '{"bot":"Ada Lovelace"}'),
        ("vault.bot.assigned", good),
        ("vault.bot.frozen", "["),
    ):
        with pytest.raises(ValueError, match=r"."):
            detail_of(tag, detail)


def test_no_entry_can_be_changed_by_what_is_in_another_field() -> None:
    assert chained(GENESIS, 1, "a", "bc", "d") != chained(GENESIS, 1, "ab", "c", "d")
    assert chained(GENESIS, 1, "a", "b", "c") != chained(GENESIS, 11, "a", "b", "c")


async def test_a_batch_is_written_while_the_next_one_gathers(clock: FakeClock) -> None:
    batches: list[int] = []
    begun, gate = asyncio.Event(), asyncio.Event()

    async def append(notes: Sequence[Note]) -> None:
        batches.append(len(notes))
        begun.set()
        await gate.wait()

    recorder = Recorder(append, clock)
    first = asyncio.ensure_future(recorder.write(Tag.BOT_FROZEN, OfBot(bot="b0")))
    await begun.wait()
    rest = [asyncio.ensure_future(recorder.write(Tag.BOT_FROZEN, OfBot(bot=f"b{n}"))) for n in range(50)]
    await asyncio.sleep(0)
    gate.set()
    await asyncio.gather(first, *rest)
    assert batches == [1, 50]


async def test_a_disk_that_refuses_reaches_everyone_who_waited(clock: FakeClock) -> None:
    async def full(_notes: Sequence[Note]) -> None:
        raise RefusedError(VaultRefusal.STORAGE_FAILED)

    recorder = Recorder(full, clock)
    results = await asyncio.gather(
        *(recorder.write(Tag.BOT_FROZEN, OfBot(bot="b1")) for _ in range(2)), return_exceptions=True
    )
    assert [type(result) for result in results] == [RefusedError, RefusedError]


async def test_a_caller_who_goes_away_takes_nothing_back(clock: FakeClock) -> None:
    written: list[int] = []
    gate = asyncio.Event()

    async def append(notes: Sequence[Note]) -> None:
        await gate.wait()
        written.append(len(notes))

    recorder = Recorder(append, clock)
    waiting = asyncio.ensure_future(recorder.write(Tag.BOT_FROZEN, OfBot(bot="b1")))
    await asyncio.sleep(0)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    gate.set()
    await recorder.write(Tag.BOT_FROZEN, OfBot(bot="b2"))
    assert sum(written) == 2


async def test_what_was_not_written_down_is_not_released(
    vault: Vault, house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_self: Ledger, _notes: Sequence[Note]) -> None:
        raise sqlite3.OperationalError

    with monkeypatch.context() as patched:
        patched.setattr(Ledger, "append", full)
        with pytest.raises(RefusedError, match="storage-failed"):
            await vault.assign("b1", Assignment(tenant="acme", node="node-1"))
    await vault.assign("b1", Assignment(tenant="acme", node="node-1", lease_seconds=60))
    (entry,) = (await vault.audit.entries(0)).entries
    assert detail_of(entry.tag, entry.detail) == Assigned(bot="b1", tenant="acme", node="node-1", lease_seconds=60)


# Countersigning.


async def test_both_sides_keep_what_the_other_signed(court: Court) -> None:
    await court.live(3)
    lines = [line for line in read_lines(court.state.heads) if line is not None]
    assert [line.said.head.number for line in lines] == [10, 20, 30]
    assert [witness.head for witness in court.ledger.witnesses(0).witnesses] == [line.said.head for line in lines]
    assert court.ledger.witnessed() == 30
    verdict = court.verdict()
    assert (verdict.holds, verdict.entries, verdict.countersigned, verdict.unsigned) == (True, 30, 30, 0)
    assert not court.node.diverged


async def test_a_chain_that_stood_still_adds_nothing(court: Court) -> None:
    await court.live(1)
    await court.node.meet()
    assert len(read_lines(court.state.heads)) == 1
    assert len(court.ledger.witnesses(0).witnesses) == 1


async def test_a_lost_answer_is_made_up_for(court: Court, calls: Calls) -> None:
    calls.lose_answers = True
    await court.live(1)
    calls.lose_answers = False
    await court.live(1)
    assert court.verdict().holds
    calls.down = True
    await court.live(1)
    assert len(read_lines(court.state.heads)) == 2


async def test_a_line_that_was_not_told_before_nodes_end_is_told_by_the_next(
    court: Court, calls: Calls, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def dead(_vault: object, _signed: Witness) -> None:
        raise VaultUnreachableError

    with monkeypatch.context() as patched:
        patched.setattr(calls, "witness", dead)
        await court.live(1)
    assert [finding.fault for finding in court.verdict().findings] == [Fault.LINE_UNTOLD]
    assert court.verdict(timedelta()).holds
    court.node = replace(court.node, _heads=None, _told=0)
    await court.live(1)
    assert court.verdict().holds


@pytest.mark.parametrize("lost", ["recomputed", "cut", "emptied"])
async def test_node_signs_no_chain_but_the_one_it_knows(court: Court, lost: str) -> None:
    await court.live(2)
    with court.house.store.records.database.transaction() as connection:
        if lost == "recomputed":
            connection.execute("UPDATE audit SET hash = ? WHERE number = 20", ("0" * 64,))
        else:
            connection.execute("DELETE FROM audit WHERE number > ?", (0 if lost == "emptied" else 15,))
    court.write()
    await court.node.meet()
    await court.node.meet()
    assert court.node.diverged
    assert court.log.codes == ["audit-diverged"]
    assert len(read_lines(court.state.heads)) == 2
    assert not court.verdict().holds


async def test_a_node_that_did_not_compare_would_sign_it(court: Court, monkeypatch: pytest.MonkeyPatch) -> None:
    """The seeded defect: the test above is red against it."""
    await court.live(2)
    with court.house.store.records.database.transaction() as connection:
        connection.execute("UPDATE audit SET hash = ? WHERE number = 20", ("0" * 64,))
    court.write()
    monkeypatch.setattr(Counterpart, "_check", lambda *_: True)
    await court.node.meet()
    assert len(read_lines(court.state.heads)) == 3


async def test_the_same_number_with_another_hash_is_another_chain(court: Court, calls: Calls) -> None:
    await court.live(1)
    said = await calls.audit_head(None, 10)
    other = replace(said, head=Head(number=10, hash="1" * 64))
    notary = Notary("local", court.state.identity("vault"), court.state.authority)
    forged = replace(notary.sign(other.head, said.before, court.clock.now()), before=said.before)
    with pytest.raises(witness_module.DivergedError):
        court.node._check(forged, said.head)


@pytest.mark.parametrize("uri", ["clawmates://local/node/node-1", "clawmates://eu/vault/vault-1"])
async def test_only_this_regions_vault_signs_heads(court: Court, uri: str) -> None:
    court.certify("vault", uri)
    await court.live(1)
    assert court.node.diverged
    assert read_lines(court.state.heads) == ()


async def test_an_untrusted_vault_is_not_heard(court: Court) -> None:
    court.authority = Authority.create("foreign", court.clock.now())
    court.certify("vault", "clawmates://local/vault/vault-1")
    await court.live(1)
    assert read_lines(court.state.heads) == ()


@pytest.mark.parametrize(
    "uri", ["clawmates://local/control/cli", "clawmates://local/node/node-2", "clawmates://eu/node/node-1"]
)
async def test_the_vault_keeps_the_callers_own_signature_only(court: Court, uri: str) -> None:
    court.certify("node", uri)
    await court.live(1)
    assert court.ledger.witnesses(0) == Witnesses(witnesses=(), last=0)


async def test_a_vault_that_trusted_anybody_would_keep_it(court: Court, monkeypatch: pytest.MonkeyPatch) -> None:
    """The seeded defect: the test above is red against it."""
    court.certify("node", "clawmates://local/node/node-2")
    monkeypatch.setattr(Notary, "witnessed_by", lambda *_: ServiceName("local", Role.NODE, "node-1"))
    await court.live(1)
    assert len(court.ledger.witnesses(0).witnesses) == 1


async def test_a_word_that_contradicts_the_chain_or_nodes_own_list_is_refused(court: Court) -> None:
    await court.live(2)
    first, second = court.ledger.witnesses(0).witnesses
    assert court.ledger.add_witness("node-1", second)
    assert not court.ledger.add_witness("node-1", first)
    assert not court.ledger.add_witness("node-1", replace(second, line=Head(number=2, hash="0" * 64)))
    assert not court.ledger.add_witness("node-1", replace(second, head=Head(number=20, hash="0" * 64)))
    assert not court.ledger.add_witness("node-1", replace(second, head=Head(number=99, hash="0" * 64)))
    line = Head(number=1, hash="0" * 64)
    wrong = court.node._witness(Head(number=20, hash="0" * 64), line)
    with pytest.raises(RefusedError, match="diverged"):
        await court.auditor.witness(NODE, wrong)
    with pytest.raises(RefusedError, match="malformed"):
        await court.auditor.witness(NODE, replace(wrong, at="2026"))


async def test_a_vault_that_did_not_compare_would_keep_it(court: Court, monkeypatch: pytest.MonkeyPatch) -> None:
    """The seeded defect: the test above is red against it."""
    await court.live(1)
    wrong = court.node._witness(Head(number=10, hash="0" * 64), Head(number=1, hash="0" * 64))
    with pytest.raises(RefusedError, match="diverged"):
        await court.auditor.witness(NODE, wrong)
    monkeypatch.setattr(Ledger, "add_witness", lambda *_: True)
    await court.auditor.witness(NODE, wrong)


async def test_without_a_notary_nothing_is_signed(court: Court) -> None:
    court.auditor.notary = None
    with pytest.raises(RefusedError, match="not-allowed"):
        await court.auditor.head(0)


async def test_old_words_go_and_the_rest_still_holds(court: Court, monkeypatch: pytest.MonkeyPatch) -> None:
    for module, kept in ((ledger_module, 5), (heads_module, 3), (auditing, 3)):
        monkeypatch.setattr(module, "KEPT_WORDS", kept)
    await court.live(12, each=2)
    assert len(court.ledger.witnesses(0).witnesses) == 5
    lines = read_lines(court.state.heads)
    assert 3 <= len(lines) <= 6
    assert court.verdict().holds


def test_a_damaged_list_is_not_written_on(tmp_path: Path) -> None:
    path = tmp_path / "heads.jsonl"
    assert HeadsFile.open(path).head == EMPTY
    path.write_bytes(b"")
    assert HeadsFile.open(path).head == EMPTY
    said = SignedHead(head=EMPTY, before=EMPTY, at="", certificate="", signature="")
    for bad in (b"{}", encode_json(Line(number=1, said=said, hash="no hash"))):
        path.write_bytes(bad + b"\n")
        with pytest.raises(HeadsError):
            HeadsFile.open(path)


async def test_a_damaged_list_is_a_trouble(court: Court) -> None:
    court.state.heads.write_bytes(b"nonsense\n")
    await court.live(1)
    assert court.node.diverged
    assert {finding.fault for finding in court.verdict().findings} >= {Fault.LINE_MALFORMED}


# What an auditor sees.


async def test_a_young_unsigned_tail_is_reported_and_an_old_one_is_a_fault(court: Court) -> None:
    await court.live(2)
    court.write(5)
    young = court.verdict(timedelta(seconds=55))
    assert (young.holds, young.unsigned, young.unsigned_seconds) == (True, 5, 57)
    old = court.verdict(timedelta(seconds=95))
    assert [finding.fault for finding in old.findings] == [Fault.UNSIGNED]
    assert old.findings[0].number == 21


async def test_a_chain_nobody_ever_signed_is_a_fault(court: Court) -> None:
    court.write(2)
    assert [finding.fault for finding in court.verdict().findings] == [Fault.UNSIGNED]


async def test_another_nodes_words_are_checked_against_the_chain_alone(court: Court) -> None:
    await court.live(1)
    other = replace(court.node, settings=Settings())
    court.certify("node", "clawmates://local/node/node-2")
    line = Head(number=7, hash="7" * 64)
    head = court.ledger.head()
    word = other._witness(head, line)
    await court.auditor.witness(ServiceName("local", Role.NODE, "node-2"), word)
    assert court.verdict().holds


def rechained(entries: Sequence[Entry], start: int) -> list[Entry]:
    """The same entries, numbered and hashed anew from ``start`` on: what one who holds the database would do."""
    fresh = list(entries[:start])
    for entry in entries[start:]:
        previous = bytes.fromhex(fresh[-1].hash) if fresh else GENESIS
        number = len(fresh) + 1
        digest = chained(previous, number, entry.at, entry.tag, entry.detail).hex()
        fresh.append(replace(entry, number=number, hash=digest))
    return fresh


def relined(lines: Sequence[Line], start: int) -> list[Line]:
    fresh = list(lines[:start])
    for line in lines[start:]:
        previous = bytes.fromhex(fresh[-1].hash) if fresh else GENESIS
        number = len(fresh) + 1
        fresh.append(Line(number=number, said=line.said, hash=chained_line(previous, number, line.said).hex()))
    return fresh


def other_text(random: Random, text: str) -> str:
    """``text`` with one character replaced, doubled or removed."""
    place = random.randrange(len(text))
    if text[place] == "\n":
        place -= 1
    return random.choice(
        (
            text[:place] + random.choice([c for c in "0aZ7/x" if c != text[place]]) + text[place + 1 :],
            text[:place] + text[place] + text[place:],
            text[:place] + text[place + 1 :],
        )
    )


def other_field(random: Random, row: Any, names: Sequence[str]) -> Any:
    name = random.choice(list(names))
    value = getattr(row, name)
    if isinstance(value, int):
        return replace(row, **{name: value + random.choice([-1, 1, 7, 1000])})
    if isinstance(value, Head):
        return replace(row, **{name: other_field(random, value, ["number", "hash"])})
    if isinstance(value, SignedHead):
        return replace(row, **{name: other_field(random, value, ["head", "before", "at", "certificate", "signature"])})
    return replace(row, **{name: other_text(random, value)})


def one_of(random: Random, rows: Sequence[Any], change: Callable[[Any], list[Any]]) -> list[Any]:
    place = random.randrange(len(rows))
    return [*rows[:place], *change(rows[place]), *rows[place + 1 :]]


def swapped(random: Random, rows: Sequence[Any]) -> list[Any]:
    one, two = random.sample(range(len(rows)), 2)
    fresh = list(rows)
    fresh[one], fresh[two] = fresh[two], fresh[one]
    return fresh


def forged_entries(random: Random, entries: Sequence[Entry]) -> list[Entry]:
    """A chain that hangs together and tells another story from some point on."""
    place = random.randrange(len(entries))
    detail = encode_json(OfBot(bot=f"other-{random.randrange(10**6)}")).decode()
    match random.randrange(4):
        case 0:
            fresh = [*entries[:place], replace(entries[place], detail=detail), *entries[place + 1 :]]
        case 1:
            fresh = [*entries[:place], *entries[place + 1 :]]
        case 2:
            fresh = [*entries[:place], replace(entries[place], detail=detail), *entries[place:]]
        case _:
            other = (place + 1) % len(entries)
            fresh = list(entries)
            fresh[place], fresh[other] = replace(fresh[other], at="2026-01-01T00:00:00.000Z"), fresh[place]
            place = 0
    return rechained(fresh, place)


def mutated(random: Random, sound: Evidence) -> tuple[str, Evidence]:
    entries, witnesses, lines = list(sound.entries), list(sound.witnesses), list(sound.lines)
    entry_fields, witness_fields = (
        ("number", "at", "tag", "detail", "hash"),
        ("head", "line", "at", "certificate", "signature"),
    )
    cut = random.randrange(len(entries))
    line_cut = random.randrange(len(lines))
    known = [line for line in lines if line is not None]
    ways: dict[str, Callable[[], Evidence]] = {
        "entry changed": lambda: replace(
            sound, entries=one_of(random, entries, lambda row: [other_field(random, row, entry_fields)])
        ),
        "entry removed": lambda: replace(sound, entries=one_of(random, entries, lambda _row: [])),
        "entry doubled": lambda: replace(sound, entries=one_of(random, entries, lambda row: [row, row])),
        "entries swapped": lambda: replace(sound, entries=swapped(random, entries)),
        "chain cut": lambda: replace(sound, entries=entries[:cut]),
        "chain recomputed": lambda: replace(sound, entries=forged_entries(random, entries)),
        "witness changed": lambda: replace(
            sound, witnesses=one_of(random, witnesses, lambda row: [other_field(random, row, witness_fields)])
        ),
        "witness removed": lambda: replace(sound, witnesses=one_of(random, witnesses, lambda _row: [])),
        "witnesses swapped": lambda: replace(sound, witnesses=swapped(random, witnesses)),
        "line changed": lambda: replace(
            sound, lines=one_of(random, known, lambda row: [other_field(random, row, ("number", "said", "hash"))])
        ),
        "line removed and recomputed": lambda: replace(
            sound, lines=relined([*known[:line_cut], *known[line_cut + 1 :]], line_cut)
        ),
        "line removed": lambda: replace(sound, lines=one_of(random, known, lambda _row: [])),
        "lines swapped": lambda: replace(sound, lines=swapped(random, lines)),
        "lines cut": lambda: replace(sound, lines=lines[:line_cut]),
    }
    name = random.choice(sorted(ways))
    return name, ways[name]()


async def test_a_thousand_mutations_and_every_one_shows(court: Court) -> None:
    await court.live(8, each=6)
    sound = court.evidence()
    now = court.clock.now() + LATER
    assert verify(sound, now).holds
    random = Random(20261122)
    seen: dict[str, int] = {}
    unseen: list[str] = []
    for _ in range(MUTATIONS):
        name, evidence = mutated(random, sound)
        seen[name] = seen.get(name, 0) + 1
        if verify(evidence, now).holds:
            unseen.append(name)
    assert unseen == []
    assert len(seen) == 14
    assert min(seen.values()) > 30


async def test_an_auditor_without_countersignatures_would_believe_a_recomputed_chain(
    court: Court, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The seeded defect: the test above is red against it."""
    await court.live(3)
    sound = court.evidence()
    recomputed = replace(sound, entries=forged_entries(Random(1), sound.entries))
    cut = replace(sound, entries=sound.entries[:12])
    now = court.clock.now() + LATER
    assert not verify(recomputed, now).holds
    assert not verify(cut, now).holds
    monkeypatch.setattr(auditing, "_against", lambda *_: ())
    assert verify(recomputed, now).holds
    assert verify(cut, now).holds


async def test_an_auditor_without_signatures_would_believe_a_made_up_list(
    court: Court, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The seeded defect: one who holds both files still lacks the keys."""
    await court.live(1)
    sound = court.evidence()
    entries = forged_entries(Random(2), sound.entries)
    head = Head(number=len(entries), hash=entries[-1].hash)
    line = sound.lines[0]
    assert line is not None
    said = replace(line.said, head=head)
    forged = Line(number=1, said=said, hash=chained_line(GENESIS, 1, said).hex())
    word = replace(sound.witnesses[0], head=head, line=Head(number=1, hash=forged.hash))
    both = replace(sound, entries=entries, lines=[forged], witnesses=[word])
    now = court.clock.now() + LATER
    assert {finding.fault for finding in verify(both, now).findings} == {Fault.LINE_SIGNATURE, Fault.WITNESS_SIGNATURE}
    honest = auditing._signer
    monkeypatch.setattr(auditing, "_signer", lambda *given: NODE if given[1] == word.certificate else honest(*given))
    assert {finding.fault for finding in verify(both, now).findings} == {Fault.LINE_SIGNATURE}


def test_times_that_are_none_are_faults_and_not_crashes(court: Court) -> None:
    court.write()
    evidence = court.evidence()
    for at in ("yesterday", "2026-11-22T09:00:00"):
        verdict = verify(replace(evidence, entries=[replace(evidence.entries[0], at=at)]), court.clock.now())
        assert Fault.HASH in {finding.fault for finding in verdict.findings}


# Control's chain, which the vault countersigns.


def said_by_control(court: Court, number: int, before: Head, fill: str = "a", uri: str = str(CONTROL)) -> SignedHead:
    """Control's word on a head; what its hashes are made of is none of the vault's business."""
    court.certify("control", uri)
    certificate, key = (path.read_bytes() for path in court.state.identity("control"))
    head, at = Head(number=number, hash=fill * 64), stamp(court.clock.now())
    signature = sign(key, head_bytes("local", head, at))
    return SignedHead(head=head, before=before, at=at, certificate=certificate.decode(), signature=signature)


async def test_the_vault_signs_heads_of_control_that_follow_from_each_other(
    court: Court, monkeypatch: pytest.MonkeyPatch
) -> None:
    auditor = court.auditor
    nothing = await auditor.control_head()
    assert (nothing.head, nothing.line) == (EMPTY, EMPTY)
    first = await auditor.countersign(CONTROL, said_by_control(court, 3, EMPTY))
    again = await auditor.countersign(CONTROL, said_by_control(court, 3, EMPTY))
    assert (first.head, first.line) == (again.head, again.line)
    monkeypatch.setattr(ledger_module, "KEPT_WORDS", 2)
    for number in (5, 7):
        known = (await auditor.control_head()).head
        await auditor.countersign(CONTROL, said_by_control(court, number, known))
    lines = (await auditor.control_heads(0)).lines
    assert [(line.number, line.said.head.number) for line in lines] == [(2, 5), (3, 7)]
    assert (await auditor.control_heads(3)).lines == ()


async def test_the_vault_signs_no_head_of_control_that_is_cut_forged_or_another_ones(court: Court) -> None:
    auditor = court.auditor
    await auditor.countersign(CONTROL, said_by_control(court, 3, EMPTY))
    known = (await auditor.control_head()).head
    for number, before, fill in ((2, known, "a"), (3, known, "b"), (5, EMPTY, "a"), (5, replace(known, number=2), "a")):
        with pytest.raises(RefusedError, match="diverged"):
            await auditor.countersign(CONTROL, said_by_control(court, number, before, fill))
    good = said_by_control(court, 5, known)
    for said in (
        replace(good, head=replace(good.head, number=6)),
        replace(good, signature="AAAA"),
        said_by_control(court, 5, known, uri=str(NODE)),
        said_by_control(court, 5, known, uri="clawmates://eu/control/control-1"),
        said_by_control(court, 5, known, uri="clawmates://local/control/another"),
    ):
        with pytest.raises(RefusedError, match="malformed"):
            await auditor.countersign(CONTROL, said)
    assert len((await auditor.control_heads(0)).lines) == 1


def test_words_of_control_and_of_a_node_are_kept_apart(court: Court) -> None:
    assert counterpart(NODE) == "node-1"
    assert counterpart(CONTROL) == counterpart(replace(CONTROL, name="control-2")) != counterpart(NODE)


def test_what_concerns_a_bot_is_found_the_newest_first(court: Court) -> None:
    court.write(3)
    court.ledger.append([Note(court.clock.now(), Tag.KEY_ROTATED, Rotated(kind=KeyKind.MASTER))])
    until = stamp(court.clock.now())
    found = court.ledger.about(About(bots=("b0", "b2"), until=until))
    assert [entry.number for entry in found] == [3, 1]
    assert [entry.number for entry in court.ledger.about(About(bots=("b0", "b2"), until=until, most=1))] == [3]
    assert court.ledger.about(About(bots=("b0",), until="2026-01-01T00:00:00.000Z")) == ()
    for asked in ({"bots": ("B0",)}, {"bots": ("b",) * 501}, {"bots": (), "most": 0}, {"bots": (), "most": 501}):
        with pytest.raises(ValueError, match=r"."):
            About(**({"until": until} | asked))


# Signatures.


def test_a_signature_names_its_signer_for_the_time_of_its_certificate(court: Court) -> None:
    certificate, key = (path.read_bytes() for path in court.state.identity("node"))
    trusted, now = court.state.authority.read_bytes(), court.clock.now()
    data = head_bytes("local", EMPTY, stamp(now))
    made = sign(key, data)
    assert signer(certificate.decode(), data, made, authority=trusted, at=now) == NODE
    for changed in (
        {"at": now + timedelta(days=8)},
        {"at": now - timedelta(days=1)},
        {"authority": Authority.create("foreign", now).pair.certificate},
    ):
        with pytest.raises(SignatureError):
            signer(certificate.decode(), data, made, **({"authority": trusted, "at": now} | changed))  # type: ignore[arg-type]
    for bad in ("", "AAAA", made[:-4] + "AAAA", made + "\n"):
        with pytest.raises(SignatureError):
            signer(certificate.decode(), data, bad, authority=trusted, at=now)
    for bad in ("", certificate.decode() + "\n"):
        with pytest.raises(SignatureError):
            signer(bad, data, made, authority=trusted, at=now)
    with pytest.raises(SignatureError):
        signer(certificate.decode(), data + b"x", made, authority=trusted, at=now)
    other = ed25519.Ed25519PrivateKey.generate()
    raw = (serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    for not_a_key in (b"", certificate, other.private_bytes(*raw)):
        with pytest.raises(SignatureError):
            sign(not_a_key, data)


def test_a_certificate_that_names_no_service_signs_nothing(court: Court) -> None:
    now = court.clock.now()
    for names in (Names(dns=("vault",)), Names(uri=("clawmates://local/node/a", "clawmates://local/node/b"))):
        pair = court.authority.issue(names, now)
        with pytest.raises(SignatureError):
            signer(
                pair.certificate.decode(),
                b"x",
                sign(pair.key, b"x"),
                authority=court.state.authority.read_bytes(),
                at=now,
            )


def test_a_certificate_of_another_kind_of_key_signs_nothing(court: Court) -> None:
    now, private = court.clock.now(), ed25519.Ed25519PrivateKey.generate()
    issuer = x509.load_pem_x509_certificate(court.authority.pair.certificate)
    signing = serialization.load_pem_private_key(court.authority.pair.key, None)
    assert isinstance(signing, ec.EllipticCurvePrivateKey)
    leaf = (
        x509.CertificateBuilder()
        .subject_name(x509.Name([]))
        .issuer_name(issuer.subject)
        .public_key(private.public_key())
        .serial_number(1)
        .not_valid_before(now)
        .not_valid_after(now + timedelta(days=1))
        .sign(signing, hashes.SHA256())
    )
    text, trusted = leaf.public_bytes(serialization.Encoding.PEM).decode(), court.state.authority.read_bytes()
    with pytest.raises(SignatureError):
        signer(text, b"x", "AAAA", authority=trusted, at=now)


async def test_unknown_trouble_is_no_divergence(court: Court, calls: Calls, monkeypatch: pytest.MonkeyPatch) -> None:
    async def refused(_vault: object, _number: int) -> SignedHead:
        raise VaultError(VaultRefusal.NOT_ALLOWED)

    monkeypatch.setattr(calls, "audit_head", refused)
    await court.live(1)
    assert not court.node.diverged
    with pytest.raises(VaultCallError):
        await court.node._countersign(None)  # type: ignore[arg-type]


# Begun anew by root's order, after one side was put back from a backup alone.


async def restored(court: Court) -> Resumed:
    """The vault's database is of a moment before; what root would order then."""
    await court.live(3)
    with court.house.store.records.database.transaction() as connection:
        connection.execute("DELETE FROM audit WHERE number > 15")
        connection.execute("DELETE FROM witnesses WHERE number > 15")
    await court.live(1)
    assert court.node.diverged
    order = order_of([court.evidence()], court.clock.now())
    assert order is not None
    court.resumed.parent.mkdir(parents=True)
    court.resumed.write_bytes(encode_json(order))
    court.auditor.order = partial(read_resumed, court.resumed)
    return order


async def test_vault_and_node_begin_anew_and_both_chains_name_what_was_seen(court: Court) -> None:
    order = await restored(court)
    assert order.by_nodes == (SeenBy(node="node-1", head=HeadsFile.open(court.state.heads).head),)
    await court.live(2)
    assert not court.node.diverged
    verdict = court.verdict()
    assert verdict.holds
    assert [(one.number, one.seen, one.kept) for one in verdict.breaks] == [(36, 30, False)]
    assert len(read_lines(court.state.heads)) == 2
    assert order_of([court.evidence()], court.clock.now()) is None
    # The same order means nothing to a chain that was cut again: that shows as before.
    with court.house.store.records.database.transaction() as connection:
        connection.execute("DELETE FROM audit WHERE number > 15")
    court.auditor._followed = None
    await court.live(1)
    assert (court.node.diverged, court.verdict().holds) == (True, False)


@pytest.mark.parametrize(("owner", "mode"), [(4242, 0o644), (0, 0o666)])
async def test_nobody_but_root_can_order_it(court: Court, owner: int, mode: int) -> None:
    await restored(court)
    os.chown(court.resumed, owner, -1)
    court.resumed.chmod(mode)
    await court.live(1)
    assert court.node.diverged
    court.auditor.order = partial(read_resumed, court.resumed, owner=owner)  # the seeded defect
    if mode == 0o644:
        await court.live(1)
        assert Tag.AUDIT_RESUMED in {entry.tag for entry in court.evidence().entries}


def test_an_order_that_names_half_of_what_it_concerns_is_none() -> None:
    with pytest.raises(ValueError, match="half"):
        Resumed(vault=EMPTY, control=EMPTY, by_vault=EMPTY)
