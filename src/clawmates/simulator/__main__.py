"""``python -I -m clawmates.simulator --dir DIR [--telegram-port 7450] [--openai-port 7451] …``; port 0 takes any."""

from __future__ import annotations

import argparse
import asyncio
import sys
from pathlib import Path

from clawmates.base.clock import SystemClock
from clawmates.base.hardening import harden
from clawmates.simulator.model import Ports, Service
from clawmates.simulator.process import Folder, run

EXIT_CONFIGURATION = 78


def main() -> int:
    """Runs until SIGTERM; 78 with one sentence when a port or the folder cannot be used."""
    harden()
    parser = argparse.ArgumentParser(prog="clawmates.simulator", description="Stand-ins for Telegram and AI providers.")
    parser.add_argument("--dir", type=Path, required=True, help="where ca.pem, ports.json and admin.sock appear")
    parser.add_argument("--telegram-port", type=int, default=7450)
    parser.add_argument("--openai-port", type=int, default=7451)
    for name in ("anthropic", "google", "ollama"):
        # Any: those who start several simulators name the two ports above only.
        parser.add_argument(f"--{name}-port", type=int, default=0)
    for service in Service:
        parser.add_argument(f"--{service.value}-address", default="", help="where it listens instead of on 127.0.0.1")
    options = parser.parse_args()
    addresses = {service: getattr(options, f"{service.value}_address") for service in Service}
    ports = Ports(
        telegram=options.telegram_port,
        openai=options.openai_port,
        anthropic=options.anthropic_port,
        google=options.google_port,
        ollama=options.ollama_port,
        addresses={service: address for service, address in addresses.items() if address},
    )
    try:
        asyncio.run(run(Folder(options.dir), ports, SystemClock()))
    except OSError as error:
        sys.stderr.write(f"the simulator cannot use its ports or {options.dir}: {error.strerror}\n")
        return EXIT_CONFIGURATION
    return 0


if __name__ == "__main__":
    sys.exit(main())
