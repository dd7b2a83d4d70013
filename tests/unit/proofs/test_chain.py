"""The audit chain, recomputed by other code, and forgeries of it."""

from __future__ import annotations

from collections.abc import Sequence

from clawmates.base.shape import encode_json
from clawmates.proofs.claims.chain import GENESIS, forged, head_of, mutations
from clawmates.selfhost.auditing import Evidence
from clawmates.wire.audit import Entry, chained
from clawmates.wire.vault_deeds import OfBot


def entries(count: int = 5) -> list[Entry]:
    previous, found = GENESIS, []
    for number in range(1, count + 1):
        at, detail = f"2026-11-0{number}T00:00:00+00:00", encode_json(OfBot(bot=f"bot-{number}")).decode()
        previous = chained(previous, number, at, "vault.bot.frozen", detail)
        found.append(Entry(number=number, at=at, tag="vault.bot.frozen", detail=detail, hash=previous.hex()))
    return found


def evidence(chain: Sequence[Entry]) -> Evidence:
    return Evidence(region="eu", node="node-1", trusted=b"", entries=chain, witnesses=(), lines=())


def test_the_last_hash_comes_out_the_same_by_other_code() -> None:
    whole = entries()
    assert head_of(whole).hex() == whole[-1].hash
    assert head_of(()) == GENESIS


def test_a_forged_chain_hangs_together_and_is_another() -> None:
    whole = entries()
    changed = forged([whole[1], *whole[1:]])
    assert head_of(changed).hex() == changed[-1].hash != whole[-1].hash
    assert forged(whole) == whole


def test_without_countersignatures_only_what_a_hash_betrays_is_tried() -> None:
    tried = mutations(evidence(entries()))
    assert set(tried) == {"one entry left out", "two entries in another order", "one moment changed"}
    for changed in tried.values():
        assert list(changed.entries) != entries()
        assert head_of(changed.entries).hex() != entries()[-1].hash
