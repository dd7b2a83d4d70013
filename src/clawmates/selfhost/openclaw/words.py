"""OpenClaw's words for what both can say of a bot, and the one version of it that ``make interop`` has asked."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

VERSION = "2026.9.6"
"""Beside ``deploy/interop/package.json``, which pins it; a test compares them."""
CONFIG = "openclaw.json"
HOME = "~/.openclaw"
"""Where it lies, as a person writes it; its documentation, *Configuration*."""
PROMPT = "SOUL.md"
"""Who the assistant is, of its workspace, read at the start of each session (*Agent workspace*)."""
WHOLE = 20_000
"""So many characters of a file of the workspace reach the model, unless the agent's entry says more."""
KEYS: Mapping[str, tuple[str, ...]] = {
    "openai": ("OPENAI_API_KEY",),
    "anthropic": ("ANTHROPIC_API_KEY",),
    "google": ("GEMINI_API_KEY", "GOOGLE_API_KEY"),
    "ollama": ("OLLAMA_API_KEY",),
}
"""From which environment variables it takes a provider's key, the first first. Its names of these are ours."""
DEFAULT = "default"
"""The account of a channel that names none."""
APART = "per-account-channel-peer"
"""Everybody has a conversation of their own with each bot, as here; its own way is one for all (*Session*)."""
GROUPS: Mapping[str, Any] = {"*": {"requireMention": True}}
"""In a group it hears what is said to it, as bots do here."""
RUNTIME: Mapping[str, Any] = {"openai/*": {"agentRuntime": {"id": "openclaw"}}}
"""OpenClaw asks OpenAI itself, as it does the others; its own way is a program with tools (*OpenAI runtimes*)."""
NO_TOOLS: Mapping[str, Any] = {"deny": ["*"]}
"""A bot here only talks; an agent there may run commands on its host, for everybody who may talk to it."""
NOBODYS_TOOLS: Mapping[str, Any] = {"deny": ["*"], "elevated": {"enabled": False}}
"""The same for all agents: its own audit holds what is open to everybody against this one."""
GATEWAY: Mapping[str, Any] = {
    "mode": "local",
    "auth": {"mode": "token", "token": {"source": "env", "provider": "default", "id": "OPENCLAW_GATEWAY_TOKEN"}},
}
"""Its own door, on loopback; who opens it shows a word that its owner chooses."""


@dataclass(frozen=True, slots=True)
class Lost:
    """Something that the other side cannot say: where it stood, and what that means. No value is quoted."""

    where: str
    why: str

    def __str__(self) -> str:
        return f"{self.where}: {self.why}"
