"""A trial that is stopped takes down what it set up, and says how it was stopped."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest

TRIAL = """
import asyncio, pathlib, signal, sys
from clawmates.trials.running import run
signal.signal(signal.SIGINT, signal.default_int_handler)  # whoever runs the tests in the background ignores it
place = pathlib.Path(sys.argv[1])
async def trial():
    place.mkdir()
    try:
        print("set up", flush=True)
        await asyncio.Event().wait()
    finally:
        await asyncio.sleep(0)
        place.rmdir()
sys.exit(run(trial()))
"""


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_what_it_set_up_goes_with_it(tmp_path: Path, number: signal.Signals, code: int) -> None:
    place = tmp_path / "set-up"
    with subprocess.Popen(
        [sys.executable, "-c", TRIAL, str(place)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "set up\n"
        assert place.is_dir()
        process.send_signal(number)
        _, said = process.communicate(timeout=30)
    assert process.returncode == code
    assert said == "stopped; everything was removed\n"
    assert not place.exists()
