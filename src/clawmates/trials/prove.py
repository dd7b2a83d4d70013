"""``make prove``: the claims, tried on a throw-away platform whose disk can be read raw."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

from clawmates.base.clock import SystemClock
from clawmates.proofs.circumstances import Circumstances, Watch
from clawmates.proofs.result import Claim, Report
from clawmates.proofs.run import leave, run, show
from clawmates.proofs.trial import Options
from clawmates.trials.cable import Cable, NoCableError, plug
from clawmates.trials.disk import Apart, NoDiskError, mounts_apart, write_through
from clawmates.trials.hosted import CLAIMS, a_hosted_one
from clawmates.trials.running import MISSING
from clawmates.trials.running import run as run_trial
from clawmates.trials.throwaway import Bot, Throwaway, throwaway
from clawmates.trials.world import world_of
from clawmates.wire.names import ChannelKind

UNHURRIED = {"gateway": {"limits": {"turns_per_minute": 6000}}}
"""A trial says more in a minute than people do; turned away by the gateway, a canary would never reach a provider."""


async def main(
    claims: list[str],
    options: Options,
    there: tuple[Cable, Apart],
    *,
    as_json: bool,
    page: str,
    few: bool,
    on_postgresql: bool,
) -> int:
    """Starts the platforms that the claims are about, one after the other, and tries them; the exit code."""
    watch = Watch(SystemClock())
    watch.start()
    wanted = [Claim(one) for one in claims] or list(Claim)
    parts = []
    if at_home := [one.value for one in wanted if one not in CLAIMS]:
        parts.append(await _at_home(at_home, options, there, watch, few=few))
    if among_others := [one.value for one in wanted if one in CLAIMS]:
        async with a_hosted_one(on_postgresql=on_postgresql) as trial:
            parts.append(await _tried(trial, among_others, options, watch))
    order = list(Claim)
    tried = sorted((one for part in parts for one in part[0].claims), key=lambda one: order.index(one.id))
    if page:
        leave(Report(claims=tuple(tried)), parts[-1][1], page)
    return show(Report(claims=tuple(tried)), as_json=as_json)


async def _at_home(
    claims: list[str], options: Options, there: tuple[Cable, Apart], watch: Watch, *, few: bool
) -> tuple[Report, Circumstances]:
    """A self-hosted platform with a bot of each channel at each provider."""
    cable, apart = there
    async with throwaway(disk=True, cable=cable, apart=apart, settings=UNHURRIED) as trial, world_of(trial):
        bots = crowd(trial, few=few)
        await trial.add(bots, prompt=f"You are helpful. {trial.stand_ins.secret.mark}")
        await trial.until_live(*(bot.name for bot in bots))
        # Faster than any real model; at once would be a race of schedulers, and a kill would never meet an answer.
        await trial.simulator.set_style(first_byte_ms=60, gap_ms=5)
        if trial.place is not None:
            write_through(trial.place)
        return await _tried(trial, claims, options, watch)


async def _tried(trial: Throwaway, claims: list[str], options: Options, watch: Watch) -> tuple[Report, Circumstances]:
    report = await run(trial.live, claims, options)
    return report, await watch.stop(trial.live, full=options.full)


def crowd(trial: Throwaway, *, few: bool = False) -> list[Bot]:
    """A bot of each channel at each provider, with a canary in every credential; ``few``: the channels in turn."""
    mark = trial.stand_ins.secret.stem
    return [
        Bot.invent(f"{provider.id}-{channel}", channel, provider.id, mark=mark)
        for place, provider in enumerate(trial.release.providers)
        for number, channel in enumerate((ChannelKind.TERMINAL, ChannelKind.TELEGRAM))
        if not few or (place + number) % 2 == 0
    ]


def _anchored(page: str) -> str:
    """The same place, held open: the trial is about to cover folders with others of its own. Raises ``OSError``."""
    if not page:
        return ""
    folder = os.open(Path(page).parent, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    return f"/proc/{os.getpid()}/fd/{folder}/{Path(page).name}"


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make prove", description=__doc__)
    parser.add_argument("--claim", action="append", default=[], choices=[claim.value for claim in Claim])
    parser.add_argument("--messages", type=int)
    parser.add_argument("--kills", type=int)
    parser.add_argument("--full", action="store_true")
    parser.add_argument("--few", action="store_true", help="one bot for each provider, the channels in turn")
    parser.add_argument("--postgresql", action="store_true", help="the hosted platform's database is a PostgreSQL")
    parser.add_argument("--json", dest="as_json", action="store_true")
    parser.add_argument("--html", default="", metavar="PATH", help="write the report as one page to show to others")
    return parser.parse_args()


if __name__ == "__main__":
    wanted = _arguments()
    options = Options.of(full=wanted.full, messages=wanted.messages, kills=wanted.kills)
    try:
        page = _anchored(wanted.html)
        there = plug(), mounts_apart()
    except OSError as problem:
        sys.stderr.write(f"error: the page cannot be written to {wanted.html}: {os.strerror(problem.errno or 0)}\n")
        sys.exit(MISSING)
    except (NoCableError, NoDiskError) as problem:
        sys.stderr.write(f"error: {problem}\n")
        sys.exit(MISSING)
    told = {"as_json": wanted.as_json, "page": page, "few": wanted.few, "on_postgresql": wanted.postgresql}
    sys.exit(run_trial(main(wanted.claim, options, there, **told)))
