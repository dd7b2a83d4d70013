"""One claim on the smallest platform that it can be tried on: what ``make test`` does to a broken copy.

Run by the copy's own interpreter: ``python -I -m clawmates.trials.mutant CLAIM``. Two bots at most, few messages,
no disk of its own and no kills; ``make mutate`` takes the platform of ``make prove``, with a bot for each provider.
"""

from __future__ import annotations

import sys
from dataclasses import replace

from clawmates.proofs.result import Claim
from clawmates.proofs.run import tell
from clawmates.proofs.searched import Host
from clawmates.proofs.trial import Options
from clawmates.trials.cable import Cable, NoCableError, plug
from clawmates.trials.hosted import CLAIMS, a_hosted_one
from clawmates.trials.running import MISSING
from clawmates.trials.running import run as run_trial
from clawmates.trials.throwaway import Bot, throwaway
from clawmates.trials.world import world_of
from clawmates.wire.names import ChannelKind

SHORT = Options(messages=4, kills=0, host=replace(Host.here(), rest=()))
"""What is said is looked for where programs leave things; where else on this host only a defect's absence is shown."""


async def main(claim: Claim, cable: Cable) -> int:
    """Starts the platform, tries the claim, prints the report as JSON."""
    if claim in CLAIMS:
        async with a_hosted_one() as trial:
            return await tell(trial.live, [claim.value], SHORT, as_json=True)
    async with throwaway(cable=cable) as trial, world_of(trial):
        bots = [Bot.invent("canary", ChannelKind.TERMINAL)]
        if claim is not Claim.VAULT:  # it makes one of its own
            bots.append(Bot.invent("neighbour", ChannelKind.TELEGRAM))
        await trial.add(bots)
        await trial.until_live(*(bot.name for bot in bots))
        return await tell(trial.live, [claim.value], SHORT, as_json=True)


if __name__ == "__main__":
    try:
        there = plug()
    except NoCableError as problem:
        sys.stderr.write(f"error: {problem}\n")
        sys.exit(MISSING)
    sys.exit(run_trial(main(Claim(sys.argv[1]), there)))
