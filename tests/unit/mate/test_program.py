"""The program of a container as it is started: what of the world around it reaches a mate, and what it can say."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

PROBE = """
import asyncio, ctypes, json, logging, os, runpy, sys
from clawmates.base.hardening import quiet_loop
from clawmates.base.tls import client_context
import clawmates.mate.main as main

async def probe(door, folder):
    quiet_loop(asyncio.get_running_loop())
    context = client_context()
    handlers = [*logging.root.handlers]
    for one in logging.root.manager.loggerDict.values():
        handlers += getattr(one, "handlers", [])
    logging.getLogger("asyncio").error("hunter2 in a log line")
    logging.getLogger("anything").critical("hunter2 in a log line")
    asyncio.get_running_loop().call_exception_handler(dict(message="hunter2", exception=ValueError("hunter2")))
    print(json.dumps({
        "environment": dict(os.environ),
        "handlers": len(handlers),
        "keys": context.keylog_filename,
        "dumpable": ctypes.CDLL(None).prctl(3, 0, 0, 0, 0),
        "isolated": [sys.flags.isolated, sys.flags.ignore_environment, sys.flags.no_user_site],
    }), flush=True)
    raise ValueError("hunter2")

main.run = probe
if START:
    runpy.run_module("clawmates.mate", run_name="__main__")
else:
    asyncio.run(probe(None, None))
"""


def started(log: Path, *, hardened: bool) -> tuple[dict[str, Any], str]:
    """What a mate finds, and what it wrote to its standard error, in a hostile environment."""
    hostile = {
        "SSLKEYLOGFILE": str(log),
        "HTTPS_PROXY": "http://127.0.0.1:1",
        "ALL_PROXY": "socks5://127.0.0.1:1",
        "PYTHONPATH": str(log.parent),
        "PYTHONASYNCIODEBUG": "1",
    }
    done = subprocess.run(
        [sys.executable, "-I", "-c", PROBE.replace("START", str(hardened))],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
        env={**os.environ, **hostile},
    )
    assert done.returncode == 1
    return json.loads(done.stdout), done.stderr


def test_nothing_of_the_environment_reaches_it_and_no_text_leaves_it(tmp_path: Path) -> None:
    found, said = started(tmp_path / "keys.log", hardened=True)
    assert found == {"environment": {}, "handlers": 0, "keys": None, "dumpable": 0, "isolated": [1, 1, 1]}
    assert "hunter2" not in said
    assert "ValueError at <string>:" in said, "type and place are kept"
    assert not (tmp_path / "keys.log").exists()


def test_weakened_it_would_say_it_all(tmp_path: Path) -> None:
    """The same probe without the program around it: the test above looks where there is something to see."""
    found, said = started(tmp_path / "keys.log", hardened=False)
    assert "HTTPS_PROXY" in found["environment"]
    assert found["dumpable"] == 1
    assert "hunter2 in a log line" in said
    assert "ValueError: hunter2" in said
