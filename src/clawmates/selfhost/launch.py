"""Starts one service in a narrower place than its supervisor's: ``python -I -m clawmates.selfhost.launch``.

As root: a private mount namespace in which folders that the service's user could not pass through (a checkout below
/root, say) are covered by an empty tmpfs with just what the service needs bound into it; then that user's uid and no
supplementary groups. Always: the service dies with its supervisor, and finds its listening socket as descriptor 3.
What systemd units in ``deploy/`` say with ProtectHome=tmpfs and BindPaths= is said here with the same calls.
"""

from __future__ import annotations

import argparse
import ctypes
import fcntl
import os
import signal
import stat
import sys
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from clawmates.base.notify import FIRST_INHERITED

if TYPE_CHECKING:
    from collections.abc import Sequence

CLONE_NEWNS = 0x00020000
MS_RDONLY, MS_NOSUID, MS_NODEV, MS_REMOUNT, MS_BIND, MS_REC, MS_SLAVE = 1, 2, 4, 32, 4096, 16384, 1 << 19
PR_SET_PDEATHSIG = 1


class Need(NamedTuple):
    """A path that the service must reach. No dataclass: loading what makes one is a fifth of what a launch takes."""

    path: Path
    writable: bool = False


def runtime_needs() -> tuple[Need, ...]:
    """The interpreter, the virtual environment and this package, wherever they lie."""
    package = Path(__file__).resolve().parents[1]
    places = {Path(sys.prefix), Path(sys.base_prefix), Path(sys.executable).resolve().parent.parent, package.parent}
    return tuple(Need(place) for place in sorted(places))


def blocked(path: Path, uid: int, gid: int) -> Path | None:
    """The outermost folder above ``path`` that (uid, gid) may not pass through, if any."""
    for folder in reversed(path.parents):
        found = folder.stat()
        bit = stat.S_IXUSR if found.st_uid == uid else stat.S_IXGRP if found.st_gid == gid else stat.S_IXOTH
        if not found.st_mode & bit:
            return folder
    return None


def cover(needs: tuple[Need, ...], uid: int, gid: int) -> dict[Path, tuple[Need, ...]]:
    """Which folders must be covered, and what must be bound into each; outermost folders only."""
    covered: dict[Path, list[Need]] = {}
    for need in needs:
        folder = blocked(need.path, uid, gid)
        if folder is not None:
            covered.setdefault(folder, []).append(need)
    return {folder: tuple(inside) for folder, inside in covered.items()}


def narrow(needs: tuple[Need, ...], uid: int, gid: int) -> None:
    """Enters a private mount namespace and makes every need reachable there; raises ``OSError``. mount(2)."""
    libc = ctypes.CDLL(None, use_errno=True)

    def mount(source: str, target: Path, kind: str, flags: int, data: str = "") -> None:
        if libc.mount(source.encode(), bytes(target), kind.encode(), ctypes.c_ulong(flags), data.encode()) != 0:
            number = ctypes.get_errno()
            raise OSError(number, os.strerror(number))

    if libc.unshare(CLONE_NEWNS) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    mount("none", Path("/"), "", MS_REC | MS_SLAVE)
    for folder, inside in cover(needs, uid, gid).items():
        held = [(need, os.open(need.path, os.O_PATH | os.O_CLOEXEC)) for need in inside]
        mount("clawmates", folder, "tmpfs", MS_NOSUID | MS_NODEV, "mode=0755,size=64k")
        for need, descriptor in held:
            _make_target(need.path, descriptor)
            mount(f"/proc/self/fd/{descriptor}", need.path, "", MS_BIND)
            if not need.writable:
                mount("none", need.path, "", MS_BIND | MS_REMOUNT | MS_RDONLY)
            os.close(descriptor)


def hand_over(descriptors: Sequence[int]) -> None:
    """Makes them 3, 4 and so on, in their order, and lets the next program have them (sd_listen_fds(3))."""
    last = FIRST_INHERITED + len(descriptors)
    # Out of the way first: one of them may stand where another must go.
    held = [fcntl.fcntl(descriptor, fcntl.F_DUPFD_CLOEXEC, last) for descriptor in descriptors]
    for number, descriptor in enumerate(held, FIRST_INHERITED):
        os.dup2(descriptor, number, inheritable=True)
        os.close(descriptor)


def _make_target(path: Path, descriptor: int) -> None:
    if stat.S_ISDIR(os.fstat(descriptor).st_mode):
        path.mkdir(parents=True, exist_ok=True)
    else:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="clawmates.selfhost.launch")
    parser.add_argument("--uid", type=int, required=True)
    parser.add_argument("--gid", type=int, required=True)
    parser.add_argument("--parent", type=int, required=True)
    parser.add_argument("--listen-fd", type=int, action="append", default=[])
    parser.add_argument("--read", type=Path, action="append", default=[])
    parser.add_argument("--write", type=Path, action="append", default=[])
    parser.add_argument("command", nargs="+")
    return parser.parse_args()


def main() -> None:
    """Narrows, drops privileges, and becomes the service."""
    wanted = _arguments()
    os.chdir("/")
    if os.geteuid() == 0 and wanted.uid != 0:
        needs = (
            *runtime_needs(),
            *(Need(path) for path in wanted.read),
            *(Need(path, writable=True) for path in wanted.write),
        )
        narrow(needs, wanted.uid, wanted.gid)
        os.setgroups([])
        os.setresgid(wanted.gid, wanted.gid, wanted.gid)
        os.setresuid(wanted.uid, wanted.uid, wanted.uid)
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)
    if os.getppid() != wanted.parent:
        sys.exit(0)
    environment = {name: os.environ[name] for name in ("NOTIFY_SOCKET", "PATH", "LANG") if name in os.environ}
    if wanted.listen_fd:
        hand_over(wanted.listen_fd)
        environment |= {"LISTEN_FDS": str(len(wanted.listen_fd)), "LISTEN_PID": str(os.getpid())}
    os.umask(0o077)
    os.execve(wanted.command[0], wanted.command, environment)  # noqa: S606 - the supervisor's own command line


if __name__ == "__main__":
    main()
