"""Every field of every form and every call of control's two faces, found by themselves, each with a canary in it.

Forms are found on the pages, and what a handler reads beyond them by watching it read; calls and reports are taken
apart leaf by leaf. So a new form or field is walked without a word here, and a new call without an example fails.
"""

from __future__ import annotations

import copy
import json
from base64 import b64encode
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache
from html.parser import HTMLParser
from typing import Any

import httpx2
from fastapi import FastAPI

from clawmates.control.frame import _call, _form
from clawmates.proofs.canary import Canary, mint
from clawmates.proofs.search import Found, Patterns, search
from clawmates.proofs.sources import Piece

KNOWN_TO_US = frozenset({"name", "email", "username"})
"""What people call things, and their address: control keeps these, by the inventory, and shows them to their owner."""
SHOWN_AGAIN = frozenset(
    {
        *("temperature", "max_output_tokens"),
        *("messages_per_day", "messages_per_month", "tokens_per_day", "tokens_per_month"),
        *("company", "address", "signer"),
    }
)
"""Numbers, and who makes an agreement: what does not fit comes back into the same form once, with the sentence that
says so, and is kept nowhere."""
STRAY = "stray"
"""A field that no form of ours has."""


@dataclass(frozen=True)
class Canaries:
    """``secret`` is in every field that is not listed above, and may be nowhere."""

    secret: Canary = field(default_factory=mint)
    known: Canary = field(default_factory=mint)
    again: Canary = field(default_factory=mint)

    def of(self, name: str) -> Canary:
        if name in KNOWN_TO_US:
            return self.known
        return self.again if name in SHOWN_AGAIN else self.secret

    def values(self, name: str) -> Iterator[str]:
        """As a stranger would write it, as a word, and as an address."""
        canary = self.of(name)
        yield from (canary.mark, canary.stem, f"{canary.stem}@example.org")
        if name == "sealed":
            yield b64encode(3 * canary.mark.encode()).decode()


@cache
def patterns(*canaries: Canary) -> Patterns:
    """Of all of them, so that what is packed is unpacked once."""
    each = [Patterns.of(one) for one in canaries]
    return Patterns(tuple(needle for one in each for needle in one.needles), max(one.reach for one in each))


def found(raw: bytes, *canaries: Canary) -> list[str]:
    """In which encodings any of the canaries stands there, also within what is packed."""
    return [one.encoding for one in search(Piece(raw), patterns(*canaries)) if isinstance(one, Found)]


def whole(answer: httpx2.Response) -> bytes:
    """An answer as it went: line, headers, body."""
    headers = b"".join(name + b": " + value + b"\n" for name, value in answer.headers.raw)
    return headers + b"\n" + answer.content


@dataclass(frozen=True, slots=True)
class Route:
    """``takes`` is *form*, *call* or nothing."""

    method: str
    path: str
    takes: str


def routes(app: FastAPI) -> set[Route]:
    """All of the application's, those of included routers too."""
    return {
        Route(method, one.path, _takes(one.dependant))
        for one in _flat(app.routes)
        if hasattr(one, "dependant")
        for method in one.methods
    }


def _flat(found: Any) -> Iterator[Any]:
    for one in found:
        inner = getattr(one, "effective_candidates", None)
        if inner is None:
            yield one
        else:
            yield from _flat(inner())


def _takes(dependant: Any) -> str:
    calls = {one.call for one in dependant.dependencies}
    return "form" if _form in calls else "call" if _call in calls else ""


@dataclass
class HtmlForm:
    """One form of a page and what a browser would send if nobody touched it."""

    action: str
    fields: dict[str, str] = field(default_factory=dict)


class _Forms(HTMLParser):
    def __init__(self, here: str) -> None:
        super().__init__()
        self.here = here
        self.found: list[HtmlForm] = []
        self._inside: HtmlForm | None = None
        self._select = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        told = {name: value or "" for name, value in attrs}
        if tag == "form" and told.get("method") == "post" and "data-seal" not in told:
            self._inside = HtmlForm(told.get("action", self.here))
            self.found.append(self._inside)
        if self._inside is None:
            return
        name = told.get("name", "")
        if tag == "select":
            self._select = name
        elif tag == "option" and self._select:
            if "selected" in told or self._select not in self._inside.fields:
                self._inside.fields[self._select] = told.get("value", "")
        elif name and (told.get("type") != "radio" or "checked" in told or name not in self._inside.fields):
            self._inside.fields[name] = told.get("value", "")

    def handle_endtag(self, tag: str) -> None:
        if tag == "form":
            self._inside = None
        if tag == "select":
            self._select = ""


def forms(page: httpx2.Response, here: str) -> list[HtmlForm]:
    """Those of a page at ``here``. A sealing form has none that a browser could send: its inputs have no names."""
    parser = _Forms(here)
    parser.feed(page.text)
    return parser.found


class Watched(dict[str, str]):
    """A form as a handler gets it, which notes what is read of it."""

    read: set[str] = set()  # noqa: RUF012 - for whoever stands outside

    def get(self, key: str, default: Any = None) -> Any:
        Watched.read.add(key)
        return super().get(key, default)


def leaves(document: Any, path: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:
    """The paths of everything in a JSON document that holds nothing else."""
    if isinstance(document, dict):
        for key, value in document.items():
            yield from leaves(value, (*path, key))
    elif isinstance(document, list):
        for number, value in enumerate(document):
            yield from leaves(value, (*path, number))
    else:
        yield path


def planted(document: Any, canaries: Canaries) -> Iterator[tuple[str, Any]]:
    """(which field, the document with a canary there): in each leaf, in a key too many, and instead of all of it."""
    for path in leaves(document):
        name = next((part for part in reversed(path) if isinstance(part, str)), STRAY)
        for value in canaries.values(name):
            broken = copy.deepcopy(document)
            inner = broken
            for part in path[:-1]:
                inner = inner[part]
            inner[path[-1]] = value
            yield name, broken
    if isinstance(document, dict):
        yield STRAY, document | {STRAY: canaries.secret.mark}
        yield STRAY, document | {canaries.secret.mark: 1}
    yield STRAY, canaries.secret.mark


@dataclass
class Walk:
    """Notes what comes back where it must not."""

    canaries: Canaries
    leaks: list[str] = field(default_factory=list)

    def judge(self, answer: httpx2.Response, where: str, name: str) -> None:
        """The answer to whoever sent ``name``: what is theirs may come back to them, anything else may not."""
        may = {"known": True, "again": name in SHOWN_AGAIN, "secret": False}
        for kind, allowed in may.items():
            if not allowed:
                self.leaks += [f"{where} {name}: {how}" for how in found(whole(answer), getattr(self.canaries, kind))]

    def look(self, raw: bytes, where: str, *kinds: str) -> None:
        """Bytes that may not hold any of these kinds."""
        for kind in kinds:
            self.leaks += [f"{where}: {kind}, {how}" for how in found(raw, getattr(self.canaries, kind))]


async def call(browser: httpx2.AsyncClient, path: str, body: Any) -> httpx2.Response:
    content = json.dumps(body).encode()
    return await browser.post(path, content=content, headers={"Content-Type": "application/json"})
