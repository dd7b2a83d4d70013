"""Mail of a test's own: a box in memory behind the seam, and real SMTP servers on loopback with TLS 1.3."""

from __future__ import annotations

import asyncio
import email
import re
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.message import EmailMessage
from email.policy import default
from pathlib import Path

from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword
from aiosmtpd.smtp import Session as Talk
from tests.support.control import Place

from clawmates.base.x509 import Authority, Names
from clawmates.control.accounts import links
from clawmates.control.mail import notices
from clawmates.control.mail.errands import KIND, MailHandler
from clawmates.control.mail.letters import Letter
from clawmates.control.mail.post import Post, PostError
from clawmates.control.outbox.worker import Worker

CODE = re.compile(r"/enter#([0-9A-Z-]{23})")


@dataclass
class Box:
    """Letters that were sent, where the test needs no server."""

    letters: list[Letter] = field(default_factory=list)

    async def send(self, letter: Letter) -> None:
        self.letters.append(letter)

    def code(self) -> str:
        """That of the newest letter."""
        found = CODE.search(self.letters[-1].text)
        assert found is not None
        assert links.read(found[1])
        return found[1]


class Broken:
    """Lets nothing out."""

    def __init__(self, code: str, *, final: bool) -> None:
        self.error = PostError(code, final=final)

    async def send(self, letter: Letter) -> None:
        raise self.error


def worker(place: Place, post: Post) -> Worker:
    """Does what waits in the outbox: ``await worker(place, box).round()``."""
    context = place.context
    return Worker(
        database=context.database,
        clock=context.clock,
        random=context.random,
        handlers={KIND: MailHandler(context, post), notices.KIND: notices.NoticeHandler(context, post)},
    )


@dataclass
class Server:
    """An SMTP server that keeps what it was given."""

    port: int = 0
    taken: list[Envelope] = field(default_factory=list)
    versions: list[str | None] = field(default_factory=list)
    refuses: str = ""
    """What it says to every recipient, for instance ``550 no such user``."""
    listen: Callable[[], Awaitable[asyncio.Server]] = field(kw_only=True)
    listener: asyncio.Server = field(init=False)

    async def open(self) -> None:
        """Takes mail, at the port that it had before."""
        self.listener = await self.listen()
        self.port = self.listener.sockets[0].getsockname()[1]

    def close(self) -> None:
        """Nobody answers at its port."""
        self.listener.close()

    @asynccontextmanager
    async def away(self) -> AsyncIterator[None]:
        """It is down until the end of the block."""
        self.close()
        try:
            yield
        finally:
            await self.open()

    async def handle_RCPT(  # noqa: N802 - aiosmtpd calls it so
        self, server: SMTP, talk: Talk, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        if self.refuses:
            return self.refuses
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: SMTP, talk: Talk, envelope: Envelope) -> str:  # noqa: N802
        assert server.transport is not None
        security = server.transport.get_extra_info("ssl_object")
        self.versions.append(security.version() if security is not None else None)
        self.taken.append(envelope)
        return "250 OK"

    def message(self) -> EmailMessage:
        content = self.taken[-1].content
        assert isinstance(content, bytes)
        message = email.message_from_bytes(content, policy=default)
        assert isinstance(message, EmailMessage)
        return message


@dataclass(frozen=True)
class Trust:
    """An authority of this test, and a server's certificate by it."""

    folder: Path
    name: str = "localhost"

    def __post_init__(self) -> None:
        authority = Authority.create("mail test", datetime.now(UTC))
        leaf = authority.issue(Names(dns=(self.name,)), datetime.now(UTC))
        self.authority.write_bytes(authority.pair.certificate)
        (self.folder / "cert.pem").write_bytes(leaf.certificate)
        (self.folder / "key.pem").write_bytes(leaf.key)

    @property
    def authority(self) -> Path:
        return self.folder / "authority.pem"

    def context(self, newest: ssl.TLSVersion = ssl.TLSVersion.TLSv1_3) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.maximum_version = newest
        context.load_cert_chain(self.folder / "cert.pem", self.folder / "key.pem")
        return context


@asynccontextmanager
async def smtp(
    trust: Trust,
    *,
    starttls: bool = False,
    plain: bool = False,
    newest: ssl.TLSVersion = ssl.TLSVersion.TLSv1_3,
    **known: str,
) -> AsyncIterator[Server]:
    """A server on loopback; ``known`` are users and their passwords, where it asks for one."""
    loop = asyncio.get_running_loop()
    context = trust.context(newest)

    def check(_smtp: SMTP, _talk: Talk, _envelope: Envelope, mechanism: str, data: object) -> AuthResult:
        assert isinstance(data, LoginPassword)
        return AuthResult(success=known.get(data.login.decode()) == data.password.decode(), handled=False)

    def protocol() -> SMTP:
        return SMTP(
            server,
            hostname="mail.test",
            tls_context=context if starttls else None,
            require_starttls=starttls,
            authenticator=check if known else None,
            auth_required=bool(known),
            auth_require_tls=not plain and starttls,
            loop=loop,
        )

    async def listen() -> asyncio.Server:
        return await loop.create_server(protocol, "127.0.0.1", server.port, ssl=None if starttls or plain else context)

    server = Server(listen=listen)
    await server.open()
    try:
        yield server
    finally:
        server.close()
