"""Which processes make a platform, and what each may reach."""

from __future__ import annotations

import os
import socket
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from clawmates.base.settings import Settings, SettingsError, address, load
from clawmates.selfhost.accounts import account_of

if TYPE_CHECKING:
    from clawmates.base.paths import State


@dataclass(frozen=True, slots=True)
class Service:
    """One process: its name, what it reads and writes, and the sockets it is handed."""

    name: str
    reads: tuple[Path, ...]
    writes: tuple[Path, ...]
    config: Path
    listeners: tuple[socket.socket, ...] = ()
    terminal: int = -1
    """A descriptor of the operator's terminal, above those that listeners become; -1 for none."""

    @property
    def descriptors(self) -> tuple[int, ...]:
        """All that it is handed."""
        terminal = (self.terminal,) if self.terminal >= 0 else ()
        return (*(listener.fileno() for listener in self.listeners), *terminal)

    def command(self) -> list[str]:
        """The command line; nothing secret is in it."""
        account = account_of(self.name)
        line = [sys.executable, "-I", "-m", "clawmates.selfhost.launch"]
        line += ["--uid", str(account.uid), "--gid", str(account.gid), "--parent", str(os.getpid())]
        for listener in self.listeners:
            line += ["--listen-fd", str(listener.fileno())]
        for path in self.reads:
            line += ["--read", str(path)]
        for path in self.writes:
            line += ["--write", str(path)]
        line += ["--", sys.executable, "-I", "-m", f"clawmates.{self.name}", "--config", str(self.config)]
        return [*line, "--terminal", str(self.terminal)] if self.terminal >= 0 else line


def vault(state: State, listener: socket.socket) -> Service:
    """The vault reads its certificate and the release, and writes its own folder, its log, and the copy of its keys."""
    settings = load(state.config) if state.config.exists() else Settings()
    copy = (Path(settings.vault.keys_copy).parent,) if settings.vault.keys_copy else ()
    reads = (state.config, state.pki, state.release, settings.run.resumed.parent)
    return Service("vault", reads, (state.vault, state.log, *copy), state.config, (listener,))


def gateway(state: State, settings: Settings, callers: socket.socket | None = None) -> Service:
    """The gateway writes doors and its log; its resolver may have an authority of its own to read.

    ``callers`` is where they arrive: a port below 1024 is not its own to take.
    """
    run, authority = settings.run, settings.gateway.unsafe_resolver_ca
    reads = (state.config, run.root, *((Path(authority),) if authority else ()))
    handed = (callers,) if callers is not None else ()
    return Service("gateway", reads, (run.doors, run.gateway.parent, state.log), state.config, handed)


def node(state: State) -> Service:
    """Node is root and reaches everything."""
    return Service("node", (), (), state.config)


def control(
    state: State, settings: Settings, listeners: tuple[socket.socket, socket.socket], terminal: int = -1
) -> Service:
    """Control writes its own folder and removes old backups; it reads what its section names, and the vault's place."""
    own = settings.control
    named = [own.certificate, own.key, own.database_authority, own.database_password_file]
    named += [own.smtp.password_file, own.smtp.authority]
    reads = (state.config, state.pki, state.release, settings.run.root, *(Path(name) for name in named if name))
    writes = (state.control, state.backup, settings.run.control.parent)
    return Service("control", reads, writes, state.config, listeners, terminal)


def listen(settings: Settings) -> socket.socket:
    """The vault's listening socket; see :func:`listen_at`."""
    return listen_at(settings.vault.listen, "vault", "[vault] listen")


def listen_at(where: str, name: str, setting: str) -> socket.socket:
    """A listening socket, kept by the supervisor so that a restart refuses nobody.

    Raises :class:`SettingsError` when the address cannot be had.
    """
    host, port = address(where)
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
    except OSError as error:
        listener.close()
        # The first platform of a host is made by a command that has a flag for it.
        flag = ", or --listen of `selfhost init`" if name == "vault" else ""
        remedy = f"stop the other program, or choose another: {setting}{flag}"
        raise SettingsError(f"{name} cannot listen on {where} ({error.strerror}): {remedy}") from None
    listener.listen(128)
    return listener
