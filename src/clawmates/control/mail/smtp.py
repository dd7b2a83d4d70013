"""Mail by an SMTP server of the operator's, over TLS 1.3; what it says about a letter becomes a code."""

from __future__ import annotations

import stat
from collections.abc import Callable
from dataclasses import dataclass
from email.message import EmailMessage
from email.utils import format_datetime, parseaddr
from pathlib import Path
from typing import TYPE_CHECKING

from aiosmtplib import (
    SMTP,
    SMTPAuthenticationError,
    SMTPException,
    SMTPRecipientsRefused,
    SMTPResponseException,
    SMTPSenderRefused,
)

from clawmates.base.clock import Clock
from clawmates.base.settings import Smtp, address
from clawmates.base.tls import client_context
from clawmates.control.mail.post import PostError

if TYPE_CHECKING:
    from clawmates.control.mail.letters import Letter

SECONDS = 15.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Mailbox:
    """``[control.smtp]``: one connection a letter, its certificate checked, TLS 1.3 or nothing."""

    smtp: Smtp
    domain: str
    clock: Clock
    random: Callable[[int], bytes]

    async def send(self, letter: Letter) -> None:
        """Raises :class:`PostError`, whose text is a code."""
        host, port = address(self.smtp.host)
        password = _password_of(self.smtp.password_file) if self.smtp.user else None
        client = SMTP(
            hostname=host,
            port=port,
            username=self.smtp.user or None,
            password=password,
            local_hostname=self.domain,
            use_tls=not self.smtp.starttls,
            # True, not None: a server that does not offer it is not written to in the clear.
            start_tls=self.smtp.starttls,
            tls_context=client_context(authority=self.smtp.authority or None),
            timeout=SECONDS,
        )
        try:
            async with client:
                await client.send_message(self._message(letter))
        except (SMTPException, OSError, ValueError) as error:
            raise _said(error) from None

    def _message(self, letter: Letter) -> EmailMessage:
        message = EmailMessage()
        message["From"] = self.smtp.sender
        message["To"] = letter.recipient
        message["Subject"] = letter.subject
        message["Date"] = format_datetime(self.clock.now())
        message["Message-ID"] = f"<{self.random(16).hex()}@{parseaddr(self.smtp.sender)[1].rpartition('@')[2]}>"
        # RFC 3834, section 5: no answering machine answers.
        message["Auto-Submitted"] = "auto-generated"
        message.set_content(letter.text, cte="quoted-printable")
        return message


def _password_of(file: str) -> str:
    """Read again for every letter, so that it can be changed; raises :class:`PostError` where others can read it."""
    path = Path(file)
    try:
        if stat.S_IMODE(path.stat().st_mode) & 0o077:
            raise PostError("password-file-open")
        return path.read_text().strip()
    except (OSError, UnicodeDecodeError):
        raise PostError("password-file-missing") from None


def _said(error: Exception) -> PostError:
    match error:
        case PostError():
            return error
        case SMTPRecipientsRefused():
            return PostError("address-refused", final=all(one.code >= 500 for one in error.recipients))
        case SMTPAuthenticationError():
            return PostError("password-refused")
        case SMTPSenderRefused():
            return PostError("sender-refused")
        case SMTPResponseException():
            return PostError("mail-refused")
        case _:
            return PostError("mail-unreachable")
