"""How long a newcomer's way takes in Chromium, from the first page to a living bot: for `make bench`, which runs it.

Every page, mail and click is in it; nobody thinks, and what is typed is there at once. Prints seconds.
"""

from __future__ import annotations

import asyncio
import sys
import time

from tests.browser.test_launch import a_world, ask_for_link, fill_in, launch, open_link


async def walk() -> float:
    """Seconds."""
    async with a_world() as world:
        began = time.perf_counter()
        await ask_for_link(world)
        await open_link(world)
        await fill_in(world)
        await launch(world)
        await world.status("Live")
        return time.perf_counter() - began


if __name__ == "__main__":
    sys.stdout.write(f"{asyncio.run(walk())}\n")
