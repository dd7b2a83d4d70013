from __future__ import annotations

import subprocess
import sys

import pytest

from clawmates.base.hardening import place_of

STATUS = "print(*[line.split()[1] for line in open('/proc/self/status') if line.startswith('NoNewPrivs')])"
LIMIT = "import resource; print(resource.getrlimit(resource.RLIMIT_CORE))"
OWNER = "import os; os.stat('/proc/self/environ')"


def run(source: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-I", "-c", source], capture_output=True, text=True, check=False)


def hardened(source: str, options: str = "") -> subprocess.CompletedProcess[str]:
    return run(f"from clawmates.base.hardening import harden; harden({options}); {source}")


def test_no_core_no_dump_no_new_privileges() -> None:
    dumpable = "import ctypes; print(ctypes.CDLL(None).prctl(3, 0, 0, 0, 0))"
    assert hardened(LIMIT).stdout.strip() == "(0, 0)"
    assert hardened(dumpable).stdout.strip() == "0"
    assert hardened(STATUS).stdout.strip() == "1"
    assert run(dumpable).stdout.strip() == "1"


def test_those_that_start_containers_keep_their_transitions() -> None:
    assert hardened(STATUS, "new_privileges=True").stdout.strip() == "0"


def test_a_crash_says_type_and_place_and_drops_the_text() -> None:
    source = "hunter2 = 'hunter2'; raise ValueError(hunter2)"
    done = hardened(source)
    assert done.returncode == 1
    assert "ValueError at <string>:1" in done.stderr
    assert "hunter2" not in done.stderr
    assert "hunter2" in run(source).stderr


def test_the_event_loop_keeps_quiet_too() -> None:
    body = (
        "import asyncio\nfrom clawmates.base.hardening import quiet_loop\n"
        "async def leak(): raise ValueError('hunter2')\n"
        "async def main():\n    {}\n    task = asyncio.create_task(leak())\n    await asyncio.wait([task])\n"
        "    del task\n    import gc; gc.collect()\n"
        "asyncio.run(main())"
    )
    quiet = run(body.format("quiet_loop(asyncio.get_running_loop())"))
    assert "unhandled: ValueError at" in quiet.stderr
    assert "hunter2" not in quiet.stderr
    assert "hunter2" in run(body.format("pass")).stderr


def test_the_place_is_that_of_the_deepest_frame() -> None:
    with pytest.raises(ZeroDivisionError) as caught:
        _ = 1 // 0
    assert place_of(caught.value).startswith("ZeroDivisionError at test_hardening.py:")
    assert place_of(ValueError("x")) == "ValueError at unknown place"
