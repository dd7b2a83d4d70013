"""What the kernel says of a container's first process: /proc and cgroup files, v1 and v2, as frozen values.

proc(5), proc_pid_mountinfo(5), namespaces(7), cgroups(7). Nothing here asks the engine.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache, lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from clawmates.node.filters import forbidden_calls
from clawmates.node.output import kept_output

if TYPE_CHECKING:
    from collections.abc import Iterable

    from clawmates.node.engines.base import Mount

NAMESPACES = ("cgroup", "ipc", "mnt", "net", "pid", "user", "uts")
CAPABILITIES = ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb")
_UNLIMITED_V1 = 1 << 60
"""cgroup v1 says "no limit" as the largest multiple of a page."""
MASKED = (
    "/proc/acpi",
    "/proc/kcore",
    "/proc/keys",
    "/proc/latency_stats",
    "/proc/sched_debug",
    "/proc/scsi",
    "/proc/timer_list",
    "/proc/timer_stats",
    "/sys/dev/block",
    "/sys/firmware",
    "/sys/fs/selinux",
)
"""What engines hide of the kernel (Podman's ``maskedPaths``)."""
PROTECTED = ("/proc/asound", "/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger")
"""What they make read-only (``readonlyPaths``)."""


class FactsUnavailableError(Exception):
    """The process is gone, or the kernel does not tell what must be known."""


@dataclass(frozen=True, slots=True, kw_only=True)
class IdRange:
    """One line of ``uid_map`` or ``gid_map``."""

    inside: int
    outside: int
    count: int


@dataclass(frozen=True, slots=True, kw_only=True)
class MountFact:
    """One line of ``mountinfo``."""

    id: int
    device: str
    """``major:minor`` of the file system."""
    root: str
    """The folder of its file system that is shown; a bind mount has a deeper one than ``/``."""
    point: str
    options: frozenset[str]
    shared: bool
    """Whether mounts made on the host would appear inside: a peer of the host's mount, or its slave."""
    kind: str
    super_options: frozenset[str]

    @property
    def read_only(self) -> bool:
        """Whether nobody can write through this mount."""
        return "ro" in self.options


@dataclass(frozen=True, slots=True, kw_only=True)
class FolderFact:
    """A folder of the host that was to be mounted, and what lies there inside: ``major:minor inode``, or empty."""

    outside: str
    inside: str


@dataclass(frozen=True, slots=True, kw_only=True)
class CgroupFacts:
    """Limits in bytes, processes and CPUs; ``None`` is no limit."""

    memory: int | None
    memory_and_swap: int | None
    pids: int | None
    cpus: float | None
    oom_kills: bool
    """Whether the kernel ends the container when memory runs out, instead of freezing it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """Everything that :func:`clawmates.node.isolation.judge` wants to know."""

    program_inside: bool
    """The program's file lies on one of the container's own mounts: the runtime's set-up is over."""
    folder_inside: bool
    """So does the working directory."""
    uids: tuple[int, ...]
    gids: tuple[int, ...]
    """Real, effective, saved, file system."""
    groups: tuple[int, ...]
    capabilities: Mapping[str, int]
    no_new_privileges: int
    seccomp: int
    forbidden_calls: tuple[str, ...]
    """System calls that must be denied and that the filter in force lets through."""
    umask: str
    uid_map: tuple[IdRange, ...]
    gid_map: tuple[IdRange, ...]
    namespaces: Mapping[str, str]
    host_namespaces: Mapping[str, str]
    mounts: tuple[MountFact, ...]
    folders: Mapping[str, FolderFact]
    """By target, for each mount that was asked for."""
    kernel_files: tuple[str, ...]
    """Those of :data:`MASKED` and :data:`PROTECTED` that this kernel has."""
    host_devices: Mapping[str, str]
    """The devices of the host's own ``/proc`` and ``/sys``."""
    interfaces: tuple[str, ...]
    limits: Mapping[str, tuple[str, str]]
    """(soft, hard), as ``/proc/PID/limits`` words them."""
    cgroup: CgroupFacts
    oom_score: int
    environment: tuple[str, ...]
    """Names only."""
    foreign_descriptors: tuple[str, ...]
    """Open files that lie outside the container's mounts."""
    output_kept: tuple[str, ...]
    """Where what the program prints is written to; see :func:`clawmates.node.output.kept_output`."""
    written: int
    """Bytes that it has caused to be written to disk so far, the runtime's set-up before it included."""
    environ_owner: int
    """Owner of ``/proc/PID/environ``: the user while the process is dumpable, the map's root when not."""


def read_facts(
    pid: int, mounts_asked: Iterable[Mount] = (), *, proc: Path = Path("/proc"), monitored: bool = True
) -> Facts:
    """Reads it all, about 3 ms. Raises :class:`FactsUnavailableError`.

    Only a container's first process is ``monitored`` by the engine; of another one nobody keeps what it prints.
    """
    here = proc / str(pid)
    try:
        status = parse_status((here / "status").read_text())
        mounts = parse_mountinfo((here / "mountinfo").read_text())
        own = {mount.id for mount in mounts}
        program_inside = _mount_of(here / "exe", proc) in own
        return Facts(
            program_inside=program_inside,
            folder_inside=_mount_of(here / "cwd", proc) in own,
            uids=_numbers(status["Uid"]),
            gids=_numbers(status["Gid"]),
            groups=_numbers(status["Groups"]),
            capabilities={name: int(status[name], 16) for name in CAPABILITIES},
            no_new_privileges=int(status["NoNewPrivs"]),
            seccomp=int(status["Seccomp"]),
            # The runtime's own set-up is left in peace; a program that is not inside yet is refused for that.
            forbidden_calls=forbidden_calls(pid) if program_inside else (),
            umask=status["Umask"],
            uid_map=parse_id_map((here / "uid_map").read_text()),
            gid_map=parse_id_map((here / "gid_map").read_text()),
            namespaces=_namespaces(here),
            host_namespaces=_namespaces(proc / "self"),
            mounts=mounts,
            folders={mount.target: _folder(here, mount) for mount in mounts_asked},
            kernel_files=tuple(path for path in (*MASKED, *PROTECTED) if os.path.lexists(path)),
            host_devices={path: _identity(Path(path)).partition(" ")[0] for path in ("/proc", "/sys")},
            interfaces=parse_interfaces((here / "net" / "dev").read_text()),
            limits=parse_limits((here / "limits").read_text()),
            cgroup=read_cgroup(pid, proc=proc),
            oom_score=int((here / "oom_score_adj").read_text()),
            environment=parse_environment((here / "environ").read_bytes()),
            foreign_descriptors=_foreign_descriptors(here, own),
            output_kept=kept_output(here, proc / status["PPid"]) if monitored else (),
            written=parse_io((here / "io").read_text())["write_bytes"],
            environ_owner=(here / "environ").stat().st_uid,
        )
    except (OSError, ValueError, KeyError):
        raise FactsUnavailableError from None


def hardened(pid: int, root: int, *, proc: Path = Path("/proc")) -> bool:
    """Whether the process is not dumpable, as a mate makes itself first thing, or is gone; ``root`` is its map's root.

    True of the runtime's own set-up, too: it says when a look is worth its price, and no more.
    """
    try:
        return (proc / str(pid) / "environ").stat().st_uid == root
    except OSError:
        return True


def parse_status(text: str) -> dict[str, str]:
    """``/proc/PID/status`` as names and values."""
    return {name: value.strip() for name, _, value in (line.partition(":") for line in text.splitlines())}


def parse_id_map(text: str) -> tuple[IdRange, ...]:
    """``/proc/PID/uid_map``."""
    rows = (_numbers(line) for line in text.splitlines())
    return tuple(IdRange(inside=row[0], outside=row[1], count=row[2]) for row in rows)


def parse_interfaces(text: str) -> tuple[str, ...]:
    """The interface names of ``/proc/PID/net/dev``."""
    return tuple(line.partition(":")[0].strip() for line in text.splitlines()[2:])


def parse_limits(text: str) -> dict[str, tuple[str, str]]:
    """``/proc/PID/limits``: fixed columns, the name in the first 26."""
    rows = ((line[:26].strip(), line[26:].split()) for line in text.splitlines()[1:])
    return {name: (values[0], values[1]) for name, values in rows}


def parse_environment(raw: bytes) -> tuple[str, ...]:
    """The names in ``/proc/PID/environ``."""
    return tuple(sorted(entry.partition(b"=")[0].decode(errors="replace") for entry in raw.split(b"\0") if entry))


def parse_io(text: str) -> dict[str, int]:
    """``/proc/PID/io``."""
    return {name: int(value) for name, _, value in (line.partition(": ") for line in text.splitlines())}


def parse_mountinfo(text: str) -> tuple[MountFact, ...]:
    """``/proc/PID/mountinfo``."""
    mounts = []
    for line in text.splitlines():
        before, _, after = line.partition(" - ")
        head, tail = before.split(" "), after.split(" ")
        mounts.append(
            MountFact(
                id=int(head[0]),
                device=head[2],
                root=_unescape(head[3]),
                point=_unescape(head[4]),
                options=frozenset(head[5].split(",")),
                shared=any(tag.startswith(("shared:", "master:")) for tag in head[6:]),
                kind=tail[0],
                super_options=frozenset(tail[-1].split(",")),
            )
        )
    return tuple(mounts)


def read_cgroup(pid: int, *, proc: Path = Path("/proc")) -> CgroupFacts:
    """The limits of the cgroups that a process is in. Raises ``OSError``, ``KeyError`` or ``ValueError``."""
    folders = cgroup_folders((proc / str(pid) / "cgroup").read_text(), _cgroup_mounts(proc))
    memory, pids, cpu = folders["memory"], folders["pids"], folders["cpu"]
    if (memory / "memory.limit_in_bytes").exists():
        quota, period = _limit(cpu / "cpu.cfs_quota_us"), _limit(cpu / "cpu.cfs_period_us")
        oom = parse_pairs((memory / "memory.oom_control").read_text())
        return CgroupFacts(
            memory=_limit(memory / "memory.limit_in_bytes"),
            # Missing where the kernel does not count swap: then there is no limit, and that is refused.
            memory_and_swap=_limit(memory / "memory.memsw.limit_in_bytes"),
            pids=_limit(pids / "pids.max"),
            cpus=quota / period if quota and period and quota > 0 else None,
            oom_kills=oom["oom_kill_disable"] == 0,
        )
    limit, swap = _limit(memory / "memory.max"), _limit(memory / "memory.swap.max")
    return CgroupFacts(
        memory=limit,
        memory_and_swap=None if limit is None or swap is None else limit + swap,
        pids=_limit(pids / "pids.max"),
        cpus=_cpu_max(cpu / "cpu.max"),
        oom_kills=True,
    )


def read_memory(pid: int, container: str, *, proc: Path = Path("/proc")) -> int:
    """Bytes that a container's cgroup is charged with, less page cache that can go at once; 0 when unknown."""
    try:
        memory = _memory_folder(pid, container, proc)
        current = memory / "memory.current"
        used = _number(current if current.exists() else memory / "memory.usage_in_bytes")
        pairs = parse_pairs((memory / "memory.stat").read_text())
        return max(0, used - pairs.get("total_inactive_file", pairs.get("inactive_file", 0)))
    except (OSError, ValueError, KeyError):
        return 0


def parse_pairs(text: str) -> dict[str, int]:
    """A cgroup file of ``name number`` lines."""
    rows = (line.split() for line in text.splitlines())
    return {row[0]: int(row[1]) for row in rows if len(row) == 2}


def cgroup_folders(text: str, mounts: tuple[MountFact, ...]) -> dict[str, Path]:
    """Controller → folder, from ``/proc/PID/cgroup`` and our own mounts; v1 wins where both name a controller."""
    found: dict[str, Path] = {}
    for line in text.splitlines():
        number, controllers, path = line.split(":", 2)
        names = ("memory", "pids", "cpu") if number == "0" else tuple(controllers.split(","))
        for mount in mounts:
            matches = mount.kind == "cgroup2" if number == "0" else set(names) <= mount.super_options
            if matches and mount.kind in {"cgroup", "cgroup2"}:
                below = path.removeprefix(mount.root.rstrip("/")).lstrip("/")
                for name in names:
                    if number != "0" or name not in found:
                        found[name] = Path(mount.point) / below
                break
    return found


@lru_cache(maxsize=1024)
def _memory_folder(pid: int, _container: str, proc: Path) -> Path:
    """Found once in a container's life: it costs more than reading there, and is asked for all bots at a time."""
    return cgroup_folders((proc / str(pid) / "cgroup").read_text(), _cgroup_mounts(proc))["memory"]


@cache
def _cgroup_mounts(proc: Path) -> tuple[MountFact, ...]:
    """Ours, read once: with hundreds of containers the whole table is long, and this part never changes."""
    lines = (proc / "self" / "mountinfo").read_text().splitlines()
    return parse_mountinfo("\n".join(line for line in lines if " - cgroup" in line))


def _namespaces(here: Path) -> dict[str, str]:
    return {name: str((here / "ns" / name).readlink()) for name in NAMESPACES}


def _folder(here: Path, mount: Mount) -> FolderFact:
    return FolderFact(outside=_identity(mount.source), inside=_identity(here / "root" / mount.target.lstrip("/")))


def _identity(path: Path) -> str:
    try:
        found = path.lstat()
    except FileNotFoundError:
        return ""
    return f"{os.major(found.st_dev)}:{os.minor(found.st_dev)} {found.st_ino}"


def _mount_of(path: Path, proc: Path) -> int:
    """The id of the mount that a magic link of /proc leads to."""
    descriptor = os.open(path, os.O_PATH | os.O_CLOEXEC)
    try:
        return int(parse_status((proc / "self" / "fdinfo" / str(descriptor)).read_text())["mnt_id"])
    finally:
        os.close(descriptor)


def _foreign_descriptors(here: Path, mounts: set[int]) -> tuple[str, ...]:
    foreign = []
    for entry in (here / "fd").iterdir():
        try:
            target = str(entry.readlink())
            if not target.startswith("/") or target == os.devnull:
                continue
            info = parse_status((here / "fdinfo" / entry.name).read_text())
        except FileNotFoundError:
            continue
        if int(info["mnt_id"]) not in mounts:
            foreign.append(entry.name)
    return tuple(foreign)


def _numbers(text: str) -> tuple[int, ...]:
    return tuple(int(word) for word in text.split())


def _number(path: Path) -> int:
    return int(path.read_text())


def _limit(path: Path) -> int | None:
    """``None`` for no limit, which is also what a missing file means: the root cgroup has none."""
    try:
        text = path.read_text().strip()
    except FileNotFoundError:
        return None
    return None if text == "max" or int(text) >= _UNLIMITED_V1 else int(text)


def _cpu_max(path: Path) -> float | None:
    try:
        quota, period = path.read_text().split()
    except FileNotFoundError:
        return None
    return None if quota == "max" else int(quota) / int(period)


def _unescape(text: str) -> str:
    return text.encode().decode("unicode_escape") if "\\" in text else text
