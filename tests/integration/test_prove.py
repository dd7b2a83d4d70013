"""The claims, tried on a whole platform; and then the same platform leaks, and is found out."""

from __future__ import annotations

import gzip
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, replace

import pytest
import pytest_asyncio

from clawmates.proofs.live import LivePlatform
from clawmates.proofs.report import json, text
from clawmates.proofs.result import Claim, Report, Status
from clawmates.proofs.run import run
from clawmates.proofs.searched import Host
from clawmates.proofs.trial import Options
from clawmates.trials.throwaway import Bot, Throwaway, throwaway
from clawmates.wire.names import ChannelKind

pytestmark = pytest.mark.timeout(300)
SHORT = Options(messages=1, kills=1)
ONLY_TALK = Options(messages=16, kills=0, host=replace(Host.here(), rest=()))
"""So many that some are answered by the model, between the errors that it meets. What is kept is not elsewhere."""


@dataclass(slots=True)
class Leaky(LivePlatform):
    """A platform on which somebody keeps what was said."""

    keep: Callable[[str], None] = print

    async def chat(self, bot: str, text: str) -> str:
        self.keep(text)
        return await LivePlatform.chat(self, bot, text)


async def with_bot(trial: Throwaway, *others: str) -> None:
    secret = trial.stand_ins.secret
    canary = Bot.invent("canary", ChannelKind.TERMINAL, mark=secret.stem)
    crowd = [Bot.invent(name, ChannelKind.TELEGRAM, "anthropic", mark=secret.stem) for name in others]
    await trial.add([canary, *crowd], prompt=f"You are helpful. {secret.mark}")
    await trial.until_live("canary", *others)
    await trial.simulator.set_style(first_byte_ms=60, gap_ms=10)


@dataclass(frozen=True, slots=True)
class Seen:
    """What was found out about one platform: as it is, and once somebody keeps what was said, and a key."""

    whole: Report
    leaky: Report
    said: tuple[str, ...]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def seen() -> AsyncIterator[Seen]:
    async with throwaway(disk=True) as trial:
        await with_bot(trial, "neighbour")
        whole = await run(trial.live, ["no-storage", "isolation", "inventory", "retention"], SHORT)
        said: list[str] = []

        def keep(message: str) -> None:
            said.append(message)
            raw = message.encode()
            (trial.state.log / "kept").write_bytes(raw.hex().encode())
            (trial.state.log / "packed").write_bytes(gzip.compress(raw))

        (trial.state.log / "key").write_text(trial.bots["canary"].key)
        leaky = Leaky(trial.state, trial.live.settings, trial.live.apart, trial.live.stand_ins, keep=keep)
        try:
            yield Seen(whole, await run(leaky, ["no-storage"], ONLY_TALK), tuple(said))
        finally:
            await leaky.close()


def test_claims_hold_on_a_platform_with_its_own_disk(seen: Seen) -> None:
    report = seen.whole
    assert {claim.id: claim.status for claim in report.claims} == {
        Claim.NO_STORAGE: Status.HELD,
        Claim.ISOLATION: Status.HELD,
        Claim.INVENTORY: Status.HELD,
        Claim.RETENTION: Status.NOT_HERE,
    }, text(report)
    assert report.exit_code == 0
    figures = report.claims[0].evidence.figures
    assert (figures["bots"], figures["kills"], figures["planned_exchanges"]) == (2, 4, 1)
    assert int(figures["errors_met"]) > 0
    assert int(figures["drafts"]) > 0
    assert figures["edits"] == 1
    attempts = report.claims[1].evidence
    assert int(attempts.figures["probes_that_count"]) >= 60, text(report)
    verdicts = {row[0]: row[4] for row in attempts.tables[0].rows}
    assert verdicts["door-of-another-bot"] == verdicts["memory-hog"] == verdicts["fork-bomb"] == "denied"


@pytest.mark.parametrize("form", ["hex", "gzip"])
def test_one_kept_message_breaks_the_claim_and_is_not_shown(seen: Seen, form: str) -> None:
    (claim,) = seen.leaky.claims
    assert claim.status is Status.BROKEN
    assert seen.leaky.exit_code == 1
    assert any("state folder" in found and form in found for found in claim.evidence.found)
    shown = json(seen.leaky).decode() + text(seen.leaky)
    assert seen.said
    assert not any(message in shown for message in seen.said)


def test_a_key_that_somebody_wrote_down_breaks_the_claim(seen: Seen) -> None:
    (claim,) = seen.leaky.claims
    # In the folder, and on the raw disk below it; nothing else is found there than what was kept.
    raw = "credential or prompt, raw"
    assert any("state folder" in found and raw in found for found in claim.evidence.found), text(seen.leaky)
    assert all(any(one in found for one in (raw, "hex", "gzip")) for found in claim.evidence.found), text(seen.leaky)
