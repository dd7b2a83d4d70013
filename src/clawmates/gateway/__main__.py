"""``python -I -m clawmates.gateway --config FILE``."""

# ruff: noqa: E402 - the first lines must run before asyncio is imported

from __future__ import annotations

import sys

# The gateway never opens TLS. With this asyncio finds no ssl module and does without, so no TLS library is even
# loaded into the process.
sys.modules["ssl"] = None  # type: ignore[assignment]

import argparse
import asyncio
import signal
from datetime import timedelta
from pathlib import Path

from clawmates.base.clock import SystemClock
from clawmates.base.hardening import HardeningError, harden, quiet_loop
from clawmates.base.settings import Settings, SettingsError, load, resolver_address, state_of
from clawmates.gateway.helper import HelperResolver
from clawmates.gateway.listen import InUseError
from clawmates.gateway.service import Gateway, raise_file_limit

OK, FAILED, CONFIGURATION = 0, 1, 78


def main(arguments: list[str]) -> int:
    """The process's exit code."""
    parser = argparse.ArgumentParser(prog="clawmates.gateway", allow_abbrev=False)
    parser.add_argument("--config", type=Path, required=True, metavar="FILE")
    config: Path = parser.parse_args(arguments).config
    try:
        harden()
        raise_file_limit()
        asyncio.run(_serve(load(config), config))
    except SettingsError as error:
        return _say(CONFIGURATION, str(error))
    except InUseError:
        return _say(FAILED, "another gateway already serves this runtime folder")
    except HardeningError as error:
        return _say(FAILED, str(error))
    except OSError as error:
        return _say(FAILED, f"the runtime folder cannot be used: {error.strerror}")
    return OK


async def _serve(settings: Settings, config: Path) -> None:
    loop = asyncio.get_running_loop()
    quiet_loop(loop)
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    clock = SystemClock(timedelta(seconds=settings.platform.unsafe_clock_offset))
    gateway = Gateway(settings, state_of(config), clock)
    if not settings.gateway.resolver:
        await gateway.run(stop)
        return
    resolver_address(settings)
    command = (sys.executable, "-I", "-m", "clawmates.resolver", "--config", str(config))
    gateway.resolver = helper = HelperResolver(command, clock.monotonic)
    try:
        await gateway.run(stop)
    finally:
        await helper.close()


def _say(code: int, sentence: str) -> int:
    sys.stderr.write(f"gateway: {sentence}\n")
    return code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
