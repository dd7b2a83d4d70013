"""The options that describe one bot, and what they say."""

from __future__ import annotations

import json
import re
import sys
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from clawmates.base.secret import Secret
from clawmates.cli.answers import CommandError, Exit
from clawmates.selfhost import arriving
from clawmates.selfhost.draft import HOTTEST
from clawmates.selfhost.wish import DEFAULT_NAME, Nothing, Wish
from clawmates.wire.desired import Access, Fallback
from clawmates.wire.names import ChannelKind, ItemName
from clawmates.wire.templates import find, templates

if TYPE_CHECKING:
    from collections.abc import Callable

MOST_INPUT = 1 << 20
DAY = re.compile(r"\d{4}-\d{2}-\d{2}")
QUOTAS = {
    "messages_per_day": "Most messages a UTC day",
    "messages_per_month": "Most messages a UTC month",
    "tokens_per_day": "Most tokens a UTC day, read and written",
    "tokens_per_month": "Most tokens a UTC month",
    "messages_trial": "Messages in all, then no more",
    "tokens_trial": "Tokens in all, then no more",
}


class OrNone(click.ParamType[object]):
    """A value, or the word *none*."""

    def __init__(self, inner: click.ParamType[Any]) -> None:
        self.inner = inner
        self.name = f"{inner.name}|none"

    def get_metavar(self, param: click.Parameter, ctx: click.Context) -> str:
        """As help shows it."""
        return f"{self.inner.get_metavar(param, ctx) or self.inner.name.upper()}|none"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> object:
        """``Nothing.NONE`` for *none*."""
        return Nothing.NONE if value == "none" else self.inner.convert(value, param, ctx)


class Count(click.IntRange):
    """A quota."""

    name = "n"

    def __init__(self, least: int = 0) -> None:
        super().__init__(min=least)

    def get_metavar(self, param: click.Parameter, ctx: click.Context) -> str:  # noqa: ARG002 - click's signature
        """As help shows it."""
        return "N"


class FallbackType(click.ParamType[Fallback]):
    """PROVIDER/MODEL."""

    name = "provider/model"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> Fallback:
        """The two halves; a model's name may hold further slashes."""
        provider, slash, model = str(value).partition("/")
        if not provider or not slash or not model:
            self.fail(f"{value!r} is not PROVIDER/MODEL, as in openai/gpt-5.4-mini.", param, ctx)
        return Fallback(provider=provider, model=model)


class Moment(click.ParamType[str]):
    """A day, or a moment of RFC 3339."""

    name = "day"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """A day begins at midnight, UTC."""
        text = str(value)
        try:
            moment = datetime.fromisoformat(text)
        except ValueError:
            self.fail(f"{text!r} is no day like 2027-01-31 and no time like 2027-01-31T18:00:00Z.", param, ctx)
        if DAY.fullmatch(text):
            moment = moment.replace(tzinfo=UTC)
        if moment.tzinfo is None:
            self.fail(f"{text!r} has no time zone: end it with Z for UTC.", param, ctx)
        return moment.isoformat()


def bot_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """The options that describe one bot; :func:`said` reads them."""
    names = ", ".join(one.id for one in templates())
    options = [
        click.option("--bot", "name", help="The bot's name on this host: a-z, 0-9 and '-'."),
        click.option("--channel", type=click.Choice(["telegram", "terminal"]), help="Where you talk to it."),
        click.option("--provider", help="The AI provider, as the release's catalogue calls it."),
        click.option("--model", help="The provider's model."),
        click.option(
            "--people",
            type=click.Choice([one.value for one in Access]),
            help="Who may talk to it: who sends a code of yours (a new bot's way), whom you list, or everybody.",
        ),
        click.option("--template", metavar="NAME", help=f"A prompt to begin with: {names}; with -de, in German."),
        click.option(
            "--temperature", type=OrNone(click.FloatRange(0, HOTTEST)), help="0 to 2, for models that take one."
        ),
        click.option("--max-output-tokens", type=OrNone(Count(1)), help="The longest answer."),
        click.option(
            "--fallback", type=OrNone(FallbackType()), help="Answers when the bot's own model cannot: PROVIDER/MODEL."
        ),
        *(
            click.option(f"--{name.replace('_', '-')}", type=OrNone(Count()), help=f"{text}.")
            for name, text in QUOTAS.items()
        ),
        click.option(
            "--trial-ends", type=OrNone(Moment()), help="No message is answered from then on: a day or RFC 3339."
        ),
        click.option(
            "--from",
            "arrived",
            type=click.Path(path_type=Path, exists=True),
            metavar="EXPORT.zip",
            help="Take what an export, or OpenClaw's openclaw.json, says of the bot; its token and keys are asked for.",
        ),
        click.option(
            "--stdin",
            is_flag=True,
            help='Read secrets from standard input, as JSON: {"channel-token": …, "provider-key": …, '
            '"fallback-key": …, "prompt": …}.',
        ),
    ]
    for option in reversed(options):
        command = option(command)
    return command


def said(options: dict[str, Any]) -> Wish:
    """What the options of :func:`bot_options`, and standard input where it was named, say."""
    quotas = {name: options[name] for name in (*QUOTAS, "trial_ends") if options[name] is not None}
    wish = Wish(
        name=options["name"] or DEFAULT_NAME,
        channel=ChannelKind(options["channel"]) if options["channel"] else None,
        provider=options["provider"],
        model=options["model"],
        temperature=options["temperature"],
        max_output_tokens=options["max_output_tokens"],
        fallback=options["fallback"],
        access=Access(options["people"]) if options["people"] else None,
        limits=quotas,
        secrets=_template(options["template"]),
    )
    wish = replace(wish, secrets={**wish.secrets, **_secrets()}) if options["stdin"] else wish
    if options["arrived"] is None:
        return wish
    arrived = arriving.read(options["arrived"])
    for lost in arrived.lost:
        click.echo(f"not taken over: {lost}", err=True)
    return arriving.on_top(wish, arriving.choose(arrived.bots, options["name"]))


def _template(name: str | None) -> dict[ItemName, Secret[str]]:
    if name is None:
        return {}
    found = find(name)
    if found is None:
        known = ", ".join(one.id for one in templates())
        raise CommandError(f"there is no template {name!r}; there are: {known}.", code="usage", exit_code=Exit.USAGE)
    return {ItemName.PROMPT: Secret(found[0].text.in_language(found[1]))}


def _secrets() -> dict[ItemName, Secret[str]]:
    try:
        return secrets_of(json.loads(sys.stdin.buffer.read(MOST_INPUT)))
    except (ValueError, TypeError, AttributeError, RecursionError):
        known = ", ".join(name.value for name in ItemName)
        raise CommandError(
            f"standard input is not a JSON object of strings, by the names: {known}.",
            code="bad-input",
            remedy='Give {"channel-token": "…", "provider-key": "…", "prompt": "…"}.',
            exit_code=Exit.USAGE,
        ) from None


def secrets_of(given: Any) -> dict[ItemName, Secret[str]]:
    """Secrets by their names; of a strange object ``ValueError``, ``TypeError`` or ``AttributeError``."""
    return {ItemName(name): Secret(str.strip(value)) for name, value in given.items()}
