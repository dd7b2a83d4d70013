"""The steps by which one life of a bot follows another; :mod:`clawmates.node.reconcile` says when."""

from __future__ import annotations

from typing import TYPE_CHECKING

from clawmates.node.events import Happening
from clawmates.node.hold import READY_SECONDS, Heir
from clawmates.node.reconcile import Verb, Wanted
from clawmates.node.spec import USER, first_uid
from clawmates.node.steps import Order
from clawmates.wire.codes import Trouble

if TYPE_CHECKING:
    from clawmates.node.hold import Hold
    from clawmates.node.host import Host


async def carry_out(host: Host, verb: Verb, hold: Hold, wanted: Wanted | Trouble | None) -> None:
    """One of them. Raises ``StepFailedError``, ``GatewayError`` and ``OSError``."""
    match verb:
        case Verb.REPLACE if isinstance(wanted, Wanted):
            await _replace(host, hold, wanted)
        case Verb.PROMOTE:
            _promote(host, hold)
        case Verb.ABANDON:
            await _abandon(host, hold)
        case Verb.RETIRE:
            await _retire(host, hold)
        case _:
            return


async def _replace(host: Host, hold: Hold, wanted: Wanted) -> None:
    """The next life, beside the one that runs: sound and ticketed, or not there at all."""
    generation = hold.next_generation(host.clock.now().timestamp())
    host.say(Happening.REPLACING, hold)
    started = await host.steps.start(
        Order(
            bot=hold.bot,
            generation=generation,
            container=host.container(wanted.bot, wanted.release, hold, generation),
            door=wanted.door,
            items=wanted.bot.items,
            ticket_first=True,
            predecessor=hold.generation,
        )
    )
    hold.heir = Heir(
        running=started.running,
        items=dict(wanted.bot.items),
        findings=started.findings,
        written=started.written,
        until=host.now + READY_SECONDS,
    )


def _promote(host: Host, hold: Hold) -> None:
    if hold.heir is None:
        return
    host.steps.crown(hold.bot, hold.heir.generation, first_uid(hold.slot) + USER)
    hold.inherits(host.now)
    host.say(Happening.REPLACED, hold)


async def _abandon(host: Host, hold: Hold) -> None:
    if hold.heir is None:
        return
    await host.steps.stop(hold.heir.running.name)
    host.steps.boot.drop(hold.bot, hold.heir.generation)
    hold.loses_heir(host.now, host.jitter(), Trouble.NOT_REPLACED, host.at)
    host.say(Trouble.NOT_REPLACED, hold)


async def _retire(host: Host, hold: Hold) -> None:
    """Its own clean end: whoever waits for an answer gets it, and the rest comes again from the messenger."""
    if hold.running is not None:
        await host.steps.stop(hold.running.name)
        hold.gone()
