"""Bots of ours as a configuration of OpenClaw: an agent and a Telegram account each, tied by a binding.

No credential is in it: a token is a name in the environment, whatever the bot brings along.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from clawmates.inventory.packing import Package
from clawmates.selfhost.openclaw import guide
from clawmates.selfhost.openclaw.words import (
    APART,
    CONFIG,
    GATEWAY,
    GROUPS,
    HOME,
    NO_TOOLS,
    NOBODYS_TOOLS,
    PROMPT,
    RUNTIME,
    WHOLE,
)
from clawmates.selfhost.wish import Nothing
from clawmates.wire.desired import Access, Fallback
from clawmates.wire.names import ChannelKind, ItemName
from clawmates.wire.people import People, load

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from datetime import datetime

    from clawmates.selfhost.wish import Wish

README, ENVIRONMENT = "README.md", "env.example"


def pack(bots: Sequence[Wish], made: datetime) -> bytes:
    """The zip: what is unpacked into ``~/.openclaw``, and what to read before."""
    package = Package(made)
    for name, text in files(bots):
        with package.open(name) as stream:
            stream.write(text.encode())
    return b"".join(package.close())


def files(bots: Sequence[Wish]) -> Iterator[tuple[str, str]]:
    """Each file's name and text."""
    yield README, guide.readme(bots)
    yield ENVIRONMENT, guide.environment(bots)
    yield CONFIG, json.dumps(config(bots), ensure_ascii=False, indent=2) + "\n"
    # Also where there is no prompt: an empty file says so, a missing one is remarked on there.
    yield from ((f"{_workspace(bot)}/{PROMPT}", _prompt(bot)) for bot in bots)


def config(bots: Sequence[Wish]) -> dict[str, Any]:
    """``openclaw.json``, which its ``config validate`` accepts."""
    spoken = [bot for bot in bots if bot.channel is ChannelKind.TELEGRAM]
    telegram = {
        "enabled": True,
        # For an account that says nothing itself; its published schema wants both here.
        "dmPolicy": "pairing",
        "groupPolicy": "allowlist",
        "defaultAccount": spoken[0].name if spoken else "",
        "accounts": {bot.name: _account(bot) for bot in spoken},
    }
    return {
        "gateway": dict(GATEWAY),
        "tools": dict(NOBODYS_TOOLS),
        "session": {"dmScope": APART},
        "agents": {
            # Each bot answers on its own account and on no other; a sole agent needs no such word there.
            **({"ownership": "explicit"} if len(bots) > 1 else {}),
            # Nobody asks the model but people, and nothing is written into a prompt but what its owner wrote.
            "defaults": {
                "skipBootstrap": True,
                "heartbeat": {"every": "0m"},
                "skills": [],
                "models": dict(RUNTIME),
            },
            "entries": {bot.name: _agent(bot) for bot in bots},
        },
        "bindings": [{"agentId": bot.name, "match": {"channel": "telegram", "accountId": bot.name}} for bot in spoken],
        "channels": {"telegram": telegram} if spoken else {},
    }


def _agent(bot: Wish) -> dict[str, Any]:
    spare = bot.fallback
    fallbacks = [f"{spare.provider}/{spare.model}"] if isinstance(spare, Fallback) else []
    params = {"temperature": bot.temperature, "maxTokens": bot.max_output_tokens}
    said = {name: value for name, value in params.items() if value is not None and not isinstance(value, Nothing)}
    length = len(_prompt(bot).encode("utf-16-le", "surrogatepass")) // 2
    return {
        "workspace": f"{HOME}/{_workspace(bot)}",
        "model": {"primary": f"{bot.provider}/{bot.model}", "fallbacks": fallbacks},
        **({"params": said} if said else {}),
        **({"bootstrapMaxChars": length} if length > WHOLE else {}),
        **({"bootstrapTotalMaxChars": length * 2} if length > WHOLE else {}),
        "tools": dict(NO_TOOLS),
    }


def _account(bot: Wish) -> dict[str, Any]:
    people = _people(bot)
    listed = list(dict.fromkeys((*([people.owner] if people.owner else []), *people.people)))
    match bot.access:
        case Access.OPEN:
            policy, listed = "open", ["*", *listed]
        case Access.LIST:
            # An empty list is no configuration there: nobody is nobody.
            policy = "allowlist" if listed else "disabled"
        case _:
            policy = "pairing"
    return {
        "enabled": not bot.paused,
        "botToken": _token(bot),
        "dmPolicy": policy,
        "allowFrom": listed,
        "groupPolicy": "disabled" if policy == "disabled" else "allowlist",
        "groups": dict(GROUPS),
        "linkPreview": False,
        "configWrites": False,
    }


def _token(bot: Wish) -> Any:
    """A reference, never the token (its documentation, *SecretRef contract*)."""
    return {"source": "env", "provider": "default", "id": guide.token_name(bot)}


def _workspace(bot: Wish) -> str:
    return f"workspace-{bot.name}"


def _prompt(bot: Wish) -> str:
    secret = bot.secrets.get(ItemName.PROMPT)
    return secret.reveal() if secret is not None else ""


def _people(bot: Wish) -> People:
    secret = bot.secrets.get(ItemName.PEOPLE)
    return load(secret) if secret is not None else People()
