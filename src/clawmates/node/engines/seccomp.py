"""The system calls a mate may make: the engine's own profile, less what no mate ever needs."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from clawmates.base.files import keep
from clawmates.node.engines.base import EngineMissingError

if TYPE_CHECKING:
    from pathlib import Path

DENIED = frozenset(
    {
        "add_key",
        "bpf",
        "clone",
        "clone3",
        "fanotify_init",
        "fanotify_mark",
        "fsconfig",
        "fsmount",
        "fsopen",
        "fspick",
        "io_uring_enter",
        "io_uring_register",
        "io_uring_setup",
        "ipc",
        "kcmp",
        "keyctl",
        "lookup_dcookie",
        "mount",
        "mount_setattr",
        "move_mount",
        "mq_getsetattr",
        "mq_notify",
        "mq_open",
        "mq_timedreceive",
        "mq_timedreceive_time64",
        "mq_timedsend",
        "mq_timedsend_time64",
        "mq_unlink",
        "msgctl",
        "msgget",
        "msgrcv",
        "msgsnd",
        "name_to_handle_at",
        "open_by_handle_at",
        "open_tree",
        "perf_event_open",
        "personality",
        "pidfd_getfd",
        "pivot_root",
        "process_madvise",
        "process_vm_readv",
        "process_vm_writev",
        "ptrace",
        "quotactl",
        "request_key",
        "semctl",
        "semget",
        "semop",
        "semtimedop",
        "semtimedop_time64",
        "setns",
        "shmat",
        "shmctl",
        "shmdt",
        "shmget",
        "socketcall",
        "swapoff",
        "swapon",
        "syslog",
        "umount",
        "umount2",
        "unshare",
        "userfaultfd",
        "vhangup",
    }
)
"""Namespaces, mounts, keyrings, tracing, SysV and POSIX queues, io_uring: ENOSYS, which libc understands.

``socketcall`` is how 32-bit programs open sockets; its arguments lie where a filter cannot read them.
"""

FAMILIES = frozenset({1, 2, 10})
"""AF_UNIX for the door, AF_INET and AF_INET6 for loopback (linux/socket.h). Every other family is refused: AF_VSOCK,
which reaches the hypervisor, belongs to no network namespace at all, and the rarer ones are where kernels break."""

NAMESPACE_FLAGS = 0x7E020000
"""CLONE_NEWNS|NEWCGROUP|NEWUTS|NEWIPC|NEWUSER|NEWPID|NEWNET of clone(2): threads and children without them go."""


def tighten(profile: bytes) -> bytes:
    """An OCI seccomp profile (JSON, as containers-common ships it), tightened.

    It is without :data:`DENIED`, and with sockets of :data:`FAMILIES` only.

    Calls that no rule names fall to the profile's default, an error. ``clone3`` passes its flags by pointer, which
    seccomp cannot read, so it is ENOSYS and libc falls back to ``clone``. Raises :class:`EngineMissingError` for
    a profile that does not deny by default.
    """
    try:
        document = json.loads(profile)
        if document["defaultAction"] != "SCMP_ACT_ERRNO":
            raise EngineMissingError("the seccomp profile allows by default")
        rules = []
        for rule in document["syscalls"]:
            names = [name for name in rule["names"] if name not in DENIED and name != "socket"]
            if names:
                rules.append(rule | {"names": names})
        rules.append(
            {
                "names": ["clone"],
                "action": "SCMP_ACT_ALLOW",
                "args": [{"index": 0, "value": NAMESPACE_FLAGS, "valueTwo": 0, "op": "SCMP_CMP_MASKED_EQ"}],
            }
        )
        for family in sorted(FAMILIES):
            only = {"index": 0, "value": family, "valueTwo": 0, "op": "SCMP_CMP_EQ"}
            rules.append({"names": ["socket"], "action": "SCMP_ACT_ALLOW", "args": [only]})
        return json.dumps(document | {"syscalls": rules, "defaultErrnoRet": 38}).encode()
    except (ValueError, KeyError, TypeError):
        raise EngineMissingError("the seccomp profile cannot be read") from None


def write_profile(source: Path, target: Path) -> None:
    """Tightens ``source`` into ``target``. Raises :class:`EngineMissingError` or ``OSError``."""
    try:
        profile = source.read_bytes()
    except OSError:
        raise EngineMissingError("the engine's seccomp profile is missing") from None
    keep(target, tighten(profile), mode=0o644)
