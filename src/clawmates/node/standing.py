"""Whether this process may run containers at all: as root, or not.

Without root, Podman gives limits only where cgroups are unified and their controllers delegated, and ignores them
silently elsewhere. Even there node could not do what it promises: reading a container's seccomp filters back takes
CAP_SYS_ADMIN in the first user namespace (ptrace(2), PTRACE_SECCOMP_GET_FILTER), and a container whose isolation was
not read back is not run. So the answer is always no, each time with the first reason that stands in the way.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from clawmates.node.engines.runtime import here_unified

CONTROLLERS = frozenset({"cpu", "memory", "pids"})


class Reason(StrEnum):
    """Why a process may not run containers, in a sentence that says what to do."""

    LIMITS_IGNORED = (
        "without root, Podman ignores every limit of a container on cgroup v1, as this machine has it: run it as root,"
        " or boot with unified cgroups (systemd.unified_cgroup_hierarchy=1) and read the next refusal"
    )
    LIMITS_NOT_DELEGATED = (
        "without root, a container gets only limits whose cgroup controllers were delegated to this user, and cpu,"
        " memory or pids was not: run it as root"
    )
    NOT_READ_BACK = (
        "without root, the seccomp filters of a container cannot be read back, and node runs nothing whose isolation it"
        " has not read back: run it as root"
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """What the kernel gives this process."""

    root: bool
    unified: bool
    delegated: frozenset[str]
    """The controllers of the cgroup it is in."""


@dataclass(frozen=True, slots=True)
class Decision:
    """``reason`` is ``None`` when it may."""

    reason: Reason | None

    @property
    def allowed(self) -> bool:
        """Whether it may run containers."""
        return self.reason is None


def judge(standing: Standing) -> Decision:
    """Pure; what is not known to be good enough is refused."""
    if standing.root:
        return Decision(None)
    if not standing.unified:
        return Decision(Reason.LIMITS_IGNORED)
    if not standing.delegated >= CONTROLLERS:
        return Decision(Reason.LIMITS_NOT_DELEGATED)
    return Decision(Reason.NOT_READ_BACK)


def here(cgroup: Path = Path("/proc/self/cgroup"), root: Path = Path("/sys/fs/cgroup")) -> Standing:
    """This process's own."""
    unified = here_unified()
    return Standing(
        root=os.geteuid() == 0, unified=unified, delegated=_delegated(cgroup, root) if unified else frozenset()
    )


def _delegated(cgroup: Path, root: Path) -> frozenset[str]:
    try:
        own = next(line[3:] for line in cgroup.read_text().splitlines() if line.startswith("0::"))
        return frozenset((root / own.lstrip("/") / "cgroup.controllers").read_text().split())
    except (OSError, StopIteration):
        return frozenset()
