"""Is this container as sealed as was asked? A pure judgement over what the kernel said; unknown means no."""

from __future__ import annotations

from typing import TYPE_CHECKING

from clawmates.node.engines.base import SCRATCH_TARGET
from clawmates.node.facts import MASKED, NAMESPACES, IdRange
from clawmates.wire.status import Finding

if TYPE_CHECKING:
    from collections.abc import Iterator

    from clawmates.node.engines.base import ContainerSpec
    from clawmates.node.facts import Facts, FolderFact, MountFact

ENVIRONMENT = frozenset({"HOME", "HOSTNAME", "PATH", "TERM", "container"})
"""What an engine sets by itself, with values that say nothing."""
DEVICES = frozenset({"full", "null", "random", "tty", "urandom", "zero"})
ENGINE_FILES = frozenset({"/etc/hostname", "/etc/resolv.conf", "/run/.containerenv"})
"""The engine's own binds of single files; read-only. It is told to make no others."""
SHOWN = 8
"""How many of many things are named in one finding."""
SETTLING = frozenset({"not dumpable", "own program", "working directory"})
"""What may still change after the start: the runtime executes the program, which hardens itself first thing."""


def judge(spec: ContainerSpec, facts: Facts) -> tuple[Finding, ...]:
    """Every property with what was wanted and found; the container is sound when all are ``ok``."""
    return (*_process(spec, facts), *_namespaces(spec, facts), *_mounts(spec, facts), *_limits(spec, facts))


def sound(findings: tuple[Finding, ...]) -> bool:
    """Whether nothing is weaker than asked."""
    return bool(findings) and all(finding.ok for finding in findings)


def settling(findings: tuple[Finding, ...]) -> bool:
    """Whether only such findings are bad as a moment's patience may turn good."""
    return all(finding.ok or finding.name in SETTLING for finding in findings)


def _process(spec: ContainerSpec, facts: Facts) -> Iterator[Finding]:
    user = str(spec.user_outside)
    yield _same("user", user, _each(facts.uids))
    yield _same("group", user, _each((*facts.gids, *facts.groups)))
    for name, held in facts.capabilities.items():
        yield _same(f"capabilities {name}", "0", f"{held:x}")
    yield _same("no new privileges", "1", str(facts.no_new_privileges))
    yield _same("seccomp", "2", str(facts.seccomp))
    yield _none("forbidden system calls", facts.forbidden_calls)
    yield _same("umask", "0077", facts.umask)
    yield _same("not dumpable", f"owned by {spec.uid_first}", f"owned by {facts.environ_owner}")
    yield _same("own program", "inside", "inside" if facts.program_inside else "outside")
    yield _same("working directory", "inside", "inside" if facts.folder_inside else "outside")
    yield _none("environment", sorted(set(facts.environment) - ENVIRONMENT))
    yield _none("open files from outside", facts.foreign_descriptors)
    yield _none("output kept", facts.output_kept)


def _namespaces(spec: ContainerSpec, facts: Facts) -> Iterator[Finding]:
    for name in NAMESPACES:
        own = facts.namespaces[name] != facts.host_namespaces[name]
        yield _same(f"namespace {name}", "own", "own" if own else "the host's")
    wanted = (IdRange(inside=0, outside=spec.uid_first, count=spec.uid_count),)
    yield Finding(name="uid map", wanted=_map(wanted), found=_map(facts.uid_map), ok=facts.uid_map == wanted)
    yield Finding(name="gid map", wanted=_map(wanted), found=_map(facts.gid_map), ok=facts.gid_map == wanted)
    yield _same("network", "lo", " ".join(sorted(facts.interfaces)))


def _mounts(spec: ContainerSpec, facts: Facts) -> Iterator[Finding]:
    wanted = {"/": "read-only", SCRATCH_TARGET: "scratch"} | {mount.target: "read-only" for mount in spec.mounts}
    for point, manner in sorted(wanted.items()):
        there = [mount for mount in facts.mounts if mount.point == point]
        # The last one lies on top of all others of the same place.
        found = _manner(spec, there[-1]) if there else "missing"
        yield _same(f"mount {point}", manner, found)
    for target in (mount.target for mount in spec.mounts):
        yield _same(f"folder {target}", "the bot's own", _whose(facts.folders.get(target)))
    others = [mount for mount in facts.mounts if mount.point not in wanted and not _harmless(spec, mount)]
    yield _none("other mounts", [mount.point for mount in others])
    yield _none("the host's own", [m.point for m in facts.mounts if m.device == facts.host_devices.get(m.point)])
    yield _none("kernel files in reach", [path for path in facts.kernel_files if not _covered(path, facts)])
    yield _none("shared mounts", [mount.point for mount in facts.mounts if mount.shared])


def _whose(folder: FolderFact | None) -> str:
    if folder is None or not folder.inside:
        return "missing"
    return "the bot's own" if folder.inside == folder.outside else "another"


def _covered(path: str, facts: Facts) -> bool:
    """Whether a part of the kernel's own files is hidden, or read-only where that is all engines do."""
    above = [mount for mount in facts.mounts if path == mount.point or path.startswith(f"{mount.point}/")]
    # The last one lies on top: a /proc mounted anew would uncover everything.
    cover = above[-1] if above else None
    if cover is None or cover.point != path:
        return False
    empty = cover.kind == "tmpfs" and cover.root == "/" and {"ro"} <= cover.super_options | cover.options
    read_only = path not in MASKED and cover.kind == "proc" and cover.read_only
    return _null(cover) or empty or read_only


def _null(mount: MountFact) -> bool:
    return mount.kind in {"devtmpfs", "tmpfs"} and mount.root == "/null"


def _manner(spec: ContainerSpec, mount: MountFact) -> str:
    if mount.point != SCRATCH_TARGET:
        return "read-only" if mount.read_only else "writable"
    sealed = mount.kind == "tmpfs" and mount.options >= {"noexec", "nosuid", "nodev"}
    bounded = f"size={spec.scratch_bytes // 1024}k" in mount.super_options
    return "scratch" if sealed and bounded else "not a bounded noexec nosuid nodev tmpfs"


def _harmless(spec: ContainerSpec, mount: MountFact) -> bool:
    """Whether a mount is one that engines make by themselves and that the program cannot write through."""
    if mount.point in ENGINE_FILES:
        return mount.read_only
    if mount.point.startswith("/dev/"):
        return _device(mount)
    if mount.point.startswith(("/proc/", "/sys/")):
        # Masks: an empty read-only folder, a read-only view of a part, or /dev/null over a file.
        known = mount.kind in {"proc", "sysfs", "tmpfs", "cgroup", "cgroup2"}
        return _null(mount) or (known and mount.read_only) or _roots_own(spec, mount)
    proc = (mount.point, mount.kind) == ("/proc", "proc") and mount.options >= {"nosuid", "nodev", "noexec"}
    sys = (mount.point, mount.kind) == ("/sys", "sysfs") and mount.read_only
    return proc or sys or _roots_own(spec, mount)


def _device(mount: MountFact) -> bool:
    name = mount.point.removeprefix("/dev/")
    match name:
        case "pts":
            return mount.kind == "devpts" and mount.options >= {"nosuid", "noexec"}
        case "mqueue":
            return mount.kind == "tmpfs" and mount.read_only
        case _:
            return name in DEVICES and mount.kind in {"devtmpfs", "tmpfs"} and mount.root == f"/{name}"


def _roots_own(spec: ContainerSpec, mount: MountFact) -> bool:
    """``/dev`` and cgroup v1's ``/sys/fs/cgroup``: writable for the map's root alone, which nobody is."""
    placed = mount.point in {"/dev", "/sys/fs/cgroup"} and mount.kind == "tmpfs"
    owned = {"mode=755", f"uid={spec.uid_first}"} <= mount.super_options
    return placed and owned and mount.options >= {"nosuid", "noexec"}


def _limits(spec: ContainerSpec, facts: Facts) -> Iterator[Finding]:
    cgroup = facts.cgroup
    yield _same("memory limit", str(spec.memory_bytes), str(cgroup.memory))
    yield _same("memory and swap limit", str(spec.memory_bytes), str(cgroup.memory_and_swap))
    yield _same("process limit", str(spec.pids), str(cgroup.pids))
    yield _same("CPU limit", str(spec.cpus), str(cgroup.cpus))
    yield _same("killed when out of memory", "yes", "yes" if cgroup.oom_kills else "no")
    spared = facts.oom_score < 0
    yield Finding(name="not spared when out of memory", wanted="0 or more", found=str(facts.oom_score), ok=not spared)
    for name, row, most in (
        ("core limit", "Max core file size", 0),
        ("open files limit", "Max open files", spec.open_files),
        ("user process limit", "Max processes", spec.processes),
        ("message queue limit", "Max msgqueue size", 0),
    ):
        yield _same(name, f"{most} {most}", " ".join(facts.limits.get(row, ("unknown", "unknown"))))


def _same(name: str, wanted: str, found: str) -> Finding:
    return Finding(name=name, wanted=wanted, found=found, ok=wanted == found)


def _none(name: str, found: list[str] | tuple[str, ...]) -> Finding:
    more = f" and {len(found) - SHOWN} more" if len(found) > SHOWN else ""
    return Finding(name=name, wanted="none", found=" ".join(found[:SHOWN]) + more or "none", ok=not found)


def _each(ids: tuple[int, ...]) -> str:
    return " ".join(str(one) for one in sorted(set(ids)))


def _map(ranges: tuple[IdRange, ...]) -> str:
    return ", ".join(f"{one.inside} {one.outside} {one.count}" for one in ranges)
