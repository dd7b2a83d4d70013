"""The judgement alone; ``tests/integration/test_isolation.py`` takes the walls away for real."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from clawmates.node.engines.base import ContainerSpec, Mount
from clawmates.node.engines.fake import facts_as_asked
from clawmates.node.facts import Facts, FolderFact, IdRange, MountFact, parse_mountinfo
from clawmates.node.isolation import judge, settling, sound

SPEC = ContainerSpec(
    name="mate-anna-1",
    image="sha256:" + "a" * 64,
    uid_first=1_000_001_024,
    uid_count=1024,
    user=1000,
    hostname="mate",
    mounts=(Mount(source=Path("/r/d"), target="/run/door"), Mount(source=Path("/r/b"), target="/run/boot")),
    memory_bytes=128 << 20,
    scratch_bytes=16 << 20,
    pids=32,
    cpus=1.0,
    open_files=1024,
    processes=64,
)
GOOD = facts_as_asked(SPEC)
WIDE = (IdRange(inside=0, outside=0, count=1 << 32),)


def bad(facts: Facts) -> set[str]:
    return {finding.name for finding in judge(SPEC, facts) if not finding.ok}


def mount(line: str) -> MountFact:
    return parse_mountinfo(f"900 1 0:99 {line}")[0]


def with_mount(line: str) -> Facts:
    return replace(GOOD, mounts=(*GOOD.mounts, mount(line)))


def with_mount_below(line: str) -> Facts:
    """One that was there first, so that it covers nothing."""
    return replace(GOOD, mounts=(mount(line), *GOOD.mounts))


def without_mount(point: str) -> Facts:
    return replace(GOOD, mounts=tuple(one for one in GOOD.mounts if one.point != point))


def test_as_asked_is_sound() -> None:
    assert sound(judge(SPEC, GOOD))


def test_no_findings_are_not_sound() -> None:
    assert not sound(())


CHANGES: list[tuple[str, dict[str, Any]]] = [
    ("user", {"uids": (SPEC.user_outside, SPEC.uid_first, SPEC.user_outside, SPEC.user_outside)}),
    ("user", {"uids": (0, 0, 0, 0)}),
    ("group", {"gids": (0,) * 4}),
    ("group", {"groups": (SPEC.user_outside, 0)}),
    *[
        (f"capabilities {name}", {"capabilities": {**GOOD.capabilities, name: 1 << 21}})
        for name in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb")
    ],
    ("no new privileges", {"no_new_privileges": 0}),
    ("seccomp", {"seccomp": 0}),
    ("seccomp", {"seccomp": 1}),
    ("forbidden system calls", {"forbidden_calls": ("unshare",)}),
    ("umask", {"umask": "0022"}),
    ("output kept", {"output_kept": ("k8s-file",)}),
    ("not dumpable", {"environ_owner": SPEC.user_outside}),
    ("own program", {"program_inside": False}),
    ("working directory", {"folder_inside": False}),
    ("environment", {"environment": ("HOME", "SSLKEYLOGFILE")}),
    ("open files from outside", {"foreign_descriptors": ("7",)}),
    *[
        (f"namespace {name}", {"namespaces": {**GOOD.namespaces, name: GOOD.host_namespaces[name]}})
        for name in GOOD.namespaces
    ],
    ("uid map", {"uid_map": WIDE}),
    ("uid map", {"uid_map": (*GOOD.uid_map, IdRange(inside=2000, outside=0, count=1))}),
    ("gid map", {"gid_map": WIDE}),
    ("network", {"interfaces": ("eth0", "lo")}),
    ("network", {"interfaces": ()}),
    ("killed when out of memory", {"cgroup": replace(GOOD.cgroup, oom_kills=False)}),
    ("memory limit", {"cgroup": replace(GOOD.cgroup, memory=None)}),
    ("memory limit", {"cgroup": replace(GOOD.cgroup, memory=SPEC.memory_bytes + 4096)}),
    ("memory and swap limit", {"cgroup": replace(GOOD.cgroup, memory_and_swap=None)}),
    ("process limit", {"cgroup": replace(GOOD.cgroup, pids=None)}),
    ("CPU limit", {"cgroup": replace(GOOD.cgroup, cpus=None)}),
    ("not spared when out of memory", {"oom_score": -1}),
    ("core limit", {"limits": {**GOOD.limits, "Max core file size": ("0", "unlimited")}}),
    ("open files limit", {"limits": {**GOOD.limits, "Max open files": ("1024", "4096")}}),
    ("user process limit", {"limits": {**GOOD.limits, "Max processes": ("unlimited", "unlimited")}}),
    ("message queue limit", {"limits": {name: v for name, v in GOOD.limits.items() if "msg" not in name}}),
    ("mount /", {"mounts": tuple(one for one in GOOD.mounts if one.point != "/")}),
    ("mount /run/boot", {"mounts": tuple(one for one in GOOD.mounts if one.point != "/run/boot")}),
    ("shared mounts", {"mounts": tuple(replace(one, shared=one.point == "/run/door") for one in GOOD.mounts)}),
]


@pytest.mark.parametrize(("name", "change"), CHANGES)
def test_each_weakness_is_found_alone(name: str, change: dict[str, Any]) -> None:
    assert bad(replace(GOOD, **change)) == {name}


@pytest.mark.parametrize(
    "line",
    [
        "/ /proc rw,nosuid,nodev,noexec - proc proc rw",
        "/sys /proc/sys ro,nosuid - proc proc rw",
        "/ /proc/acpi ro - tmpfs tmpfs ro",
        "/null /proc/keys rw - devtmpfs devtmpfs rw",
        "/null /proc/keys rw - tmpfs tmpfs rw",
        "/ /sys ro,nosuid - sysfs sysfs ro",
        "/ /sys/fs/cgroup rw,nosuid,noexec - tmpfs tmpfs rw,mode=755,uid=1000001024",
        "/x /sys/fs/cgroup/pids ro - cgroup cgroup rw,pids",
        "/ /sys/fs/cgroup ro - cgroup2 cgroup rw",
        "/ /sys/firmware ro - tmpfs tmpfs ro",
        "/ /dev rw,nosuid,noexec - tmpfs tmpfs rw,mode=755,uid=1000001024",
        "/ /dev/pts rw,nosuid,noexec - devpts devpts rw",
        "/ /dev/mqueue ro - tmpfs tmpfs rw",
        "/null /dev/null rw - devtmpfs devtmpfs rw",
        "/a/hostname /etc/hostname ro - ext4 /dev/vda rw",
        "/a/.containerenv /run/.containerenv ro - tmpfs tmpfs rw",
    ],
)
def test_what_engines_mount_by_themselves_is_harmless(line: str) -> None:
    assert bad(with_mount_below(line)) == set()


@pytest.mark.parametrize(
    "line",
    [
        "/ /proc rw - ext4 /dev/vda rw",
        "/sys /proc/sys rw,nosuid - proc proc rw",
        "/ /proc/acpi rw - tmpfs tmpfs rw",
        "/zero /proc/keys rw - devtmpfs devtmpfs rw",
        "/ /sys rw,nosuid - sysfs sysfs rw",
        "/ /sys/fs/cgroup rw,nosuid,noexec - tmpfs tmpfs rw,mode=777,uid=1000001024",
        "/ /sys/fs/cgroup rw,nosuid,noexec - tmpfs tmpfs rw,mode=755,uid=1000002024",
        "/x /sys/fs/cgroup/pids rw - cgroup cgroup rw,pids",
        "/ /sys/fs/cgroup rw - cgroup2 cgroup rw",
        "/etc /sys/firmware ro - ext4 /dev/vda rw",
        "/ /dev rw,nosuid,noexec - tmpfs tmpfs rw,mode=1777,uid=1000001024",
        "/ /dev rw - devtmpfs devtmpfs rw,mode=755,uid=1000001024",
        "/ /dev/shm rw,nosuid,noexec - tmpfs shm rw",
        "/ /dev/mqueue rw - mqueue mqueue rw",
        "/mem /dev/null rw - devtmpfs devtmpfs rw",
        "/mem /dev/mem rw - devtmpfs devtmpfs rw",
        "/a/hostname /etc/hostname rw - ext4 /dev/vda rw",
        "/a/hosts /etc/hosts ro - ext4 /dev/vda rw",
        "/a/passwd /etc/passwd ro - ext4 /dev/vda rw",
        "/ /var/tmp rw,noexec - tmpfs tmpfs rw",
        "/etc /more ro - ext4 /dev/vda rw",
    ],
)
def test_every_other_mount_is_refused(line: str) -> None:
    assert bad(with_mount_below(line)) == {"other mounts"}


@pytest.mark.parametrize("point", ["/proc/kcore", "/proc/acpi", "/proc/sys"])
def test_a_kernel_file_that_nothing_covers_is_in_reach(point: str) -> None:
    assert bad(without_mount(point)) == {"kernel files in reach"}


@pytest.mark.parametrize(
    "line",
    [
        "/ /proc rw,nosuid,nodev,noexec - proc proc rw",
        "/acpi /proc/acpi ro - proc proc rw",
        "/sub /proc/acpi ro - tmpfs tmpfs rw",
    ],
    ids=["a new /proc over all masks", "the very thing, read-only", "a folder with something in it"],
)
def test_what_lies_over_a_mask_counts(line: str) -> None:
    assert bad(with_mount(line)) == {"kernel files in reach"}


def test_a_kernel_that_lacks_a_file_needs_no_mask_for_it() -> None:
    assert bad(replace(without_mount("/proc/acpi"), kernel_files=("/proc/kcore", "/proc/sys"))) == set()


@pytest.mark.parametrize(("point", "kind"), [("/proc", "proc"), ("/sys", "sysfs")])
def test_the_hosts_own_proc_or_sys_is_seen_by_its_device(point: str, kind: str) -> None:
    own = mount(f"/ {point} ro,nosuid,nodev,noexec - {kind} {kind} rw")
    facts = replace(GOOD, mounts=(own, *GOOD.mounts))
    assert bad(facts) == set()
    assert bad(replace(facts, host_devices={**GOOD.host_devices, point: own.device})) == {"the host's own"}


@pytest.mark.parametrize("inside", ["", "0:9 77"], ids=["nothing", "another folder"])
@pytest.mark.parametrize("target", ["/run/door", "/run/boot"])
def test_another_folder_in_the_place_of_the_bots_own_is_seen(target: str, inside: str) -> None:
    folders = {**GOOD.folders, target: replace(GOOD.folders[target], inside=inside)}
    assert bad(replace(GOOD, folders=folders)) == {f"folder {target}"}


def test_a_folder_that_was_not_looked_at_is_not_the_bots_own() -> None:
    assert bad(replace(GOOD, folders={})) == {"folder /run/door", "folder /run/boot"}


def test_two_missing_folders_are_not_the_same_folder() -> None:
    lost = {target: FolderFact(outside="", inside="") for target in GOOD.folders}
    assert bad(replace(GOOD, folders=lost)) == {"folder /run/door", "folder /run/boot"}


def test_of_many_things_the_first_are_named_and_the_others_counted() -> None:
    facts = replace(GOOD, forbidden_calls=tuple(f"call{number}" for number in range(70)))
    (finding,) = [one for one in judge(SPEC, facts) if not one.ok]
    assert finding.found.startswith("call0 call1 ")
    assert finding.found.endswith(" call7 and 62 more")


@pytest.mark.parametrize(
    ("point", "line"),
    [
        ("/", "/ / rw - overlay overlay rw"),
        ("/tmp", "/ /tmp rw,nosuid,nodev,noexec - ext4 /dev/vda rw,size=16384k"),
        ("/tmp", "/ /tmp rw,nosuid,nodev - tmpfs tmpfs rw,size=16384k"),
        ("/tmp", "/ /tmp rw,nosuid,nodev,noexec - tmpfs tmpfs rw"),
        ("/run/door", "/x /run/door rw - tmpfs tmpfs rw"),
        ("/run/boot", "/x /run/boot rw - tmpfs tmpfs rw"),
    ],
)
def test_what_is_mounted_over_a_good_mount_counts(point: str, line: str) -> None:
    assert bad(with_mount(line)) == {f"mount {point}"}


def test_only_what_the_program_does_itself_is_waited_for() -> None:
    young = replace(GOOD, environ_owner=SPEC.user_outside, program_inside=False)
    assert settling(judge(SPEC, young))
    assert not settling(judge(SPEC, replace(young, seccomp=0)))
