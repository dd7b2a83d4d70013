"""``clawmates selfhost init`` and ``clawmates bot add``: questions with hidden input, or flags and standard input."""

from __future__ import annotations

import json
import os
import sys
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from clawmates.base.paths import DEFAULT_RUN
from clawmates.base.secret import Secret
from clawmates.base.settings import Settings, Vault
from clawmates.cli.answers import CommandError, Exit, succeed
from clawmates.cli.options import answered, json_option, settings_of, state_option
from clawmates.selfhost import bots
from clawmates.selfhost.install import Plan, install, vault_of
from clawmates.wire.door import OLLAMA_HOST
from clawmates.wire.names import ChannelKind, ItemName
from clawmates.wire.releases import ReleaseError
from clawmates.wire.releases import load as load_release

if TYPE_CHECKING:
    from collections.abc import Callable

    from clawmates.base.paths import State
    from clawmates.wire.release import Provider, Release

CHECKOUT_RELEASE = Path(__file__).resolve().parents[3] / "build" / "release"
_QUESTIONS = {
    ItemName.CHANNEL_TOKEN: "Bot token (from @BotFather; not shown)",
    ItemName.PROVIDER_KEY: "API key (not shown)",
}


@dataclass(frozen=True, slots=True)
class Wish:
    """What was given on the command line; ``None`` is asked for."""

    name: str | None
    channel: str | None
    provider: str | None
    model: str | None
    stdin: bool


def bot_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """The options that describe one bot."""
    for option in reversed(
        (
            click.option("--bot", "name", help="The bot's name here: a-z, 0-9 and '-'."),
            click.option("--channel", type=click.Choice(["telegram", "terminal"]), help="Where you talk to it."),
            click.option("--provider", help="The AI provider, as the release's catalogue calls it."),
            click.option("--model", help="The provider's model."),
            click.option(
                "--stdin",
                is_flag=True,
                help='Read secrets from standard input, as JSON: {"channel-token": …, "provider-key": …, "prompt": …}.',
            ),
        )
    ):
        command = option(command)
    return command


@click.command()
@state_option
@click.option(
    "--run",
    type=click.Path(path_type=Path, resolve_path=True),
    default=DEFAULT_RUN,
    show_default=True,
    help="Runtime folder.",
)
@click.option(
    "--release",
    type=click.Path(path_type=Path, file_okay=False),
    default=CHECKOUT_RELEASE,
    show_default="the checkout's build/release",
    help="The signed release to run.",
)
@click.option("--listen", default=Vault().listen, show_default=True, help="Where the vault listens; port 0 is any.")
@bot_options
@json_option
@answered
async def init(state: State, run: Path, release: Path, listen: str, as_json: bool, **wish: Any) -> None:  # noqa: FBT001 - click's way
    """Make a platform on this host, with a first bot.

    Without options it asks. The token and the key are sealed to the vault at once; they are never written anywhere
    in the clear and never appear on a command line.
    """
    need_root()
    plan = Plan(state=state, release=release, settings={"platform": {"run": str(run)}, "vault": {"listen": listen}})
    settings, catalogue = install(plan, datetime.now(UTC))
    await _add(state, settings, catalogue, Wish(**wish), as_json=as_json)
    if not as_json:
        click.echo(f"\nStart it with:  clawmates up{_state_hint(state)}")


@click.command()
@state_option
@bot_options
@json_option
@answered
async def add(state: State, as_json: bool, **wish: Any) -> None:  # noqa: FBT001
    """Add a bot, or give one of the same name a new token, key, model or prompt."""
    need_root()
    settings = settings_of(state)
    try:
        catalogue = load_release(state.release, settings.node.release_key)
    except ReleaseError as error:
        raise CommandError(
            f"{error}.", code="bad-release", remedy="Run `make image`.", exit_code=Exit.CONFIGURATION
        ) from None
    await _add(state, settings, catalogue, Wish(**wish), as_json=as_json)


async def _add(state: State, settings: Settings, release: Release, wish: Wish, *, as_json: bool) -> None:
    draft = _from_stdin(wish) if wish.stdin else _by_dialogue(wish, release)
    bots.check(draft, release)
    async with vault_of(state, settings) as vault:
        spec = await bots.seal_in(draft, state, release, vault, settings.node.name)
    bots.put(state, spec)
    provider = release.provider(spec.provider)
    text = f"✓ {spec.id}: {spec.channel.value}, {spec.provider} {spec.model}. Its secrets are sealed in the vault."
    if provider is not None:
        text += f"\n  {provider.name} keeps: {provider.keeps} (inference: {provider.inference_region})"
    succeed(spec, as_json=as_json, text=text)


def _from_stdin(wish: Wish) -> bots.Draft:
    secrets: dict[ItemName, Secret[str]] = {}
    try:
        given = json.loads(sys.stdin.buffer.read(1 << 20))
        for name, value in given.items():
            secrets[ItemName(name)] = Secret(str.strip(value))
        dropped = frozenset(name for name, secret in secrets.items() if not secret and name.is_document)
    except (ValueError, TypeError, AttributeError, RecursionError):
        known = ", ".join(name.value for name in ItemName)
        raise CommandError(
            f"standard input is not a JSON object of strings, by the names: {known}.",
            code="bad-input",
            remedy='Give {"channel-token": "…", "provider-key": "…", "prompt": "…"}.',
            exit_code=Exit.USAGE,
        ) from None
    missing = [f"--{name}" for name in ("channel", "provider", "model") if getattr(wish, name) is None]
    if missing:
        raise CommandError(f"with --stdin, also give {', '.join(missing)}.", code="usage", exit_code=Exit.USAGE)
    return bots.Draft(
        name=wish.name or "home",
        channel=ChannelKind(str(wish.channel)),
        provider=str(wish.provider),
        model=str(wish.model),
        secrets={name: secret for name, secret in secrets.items() if name not in dropped},
        dropped=dropped,
    )


def _by_dialogue(wish: Wish, release: Release) -> bots.Draft:
    if not sys.stdin.isatty():
        raise CommandError(
            "nobody is there to answer questions.",
            code="usage",
            remedy="Give --channel, --provider, --model and --stdin.",
            exit_code=Exit.USAGE,
        )
    name = wish.name or click.prompt("A name for the bot", default="home")
    channel = ChannelKind(
        wish.channel or click.prompt("Where do you talk to it", type=click.Choice(["telegram", "terminal"]))
    )
    provider = _provider(wish, release)
    model = wish.model or click.prompt(
        f"Model of {provider.name}",
        type=click.Choice([model.id for model in provider.models]),
        default=provider.models[0].id,
    )
    secrets: dict[ItemName, Secret[str]] = {}
    for item, question in _QUESTIONS.items():
        if item is ItemName.CHANNEL_TOKEN and channel is not ChannelKind.TELEGRAM:
            continue
        if item is ItemName.PROVIDER_KEY and provider.hosts == (OLLAMA_HOST,):
            continue
        secrets[item] = Secret(click.prompt(question, hide_input=True).strip())
    prompt = click.prompt("Who should the assistant be (its system prompt; empty for none)", default="")
    if prompt:
        secrets[ItemName.PROMPT] = Secret(prompt)
    dropped = frozenset[ItemName]() if prompt else frozenset({ItemName.PROMPT})
    return bots.Draft(name=name, channel=channel, provider=provider.id, model=model, secrets=secrets, dropped=dropped)


def _provider(wish: Wish, release: Release) -> Provider:
    known = {provider.id: provider for provider in release.providers}
    if wish.provider is None:
        for provider in release.providers:
            click.echo(f"  {provider.id}: keeps {provider.keeps} (read {provider.verified})")
    chosen = wish.provider or click.prompt("AI provider", type=click.Choice(list(known)), default=next(iter(known)))
    if chosen not in known:
        raise bots.BotError(f"this release has no provider {chosen!r}; it has: {', '.join(known)}.")
    return known[chosen]


def need_root() -> None:
    """Containers with full limits need root here."""
    if os.geteuid() != 0:
        raise CommandError(
            "this needs root: containers with their own users and limits cannot be made without.",
            code="needs-root",
            remedy="Run it again with sudo.",
            exit_code=Exit.MISSING,
        )


def _state_hint(state: State) -> str:
    with suppress(ValueError):
        return f" --state {state.root.relative_to(Path.cwd())}"
    return "" if str(state.root) == "/var/lib/clawmates" else f" --state {state.root}"
