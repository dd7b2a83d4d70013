"""The floor for control's pages: one short page by a bare Starlette, over the same TLS; no database, no template.

.venv/bin/python -m clawmates.trials.bare_page PORT CERTIFICATE KEY
"""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING

import uvicorn
from starlette.applications import Starlette
from starlette.responses import HTMLResponse
from starlette.routing import Route

if TYPE_CHECKING:
    from starlette.requests import Request

PAGE = "<!doctype html><title>Hello</title><h1>Hello</h1>"


async def hello(_request: Request) -> HTMLResponse:
    """The same page for everything, with the time it took to make it."""
    began = time.perf_counter()
    answer = HTMLResponse(PAGE)
    answer.headers["Server-Timing"] = f"app;dur={(time.perf_counter() - began) * 1000:.3f}"
    return answer


def main(port: str, certificate: str, key: str) -> None:
    """Serves until a signal."""
    app = Starlette(routes=[Route("/{any:path}", hello, methods=["GET", "POST"])])
    uvicorn.run(
        app,
        port=int(port),
        ssl_certfile=certificate,
        ssl_keyfile=key,
        http="h11",
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
    )


if __name__ == "__main__":
    main(*sys.argv[1:])
