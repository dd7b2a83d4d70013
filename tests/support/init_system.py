"""A service manager of a test's own: systemd as process 1 of fresh namespaces, with nothing but our units.

Run as a program (by :func:`service_manager`), this file makes the namespace ready and becomes systemd: the state folder
at ``/var/lib/clawmates``, the checkout at ``/opt/clawmates``, an empty ``/run`` in RAM, the units of ``deploy/``.
"""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from clawmates.selfhost.launch import narrow, runtime_needs

CHECKOUT = Path(__file__).resolve().parents[2]
UNITS = CHECKOUT / "deploy" / "systemd"
SYSTEMD = Path("/lib/systemd/systemd")
STATE = Path("/var/lib/clawmates")
NAMESPACES = ("--mount", "--pid", "--fork", "--uts", "--ipc", "--cgroup", "--kill-child=KILL")
# Not of this test: what a whole machine starts besides us.
STRANGERS = (
    *("systemd-udevd.service", "systemd-udev-trigger.service", "systemd-journald.service", "systemd-journald.socket"),
    *("systemd-journald-dev-log.socket", "systemd-journald-audit.socket", "systemd-logind.service", "getty.target"),
    *("systemd-tmpfiles-setup.service", "systemd-tmpfiles-setup-dev.service", "systemd-sysctl.service"),
    *("systemd-modules-load.service", "systemd-remount-fs.service", "systemd-update-utmp.service"),
    *("systemd-random-seed.service", "systemd-sysusers.service", "network-online.target", "remote-fs.target"),
)


@dataclass(frozen=True)
class Manager:
    """The running one; ``enter`` is the command that runs others inside."""

    process: int

    def run(self, *command: str, given: str = "") -> subprocess.CompletedProcess[str]:
        enter = ("nsenter", f"--target={self.process}", "--mount", "--pid", "--uts", "--ipc", "--cgroup")
        return subprocess.run([*enter, *command], input=given, capture_output=True, text=True, check=False, timeout=120)

    @property
    def processes(self) -> dict[int, str]:
        """Command lines by process id as the host calls it, of everything that runs in there."""
        inside = Path(f"/proc/{self.process}/ns/pid").stat().st_ino
        found = {}
        for folder in Path("/proc").iterdir():
            with suppress(OSError):
                if folder.name.isdecimal() and (folder / "ns" / "pid").stat().st_ino == inside:
                    found[int(folder.name)] = (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode()
        return found

    def properties(self, unit: str, *names: str) -> dict[str, str]:
        shown = self.run("systemctl", "show", unit, *(f"--property={name}" for name in names)).stdout
        return dict(line.split("=", 1) for line in shown.splitlines() if "=" in line)


@contextmanager
def service_manager(state: Path, folder: Path) -> Iterator[Manager]:
    """Started with ``clawmates.target``; everything in it ends with it."""
    command = ["unshare", *NAMESPACES, sys.executable, "-I", __file__, str(state), str(folder)]
    with (folder / "systemd.log").open("wb") as log:
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
    first = _first(process)
    descriptor = os.pidfd_open(first)
    try:
        yield Manager(first)
    finally:
        # With process 1 the kernel ends every process of its namespace.
        signal.pidfd_send_signal(descriptor, signal.SIGKILL)
        os.close(descriptor)
        process.wait()


def _first(unshare: subprocess.Popen[bytes]) -> int:
    """Process 1 of the namespaces, as the host calls it."""
    children = Path(f"/proc/{unshare.pid}/task/{unshare.pid}/children")
    while not (found := children.read_text().split()):
        assert unshare.poll() is None, "unshare could not make the namespaces"
    return int(found[0])


def _mount(*arguments: str) -> None:
    subprocess.run(["/usr/bin/mount", *arguments], check=True)


def become_systemd(state: Path, folder: Path) -> None:
    _mount("--make-rprivate", "/")
    _mount("-t", "proc", "proc", "/proc")
    for place in ("/run", "/etc/systemd/system", "/etc/systemd/system.conf.d"):
        Path(place).mkdir(parents=True, exist_ok=True)
        _mount("-t", "tmpfs", "-o", "mode=755", "none", place)
    for unit in UNITS.iterdir():
        shutil.copy(unit, "/etc/systemd/system")
    for name in STRANGERS:
        Path("/etc/systemd/system", name).symlink_to("/dev/null")
    # No journal here; what a service says of itself is read by the test.
    Path("/etc/systemd/system.conf.d/test.conf").write_text("[Manager]\nDefaultStandardError=null\nShowStatus=no\n")
    for extra in (folder / "drop-ins").glob("*/*"):
        target = Path("/etc/systemd/system", extra.parent.name)
        target.mkdir(exist_ok=True)
        shutil.copy(extra, target)
    for source, target in ((state, STATE), (CHECKOUT, Path("/opt/clawmates"))):
        target.mkdir(parents=True, exist_ok=True)
        _mount("--bind", str(source), str(target))
    # A checkout below a closed folder is made reachable, as `clawmates up` makes it; this unshares once more.
    gateway = pwd.getpwnam("clawmates-gateway")
    narrow(runtime_needs(), gateway.pw_uid, gateway.pw_gid)
    os.execve(SYSTEMD, [str(SYSTEMD), "--system", "--unit=clawmates.target"], {"container": "test", "PATH": os.defpath})


if __name__ == "__main__":
    become_systemd(Path(sys.argv[1]), Path(sys.argv[2]))
