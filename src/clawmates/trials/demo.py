"""``make demo``: a whole platform on this machine, and what there is to see of it."""

from __future__ import annotations

import argparse
import asyncio
import signal
import sys
import textwrap
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from clawmates.proofs.report import table
from clawmates.proofs.result import Claim
from clawmates.proofs.run import run as prove
from clawmates.proofs.trial import Options
from clawmates.selfhost.accounts import SERVICES, account_of, separation
from clawmates.selfhost.shown import isolation_table
from clawmates.simulator.model import Service
from clawmates.trials.hosted import free_port, hosted, sign_in_link, terminal
from clawmates.trials.measure import MIB, pss
from clawmates.trials.running import run as run_trial
from clawmates.trials.throwaway import Bot, Throwaway, throwaway
from clawmates.wire.gateway_client import GatewayClient
from clawmates.wire.names import ChannelKind

if TYPE_CHECKING:
    from clawmates.proofs.result import Report
    from clawmates.wire.status import BotStatus

PERSON = 4711
QUESTIONS = (
    "What is the capital of Portugal?",
    "And how do I get there by train from Frankfurt?",
    "Thank you. Which of my questions do you remember?",
)
ANSWER_SECONDS = 30.0
_BOLD, _DIM, _CYAN, _GREEN, _PLAIN = ("\033[1m", "\033[2m", "\033[36m", "\033[32m", "\033[0m")


def say(text: str = "") -> None:
    """One line, at once, even into a pipe."""
    sys.stdout.write(_coloured(text) + "\n")
    sys.stdout.flush()


def _coloured(text: str) -> str:
    if sys.stdout.isatty():
        return text
    for code in (_BOLD, _DIM, _CYAN, _GREEN, _PLAIN):
        text = text.replace(code, "")
    return text


def title(text: str) -> None:
    """A heading."""
    say(f"\n{_BOLD}{text}{_PLAIN}")


async def demo(*, keep: bool) -> int:
    """Runs it all; the exit code is 0 when every claim that was tried held."""
    say(f"{_BOLD}ClawMates{_PLAIN}: a whole platform on this machine. Telegram and OpenAI are local stand-ins here,")
    say("over TLS 1.3 and by their published rules; everything else is the real thing.")
    begun = time.monotonic()
    async with throwaway(disk=True) as trial:
        title("The platform")
        _show_processes(trial, time.monotonic() - begun)
        bot = Bot.invent("demo", ChannelKind.TELEGRAM)
        begun = time.monotonic()
        await trial.add([bot, Bot.invent("console", ChannelKind.TERMINAL)])
        status = (await trial.until_live("demo", "console"))[0]
        say(f"  @{status.username} is live {time.monotonic() - begun:.2f} s after its credentials were sealed")
        title("A conversation in Telegram")
        await trial.simulator.set_style(first_byte_ms=150, gap_ms=25)
        for question in QUESTIONS:
            await _converse(trial, bot, question)
        title("The container, as read back from the kernel")
        status = (await trial.until_live("demo"))[0]
        say(isolation_table(status.isolation))
        title("Memory")
        await _show_memory(trial, status)
        title("Where the bytes went")
        await _show_flows(trial)
        title("What `prove` finds")
        report = await prove(trial.live, [Claim.NO_STORAGE, Claim.ISOLATION], Options(messages=12))
        say(_short(report))
        with terminal() as (handed, screen):
            async with throwaway(settings=hosted(free_port()), terminal=handed) as web:
                title("The same, hosted: people make their bots in a browser")
                await _show_web(web, screen)
                if keep:
                    await _stay(trial, web)
    say(
        f"\n{_GREEN}done{_PLAIN}: everything was stopped and removed" if not report.exit_code else "\na claim is broken"
    )
    return report.exit_code


def _show_processes(trial: Throwaway, seconds: float) -> None:
    pids = {name: trial.platform.supervisor.pid(name) for name in SERVICES}
    for name, pid in pids.items():
        say(f"  {name:<8} process {pid:<7} user {account_of(name).name or 'root'}")
    say(f"  up after {seconds:.1f} s, {separation(pids)}; state on a throw-away disk, runtime in RAM")


async def _converse(trial: Throwaway, bot: Bot, question: str) -> None:
    say(f"\n  {_CYAN}you{_PLAIN}  {question}")
    before = await trial.simulator.sent(bot.token, PERSON)
    last = (await trial.simulator.status()).last_telegram
    begun = time.monotonic()
    await trial.simulator.say(bot.token, PERSON, question)
    drafts = Drafts(trial)
    streaming = asyncio.create_task(drafts.follow(last))
    after = before[-1].message_id if before else 0
    reply = await trial.simulator.wait_reply(bot.token, PERSON, after=after, timeout=ANSWER_SECONDS)
    streaming.cancel()
    await asyncio.wait([streaming])
    shown = f"first words after {(drafts.first or reply.received) - begun:.2f} s, "
    if sys.stdout.isatty():
        sys.stdout.write("\r\033[K")
    say(f"  {_GREEN}bot{_PLAIN}  {reply.text}")
    say(f"       {_DIM}{shown}the whole answer after {reply.received - begun:.2f} s{_PLAIN}")


@dataclass(slots=True)
class Drafts:
    """The drafts that a person would see growing; ``first`` is when the first one came."""

    trial: Throwaway
    first: float = 0.0

    async def follow(self, after: int) -> None:
        """Shows them until cancelled."""
        while True:
            calls = await self.trial.simulator.wait_call(
                Service.TELEGRAM, "sendMessageDraft", after=after, timeout=ANSWER_SECONDS
            )
            after = calls[-1].number
            self.first = self.first or calls[0].received
            if sys.stdout.isatty():
                sys.stdout.write(f"\r\033[K  {_DIM}bot  {str(calls[-1].parameters.get('text'))[:90]}{_PLAIN}")
                sys.stdout.flush()


async def _show_memory(trial: Throwaway, bot: BotStatus) -> None:
    say(f"  the bot's container  {bot.memory_bytes / 2**20:6.1f} MiB (its cgroup: all of it, kernel memory too)")
    for name, pid in (await trial.live.processes()).items():
        if name in {"vault", "gateway", "node"}:
            say(f"  {name:<20} {pss(pid) / MIB:6.1f} MiB (proportional set size)")


async def _show_flows(trial: Throwaway) -> None:
    status = await GatewayClient(trial.live.run.gateway).status()
    for flow in status.flows:
        if flow.bot == "demo":
            say(
                f"  demo → {flow.host:<18} {flow.bytes_out:>7} bytes out, {flow.bytes_in:>7} in, "
                f"{flow.connections} connections, TLS 1.3, opaque to the gateway"
            )
    say("  and to nowhere else: the container has no network, and the gateway refuses every other host")


def _short(report: Report) -> str:
    """The summaries, and the table of what was searched; the isolation stands above already."""
    lines = [f"{claim.id}: {claim.status}. {claim.evidence.summary}" for claim in report.claims]
    lines += [f"  against it: {found}" for claim in report.claims for found in claim.evidence.found]
    searched = next((claim.evidence.table for claim in report.claims if claim.id is Claim.NO_STORAGE), ())
    wrapped = [part for line in lines for part in textwrap.wrap(line, 96, subsequent_indent="    ")]
    return "\n".join("  " + line for line in [*wrapped, "", *(table(searched) if searched else ())])


async def _show_web(web: Throwaway, screen: int) -> None:
    bot = Bot.invent("web", ChannelKind.TELEGRAM)
    await web.introduce(bot, web.model)
    say(f"  address    {web.platform.settings.control.origin}")
    say(f"  sign in    {await sign_in_link(web, 'ada@example.org', screen)}")
    say(f"             good once, for 15 minutes; a browser trusts it with the authority {web.state.authority}")
    say(f"  bot token  {bot.token}")
    say(f"  API key    {bot.key}")
    say("             made up, and known to the stand-ins: with these two a bot that is launched there turns live")


async def _stay(trial: Throwaway, web: Throwaway) -> None:
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    say(f"\nIt keeps running. Look around with  clawmates status --state {trial.state.root}")
    say(f"talk to it with  clawmates chat --state {trial.state.root}")
    say(f"or launch a bot in a browser at {web.platform.settings.control.origin}   (Ctrl-C here ends it)")
    await stop.wait()


def main() -> int:
    """Parses the command line and says in one sentence what is missing."""
    parser = argparse.ArgumentParser(prog="make demo", description=__doc__)
    parser.add_argument("--keep", action="store_true", help="keep it running until Ctrl-C")
    wanted = parser.parse_args()
    return run_trial(demo(keep=wanted.keep))


if __name__ == "__main__":
    sys.exit(main())
