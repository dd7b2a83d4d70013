"""The frame around every request: one transaction, bounded bodies, and nobody else's forms.

A route asks for ``Reading`` or ``Writing`` and gets a database session; the transaction is committed before the answer
leaves, and rolled back by any exception.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from typing import TYPE_CHECKING, Annotated
from urllib.parse import parse_qsl

from fastapi import Depends, Request
from sqlalchemy.ext.asyncio import AsyncSession

from clawmates.control.errors import Forged, Malformed, TooLarge

if TYPE_CHECKING:
    from clawmates.control.context import Context

MAX_FORM = 256 * 1024
"""Bytes of a form or a call: a prompt of 64 KiB, sealed and in Base64, fits."""
MAX_FIELDS = 60
BODY_SECONDS = 10.0


def context_of(request: Request) -> Context:
    """What this request may reach."""
    context: Context = request.app.state.context
    return context


async def _reading(request: Request) -> AsyncIterator[AsyncSession]:
    async with context_of(request).database.reading() as session:
        yield session


async def _writing(request: Request) -> AsyncIterator[AsyncSession]:
    async with context_of(request).database.writing() as session:
        yield session


# scope="function": over before the answer leaves, so nobody is told of what is not yet committed.
Reading = Annotated[AsyncSession, Depends(_reading, scope="function")]
Writing = Annotated[AsyncSession, Depends(_writing, scope="function")]


async def body_of(request: Request) -> bytes:
    """At most :data:`MAX_FORM` bytes in at most ten seconds; raises :class:`TooLarge` or :class:`Malformed`."""
    body = bytearray()
    try:
        async with asyncio.timeout(BODY_SECONDS):
            async for piece in request.stream():
                if len(body) + len(piece) > MAX_FORM:
                    raise TooLarge
                body += piece
    except TimeoutError:
        raise Malformed from None
    return bytes(body)


def check_origin(request: Request) -> None:
    """Raises :class:`Forged` unless the browser says that the request comes from our own page.

    Every browser sends ``Origin`` with a POST (Fetch standard, "append a request Origin header"); who sends none is no
    browser with our page open.
    """
    if request.headers.get("origin") != context_of(request).origin:
        raise Forged


async def _form(request: Request) -> Mapping[str, str]:
    """A form's fields; each may come once. Parsed in memory: the usual parser rolls large ones to the disk."""
    check_origin(request)
    if request.headers.get("content-type", "").partition(";")[0].strip() != "application/x-www-form-urlencoded":
        raise Malformed
    body = await body_of(request)
    try:
        pairs = parse_qsl(
            body.decode("ascii"),
            keep_blank_values=True,
            strict_parsing=bool(body),
            errors="strict",
            max_num_fields=MAX_FIELDS,
        )
    except ValueError:
        raise Malformed from None
    fields = dict(pairs)
    if len(fields) != len(pairs):
        raise Malformed
    return fields


Form = Annotated[Mapping[str, str], Depends(_form)]


async def _call(request: Request) -> bytes:
    """The JSON body of a call by one of our own scripts."""
    check_origin(request)
    if request.headers.get("content-type") != "application/json":
        raise Malformed
    return await body_of(request)


Call = Annotated[bytes, Depends(_call)]
