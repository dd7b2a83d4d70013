"""The face that nodes see: two calls, and nobody but nodes of this region is let in."""

from __future__ import annotations

import asyncio
import re
import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sqlalchemy.exc import SQLAlchemyError
from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route

from clawmates.base.hardening import place_of
from clawmates.base.shape import ShapeError, decode_json, encode_json
from clawmates.control.context import Context
from clawmates.control.errors import TooOften
from clawmates.control.hub import HubClosedError, account_topic, node_topic
from clawmates.control.nodes import ending
from clawmates.control.nodes.desired import desired_of, revision_of
from clawmates.control.nodes.draining import gone
from clawmates.control.nodes.hearing import hear, meet
from clawmates.control.nodes.moving import welcome_back
from clawmates.wire.control import MAX_REPORT_BYTES, POLL_SECONDS, ControlRefusal, Report
from clawmates.wire.names import NOBODY, Role, ServiceName

if TYPE_CHECKING:
    from collections.abc import Awaitable

    Answer = Callable[[Request, str], Awaitable[Response]]

BODY_SECONDS = 10.0
STATUS: dict[ControlRefusal, int] = {
    ControlRefusal.NOT_ALLOWED: 403,
    ControlRefusal.MALFORMED: 400,
    ControlRefusal.TOO_LARGE: 413,
    ControlRefusal.UNKNOWN: 404,
    ControlRefusal.UNAVAILABLE: 503,
    ControlRefusal.INTERNAL: 500,
}
_NUMBER = re.compile(r"0|[1-9][0-9]{0,14}")


class RefusedError(Exception):
    """The call is answered with a refusal."""

    def __init__(self, refusal: ControlRefusal) -> None:
        self.refusal = refusal
        super().__init__(refusal.value)


@dataclass(frozen=True, slots=True)
class Face:
    """``revoked`` says whether a certificate's generation counts no more."""

    context: Context
    revoked: Callable[[ServiceName], bool]

    def admit(self, caller: object) -> str:
        """The name of the calling node; raises :class:`RefusedError` for everybody else."""
        region = self.context.settings.platform.region
        if not isinstance(caller, ServiceName) or caller.role is not Role.NODE or caller.region != region:
            raise RefusedError(ControlRefusal.NOT_ALLOWED)
        if caller.name == NOBODY or self.revoked(caller):
            raise RefusedError(ControlRefusal.NOT_ALLOWED)
        return caller.name

    def guarded(self, answer: Answer) -> Callable[[Request], Awaitable[Response]]:
        """An endpoint behind the gate; nothing that goes wrong says more than its code."""

        async def endpoint(request: Request) -> Response:
            try:
                return await answer(request, self.admit(getattr(request.state, "caller", None)))
            except Exception as error:  # noqa: BLE001 - its text may quote what came
                return refusal(_meaning(error))

        return endpoint

    async def desired(self, request: Request, node: str) -> Response:
        """Long poll for a newer desired state."""
        text = request.query_params.get("after", "")
        if not _NUMBER.fullmatch(text):
            raise RefusedError(ControlRefusal.MALFORMED)
        context, after = self.context, int(text)
        loop = asyncio.get_running_loop()
        ends = loop.time() + POLL_SECONDS
        async with context.hub.watch(node_topic(node)) as news:
            while True:
                async with context.database.reading() as session:
                    revision = await revision_of(session, node)
                    if revision is not None and revision > after:
                        desired = await desired_of(session, node, context.clock.now())
                        return Response(encode_json(desired), media_type="application/json")
                if revision is not None and revision < after:
                    # The database is an older one, from a backup: its word counts all the same, as a newer revision.
                    await self._overtake(node, after)
                    continue
                if not await news.changed(ends - loop.time()):
                    return Response(status_code=204)

    async def report(self, request: Request, node: str) -> Response:
        """A node says how it is; the first time, it becomes known by it."""
        report = decode_json(Report, await body_of(request), MAX_REPORT_BYTES)
        context = self.context
        now = context.clock.now()
        async with context.database.writing() as session:
            row = await meet(session, node, context.settings.platform.region, now)
            await welcome_back(session, row, now)
            accounts = await hear(session, row, report, now)
            await gone(session, row, report, now)
            await ending.hear(session, row.name, report)
        for account in accounts:
            context.hub.announce(account_topic(account))
        return Response(status_code=204)

    async def _overtake(self, node: str, after: int) -> None:
        context = self.context
        async with context.database.writing() as session:
            row = await meet(session, node, context.settings.platform.region, context.clock.now())
            row.revision = max(row.revision, after + 1)


async def body_of(request: Request) -> bytes:
    """At most :data:`MAX_REPORT_BYTES` in at most ten seconds; raises :class:`RefusedError`."""
    body = bytearray()
    try:
        async with asyncio.timeout(BODY_SECONDS):
            async for piece in request.stream():
                if len(body) + len(piece) > MAX_REPORT_BYTES:
                    raise RefusedError(ControlRefusal.TOO_LARGE)
                body += piece
    except TimeoutError:
        raise RefusedError(ControlRefusal.MALFORMED) from None
    return bytes(body)


def refusal(code: ControlRefusal) -> Response:
    """The one shape that errors have."""
    body = encode_json({"error": {"code": code.value}})
    return Response(body, status_code=STATUS[code], media_type="application/json")


def _meaning(error: Exception) -> ControlRefusal:
    match error:
        case RefusedError():
            return error.refusal
        case HubClosedError() | TooOften():
            return ControlRefusal.UNAVAILABLE
        case ShapeError() | ClientDisconnect():
            return ControlRefusal.MALFORMED
        case _:
            sys.stderr.write(f"node's call failed: {place_of(error)}\n")
            away = isinstance(error, SQLAlchemyError | OSError)
            return ControlRefusal.UNAVAILABLE if away else ControlRefusal.INTERNAL


def build_nodes(context: Context, revoked: Callable[[ServiceName], bool]) -> Starlette:
    """The application behind the nodes' listener."""
    face = Face(context, revoked)
    routes = [
        Route("/v1/desired", face.guarded(face.desired), methods=["GET"]),
        Route("/v1/report", face.guarded(face.report), methods=["POST"]),
    ]
    app = Starlette(routes=routes)

    async def unknown(request: Request, _error: Exception) -> Response:
        try:
            face.admit(getattr(request.state, "caller", None))
        except RefusedError as error:
            return refusal(error.refusal)
        return refusal(ControlRefusal.UNKNOWN)

    app.add_exception_handler(404, unknown)
    app.add_exception_handler(405, unknown)
    return app
