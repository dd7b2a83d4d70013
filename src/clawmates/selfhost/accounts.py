"""Under whose uid each process runs."""

from __future__ import annotations

import os
import pwd
from dataclasses import dataclass

SERVICES = ("vault", "gateway", "node")
OWN_USER = ("vault", "gateway")
"""Services with a user of their own; node keeps root, because the engine needs it."""


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
    if os.geteuid() != 0 or service not in OWN_USER:
        return own()
    try:
        found = pwd.getpwnam(f"clawmates-{service}")
    except KeyError:
        return own()
    return Account(found.pw_uid, found.pw_gid, found.pw_name)


def separation() -> str:
    """``separate users`` when every service that should has a uid of its own, else ``nominal``."""
    uids = {account_of(service).uid for service in SERVICES}
    return "separate users" if len(uids) == len(SERVICES) else "nominal"
