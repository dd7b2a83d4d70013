"""The claims, tried on a whole platform; and a platform that leaks, found out."""

from __future__ import annotations

import gzip
from collections.abc import Callable
from dataclasses import dataclass

import pytest

from clawmates.proofs.live import LivePlatform
from clawmates.proofs.report import json, text
from clawmates.proofs.result import Claim, Status
from clawmates.proofs.run import run
from clawmates.proofs.trial import Options
from clawmates.trials.throwaway import Bot, Throwaway, throwaway
from clawmates.wire.names import ChannelKind

pytestmark = pytest.mark.timeout(300)
SHORT = Options(messages=4)


@dataclass(slots=True)
class Leaky(LivePlatform):
    """A platform on which somebody keeps what was said."""

    keep: Callable[[str], None] = print

    async def chat(self, bot: str, text: str) -> str:
        self.keep(text)
        return await LivePlatform.chat(self, bot, text)


async def with_bot(trial: Throwaway, *others: str) -> None:
    await trial.add(
        [Bot.invent("canary", ChannelKind.TERMINAL), *(Bot.invent(name, ChannelKind.TELEGRAM) for name in others)]
    )
    await trial.until_live("canary", *others)


async def test_both_claims_hold_on_a_platform_with_its_own_disk() -> None:
    async with throwaway(disk=True) as trial:
        await with_bot(trial, "neighbour")
        report = await run(trial.live, ["no-storage", "isolation"], SHORT)
    assert {claim.id: claim.status for claim in report.claims} == {
        Claim.NO_STORAGE: Status.HELD,
        Claim.ISOLATION: Status.HELD,
    }, text(report)
    assert report.exit_code == 0
    figures = report.claims[0].evidence.figures
    assert figures["messages"] == 4
    assert figures["provider_errors"] == 1
    assert figures["kills"] == 1
    attempts = report.claims[1].evidence
    assert int(attempts.figures["probes_that_count"]) >= 60, text(report)
    verdicts = {row[0]: row[4] for row in attempts.tables[0].rows}
    assert verdicts["door-of-another-bot"] == verdicts["memory-hog"] == verdicts["fork-bomb"] == "denied"


@pytest.mark.parametrize("packed", [False, True])
async def test_one_kept_message_breaks_the_claim_and_is_not_shown(packed: bool) -> None:  # noqa: FBT001
    said: list[str] = []
    async with throwaway(disk=True) as trial:
        await with_bot(trial)

        def keep(message: str) -> None:
            said.append(message)
            raw = message.encode()
            (trial.state.log / "kept").write_bytes(gzip.compress(raw) if packed else raw.hex().encode())

        leaky = Leaky(trial.state, trial.live.settings, trial.live.apart, trial.live.provoke, keep=keep)
        try:
            report = await run(leaky, ["no-storage"], SHORT)
        finally:
            await leaky.close()
    (claim,) = report.claims
    assert claim.status is Status.BROKEN
    assert report.exit_code == 1
    assert any(
        "state folder" in found and ("gzip" in found if packed else "hex" in found) for found in claim.evidence.found
    )
    shown = json(report).decode() + text(report)
    assert said
    assert not any(message in shown for message in said)
