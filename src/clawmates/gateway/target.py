"""What a CONNECT may ask for: ``host:443``, the host a lower-case DNS name on the bot's allow-list."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from clawmates.gateway.decision import ALLOW, Decision, deny
from clawmates.wire.door import OLLAMA_HOST, VAULT_HOST, Refusal

if TYPE_CHECKING:
    from collections.abc import Collection

TLS_PORT = 443
MAX_HOST = 253
RESERVED = frozenset({VAULT_HOST, OLLAMA_HOST})
_LABEL = r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?"
_TARGET = re.compile(rf"({_LABEL}(?:\.{_LABEL})*):(0|[1-9][0-9]{{0,4}})")
_NUMBER = re.compile(r"[0-9]+|0x[0-9a-f]*")


@dataclass(frozen=True, slots=True)
class Target:
    """A well-formed request target."""

    host: str
    port: int


def parse_target(text: str) -> Target | None:
    """``host:port``, or ``None``.

    One spelling a name: no upper case, no trailing dot, no underscore, no percent sign, no brackets. A name whose last
    label is a number would be read as an IPv4 address in decimal, octal or hex (inet_aton(3)), and is none.
    """
    found = _TARGET.fullmatch(text)
    if found is None or len(found[1]) > MAX_HOST or int(found[2]) > 0xFFFF:
        return None
    if _NUMBER.fullmatch(found[1].rpartition(".")[2]):
        return None
    return Target(found[1], int(found[2]))


def decide_target(target: Target, listed: Collection[str]) -> Decision:
    """Whether this bot may ask for this host; decided before anything is resolved.

    ``vault`` is on every list; ``ollama`` only where node put it there.
    """
    if target.host != VAULT_HOST and target.host not in listed:
        return deny(Refusal.HOST_NOT_LISTED)
    if target.port != TLS_PORT:
        return deny(Refusal.PORT_NOT_ALLOWED)
    return ALLOW
