"""Who takes mails: an SMTP server over TLS 1.3 (:mod:`.smtp`), or the terminal that started us. Never a log."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from clawmates.control.mail.letters import Letter

OURS = frozenset(
    {"mail-unreachable", "password-file-missing", "password-file-open", "password-refused", "sender-refused"}
)
"""Codes of what is wrong between us and our own mail server, whomever the mail is for."""


class PostError(Exception):
    """A mail did not get out. ``code`` is one of a closed list: what a server says may quote the address."""

    def __init__(self, code: str, *, final: bool = False) -> None:
        super().__init__(code)
        self.code = code
        self.final = final
        """Whether trying again is of no use."""


class Post(Protocol):
    """Takes letters."""

    async def send(self, letter: Letter) -> None:
        """Until the next one is responsible for it; raises :class:`PostError`."""
        ...


@dataclass(frozen=True, slots=True)
class Terminal:
    """Without a server: the terminal behind this descriptor. What is no terminal (a file, a pipe) is not written to."""

    descriptor: int

    async def send(self, letter: Letter) -> None:
        """One line for who sits there; a letter without a link is for the person alone, who does not."""
        if not letter.link:
            return
        try:
            if not os.isatty(self.descriptor):
                raise PostError("no-terminal", final=True)
            os.write(self.descriptor, f"\n{letter.recipient}: {letter.subject}\n  {letter.link}\n".encode())
        except OSError:
            raise PostError("no-terminal", final=True) from None
