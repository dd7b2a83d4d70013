"""The public pages that list what is kept and who else gets anything: fetched as a browser fetches them, and read."""

from __future__ import annotations

import asyncio
import re
from dataclasses import dataclass, field
from html.parser import HTMLParser
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from clawmates.base.http.client import Connection, HttpError
from clawmates.base.settings import SettingsError, ingress_address, web_address
from clawmates.base.tls import client_context
from clawmates.proofs.errors import ProofError

if TYPE_CHECKING:
    from clawmates.proofs.platform import Platform

STORED, SUBPROCESSORS = "/privacy/stored", "/privacy/subprocessors"
SECONDS = 30.0
LARGEST = 4 << 20
OK = 200
# A name with at least one dot; a number with a unit or a date is none.
_HOST = re.compile(r"(?<![\w.-])(?:[a-z0-9](?:[a-z0-9-]*[a-z0-9])?\.)+[a-z][a-z0-9-]*(?![\w-])")


@dataclass(frozen=True, slots=True)
class Row:
    """One row of the list, in the page's own words; ``more`` is what stands below it."""

    id: str
    what: str
    why: str
    end: str
    more: str = ""


async def fetch(platform: Platform, target: str, language: str) -> str:
    """A public page, over TLS, by the platform's own name. Raises :class:`ProofError`."""
    settings = platform.settings
    name = urlsplit(settings.control.origin).hostname or "localhost"
    try:
        host, port = ingress_address(settings) if settings.gateway.ingress else web_address(settings)
        tls = client_context(authority=None if settings.control.certificate else platform.state.authority)
        async with asyncio.timeout(SECONDS):
            connection = await Connection.tcp(_near(host), port, tls=tls, server_name=name)
            try:
                answer = await connection.request("GET", target, headers=[("Accept-Language", language)])
                body = await answer.read(LARGEST)
            finally:
                await connection.close()
    except (SettingsError, OSError, HttpError):
        raise ProofError(f"the platform's page {target} does not come: see `clawmates status`") from None
    if answer.status != OK:
        raise ProofError(f"the platform's page {target} answers {answer.status}")
    return body.decode(errors="replace")


def _near(host: str) -> str:
    return {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104 - where to call, not where to listen


def rows(page: str) -> tuple[Row, ...]:
    """All rows of the list, in the page's order."""
    reader = _Rows()
    reader.feed(page)
    return tuple(
        Row(one.id, what=one.cells[0], why=one.cells[1], end=one.cells[2], more=one.more)
        for one in reader.found
        if len(one.cells) == 3
    )


def hosts(page: str) -> frozenset[str]:
    """Every host that stands as a value of the page's lists, once; sentences are no values."""
    reader = _Values()
    reader.feed(page)
    found = set()
    for value in reader.found:
        parts = [part.strip() for part in value.split(",")]
        if all(_HOST.fullmatch(part) for part in parts):
            found |= set(parts)
    return frozenset(found)


@dataclass(slots=True)
class _Open:
    id: str
    cells: list[str] = field(default_factory=list)
    more: str = ""


class _Text(HTMLParser):
    """Text between two tags, with its white space made single."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self._said: list[str] | None = None

    def handle_data(self, data: str) -> None:
        if self._said is not None:
            self._said.append(data)

    def listen(self) -> None:
        self._said = []

    def heard(self) -> str:
        said, self._said = self._said or [], None
        return " ".join("".join(said).split())


class _Rows(_Text):
    def __init__(self) -> None:
        super().__init__()
        self.found: list[_Open] = []
        self._mine = self._more = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        known = dict(attrs)
        if tag == "tr":
            self._more = known.get("class") == "more" and bool(self.found)
            self._mine = self._more or bool(known.get("id"))
            if self._mine and not self._more:
                self.found.append(_Open(known["id"] or ""))
        elif tag in {"th", "td"} and self._mine:
            self.listen()

    def handle_endtag(self, tag: str) -> None:
        if tag not in {"th", "td"} or self._said is None:
            return
        if self._more:
            self.found[-1].more = self.heard()
        else:
            self.found[-1].cells.append(self.heard())


class _Values(_Text):
    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:  # noqa: ARG002
        if tag == "dd":
            self.listen()

    def handle_endtag(self, tag: str) -> None:
        if tag == "dd" and self._said is not None:
            self.found.append(self.heard())
