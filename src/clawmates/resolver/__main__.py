"""``python -I -m clawmates.resolver --config FILE``, started by the gateway with a socket as standard input."""

from __future__ import annotations

import argparse
import asyncio
import socket
import sys
from pathlib import Path

from clawmates.base.hardening import HardeningError, harden, quiet_loop
from clawmates.base.settings import Settings, SettingsError, load, resolver_address
from clawmates.base.tls import client_context
from clawmates.resolver.serving import serve
from clawmates.resolver.upstream import Server, Upstream

OK, FAILED, CONFIGURATION = 0, 1, 78


def main(arguments: list[str]) -> int:
    """The process's exit code."""
    parser = argparse.ArgumentParser(prog="clawmates.resolver", allow_abbrev=False)
    parser.add_argument("--config", type=Path, required=True, metavar="FILE")
    try:
        harden()
        asyncio.run(_serve(load(parser.parse_args(arguments).config)))
    except SettingsError as error:
        sys.stderr.write(f"resolver: {error}\n")
        return CONFIGURATION
    except (HardeningError, OSError) as error:
        sys.stderr.write(f"resolver: {type(error).__name__}\n")
        return FAILED
    return OK


async def _serve(settings: Settings) -> None:
    quiet_loop(asyncio.get_running_loop())
    authority = settings.gateway.unsafe_resolver_ca
    tls = client_context(authority=Path(authority) if authority else None)
    tls.set_alpn_protocols(["dot"])
    upstream = Upstream(Server(*resolver_address(settings)), tls)
    reader, writer = await asyncio.open_unix_connection(sock=socket.socket(fileno=sys.stdin.fileno()))
    try:
        await serve(reader, writer, upstream)
    finally:
        upstream.close()
        writer.transport.abort()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
