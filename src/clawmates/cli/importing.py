"""``clawmates import``: the bots of an export, or of a configuration of OpenClaw, as bots of this platform."""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from clawmates.cli.answers import CommandError, Exit, succeed
from clawmates.cli.bot_options import MOST_INPUT, secrets_of
from clawmates.cli.init import Asked, ask, release_in, until_made
from clawmates.cli.options import answered, json_option, need_root, settings_of, state_option
from clawmates.selfhost import arriving, bots
from clawmates.selfhost.draft import BotError, check
from clawmates.selfhost.fitting import fit
from clawmates.selfhost.making import add_bot
from clawmates.selfhost.wish import fill

if TYPE_CHECKING:
    from collections.abc import Mapping

    from clawmates.base.paths import State
    from clawmates.base.secret import Secret
    from clawmates.selfhost.openclaw.coming import Arrived
    from clawmates.selfhost.openclaw.words import Lost
    from clawmates.selfhost.wish import Wish
    from clawmates.wire.names import ItemName
    from clawmates.wire.release import Release


@click.command("import")
@click.argument("source", type=click.Path(path_type=Path, exists=True))
@click.option("--bot", "name", help="Only this one.")
@click.option("--check", "only_check", is_flag=True, help="Only say what would come of it; nothing is made.")
@click.option(
    "--seal", is_flag=True, help="Take tokens and keys that lie there in the clear; they are sealed into the vault."
)
@click.option(
    "--stdin",
    is_flag=True,
    help="Read secrets from standard input, as JSON by the bots' names:"
    ' {"home": {"channel-token": …, "provider-key": …}}.',
)
@state_option
@json_option
@answered
def import_bots(
    source: Path,
    name: str | None,
    only_check: bool,  # noqa: FBT001 - click's way
    seal: bool,  # noqa: FBT001
    stdin: bool,  # noqa: FBT001
    state: State,
    as_json: bool,  # noqa: FBT001
) -> None:
    """Make bots of what lies in SOURCE: an export, or OpenClaw's `openclaw.json`, its folder, or a zip of both.

    What cannot be taken over is said, place by place. Tokens and keys in it are left out, and asked for, unless you say
    --seal. Either all its bots can be made, or none is.
    """
    arrived = arriving.read(source)
    wishes = arrived.bots if name is None else (arriving.choose(arrived.bots, name),)
    lost = arrived.lost
    if not only_check:
        given = _given() if stdin else {}
        complete = [arrived.sealed(one) if seal else one for one in wishes]
        named = [replace(one, secrets={**one.secrets, **given.get(one.name, {})}) for one in complete]
        lost += _make(state, named, asks=not stdin)
    names = [one.name for one in wishes]
    succeed(
        {
            "bots": names,
            "made": not only_check,
            "lost": lost,
            "loose": {one: sorted(item.value for item in held) for one, held in arrived.loose.items() if one in names},
        },
        as_json=as_json,
        text="\n".join(
            [*_lines(arrived, wishes, made=not only_check, sealed=seal), *(f"  not taken over: {one}" for one in lost)]
        ),
    )


def _make(state: State, wishes: list[Wish], *, asks: bool) -> tuple[Lost, ...]:
    """Makes them, and says what this release's models could not take."""
    need_root()
    settings = settings_of(state)
    if settings.hosted:
        raise CommandError(
            "this platform has accounts, and its bots belong to their owners.",
            code="hosted",
            remedy="They make their bots in the browser; on another host, `clawmates selfhost init --from SOURCE`.",
            exit_code=Exit.USAGE,
        )
    release = release_in(state.release, settings.node.release_key)
    there = [one.name for one in wishes if bots.read(state).bot(one.name) is not None]
    if there:
        raise CommandError(
            f"there is a bot of that name already: {', '.join(there)}.",
            code="exists",
            remedy="`clawmates bot add --from SOURCE --bot NAME` gives it what lies there; or leave it out with --bot.",
            exit_code=Exit.USAGE,
        )
    fitted = [fit(one, release) for one in wishes]
    drafts = [_asked(state, release, one, asks=asks and sys.stdin.isatty()) for one, _ in fitted]
    for asked in drafts:
        until_made(asked, lambda draft: add_bot(state, settings, release, draft))
    return tuple(one for _, lost in fitted for one in lost)


def _asked(state: State, release: Release, wish: Wish, *, asks: bool) -> Asked:
    try:
        draft = fill(wish, None)
        check(draft, release)
    except BotError as error:
        if asks:
            return ask(state, release, wish, {"name": wish.name, "arrived": True, "stdin": False}, opening=wish.name)
        raise CommandError(
            f"{wish.name}: {error}",
            code="bad-bot",
            remedy=f"Nothing was made. Give secrets with --stdin, or make it alone, with another model say:"
            f" `clawmates bot add --from SOURCE --bot {wish.name} --provider … --model …`.",
            exit_code=Exit.USAGE,
        ) from None
    return Asked(draft, None)


def _given() -> Mapping[str, Mapping[ItemName, Secret[str]]]:
    try:
        return {name: secrets_of(one) for name, one in json.loads(sys.stdin.buffer.read(MOST_INPUT)).items()}
    except (ValueError, TypeError, AttributeError, RecursionError):
        raise CommandError(
            "standard input is not a JSON object of objects of strings, by the bots' names.",
            code="bad-input",
            remedy='Give {"home": {"channel-token": "…", "provider-key": "…"}}.',
            exit_code=Exit.USAGE,
        ) from None


def _lines(arrived: Arrived, wishes: tuple[Wish, ...], *, made: bool, sealed: bool) -> list[str]:
    lines = []
    for one in wishes:
        channel = one.channel.value if one.channel else "?"
        paused = ", paused as it is there" if one.paused else ""
        lines.append(f"{'✓' if made else '·'} {one.name}: {channel}, {one.provider} {one.model}{paused}")
        held = ", ".join(sorted(item.value for item in arrived.loose.get(one.name, {})))
        if held and made and sealed:
            lines.append(
                f"  sealed: {held}. It still lies there in the clear: delete it there, or have a new one made."
            )
        elif held:
            lines.append(f"  in the clear there, and left out: {held}. --seal takes it into the vault.")
    return lines
