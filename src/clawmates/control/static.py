"""What never changes while we run: read once, served from memory, under an address that changes with it."""

from __future__ import annotations

import gzip
import hashlib
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from fastapi import APIRouter, Request
from fastapi.responses import Response

from clawmates.control.errors import NotFound

FOLDER = Path(__file__).parent / "static"
KINDS = {
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".png": "image/png",
    ".svg": "image/svg+xml",
    ".txt": "text/plain; charset=utf-8",
}
"""A file of any other kind is not served."""
FOREVER = "public, max-age=31536000, immutable"
room = APIRouter()


@dataclass(frozen=True, slots=True)
class Static:
    """One file in memory."""

    kind: str
    body: bytes
    packed: bytes
    """The same, gzipped (RFC 1952)."""


@cache
def files() -> dict[str, Static]:
    """By name. There are no folders below, so an address can lead nowhere else."""
    found = {}
    for path in sorted(FOLDER.iterdir()):
        if path.suffix in KINDS:
            body = path.read_bytes()
            found[path.name] = Static(KINDS[path.suffix], body, gzip.compress(body, mtime=0))
    return found


@cache
def fingerprint() -> str:
    """16 hex digits that change with any file: one for all, so that one script finds the next by a relative address."""
    whole = hashlib.sha256()
    for name, file in files().items():
        whole.update(f"{name} {len(file.body)}\n".encode() + file.body)
    return whole.hexdigest()[:16]


def asset(name: str) -> str:
    """The address of a file; raises ``KeyError`` for one that is not there."""
    if name not in files():
        raise KeyError(name)
    return f"/static/{fingerprint()}/{name}"


@room.api_route("/static/{mark}/{name}", methods=["GET", "HEAD"])
async def serve(request: Request, mark: str, name: str) -> Response:
    """A file. Under a fingerprint that is not ours (another replica is older or newer) it is served, but not kept."""
    file = files().get(name)
    if file is None:
        raise NotFound
    headers = {"Vary": "Accept-Encoding", "Cache-Control": FOREVER if mark == fingerprint() else "no-store"}
    body = file.body
    if "gzip" in request.headers.get("accept-encoding", "") and len(file.packed) < len(body):
        headers["Content-Encoding"] = "gzip"
        body = file.packed
    return Response(body, media_type=file.kind, headers=headers)
