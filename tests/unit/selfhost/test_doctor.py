from __future__ import annotations

import os
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from click import unstyle

from clawmates.base.paths import State
from clawmates.cli.doctor import checks_text
from clawmates.selfhost.accounts import own
from clawmates.selfhost.doctor import examine
from clawmates.selfhost.doctor.checks import checks, version
from clawmates.selfhost.doctor.fix import Command, FixError, Line, fixes
from clawmates.selfhost.doctor.machine import Machine
from clawmates.selfhost.doctor.reserve import LINE, overlaps
from clawmates.selfhost.layout import Folder, stray

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
    "service users": [{"missing_users": ("clawmates-vault",)}],
    "user ids": [{"reserved": False}, {"overlaps": ("somebody:1000000000:65536",)}],
    "folders": [{"wrong_folders": (Folder(Path("/var/lib/clawmates"), 0o755, own()),)}],
    "configuration": [{"settings": "clawmates.toml: unknown key 'vautl'"}],
    "ports": [{"taken": ("127.0.0.1:7441",)}],
    "release": [{"release": "missing"}],
    "operator": [{"unsaid": frozenset({"controller"})}, {"unsaid": frozenset({"hosting"})}],
    "security contact": [{"unsaid": frozenset({"security_contact"})}],
}


def test_a_good_machine_lacks_nothing() -> None:
    assert [check.name for check in checks(GOOD) if not check.ok] == []


@pytest.mark.parametrize(
    ("name", "changes"), [(name, changes) for name, several in LACKS.items() for changes in several]
)
def test_each_lack_is_found_alone(name: str, changes: dict[str, Any]) -> None:
    assert [check.name for check in checks(replace(GOOD, **changes)) if not check.ok] == [name]


def test_nobody_but_root_hears_of_what_only_root_can_see() -> None:
    blind = replace(
        GOOD, root=False, in_memory=False, overlays=False, wrong_folders=LACKS["folders"][0]["wrong_folders"]
    )
    assert [check.name for check in checks(blind) if not check.ok] == ["privileges"]


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


async def test_what_a_hosted_platforms_people_are_owed_is_asked_for_and_stops_nobody(tmp_path: Path) -> None:
    owed = {"operator", "security contact"}
    for mode, control, lacking in (
        ("hosted", "", owed),
        ("hosted", 'controller = "Example Ltd"\nhosting = "Example"\nsecurity_contact = "tel:+1"', set()),
        ("hosted", 'controller = " "\nhosting = "Example"\nsecurity_contact = "tel:+1"', {"operator"}),
        ("self-host", "", set()),
    ):
        (tmp_path / "clawmates.toml").write_text(f'[platform]\nmode = "{mode}"\n[control]\n{control}\n')
        found = [check for check in await examine(State(tmp_path)) if check.name in owed]
        assert {check.name for check in found if not check.ok} == lacking
        assert not any(check.needed for check in found)
        if "operator" in lacking:
            assert "! operator: [control] controller" in unstyle(checks_text(found))


NOTHING: tuple[Path, ...] = ()


def test_a_good_machine_is_left_alone() -> None:
    assert list(fixes(GOOD, NOTHING)) == []


def test_what_is_planned_is_shown_as_one_would_type_it(tmp_path: Path) -> None:
    lacking = replace(
        GOOD,
        missing_users=("clawmates-vault",),
        mounted=False,
        wrong_folders=(Folder(Path("/var/lib/clawmates/vault"), 0o700, own()),),
    )
    shown = [str(one) for one in fixes(lacking, (tmp_path / "subuid",))]
    assert shown == [
        (
            "useradd --system --user-group --no-create-home --home-dir /nonexistent --shell /usr/sbin/nologin "
            "clawmates-vault"
        ),
        f"echo '{LINE}' >> {tmp_path}/subuid",
        "mkdir -p /run/clawmates",
        "mount -t tmpfs -o size=256m,mode=0755,nosuid,nodev,noexec clawmates /run/clawmates",
        "mkdir -p /var/lib/clawmates/vault",
        f"chown {os.geteuid()}:{os.getegid()} /var/lib/clawmates/vault",
        "chmod 700 /var/lib/clawmates/vault",
    ]


def test_nothing_that_is_planned_can_destroy() -> None:
    everything = replace(
        GOOD, missing_users=("x",), mounted=False, wrong_folders=(Folder(Path("/nowhere"), 0o700, own()),), swap=True
    )
    programs = {one.arguments[0] for one in fixes(everything, NOTHING) if isinstance(one, Command)}
    assert programs <= {"useradd", "mkdir", "mount", "chown", "chmod"}


def test_a_tmpfs_is_not_planned_where_none_can_be() -> None:
    assert list(fixes(replace(GOOD, mounted=False, in_memory=False), NOTHING)) == []


def test_ids_that_others_have_are_not_taken_from_them(tmp_path: Path) -> None:
    file = tmp_path / "subuid"
    file.write_text("near:999999000:1000\nover:1500000000:65536\nfar:2147483647:2147483648\nodd:x\n")
    found = overlaps((file,))
    assert found == ("over:1500000000:65536",)
    assert list(fixes(replace(GOOD, reserved=False, overlaps=found), (file,))) == []


def test_a_line_is_added_once_and_behind_what_is_there(tmp_path: Path) -> None:
    file = tmp_path / "subuid"
    file.write_text("somebody:100000:65536")
    for _ in range(2):
        for one in fixes(GOOD, (file,)):
            one.do()
    assert file.read_text() == f"somebody:100000:65536\n{LINE}\n"


def test_folders_are_put_right(tmp_path: Path) -> None:
    folder = Folder(tmp_path / "made", 0o750, own())
    wrong = stray((folder,))
    assert wrong == (folder,)
    for one in fixes(replace(GOOD, wrong_folders=wrong), NOTHING):
        one.do()
    assert stray((folder,)) == ()
    folder.path.chmod(0o777)
    assert stray((folder,)) == (folder,)


def test_a_repair_that_fails_says_which(tmp_path: Path) -> None:
    with pytest.raises(FixError, match="mkdir /proc/nope"):
        Command(check="x", arguments=("mkdir", "/proc/nope")).do()
    with pytest.raises(FixError, match="echo"):
        Line(check="x", path=tmp_path, line="y").do()
