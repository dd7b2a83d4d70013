"""Has a document printed by a child that lives for it alone (:mod:`clawmates.control.agreement.press`)."""

from __future__ import annotations

import asyncio
import sys
from typing import TYPE_CHECKING

from clawmates.base.shape import encode_json

if TYPE_CHECKING:
    from clawmates.control.agreement.document import Document

SECONDS = 60.0
"""It takes one or two; a machine that is busy has time."""
_at_once = asyncio.Semaphore(1)
"""One child at a time: it takes some 60 MiB."""


class PrintingError(Exception):
    """The document could not be printed."""


async def printed(wanted: Document) -> bytes:
    """The PDF; raises :class:`PrintingError`. What is printed goes through pipes alone: no argument, no file."""
    async with _at_once:
        child = await asyncio.create_subprocess_exec(
            *(sys.executable, "-I", "-m", "clawmates.control.agreement.press"),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
            env={},
        )
        try:
            async with asyncio.timeout(SECONDS):
                found, _ = await child.communicate(encode_json(wanted))
        except TimeoutError:
            raise PrintingError from None
        finally:
            if child.returncode is None:
                child.kill()
                await child.wait()
    if child.returncode != 0 or not found.startswith(b"%PDF-"):
        raise PrintingError
    return found
