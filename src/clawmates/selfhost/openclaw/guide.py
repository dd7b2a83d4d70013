"""What lies beside the configuration: what to do with it, and what it cannot say of each bot."""

from __future__ import annotations

from typing import TYPE_CHECKING

from clawmates.selfhost.openclaw.words import CONFIG, GATEWAY, HOME, KEYS, VERSION, Lost
from clawmates.selfhost.wish import Nothing
from clawmates.wire.desired import Fallback
from clawmates.wire.names import ChannelKind

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from clawmates.selfhost.wish import Wish

LOCAL = "ollama-local"
"""No key: OpenClaw's documentation, *Ollama setup*, wants this word where the model runs on the same host."""
BEGINNING = f"""\
# Your bots, as a configuration of OpenClaw

Made for OpenClaw {VERSION}, whose own `openclaw config validate` accepts it. No token and no API key is in here:
nobody can read them back out of the vault, not even you. You have them from @BotFather and from your AI provider.

## What to do

1. Stop each bot where it runs now (`clawmates bot pause NAME`): Telegram hands a bot's messages to one program at a
   time.
2. Put `{CONFIG}` and the workspace folders into `{HOME}`. There is one already? Then merge them by hand. Who has
   the state folder elsewhere changes each `workspace`.
3. Copy `env.example` to `{HOME}/.env`, fill it in, and let nobody else read it (`chmod 600`). OpenClaw's own door
   (`OPENCLAW_GATEWAY_TOKEN`) wants a word of yours: `openssl rand -hex 24`.
4. `openclaw config validate`, then `openclaw gateway`.
5. All is well? `clawmates bot rm NAME` destroys what the vault keeps here.

## What is different there

- OpenClaw keeps every conversation in a database below its state folder, and has no switch against it. Here none is
  kept.
- An agent of OpenClaw can run commands, read and write files and browse, for everybody who may talk to it. Bots here
  only talk, so `tools` denies all tools, for all and for each, and `skills` is empty. Change that
  knowingly, most of all where `dmPolicy` is *open*.
- Everybody has a conversation of their own (`session.dmScope`), link previews are off, and the model is asked only
  when somebody writes (`heartbeat`), as here. Its own ways are others.
- OpenAI's models are asked by OpenClaw itself (`agentRuntime`), not through Codex, which has tools of its own.
- It has one key of a provider for all agents, from the environment; here each bot has its own.
- It asks daily whether there is a newer version (its documentation, *Usage telemetry and update checks*).
"""
LOSSES = """
## What could not be said

"""


def readme(bots: Sequence[Wish]) -> str:
    """The text to read first."""
    lines = [f"- {lost}" for bot in bots for lost in unsaid(bot)]
    return BEGINNING + (LOSSES + "\n".join(lines) + "\n" if lines else "")


def unsaid(bot: Wish) -> Iterator[Lost]:
    """What OpenClaw has no word for."""
    counted = [name for name, value in bot.limits.items() if value is not None and not isinstance(value, Nothing)]
    if counted:
        words = ", ".join(name.replace("_", " ") for name in counted)
        yield Lost(bot.name, f"its quotas ({words}); OpenClaw counts neither messages nor tokens of an agent.")
    if bot.channel is ChannelKind.WHATSAPP:
        yield Lost(bot.name, "its WhatsApp number; OpenClaw signs in there as a telephone does, not with Meta's API.")
    if bot.channel is ChannelKind.TERMINAL:
        yield Lost(bot.name, f"its console; talk to it with `openclaw agent --agent {bot.name}`.")
    for name in dict.fromkeys(_providers(bot)):
        if name not in KEYS:
            yield Lost(bot.name, f"where {name} is; say it there, under `models.providers.{name}`.")
    if bot.channel is not ChannelKind.TELEGRAM and bot.paused:
        yield Lost(
            bot.name, "that it is paused; an agent without an account answers nobody but who may run `openclaw`."
        )


def environment(bots: Sequence[Wish]) -> str:
    """The names of what has to be filled in, and nothing else."""
    tokens = [token_name(bot) for bot in bots if bot.channel is ChannelKind.TELEGRAM]
    asked = dict.fromkeys(name for bot in bots for name in _providers(bot) if name in KEYS)
    keys = [f"{KEYS[name][0]}={LOCAL if name == 'ollama' else ''}" for name in asked]
    names = (GATEWAY["auth"]["token"]["id"], *tokens)
    return "".join(f"{line}\n" for line in (*(f"{name}=" for name in names), *keys))


def token_name(bot: Wish) -> str:
    """The variable of a bot's token, of ``[A-Z0-9_]``."""
    return f"TELEGRAM_BOT_TOKEN_{bot.name.upper().replace('-', '_')}"


def _providers(bot: Wish) -> Iterator[str]:
    yield bot.provider or ""
    if isinstance(bot.fallback, Fallback):
        yield bot.fallback.provider
