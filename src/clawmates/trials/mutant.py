"""One claim on the smallest platform that it can be tried on: what ``make test`` does to a broken copy.

Run by the copy's own interpreter: ``python -I -m clawmates.trials.mutant CLAIM``. Two bots, few messages, no disk of
its own and no kills; ``make mutate`` takes the platform of ``make prove`` instead, with one bot for each provider.
"""

from __future__ import annotations

import sys

from clawmates.proofs.result import Claim
from clawmates.proofs.run import tell
from clawmates.proofs.trial import Options
from clawmates.trials.cable import Cable, NoCableError, plug
from clawmates.trials.hosted import CLAIMS, a_hosted_one
from clawmates.trials.running import MISSING
from clawmates.trials.running import run as run_trial
from clawmates.trials.throwaway import Bot, throwaway
from clawmates.trials.world import world_of
from clawmates.wire.names import ChannelKind

SHORT = Options(messages=4, kills=0)


async def main(claim: Claim, cable: Cable) -> int:
    """Starts the platform, tries the claim, prints the report as JSON."""
    if claim in CLAIMS:
        async with a_hosted_one() as trial:
            return await tell(trial.live, [claim.value], SHORT, as_json=True)
    async with throwaway(cable=cable) as trial, world_of(trial):
        await trial.add([Bot.invent("canary", ChannelKind.TERMINAL), Bot.invent("neighbour", ChannelKind.TELEGRAM)])
        await trial.until_live("canary", "neighbour")
        return await tell(trial.live, [claim.value], SHORT, as_json=True)


if __name__ == "__main__":
    try:
        there = plug()
    except NoCableError as problem:
        sys.stderr.write(f"error: {problem}\n")
        sys.exit(MISSING)
    sys.exit(run_trial(main(Claim(sys.argv[1]), there)))
