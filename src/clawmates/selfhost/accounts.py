"""Under whose uid each process runs."""

from __future__ import annotations

import os
import pwd
import re
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

SERVICES = ("vault", "gateway", "node")
OWN_USER = ("vault", "gateway")
"""Services with a user of their own; node keeps root, because the engine needs it."""
HOSTED = "control"
"""The service that a hosted platform has beside them, with a user of its own."""


@dataclass(frozen=True, slots=True)
class Account:
    """A uid and gid; ``name`` is empty when the process keeps the uid it was started with."""

    uid: int
    gid: int
    name: str = ""

    @property
    def owner(self) -> tuple[int, int]:
        """(uid, gid), for files."""
        return self.uid, self.gid


def own() -> Account:
    """The account of this very process."""
    return Account(os.geteuid(), os.getegid())


def account_of(service: str) -> Account:
    """``clawmates-SERVICE`` where we are root and that user exists; else our own account."""
    if os.geteuid() != 0 or service not in {*OWN_USER, HOSTED}:
        return own()
    try:
        found = pwd.getpwnam(f"clawmates-{service}")
    except KeyError:
        return own()
    return Account(found.pw_uid, found.pw_gid, found.pw_name)


def separation(pids: Mapping[str, int], proc: Path = Path("/proc")) -> str:
    """``separate users`` when every running service is seen to have a uid of its own, else ``nominal``.

    Read from the kernel, not from what should be (the owner of /proc/PID says root of one that is not dumpable).
    """
    uids = []
    for pid in pids.values():
        with suppress(OSError):
            uids += re.findall(r"^Uid:\s+(\d+)", (proc / str(pid) / "status").read_text(), re.MULTILINE)
    return "separate users" if uids and len(set(uids)) == len(uids) else "nominal"
