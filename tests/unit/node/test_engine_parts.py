"""What surrounds the engine: failures into codes, the tighter profile, the runtime, the ends of processes."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
from typing import TYPE_CHECKING, Any

import pytest

from clawmates.node.engines import podman, runtime
from clawmates.node.engines.base import (
    DiskFullError,
    EngineError,
    EngineMissingError,
    Exited,
    ImageMissingError,
    NameTakenError,
    NoUserNamespacesError,
    Running,
)
from clawmates.node.engines.exits import Exits
from clawmates.node.engines.podman import PodmanEngine, _failure, _running
from clawmates.node.engines.podman_files import SECCOMP_SOURCE, PodmanFiles
from clawmates.node.engines.runtime import choose_runtime, gives_user_namespaces
from clawmates.node.engines.seccomp import DENIED, FAMILIES, tighten, write_profile

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize(
    ("complaint", "kind"),
    [
        (b"Error: write /x: no space left on device", DiskFullError),
        (
            b'Error: creating container storage: the container name "x" is already in use: that name is already in use',
            NameTakenError,
        ),
        (b"Error: sha256:00: image not known", ImageMissingError),
        (b"runc: runc create failed: write to uid_map: operation not permitted", NoUserNamespacesError),
        (b"cannot clone: user namespaces are not enabled", NoUserNamespacesError),
        (b"something else", EngineError),
        (b"", EngineError),
    ],
)
def test_complaints_become_codes(complaint: bytes, kind: type[EngineError], capsys: pytest.CaptureFixture[str]) -> None:
    assert type(_failure(complaint)) is kind
    assert capsys.readouterr().err.count("\n") == 1


@pytest.mark.parametrize(("given", "kind"), [(True, DiskFullError), (False, NoUserNamespacesError)])
async def test_no_space_is_a_full_disk_only_while_there_are_user_namespaces(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, given: bool, kind: type[EngineError]
) -> None:
    """The kernel says ENOSPC for both."""
    program = tmp_path / "podman"
    program.write_text("#!/bin/sh\necho 'Error: mounting storage: no space left on device' >&2\nexit 125\n")
    program.chmod(0o755)

    async def answer() -> bool:
        return given

    monkeypatch.setattr(podman, "gives_user_namespaces", answer)
    monkeypatch.setattr(PodmanFiles, "environment", {"PATH": f"{tmp_path}:/usr/bin:/bin"})
    engine = PodmanEngine(PodmanFiles(tmp_path, tmp_path), "")
    with pytest.raises(EngineError) as failed:
        await engine.has("sha256:00")
    assert type(failed.value) is kind


async def test_this_machine_gives_user_namespaces() -> None:
    assert await gives_user_namespaces()


async def test_a_machine_that_cannot_be_asked_is_believed_to(monkeypatch: pytest.MonkeyPatch) -> None:
    """Then the engine's own complaint stands."""
    monkeypatch.setattr(runtime, "SEARCH_PATH", "/nowhere")
    assert await gives_user_namespaces()


def test_a_complaint_is_shown_short_and_printable(capsys: pytest.CaptureFixture[str]) -> None:
    _failure(b"first line\n" + b"\x1b[31mred\x00" + b"x" * 1000)
    shown = capsys.readouterr().err
    assert "first line" not in shown
    assert "\x1b" not in shown
    assert len(shown) < 320


def test_a_listed_container_that_has_ended_has_no_pid() -> None:
    entry = {"Names": ["n"], "Id": "i", "ImageID": "a" * 64, "Pid": 77, "State": "exited", "Labels": None}
    assert _running(entry) == Running(name="n", id="i", image="sha256:" + "a" * 64, pid=0, labels={})
    assert _running({**entry, "State": "running"}).pid == 77


async def test_without_podman_the_engine_is_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("clawmates.node.engines.podman.SEARCH_PATH", str(tmp_path))
    with pytest.raises(EngineMissingError):
        await PodmanEngine.open(PodmanFiles(tmp_path / "e", tmp_path / "r"))


async def test_a_podman_that_vanishes_is_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("clawmates.node.engines.podman_files.SEARCH_PATH", str(tmp_path))
    with pytest.raises(EngineMissingError):
        await PodmanEngine(PodmanFiles(tmp_path, tmp_path), "").list()


def test_a_runtime_that_is_not_there_is_missing(tmp_path: Path) -> None:
    with pytest.raises(EngineMissingError):
        choose_runtime("", unified=True, search=str(tmp_path))
    with pytest.raises(EngineMissingError):
        choose_runtime("no-such-runtime", unified=True)


def test_podman_learns_nothing_of_our_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTPS_PROXY", "NOTIFY_SOCKET", "LISTEN_FDS", "CONTAINER_HOST"):
        monkeypatch.setenv(name, "x")
    files = PodmanFiles(tmp_path / "e", tmp_path / "r")
    assert set(files.environment) == {"PATH", "LC_ALL", "HOME", "TMPDIR", "CONTAINERS_CONF", "CONTAINERS_STORAGE_CONF"}


def _allowed(profile: bytes, call: str) -> list[dict[str, Any]]:
    rules: list[dict[str, Any]] = json.loads(profile)["syscalls"]
    return [rule for rule in rules if call in rule["names"] and rule["action"] == "SCMP_ACT_ALLOW"]


def test_the_engines_profile_is_tightened() -> None:
    source = SECCOMP_SOURCE.read_bytes()
    tight = tighten(source)
    assert _allowed(source, "unshare"), "the engine's own profile has changed: look what it denies by itself"
    for call in DENIED - {"clone"}:
        assert _allowed(tight, call) == [], call
    (clone,) = _allowed(tight, "clone")
    assert clone["args"] == [{"index": 0, "value": 0x7E020000, "valueTwo": 0, "op": "SCMP_CMP_MASKED_EQ"}]
    families = [rule["args"] for rule in _allowed(tight, "socket")]
    assert [(one["op"], one["value"]) for (one,) in families] == [("SCMP_CMP_EQ", value) for value in sorted(FAMILIES)]
    for call in ("read", "execve", "connect", "epoll_wait", "futex", "getrandom"):
        assert _allowed(tight, call), call


@pytest.mark.parametrize(
    "profile", [b"", b"[]", b"{}", b'{"defaultAction": "SCMP_ACT_ALLOW", "syscalls": []}', b'{"defaultAction": 1}']
)
def test_a_profile_that_cannot_be_tightened_is_refused(profile: bytes) -> None:
    with pytest.raises(EngineMissingError):
        tighten(profile)


def test_a_missing_profile_is_a_missing_engine(tmp_path: Path) -> None:
    with pytest.raises(EngineMissingError):
        write_profile(tmp_path / "none", tmp_path / "out")


async def _first(exits: Exits) -> Exited:
    async with asyncio.timeout(5):
        return await exits.events().__aiter__().__anext__()


def _process(folder: Path, container: str) -> tuple[subprocess.Popen[bytes], Exits]:
    process = subprocess.Popen(["/bin/sleep", "100"])
    (folder / str(process.pid)).mkdir()
    (folder / str(process.pid) / "cgroup").write_text(f"0::/libpod-{container}\n")
    return process, Exits(proc=folder)


def _stubborn(folder: Path, container: str) -> subprocess.Popen[bytes]:
    """A process that ignores SIGTERM by the time this returns."""
    line = ["/bin/sh", "-c", "trap '' TERM; echo; while :; do read x; done"]
    process = subprocess.Popen(line, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert process.stdout is not None
    process.stdout.readline()
    (folder / str(process.pid)).mkdir()
    (folder / str(process.pid) / "cgroup").write_text(container)
    return process


async def test_an_end_is_noticed_at_once_and_told_once(tmp_path: Path) -> None:
    process, exits = _process(tmp_path, "abc")
    running = Running(name="n", id="abc", image="", pid=process.pid)
    exits.watch(running)
    exits.watch(running)
    process.kill()
    assert await _first(exits) == Exited(name="n", id="abc")
    process.wait()
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.05):
            await exits.events().__aiter__().__anext__()


async def test_a_pid_that_belongs_to_another_process_by_now_counts_as_an_end(tmp_path: Path) -> None:
    process, exits = _process(tmp_path, "somebody-else")
    try:
        exits.watch(Running(name="n", id="abc", image="", pid=process.pid))
        assert (await _first(exits)).id == "abc"
    finally:
        process.kill()
        process.wait()


async def test_a_process_that_is_gone_counts_as_an_end(tmp_path: Path) -> None:
    process, exits = _process(tmp_path, "abc")
    process.kill()
    process.wait()
    exits.watch(Running(name="n", id="abc", image="", pid=process.pid))
    assert (await _first(exits)).name == "n"


async def test_terminating_waits_for_the_end_and_no_longer_than_asked(tmp_path: Path) -> None:
    process, exits = _process(tmp_path, "abc")
    exits.watch(Running(name="n", id="abc", image="", pid=process.pid))
    assert await exits.terminate("n", 5)
    assert process.wait() == -15
    assert not await exits.terminate("n", 5), "it is not watched any more"
    stubborn = _stubborn(tmp_path, "def")
    exits.watch(Running(name="s", id="def", image="", pid=stubborn.pid))
    assert not await exits.terminate("s", 0.05)
    stubborn.kill()
    stubborn.communicate()


async def test_closing_gives_the_descriptors_back(tmp_path: Path) -> None:
    before = len(os.listdir("/proc/self/fd"))  # noqa: PTH208 - counting is all
    process, exits = _process(tmp_path, "abc")
    exits.watch(Running(name="n", id="abc", image="", pid=process.pid))
    assert len(os.listdir("/proc/self/fd")) == before + 1  # noqa: PTH208
    exits.close()
    exits.close()
    assert len(os.listdir("/proc/self/fd")) == before  # noqa: PTH208
    process.kill()
    process.wait()
