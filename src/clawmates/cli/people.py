"""``clawmates bot pair`` and ``clawmates bot people``: who may talk to a bot.

Numbers of people are personal data: they are typed hidden or come on standard input, and never stand in an argument.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import click

from clawmates.base.shape import ShapeError, decode_json
from clawmates.cli.answers import CommandError, Exit, succeed
from clawmates.cli.options import answered, json_option, need_root, settings_of, state_option
from clawmates.selfhost import bots, layout, pairing
from clawmates.selfhost import people as lists
from clawmates.selfhost.install import vault_of
from clawmates.selfhost.qr import qr_code
from clawmates.wire.desired import Access
from clawmates.wire.names import ChannelKind
from clawmates.wire.people import MOST_PEOPLE

if TYPE_CHECKING:
    from clawmates.base.paths import State
    from clawmates.wire.desired import BotSpec
    from clawmates.wire.people import People

MOST_GIVEN = 1 << 17
_GIVEN = 'Give {"admit": ["…"], "remove": ["…"]}, with numbers in quotes.'


@dataclass(frozen=True, slots=True, kw_only=True)
class _Given:
    admit: tuple[str, ...] = ()
    remove: tuple[str, ...] = ()


@click.command()
@click.argument("name")
@click.option("--replace", "void_others", is_flag=True, help="Void the codes that are pending.")
@state_option
@json_option
@answered
async def pair(state: State, name: str, void_others: bool, as_json: bool) -> None:  # noqa: FBT001 - click's way
    """Make a code that lets one person talk to a bot; the first person becomes its owner.

    The code is good for an hour, and once. It is shown here and kept nowhere.
    """
    need_root()
    settings = settings_of(state)
    issued = await pairing.pair(state, settings, name, datetime.now(UTC), void_others=void_others)
    link = issued.link.reveal()
    lines = [
        f"Send this to the bot:  {issued.grouped}",
        *([f"or open                {link}"] if link else []),
        f"It lets one person in, until {issued.ends}.",
        *([] if layout.in_use(settings.run) else ["The platform does not run: start it with `clawmates up`."]),
        *([f"\n{qr_code(link)}"] if link and sys.stdout.isatty() else []),
    ]
    data = {"bot": name, "code": issued.code.reveal(), "link": link, "ends": issued.ends}
    succeed(data, as_json=as_json, text="\n".join(lines))


@click.command()
@click.argument("name")
@click.option("--admit", is_flag=True, help="Let people in by their Telegram user ids; asks for them.")
@click.option("--remove", is_flag=True, help="Let people in no more; asks for their ids.")
@click.option("--stdin", "from_stdin", is_flag=True, help="Read ids from standard input. " + _GIVEN)
@click.option("--clear", is_flag=True, help="Begin a new, empty list.")
@click.option(
    "--set", "access", type=click.Choice([one.value for one in Access]), help="Who may talk to it from now on."
)
@state_option
@json_option
@answered
async def people(  # noqa: PLR0913 - one an option
    state: State,
    name: str,
    *,
    admit: bool,
    remove: bool,
    from_stdin: bool,
    clear: bool,
    access: str | None,
    as_json: bool,
) -> None:
    """Show who may talk to a bot, or change it; a running bot follows within a second.

    The first person who is let in is the owner, whom the bot tells what changes about it.
    """
    need_root()
    settings = settings_of(state)
    before = spec = bots.find(bots.read(state), name)
    if spec.channel is ChannelKind.TERMINAL:
        raise lists.PeopleError(
            f"{name!r} is reached at the terminal: whoever may run `clawmates chat` may talk to it."
        )
    coming, going = _from_stdin() if from_stdin else (_asked("admitted", admit), _asked("removed", remove))
    async with vault_of(state, settings) as vault:
        if coming or going or clear:
            spec, now = await lists.change(
                spec, vault, lambda people: people.remove(*going).admit(*coming), afresh=clear
            )
        else:
            now = await lists.show(spec, vault)
    if access is not None:
        spec = replace(spec, access=Access(access))
    if spec != before:
        bots.put(state, spec)
    data = {"bot": name, "access": spec.access, "owner": now.owner, "people": now.people}
    succeed(data, as_json=as_json, text=_text(spec, now))


def _text(spec: BotSpec, now: People) -> str:
    who = {
        Access.PAIRED: f"who sends a code of `clawmates bot pair {spec.id}`, and these",
        Access.LIST: "these",
        Access.OPEN: "everybody who finds it; these were let in by name or code",
    }[spec.access]
    lines = [f"{person}{'  owner' if person == now.owner else ''}" for person in now.people] or ["nobody yet"]
    return "\n".join((f"{spec.id}: {who} ({len(now.people)} of at most {MOST_PEOPLE}):", *lines))


def _asked(what: str, wanted: bool) -> tuple[str, ...]:  # noqa: FBT001 - a flag of click's
    if not wanted:
        return ()
    if not sys.stdin.isatty():
        raise CommandError("nobody is there to answer questions.", code="usage", remedy=_GIVEN, exit_code=Exit.USAGE)
    typed = click.prompt(f"Telegram user ids to be {what}, with spaces between (not shown)", hide_input=True)
    return lists.check(typed.replace(",", " ").split())


def _from_stdin() -> tuple[tuple[str, ...], tuple[str, ...]]:
    try:
        given = decode_json(_Given, sys.stdin.buffer.read(MOST_GIVEN))
    except ShapeError:
        raise CommandError(
            "standard input is not a JSON object of two lists.", code="bad-input", remedy=_GIVEN, exit_code=Exit.USAGE
        ) from None
    return lists.check(given.admit), lists.check(given.remove)
