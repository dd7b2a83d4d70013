"""What a machine lacks: one line each with what to do about it. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from clawmates.selfhost.doctor.machine import Machine

LEAST_PYTHON = (3, 11)
LEAST_PODMAN = (4, 3)
LEAST_KERNEL = (5, 19)
"""Overlay on id-mapped layers; before it every bot would get a copy of the image."""
LEAST_FREE_MIB = 1024
LEAST_USER_NAMESPACES = 32
ROOT_ONLY = frozenset({"memory file system", "overlay file system", "folders"})
EARLIEST = datetime(2026, 1, 1, tzinfo=UTC)
"""Before this day no release existed, so the clock must be wrong."""
CONTROLLERS = frozenset({"cpu", "memory", "pids"})
WHO = ("controller", "hosting")
"""What must be said below [control] before anybody can make a data processing agreement."""
TO_SAY = (*WHO, "security_contact")


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One line of the doctor's. ``remedy`` is one sentence that tells what to do."""

    name: str
    ok: bool
    found: str
    remedy: str
    needed: bool = True
    """Whether bots cannot run without it; what is not needed is said, and stops nobody."""


def checks(machine: Machine) -> Iterator[Check]:
    """The judgement; pure. Of what others than root cannot see, nothing is said to them."""
    for part in (_system, _engine, _host, _platform, _operator):
        for check in part(machine):
            if machine.root or check.name not in ROOT_ONLY:
                yield check


def _system(machine: Machine) -> Iterator[Check]:
    python = ".".join(str(part) for part in machine.python)
    yield Check(
        name="Python",
        ok=machine.python >= LEAST_PYTHON,
        found=python,
        remedy="Install Python 3.11 or newer and run `make setup` again.",
    )
    yield Check(
        name="privileges",
        ok=machine.root,
        found="root" if machine.root else "not root",
        remedy="Run this as root, for example with sudo: containers need it, and some of what is looked at here.",
    )
    yield Check(
        name="kernel",
        ok=version(machine.kernel) >= LEAST_KERNEL,
        found=machine.kernel,
        remedy="Boot Linux 5.19 or newer: before it, every bot costs a copy of the image.",
    )
    yield Check(
        name="clock",
        ok=machine.now >= EARLIEST,
        found=machine.now.isoformat(timespec="seconds"),
        remedy="Set the clock, for example with `timedatectl set-ntp true`: certificates depend on it.",
    )


def _engine(machine: Machine) -> Iterator[Check]:
    yield Check(
        name="Podman",
        ok=version(machine.podman) >= LEAST_PODMAN,
        found=machine.podman or "missing",
        remedy="Install Podman 4.3 or newer: `apt-get install podman`.",
    )
    yield Check(
        name="OCI runtime",
        ok=bool(machine.runtime),
        found=machine.runtime or "missing",
        remedy="Install a runtime, `apt-get install runc crun`, or correct [node] runtime.",
    )
    yield Check(
        name="seccomp profile",
        ok=machine.seccomp,
        found="there" if machine.seccomp else "missing",
        remedy="Install the engine's profile: `apt-get install golang-github-containers-common`.",
    )
    yield Check(
        name="user namespaces",
        ok=machine.unshares and machine.user_namespaces >= LEAST_USER_NAMESPACES,
        found=f"{machine.user_namespaces} allowed, {'usable' if machine.unshares else 'not usable'}",
        remedy="Allow them: `sysctl -w user.max_user_namespaces=15000`; inside a container, let its host allow them.",
    )
    yield Check(
        name="image builder",
        ok=machine.mmdebstrap,
        found="there" if machine.mmdebstrap else "missing",
        remedy="Install what `make image` needs: `apt-get install mmdebstrap debian-archive-keyring`.",
    )


def _host(machine: Machine) -> Iterator[Check]:
    lacking = sorted(CONTROLLERS - machine.controllers)
    yield Check(
        name="cgroup controllers",
        ok=not lacking,
        found=f"without {', '.join(lacking)}" if lacking else "cpu, memory, pids",
        remedy="Boot with `cgroup_enable=memory` and without `cgroup_disable=`: limits are part of the isolation.",
    )
    yield Check(
        name="swap accounting",
        ok=machine.counts_swap,
        found="counted" if machine.counts_swap else "not counted",
        remedy="Boot with `swapaccount=1`, so that a container's memory limit holds for swap too.",
    )
    yield Check(
        name="swap",
        ok=not machine.swap,
        found="in use" if machine.swap else "off",
        remedy="Turn swap off with `swapoff -a` and in /etc/fstab: what is in memory must not reach a disk.",
    )
    yield Check(
        name="memory file system",
        ok=machine.in_memory,
        found=f"{machine.run} {'can lie' if machine.in_memory else 'cannot lie'} in RAM",
        remedy=f"Mount a tmpfs: `mount -t tmpfs -o mode=755,size=256m clawmates {machine.run}`.",
    )
    yield Check(
        name="overlay file system",
        ok=machine.overlays,
        found="works" if machine.overlays else "does not work",
        remedy="Put the state folder on ext4, xfs or btrfs (--state): images cannot be stacked where it is.",
    )
    yield Check(
        name="disk space",
        ok=machine.free_mib >= LEAST_FREE_MIB,
        found=f"{machine.free_mib} MiB free",
        remedy=f"Make room: the state folder's disk needs {LEAST_FREE_MIB} MiB free.",
    )


def _platform(machine: Machine) -> Iterator[Check]:
    yield Check(
        name="service users",
        ok=not machine.missing_users,
        found=f"missing: {', '.join(machine.missing_users)}" if machine.missing_users else "there",
        remedy="Run `clawmates doctor --fix`: without users of their own, vault and gateway are not apart.",
    )
    overlaps = ", ".join(machine.overlaps)
    yield Check(
        name="user ids",
        ok=machine.reserved and not overlaps,
        found=f"given to others: {overlaps}" if overlaps else "reserved" if machine.reserved else "not reserved",
        remedy="Move the others' ranges in /etc/subuid and /etc/subgid elsewhere: bots need theirs for themselves."
        if overlaps
        else "Run `clawmates doctor --fix`: it keeps the bots' user ids from being given to other users.",
    )
    yield Check(
        name="folders",
        ok=not machine.wrong_folders,
        found=f"not as they should be: {', '.join(str(one.path) for one in machine.wrong_folders)}"
        if machine.wrong_folders
        else "as they should be",
        remedy="Run `clawmates doctor --fix`: it sets owner and mode, and makes what is missing.",
    )
    yield Check(
        name="configuration",
        ok=not machine.settings,
        found=machine.settings or "readable",
        remedy="Correct clawmates.toml, or write a new one with `clawmates selfhost init`.",
    )
    yield Check(
        name="ports",
        ok=not machine.taken,
        found=f"taken: {', '.join(machine.taken)}" if machine.taken else "free or ours",
        remedy="Stop the program that listens there, or set another [vault] listen.",
    )
    yield Check(
        name="release",
        ok=not machine.release or not machine.installed,
        found=machine.release or "signed" if machine.installed else "`clawmates selfhost init` will bring one",
        remedy="Build and sign one with `make image`, then run `clawmates selfhost init`.",
    )


def _operator(machine: Machine) -> Iterator[Check]:
    """Of a hosted platform: what people are owed by whoever operates it."""
    who = [name for name in WHO if name in machine.unsaid]
    yield Check(
        name="operator",
        ok=not who,
        found=f"[control] {', '.join(who)} empty" if who else "said where somebody needs it",
        remedy="Fill it in in clawmates.toml: without it nobody can make an agreement (GDPR, article 28).",
        needed=False,
    )
    unknown = "security_contact" in machine.unsaid
    yield Check(
        name="security contact",
        ok=not unknown,
        found="[control] security_contact empty" if unknown else "said where somebody needs it",
        remedy='Fill it in as "mailto:security@example.org": without it there is no /.well-known/security.txt.',
        needed=False,
    )


def version(text: str) -> tuple[int, ...]:
    """``6.1.0-18-amd64`` as (6, 1): the first two numbers, or nothing."""
    parts = text.replace("-", ".").split(".")[:2]
    return tuple(int(part) for part in parts) if all(part.isdecimal() for part in parts) else ()
