"""The kernel's own word on a container, read without asking node.

Node reads more and enforces it; these few are read a second time by other code, and compared between bots.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from clawmates.wire.status import Finding

SECOND = "second reading: "
"""Before the names of what is read here, beside what node's own code reads."""
MONITOR = "conmon"
"""With these words begin the names of the processes that the engine keeps beside the containers."""
NAMESPACES = ("cgroup", "ipc", "mnt", "net", "pid", "user", "uts")


class KernelUnreadableError(Exception):
    """/proc does not show the process: it is gone, or this user may not look."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Kernel:
    """One process as /proc shows it."""

    namespaces: Mapping[str, str]
    """``net`` → ``net:[4026531840]``."""
    interfaces: tuple[str, ...]
    status: Mapping[str, str]
    """The lines of /proc/PID/status."""
    uids: tuple[tuple[int, int], ...]
    """(first, count) of the host's user ids that the process can be or become."""


def read_kernel(pid: int, proc: Path = Path("/proc")) -> Kernel:
    """Reads /proc/PID. Raises :class:`KernelUnreadableError`."""
    folder = proc / str(pid)
    try:
        namespaces = {name: str((folder / "ns" / name).readlink()) for name in NAMESPACES}
        status = dict(re.findall(r"^(\w+):\s*(.*)$", (folder / "status").read_text(), re.MULTILINE))
        interfaces = re.findall(r"^\s*([^\s:]+):", (folder / "net" / "dev").read_text(), re.MULTILINE)
        uids = [line.split() for line in (folder / "uid_map").read_text().splitlines()]
    except OSError:
        raise KernelUnreadableError from None
    return Kernel(
        namespaces=namespaces,
        interfaces=tuple(interfaces),
        status=status,
        uids=tuple((int(first), int(count)) for _, first, count in uids),
    )


def judge(mate: Kernel, host: Kernel, others: tuple[Kernel, ...]) -> tuple[Finding, ...]:
    """What can be said of ``mate`` beside the host and the other bots' mates."""
    findings = [_namespace(name, mate, host, others) for name in NAMESPACES]
    findings += [
        _same("network interfaces", "lo", " ".join(mate.interfaces)),
        _same("capabilities, effective", "0", f"{int(mate.status.get('CapEff', '-1'), 16):x}"),
        _same("capabilities, bounding", "0", f"{int(mate.status.get('CapBnd', '-1'), 16):x}"),
        _same("no new privileges", "1", mate.status.get("NoNewPrivs", "")),
        _same("system call filter", "2", mate.status.get("Seccomp", "")),
        _same("host's root within reach", "no", "yes" if any(first == 0 for first, _ in mate.uids) else "no"),
        _same(
            "user ids shared with another bot",
            "none",
            "some" if any(_overlap(mate, other) for other in others) else "none",
        ),
    ]
    return tuple(findings)


def _same(name: str, wanted: str, found: str) -> Finding:
    return Finding(name=f"{SECOND}{name}", wanted=wanted, found=found, ok=found == wanted)


def _namespace(name: str, mate: Kernel, host: Kernel, others: tuple[Kernel, ...]) -> Finding:
    mine = mate.namespaces[name]
    if mine == host.namespaces[name]:
        found = "the host's"
    elif any(mine == other.namespaces[name] for other in others):
        found = "another bot's"
    else:
        found = "its own"
    return _same(f"{name} namespace", "its own", found)


def _overlap(mate: Kernel, other: Kernel) -> bool:
    return any(
        first < start + length and start < first + count for first, count in mate.uids for start, length in other.uids
    )


def users(processes: Mapping[str, int], proc: Path = Path("/proc")) -> dict[str, int]:
    """Name → real user id of each process that still runs (the owner of /proc/PID says root once it is hardened)."""
    found: dict[str, int] = {}
    for name, pid in processes.items():
        try:
            uid = re.search(r"^Uid:\s+(\d+)", (proc / str(pid) / "status").read_text(), re.MULTILINE)
        except OSError:
            continue
        if uid is not None:
            found[name] = int(uid[1])
    return found


def separation(uids: Mapping[str, int]) -> str:
    """``own users``, or ``nominal`` when processes that must not read each other share a user.

    The engine's monitors are node's own children and share its user by design.
    """
    apart = [uid for name, uid in uids.items() if not name.startswith(MONITOR)]
    return "own users" if len(set(apart)) == len(apart) else "nominal"
