from __future__ import annotations

import os
import signal
import subprocess
from pathlib import Path

import pytest

from clawmates.node.boot import in_memory
from clawmates.node.engines.base import Mount
from clawmates.node.engines.runtime import choose_runtime, unified_cgroups
from clawmates.node.facts import (
    CgroupFacts,
    FactsUnavailableError,
    IdRange,
    cgroup_folders,
    hardened,
    parse_environment,
    parse_id_map,
    parse_interfaces,
    parse_limits,
    parse_mountinfo,
    read_cgroup,
    read_facts,
    read_memory,
)

HYBRID = """\
30 20 0:29 / /sys/fs/cgroup rw - tmpfs tmpfs rw
31 30 0:30 / /sys/fs/cgroup/cpu rw - cgroup cgroup rw,cpu
32 30 0:31 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory
33 30 0:32 / /sys/fs/cgroup/pids rw - cgroup cgroup rw,pids
34 30 0:33 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw
"""
UNIFIED = "30 20 0:29 / /sys/fs/cgroup rw shared:9 - cgroup2 cgroup2 rw,nsdelegate\n"


def test_limits() -> None:
    text = (
        "Limit                     Soft Limit           Hard Limit           Units     \n"
        "Max cpu time              unlimited            unlimited            seconds   \n"
        "Max core file size        0                    unlimited            bytes     \n"
        "Max nice priority         0                    0                    \n"
    )
    assert parse_limits(text) == {
        "Max cpu time": ("unlimited", "unlimited"),
        "Max core file size": ("0", "unlimited"),
        "Max nice priority": ("0", "0"),
    }


def test_id_map() -> None:
    assert parse_id_map("         0 1000001024       1024\n") == (IdRange(inside=0, outside=1000001024, count=1024),)


def test_interfaces() -> None:
    assert parse_interfaces("Inter-|\n face |\n    lo:  0 0\n  eth0: 1 2\n") == ("lo", "eth0")


def test_environment_keeps_names_only() -> None:
    assert parse_environment(b"B=secret\0A=\0\0odd\0") == ("A", "B", "odd")


def test_mountinfo_with_and_without_optional_fields() -> None:
    shared, plain = parse_mountinfo(
        "22 1 0:5 / /a\\040b rw,nosuid shared:7 master:1 - tmpfs none rw,size=4k\n"
        "23 1 8:1 /x /y ro - ext4 /dev/vda rw\n"
    )
    assert (shared.point, shared.shared, shared.kind, shared.read_only) == ("/a b", True, "tmpfs", False)
    assert "size=4k" in shared.super_options
    assert (plain.root, plain.point, plain.shared, plain.read_only) == ("/x", "/y", False, True)


@pytest.mark.parametrize("tag", ["shared:7", "master:1", "shared:7 master:1"])
def test_a_mount_that_follows_the_hosts_counts_as_shared(tag: str) -> None:
    (mount,) = parse_mountinfo(f"22 1 0:5 / /more ro {tag} - tmpfs none rw\n")
    assert mount.shared
    (alone,) = parse_mountinfo("22 1 0:5 / /more ro unbindable - tmpfs none rw\n")
    assert not alone.shared


def test_folders_are_told_apart_by_what_they_are_and_not_by_their_names(tmp_path: Path) -> None:
    first, second, empty = tmp_path / "first", tmp_path / "second", tmp_path / "none"
    for folder in (first, second):
        folder.mkdir()
    asked = (
        Mount(source=first, target=str(first)),
        Mount(source=first, target=str(second)),
        Mount(source=first, target=str(empty)),
        Mount(source=empty, target="/none"),
    )
    own, other, missing, neither = read_facts(os.getpid(), asked).folders.values()
    assert own.inside == own.outside != ""
    assert other.inside not in {"", other.outside}
    assert (missing.inside, neither.inside, neither.outside) == ("", "", "")


def test_what_a_process_has_written_is_counted(tmp_path: Path) -> None:
    before = read_facts(os.getpid()).written
    with (tmp_path / "file").open("wb") as stream:
        stream.write(bytes(1 << 16))
        stream.flush()
        os.fsync(stream.fileno())
    assert read_facts(os.getpid()).written >= before + (1 << 16)


def test_who_has_hardened_itself_is_seen_without_a_look(tmp_path: Path) -> None:
    (tmp_path / "7").mkdir()
    (tmp_path / "7" / "environ").touch()
    owner = (tmp_path / "7" / "environ").stat().st_uid
    assert hardened(7, owner, proc=tmp_path)
    assert not hardened(7, owner + 1000, proc=tmp_path)
    assert hardened(8, owner, proc=tmp_path), "one that is gone is looked at, too"


def test_hybrid_cgroups_are_found_in_their_v1_folders() -> None:
    text = "3:pids:/p/c\n2:memory:/p/c\n1:cpu:/p/c\n0::/p/c\n"
    found = cgroup_folders(text, parse_mountinfo(HYBRID))
    assert {name: str(path) for name, path in found.items()} == {
        "pids": "/sys/fs/cgroup/pids/p/c",
        "memory": "/sys/fs/cgroup/memory/p/c",
        "cpu": "/sys/fs/cgroup/cpu/p/c",
    }


def test_unified_cgroups_are_found_in_one_folder() -> None:
    found = cgroup_folders("0::/p/c\n", parse_mountinfo(UNIFIED))
    assert {str(path) for path in found.values()} == {"/sys/fs/cgroup/p/c"}
    assert set(found) == {"memory", "pids", "cpu"}


def test_only_a_whole_v2_hierarchy_is_unified() -> None:
    assert unified_cgroups(UNIFIED)
    assert not unified_cgroups(HYBRID)
    assert not unified_cgroups("")


class Cgroups:
    """A /proc with one process and a cgroup file system, made of plain files."""

    def __init__(self, folder: Path, kind: str) -> None:
        self.proc, self.cgroup = folder / "proc", folder / "cgroup"
        for path in (self.proc / "7", self.proc / "self", self.cgroup / "c"):
            path.mkdir(parents=True)
        (self.proc / "self" / "mountinfo").write_text(f"30 20 0:29 / {self.cgroup} rw - {kind}\n")

    def write(self, cgroup: str, **files: str) -> None:
        (self.proc / "7" / "cgroup").write_text(cgroup)
        for name, text in files.items():
            (self.cgroup / "c" / name.replace("_", ".", 1)).write_text(text + "\n")


V1 = {
    "memory_limit_in_bytes": "134217728",
    "memory_memsw.limit_in_bytes": "134217728",
    "memory_oom_control": "oom_kill_disable 0\nunder_oom 0",
    "memory_usage_in_bytes": "5000",
    "memory_stat": "cache 9\ntotal_inactive_file 1000",
    "pids_max": "32",
    "cpu_cfs_quota_us": "100000",
    "cpu_cfs_period_us": "100000",
}
V2 = {
    "memory_max": "134217728",
    "memory_swap.max": "0",
    "memory_current": "7000",
    "memory_stat": "anon 5\ninactive_file 3000",
    "pids_max": "32",
    "cpu_max": "100000 100000",
}
AS_ASKED = CgroupFacts(memory=134217728, memory_and_swap=134217728, pids=32, cpus=1.0, oom_kills=True)


@pytest.fixture
def v1(tmp_path: Path) -> Cgroups:
    made = Cgroups(tmp_path, "cgroup cgroup rw,memory,pids,cpu")
    made.write("1:memory,pids,cpu:/c\n", **V1)
    return made


@pytest.fixture
def v2(tmp_path: Path) -> Cgroups:
    made = Cgroups(tmp_path, "cgroup2 cgroup2 rw")
    made.write("0::/c\n", **V2)
    return made


def test_v1_limits(v1: Cgroups) -> None:
    assert read_cgroup(7, proc=v1.proc) == AS_ASKED
    assert read_memory(7, "one", proc=v1.proc) == 4000


def test_v2_limits(v2: Cgroups) -> None:
    assert read_cgroup(7, proc=v2.proc) == AS_ASKED
    assert read_memory(7, "one", proc=v2.proc) == 4000


def test_no_limit_in_v1_is_no_limit(v1: Cgroups) -> None:
    v1.write(
        "1:memory,pids,cpu:/c\n",
        memory_limit_in_bytes="9223372036854771712",
        memory_oom_control="oom_kill_disable 1",
        pids_max="max",
        cpu_cfs_quota_us="-1",
    )
    (v1.cgroup / "c" / "memory.memsw.limit_in_bytes").unlink()
    found = read_cgroup(7, proc=v1.proc)
    assert found == CgroupFacts(memory=None, memory_and_swap=None, pids=None, cpus=None, oom_kills=False)


def test_no_limit_in_v2_is_no_limit(v2: Cgroups) -> None:
    v2.write("0::/c\n", memory_max="max", pids_max="max", cpu_max="max 100000")
    (v2.cgroup / "c" / "memory.swap.max").write_text("max\n")
    found = read_cgroup(7, proc=v2.proc)
    assert found == CgroupFacts(memory=None, memory_and_swap=None, pids=None, cpus=None, oom_kills=True)


def test_swap_in_v2_is_added(v2: Cgroups) -> None:
    (v2.cgroup / "c" / "memory.swap.max").write_text("4096\n")
    assert read_cgroup(7, proc=v2.proc).memory_and_swap == 134217728 + 4096


def test_memory_of_nobody_is_zero(tmp_path: Path) -> None:
    assert read_memory(1, "one", proc=tmp_path) == 0


def test_facts_of_a_plain_process_say_that_it_is_not_isolated() -> None:
    process = subprocess.Popen(["/bin/sleep", "100"], start_new_session=True)
    try:
        facts = read_facts(process.pid)
    finally:
        process.kill()
        process.wait()
    assert facts.namespaces == facts.host_namespaces
    assert facts.uids == (os.geteuid(),) * 4
    assert "lo" in facts.interfaces
    assert facts.limits["Max open files"]


def test_a_file_from_outside_the_mounts_is_seen() -> None:
    assert read_facts(os.getpid()).program_inside
    command, null = ["unshare", "--mount", "sleep", "100"], subprocess.DEVNULL
    inside = subprocess.Popen(command, stdin=null, stdout=null, stderr=null)
    with Path("/etc/hostname").open() as stream:
        outside = subprocess.Popen(command, stdin=stream, stdout=null, stderr=null)
    try:
        for process, expected in ((inside, ()), (outside, ("0",))):
            while Path(f"/proc/{process.pid}/comm").read_text() != "sleep\n":
                continue
            assert read_facts(process.pid).foreign_descriptors == expected
    finally:
        for process in (inside, outside):
            process.kill()
            process.wait()


def test_a_process_that_is_gone_has_no_facts() -> None:
    process = subprocess.Popen(["/bin/true"])
    process.wait()
    with pytest.raises(FactsUnavailableError):
        read_facts(process.pid)


def test_a_process_that_has_ended_but_is_still_listed_has_no_facts() -> None:
    process = subprocess.Popen(["/bin/sleep", "100"])
    process.send_signal(signal.SIGKILL)
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
    try:
        with pytest.raises(FactsUnavailableError):
            read_facts(process.pid)
    finally:
        process.wait()


@pytest.mark.parametrize(
    ("path", "expected"),
    [("/run/clawmates", True), ("/run/clawmates/boot", True), ("/run/clawmates2", False), ("/srv", False)],
)
def test_in_memory_looks_at_the_nearest_mount(path: str, expected: bool) -> None:  # noqa: FBT001 - a parameter
    text = "1 0 8:1 / / rw - ext4 /dev/vda rw\n2 1 0:9 / /run/clawmates rw - tmpfs t rw\n"
    assert in_memory(Path(path), text) is expected


def test_a_disk_mounted_over_a_tmpfs_counts() -> None:
    text = "1 0 0:9 / /r rw - tmpfs t rw\n2 1 8:1 / /r rw - ext4 /dev/vda rw\n"
    assert not in_memory(Path("/r/x"), text)


def test_the_runtime_fits_the_cgroups(tmp_path: Path) -> None:
    for name in ("runc", "crun"):
        (tmp_path / name).write_text("")
        (tmp_path / name).chmod(0o755)
    search = str(tmp_path)
    assert choose_runtime("", unified=False, search=search).name == "runc"
    assert choose_runtime("", unified=True, search=search).name == "crun"
    assert choose_runtime("runc", unified=True, search=search).name == "runc"
