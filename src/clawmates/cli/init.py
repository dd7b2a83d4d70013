"""``clawmates selfhost init`` and ``clawmates bot add``: questions with hidden input, or flags and standard input."""

from __future__ import annotations

import asyncio
import sys
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import click
from click.core import ParameterSource

from clawmates.cli.answers import CommandError, Exit, as_command_error, succeed
from clawmates.cli.bot_options import bot_options, said
from clawmates.cli.dialogue import BACK, Dialogue, Terminal
from clawmates.cli.install_options import Place, place_options
from clawmates.cli.interview import Facts, Interview, language_here
from clawmates.cli.options import answered, json_option, need_root, settings_of, state_option
from clawmates.selfhost import bots
from clawmates.selfhost.draft import BotError, Draft, check
from clawmates.selfhost.making import add_bot, make_platform
from clawmates.selfhost.wish import fill
from clawmates.wire.desired import Access
from clawmates.wire.names import ChannelKind
from clawmates.wire.releases import ReleaseError
from clawmates.wire.releases import load as load_release

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine
    from pathlib import Path

    from clawmates.base.paths import State
    from clawmates.selfhost.wish import Wish
    from clawmates.wire.desired import BotSpec
    from clawmates.wire.release import Release

FIRST, MORE = "A bot of your own, in about a minute", "One more bot"


@dataclass(frozen=True, slots=True)
class Asked:
    """A draft, and the dialogue it came from, if there was one."""

    draft: Draft
    dialogue: Dialogue | None


@click.command()
@place_options
@bot_options
@json_option
@answered
def init(place: Place, as_json: bool, **options: Any) -> None:  # noqa: FBT001 - click's way
    """Make a platform on this host, with a first bot.

    Without options it asks. The token and the key are sealed to the vault at once; they are never written anywhere
    in the clear and never appear on a command line. Ctrl-C at any time leaves nothing behind.
    """
    need_root()
    state = place.state
    there = state.config.exists()
    if there:
        _check_same(place)
    plan = place.plan()
    catalogue = release_in(place.release)
    asked = ask(state, catalogue, said(options), options, opening=MORE if there else FIRST)
    spec = until_made(asked, lambda draft: make_platform(plan, draft, datetime.now(UTC)))
    succeed(spec, as_json=as_json, text=made(spec, catalogue, asked.dialogue))
    if asked.dialogue is not None and asked.dialogue.agreed("Start it now, in this terminal?"):
        # What runs a platform takes a quarter of what loading this command takes, and few start one here.
        from clawmates.cli.running import run_platform  # noqa: PLC0415

        asyncio.run(run_platform(state, leave_bots=False, newcomer=spec.id))
    elif not as_json:
        click.echo(f"\nStart it with:  {place.up}")


@click.command()
@state_option
@bot_options
@json_option
@answered
def add(state: State, as_json: bool, **options: Any) -> None:  # noqa: FBT001
    """Add a bot, or change what one of the same name has: only what you say is changed.

    *none* takes a limit, a temperature or a fallback away again.
    """
    need_root()
    settings = settings_of(state)
    catalogue = release_in(state.release, settings.node.release_key)
    asked = ask(state, catalogue, said(options), options, opening=MORE)
    spec = until_made(asked, lambda draft: add_bot(state, settings, catalogue, draft))
    succeed(spec, as_json=as_json, text=made(spec, catalogue, asked.dialogue))


def _check_same(place: Place) -> None:
    """An option that a platform which is there already would not follow is refused, not passed over."""
    settings, source = settings_of(place.state), click.get_current_context().get_parameter_source
    run, vault = str(settings.run.root), settings.vault.listen
    for name, value, now in (("run", str(place.run), run), ("listen", place.listen, vault)):
        if value != now and source(name) is ParameterSource.COMMANDLINE:
            raise CommandError(
                f"there is a platform in {place.state.root} already, and its --{name} is {now}.",
                code="platform-there",
                remedy=f"Leave --{name} out, or change {place.state.config}.",
                exit_code=Exit.USAGE,
            )


def release_in(folder: Path, public: str = "") -> Release:
    """The signed release there; a platform's own pins its key, a first one is pinned by :func:`init`."""
    try:
        return load_release(folder, public or (folder / "release.pub").read_text().strip())
    except FileNotFoundError:
        sentence = f"there is no release in {folder}."
    except ReleaseError as error:
        sentence = f"{error}."
    raise CommandError(sentence, code="bad-release", remedy="Run `make image`.", exit_code=Exit.CONFIGURATION)


def ask(state: State, release: Release, wish: Wish, options: dict[str, Any], *, opening: str) -> Asked:
    """The draft, from what was said, or from a dialogue where somebody is there to hold one."""

    def find(name: str) -> BotSpec | None:
        return bots.read(state).bot(name)

    named = bool(options["name"] or options["arrived"])
    before = find(wish.name) if named else None
    if before is not None:
        opening = f"What {before.id} has, and what it shall have"
    enough = options["stdin"] or (before is not None and not wish.silent)
    if enough or not sys.stdin.isatty():
        return Asked(_from_words(wish, find(wish.name), release, given=enough), None)
    dialogue = Dialogue(Terminal())
    dialogue.title(f"ClawMates · {opening}")
    dialogue.note(f"Enter takes what stands in [brackets], {BACK} goes one step back, Ctrl-C leaves without a trace.")
    facts = Facts(release, find, language_here())
    wished = Interview(dialogue, facts, said=wish, named=named, wish=wish).hold()
    return Asked(fill(wished, find(wished.name)), dialogue)


def _from_words(wish: Wish, before: BotSpec | None, release: Release, *, given: bool) -> Draft:
    try:
        draft = fill(wish, before)
        check(draft, release)
    except BotError as error:
        if given:
            raise
        raise CommandError(
            f"nobody is there to answer questions, and {error}",
            code="usage",
            remedy="Give --channel, --provider, --model, and the secrets with --stdin.",
            exit_code=Exit.USAGE,
        ) from None
    return draft


def until_made(asked: Asked, make: Callable[[Draft], Coroutine[Any, Any, BotSpec]]) -> BotSpec:
    """After a dialogue what was typed is not lost to something that can be put right."""
    while True:
        try:
            return asyncio.run(make(asked.draft))
        except Exception as error:
            known = as_command_error(error)
            if known is None or asked.dialogue is None:
                raise
            asked.dialogue.trouble(f"{known} {known.remedy}".strip())
            if not asked.dialogue.agreed("Put it right in another terminal. Try again now?"):
                raise


def made(spec: BotSpec, release: Release, dialogue: Dialogue | None) -> str:
    """What was done; in a dialogue, what the provider keeps was said already."""
    text = f"✓ {spec.id}: {spec.channel.value}, {spec.provider} {spec.model}. Its secrets are sealed in the vault."
    provider = release.provider(spec.provider)
    if provider is not None and dialogue is None:
        text += f"\n  {provider.name} keeps: {provider.keeps} (inference: {provider.inference_region})"
    if spec.channel is ChannelKind.TELEGRAM and spec.access is Access.PAIRED:
        text += f"\n  It answers whom you let in, yourself first: `clawmates bot pair {spec.id}`."
    return text
