from __future__ import annotations

import os
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest

from clawmates.base.paths import State
from clawmates.selfhost.doctor import Machine, checks, examine, version

if TYPE_CHECKING:
    from pathlib import Path

GOOD = Machine(
    python=(3, 12),
    root=True,
    podman="4.9.3",
    runtime="/usr/bin/crun",
    seccomp=True,
    kernel="6.8.0-48-generic",
    user_namespaces=127000,
    unshares=True,
    controllers=frozenset({"cpu", "memory", "pids", "io"}),
    counts_swap=True,
    run="/run/clawmates",
    in_memory=True,
    overlays=True,
    swap=False,
    free_mib=20_000,
    now=datetime(2026, 11, 22, tzinfo=UTC),
    mmdebstrap=True,
    taken=(),
    settings="",
    release="",
)

LACKS: dict[str, list[dict[str, Any]]] = {
    "Python": [{"python": (3, 10)}],
    "privileges": [{"root": False}],
    "kernel": [{"kernel": "5.15.0-1-amd64"}, {"kernel": "strange"}],
    "clock": [{"now": datetime(1970, 1, 1, tzinfo=UTC)}],
    "Podman": [{"podman": ""}, {"podman": "3.4.4"}],
    "OCI runtime": [{"runtime": ""}],
    "seccomp profile": [{"seccomp": False}],
    "user namespaces": [{"user_namespaces": 0}, {"unshares": False}],
    "image builder": [{"mmdebstrap": False}],
    "cgroup controllers": [{"controllers": frozenset({"cpu", "pids"})}, {"controllers": frozenset()}],
    "swap accounting": [{"counts_swap": False}],
    "swap": [{"swap": True}],
    "memory file system": [{"in_memory": False}],
    "overlay file system": [{"overlays": False}],
    "disk space": [{"free_mib": 3}],
    "configuration": [{"settings": "clawmates.toml: unknown key 'vautl'"}],
    "ports": [{"taken": ("127.0.0.1:7441",)}],
    "release": [{"release": "missing"}],
}


def test_a_good_machine_lacks_nothing() -> None:
    assert [check.name for check in checks(GOOD) if not check.ok] == []


@pytest.mark.parametrize(
    ("name", "changes"), [(name, changes) for name, several in LACKS.items() for changes in several]
)
def test_each_lack_is_found_alone(name: str, changes: dict[str, Any]) -> None:
    assert [check.name for check in checks(replace(GOOD, **changes)) if not check.ok] == [name]


def test_no_check_is_left_untried() -> None:
    assert {check.name for check in checks(GOOD)} == set(LACKS)


def test_every_remedy_is_one_sentence_on_one_line() -> None:
    for check in checks(GOOD):
        assert check.remedy.endswith(".")
        assert "\n" not in check.remedy + check.found
        assert check.remedy.count(". ") == 0


@pytest.mark.parametrize(
    ("text", "parts"), [("6.1.0-18-amd64", (6, 1)), ("5.19", (5, 19)), ("4.3.1", (4, 3)), ("", ()), ("v7", ())]
)
def test_versions(text: str, parts: tuple[int, ...]) -> None:
    assert version(text) == parts


async def test_this_machine_can_run_containers_and_waits_for_a_release(tmp_path: Path) -> None:
    found = {check.name: check for check in await examine(State(tmp_path / "nothing" / "yet"))}
    for name in ("Python", "Podman", "OCI runtime", "user namespaces", "overlay file system", "memory file system"):
        assert found[name].ok, name
    assert found["release"].ok
    assert "selfhost init" in found["release"].found
    assert os.listdir(tmp_path) == [], "the doctor leaves nothing behind"  # noqa: PTH208 - a plain call suits here


async def test_a_configuration_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    (tmp_path / "clawmates.toml").write_text("[vautl]\n")
    found = {check.name: check for check in await examine(State(tmp_path))}
    assert not found["configuration"].ok
    assert "vautl" in found["configuration"].found
