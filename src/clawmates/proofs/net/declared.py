"""What a platform may listen on: everything else counts against it."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from enum import StrEnum
from ipaddress import ip_address
from pathlib import Path
from typing import TYPE_CHECKING

from clawmates.base.paths import Run, State
from clawmates.base.settings import (
    Mode,
    Settings,
    SettingsError,
    address,
    ingress_address,
    nodes_address,
    vault_address,
    web_address,
)
from clawmates.proofs.net.packets import End
from clawmates.proofs.net.strangers import DATAGRAM, reachable
from clawmates.wire.terminal import HOST, PORT

if TYPE_CHECKING:
    from clawmates.proofs.net.sockets import Listener

_AUTOBOUND = re.compile("@[0-9a-f]{5}")


class Must(StrEnum):
    """What a listener must be."""

    TLS = "TLS 1.3 only"
    RELAY = "relays TLS 1.3 only"
    """It ends no TLS: the gateway's way in, which reads a name and hands bytes on."""
    INTRODUCED = "hears relays only; behind their word TLS 1.3 only"
    """Each of its connections begins with a PROXY header of a relay that it knows (docs/adr/0021)."""
    PRIVATE = "answers no stranger"
    INSIDE = "inside a container without a network"
    NOTES = "hears its own processes only"
    """The supervisor's datagram socket (sd_notify(3)): the kernel says who speaks, and nothing is answered."""
    RETURN = "a sender's own address, which answers nobody"
    """The kernel gives one to who sends datagrams without having asked for a name (unix(7), autobind)."""
    ABSENT = "nothing"


@dataclass(frozen=True, slots=True)
class Declared:
    """Whose the platform's listeners are."""

    state: State
    run: Run
    settings: Settings
    terminals: Collection[str]
    """The names of processes that are mates with the terminal channel."""

    @property
    def vault(self) -> End | None:
        """Where the vault listens."""
        try:
            return _end(*vault_address(self.settings))
        except SettingsError:
            return None

    @property
    def ingress(self) -> End | None:
        """Where callers from outside arrive."""
        try:
            return _end(*ingress_address(self.settings)) if self.settings.gateway.ingress else None
        except SettingsError:
            return None

    @property
    def control(self) -> Mapping[End, Must]:
        """Where control listens, to browsers and to nodes; nowhere where a file says what runs."""
        if self.settings.platform.mode is not Mode.HOSTED:
            return {}
        web = Must.INTRODUCED if self.settings.control.proxies else Must.TLS
        try:
            return {_end(*web_address(self.settings)): web, _end(*nodes_address(self.settings)): Must.TLS}
        except SettingsError:
            return {}

    @property
    def ollama(self) -> End:
        """The only plaintext there is: a model on this host's own loopback."""
        return _end(*address(self.settings.gateway.ollama))

    def must(self, one: Listener) -> Must:
        """What ``one`` must be; unknown means that it must not be."""
        if one.protocol == "tcp":
            return self._tcp(one)
        if one.protocol != "unix" or one.where.startswith("@"):
            return Must.RETURN if _is_return(one) else Must.ABSENT
        path = Path(reachable(one.where, one.pid))
        if path == self.run.supervisor / "notify.sock":
            return Must.NOTES
        owner = one.process.split()[0]
        homes = {
            "gateway": (self.run.doors, self.run.gateway.parent),
            "node": (self.run.node.parent,),
            "control": (self.run.control.parent,),
            "conmon": (self.run.engine, self.state.engine),
        }
        return Must.PRIVATE if any(home in path.parents for home in homes.get(owner, ())) else Must.ABSENT

    def _tcp(self, one: Listener) -> Must:
        if one.end is not None and one.end == self.vault and one.process in {"vault", "clawmates up"}:
            return Must.TLS
        if one.end is not None and one.end == self.ingress and one.process in {"gateway", "clawmates up"}:
            return Must.RELAY
        if one.end is not None and one.process in {"control", "clawmates up"} and one.end in self.control:
            return self.control[one.end]
        if one.process in self.terminals and one.where == f"{HOST}:{PORT}":
            return Must.INSIDE
        return Must.ABSENT


def _is_return(one: Listener) -> bool:
    """Podman, while node has it start or look at a container, holds one to speak to the host's log."""
    last = one.process.rpartition(" > ")[2].split()[0]
    named = one.protocol == "unix" and one.kind == DATAGRAM and _AUTOBOUND.fullmatch(one.where) is not None
    return named and one.process.startswith("node > ") and last == "podman"


def _end(host: str, port: int) -> End:
    return End(ip_address("127.0.0.1" if host == "localhost" else host), port)


def reach(end: End) -> End:
    """Where to call a listener that takes calls to every address."""
    if end.address.is_unspecified:
        return End(ip_address("127.0.0.1" if end.address.version == 4 else "::1"), end.port)
    return end
