"""The machine that figures were taken on, in words: nothing of it names the host or its owner."""

from __future__ import annotations

import asyncio
import os
import platform
from datetime import UTC, datetime
from pathlib import Path

COMMAND_SECONDS = 10.0


async def describe() -> dict[str, str]:
    """Facts by flat keys, ``machine_…``; what cannot be found out is left out."""
    facts = {
        "cpu": f"{_line(Path('/proc/cpuinfo'), 'model name')} ({len(os.sched_getaffinity(0))} cores)",
        "memory": f"{os.sysconf('SC_PHYS_PAGES') * os.sysconf('SC_PAGE_SIZE') / 2**30:.0f} GiB",
        "kernel": f"{platform.system()} {platform.release()}",
        "distribution": platform.freedesktop_os_release().get("PRETTY_NAME", ""),
        "python": platform.python_version(),
        "podman": (await _said("podman", "--version")).removeprefix("podman version "),
        "runtime": (await _said("runc", "--version")).partition("\n")[0].removeprefix("runc version "),
        "measured": datetime.now(UTC).date().isoformat(),
    }
    return {f"machine_{name}": value for name, value in facts.items() if value}


def _line(path: Path, name: str) -> str:
    for line in path.read_text().splitlines():
        key, _colon, value = line.partition(":")
        if key.strip() == name:
            return value.strip()
    return platform.machine()


async def _said(*command: str) -> str:
    try:
        process = await asyncio.create_subprocess_exec(
            *command, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL
        )
        async with asyncio.timeout(COMMAND_SECONDS):
            out, _ = await process.communicate()
    except (OSError, TimeoutError):
        return ""
    return out.decode(errors="replace").strip()
