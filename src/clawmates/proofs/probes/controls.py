"""The weak controls: a sealed container, less the walls that a group of probes is about. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING

from clawmates.node.engines.podman import run_arguments
from clawmates.proofs.probes.inside.frame import Control

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from clawmates.node.engines.base import ContainerSpec

SECONDS = 90
"""A control ends by itself after so long, whatever became of the proof that started it."""
COMMAND = ("/usr/bin/python3", "-I", "-S", "-c", f"import time; time.sleep({SECONDS})")
HARMLESS = "--name"
"""Not a wall: in front of it, arguments are added."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Weakening:
    """What is taken away; ``drop`` are the beginnings of arguments, ``swap`` replaces text in them."""

    without: str
    """In words, for the report."""
    drop: tuple[str, ...] = ()
    swap: tuple[tuple[str, str], ...] = ()
    add: tuple[str, ...] = ()
    """``{outside}`` is the process whose network is joined, ``{run}`` the platform's runtime folder, ``{file}`` a file
    of the host's."""
    user: str = ""
    """Whom probes run as, when not as the mate's user."""


WEAKENINGS: Mapping[str, Weakening] = MappingProxyType(
    {
        Control.UNFILTERED: Weakening(
            without="the system call filter",
            drop=("--security-opt=seccomp",),
            add=("--security-opt=seccomp=unconfined",),
        ),
        Control.HOST_NETWORK: Weakening(
            without="a network namespace of its own", swap=(("--network=none", "--network=host"),)
        ),
        Control.OUTSIDE: Weakening(
            without="user namespace and empty network: it joins one on which a metadata service and a resolver answer",
            drop=("--uidmap", "--gidmap"),
            swap=(("--network=none", "--network=ns:/proc/{outside}/ns/net"),),
        ),
        Control.LIMITLESS: Weakening(
            without="limits of memory, processes and processors, and bounds of the scratch folder: it may fill it and"
            " run what is there",
            drop=("--memory", "--pids-limit", "--cpus"),
            swap=(
                (":rw,noexec,", ":rw,exec,"),
                ("size=16777216", "size=134217728"),
                ("nproc=64:64", "nproc=4096:4096"),
            ),
            add=("--pids-limit=-1",),
            user="0:0",
        ),
        Control.NEIGHBOUR: Weakening(without="a door and user ids of its own: it has another bot's"),
        Control.ROOT: Weakening(
            without="user, process, network, IPC, name and control group namespaces, read-only mounts, covers, the"
            " filter and dropped capabilities: the host's root",
            drop=(
                "--uidmap",
                "--gidmap",
                "--read-only",
                "--cap-drop",
                "--security-opt",
                "--memory",
                "--pids-limit",
                "--ulimit=msgqueue",
                "--tmpfs=/dev/mqueue",
                "--hostname",
            ),
            swap=(
                ("--network=none", "--network=host"),
                ("--ipc=none", "--ipc=host"),
                ("--uts=private", "--uts=host"),
                ("--cgroupns=private", "--cgroupns=host"),
                (":ro,rprivate", ":rw,rprivate"),
                (":rw,noexec,nosuid,nodev", ":rw,exec,suid,dev"),
            ),
            add=(
                "--privileged",
                "--pid=host",
                "--security-opt=seccomp=unconfined",
                "--security-opt=unmask=ALL",
                "--volume={run}:{run}:rw,rprivate",
                "--volume={file}:{file}:ro,rprivate",
            ),
            user="0:0",
        ),
    }
)


def arguments(control: str, places: Mapping[str, str]) -> Callable[[ContainerSpec, Path], tuple[str, ...]]:
    """What the engine is asked for instead of :func:`~clawmates.node.engines.podman.run_arguments`.

    Raises ``ValueError`` for a weakening that no longer takes anything away.
    """
    weak = WEAKENINGS[control]

    def weaker(spec: ContainerSpec, seccomp: Path) -> tuple[str, ...]:
        sealed = run_arguments(spec, seccomp)
        for beginning in weak.drop:
            if not any(one.startswith(beginning) for one in sealed):
                raise ValueError(f"nothing to drop: {beginning}")
        kept = [one for one in sealed if not (weak.drop and one.startswith(weak.drop))]
        for old, new in weak.swap:
            if not any(old in one for one in kept):
                raise ValueError(f"nothing to swap: {old}")
            kept = [one.replace(old, new.format_map(places)) for one in kept]
        if weak.user:
            kept = [f"--user={weak.user}" if one.startswith("--user=") else one for one in kept]
        return (kept[0], *(one.format_map(places) for one in weak.add), *kept[1:])

    return weaker
