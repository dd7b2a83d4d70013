from __future__ import annotations

import os
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from clawmates.base.notify import inherited_sockets, ready


@pytest.fixture
def supervisor(monkeypatch: pytest.MonkeyPatch) -> Iterator[socket.socket]:
    with tempfile.TemporaryDirectory(prefix="cm-") as folder, socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as ear:
        ear.bind(str(Path(folder) / "notify"))
        ear.settimeout(5)
        monkeypatch.setenv("NOTIFY_SOCKET", str(Path(folder) / "notify"))
        yield ear


def test_readiness_is_said(supervisor: socket.socket) -> None:
    ready("serving")
    assert supervisor.recv(100) == b"READY=1\nSTATUS=serving"


def test_a_dead_or_missing_supervisor_is_no_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NOTIFY_SOCKET", "/nowhere/at/all")
    ready()
    monkeypatch.delenv("NOTIFY_SOCKET")
    ready()
    assert inherited_sockets() == []


def test_a_listening_socket_is_taken_over_only_by_the_process_it_is_for() -> None:
    source = (
        "import os; os.environ['LISTEN_PID'] = {pid}\n"
        "from clawmates.base.notify import inherited_sockets\n"
        "print([s.getsockname()[0] for s in inherited_sockets()])"
    )
    with socket.create_server(("127.0.0.1", 0)) as listener:
        for pid, wanted in (("str(os.getpid())", "['127.0.0.1']"), ("'1'", "[]")):
            done = subprocess.run(
                [sys.executable, "-c", source.format(pid=pid)],
                env={**os.environ, "LISTEN_FDS": "1"},
                capture_output=True,
                text=True,
                check=True,
                preexec_fn=lambda: os.dup2(listener.fileno(), 3),
                close_fds=False,
            )
            assert done.stdout.strip() == wanted
