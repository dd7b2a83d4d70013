"""Defects in the walls of a container.

Node kills a container that is weaker than asked, so each of these also stops node from enforcing what it read back:
otherwise nothing would run that a claim could be tried on.
"""

from __future__ import annotations

from clawmates.proofs.result import Claim
from clawmates.trials.mutation import Change, Mutation

PODMAN = "src/clawmates/node/engines/podman.py"
STEPS = "src/clawmates/node/steps.py"
UNENFORCED = (
    Change(
        file=STEPS,
        old="        if sound(read.findings):\n            return read\n",
        new="        if read.findings:\n            return read\n",
    ),
    Change(
        file=STEPS,
        old="        if not sound(read.findings):\n            await self._discard(running.name)\n",
        new="        if not read.findings:\n            await self._discard(running.name)\n",
    ),
)
"""Isolation is read back and ignored, at a start and when node finds a container after its own."""


def _weaker(name: str, what: str, old: str, new: str, *, quick: bool = False) -> Mutation:
    wall = Change(file=PODMAN, old=old, new=new)
    return Mutation(id=name, what=what, changes=(wall, *UNENFORCED), claim=Claim.ISOLATION, quick=quick)


MUTATIONS = (
    _weaker(
        "keep-a-capability",
        "the container keeps CAP_NET_RAW",
        '        "--cap-drop=all",\n',
        '        "--cap-drop=all",\n        "--cap-add=net_raw",\n',
        quick=True,
    ),
    _weaker(
        "socket-writable",
        "the folder of the bot's socket is mounted writable",
        "{mount.target}:ro,rprivate",
        "{mount.target}:{'rw' if mount.target.endswith('door') else 'ro'},rprivate",
    ),
    _weaker(
        "boot-writable",
        "the folder of trust and ticket is mounted writable",
        "{mount.target}:ro,rprivate",
        "{mount.target}:{'rw' if mount.target.endswith('boot') else 'ro'},rprivate",
    ),
    _weaker(
        "swap-allowed",
        "the container may swap as much as it has memory",
        '        f"--memory-swap={spec.memory_bytes}",\n',
        '        f"--memory-swap={2 * spec.memory_bytes}",\n',
    ),
    _weaker(
        "root-writable",
        "the container's root file system is writable",
        '        "--read-only",\n',
        "",
    ),
    _weaker(
        "no-process-limit",
        "a fork bomb is not bounded",
        '        f"--pids-limit={spec.pids}",\n',
        '        "--pids-limit=-1",\n',
    ),
    _weaker(
        "no-system-call-filter",
        "every system call is allowed",
        '        f"--security-opt=seccomp={seccomp}",\n',
        '        "--security-opt=seccomp=unconfined",\n',
    ),
    _weaker(
        "output-kept",
        "the engine writes down what the mate prints",
        '        "--log-driver=none",\n',
        '        "--log-driver=k8s-file",\n',
    ),
    Mutation(
        id="shared-user-ids",
        what="all bots share one range of user ids",
        changes=(
            Change(
                file="src/clawmates/node/spec.py",
                old="    return FIRST_UID + slot * UIDS\n",
                new="    return FIRST_UID + 0 * slot\n",
            ),
        ),
        claim=Claim.ISOLATION,
        quick=True,
    ),
    Mutation(
        id="core-dumps",
        what="the mate is dumpable: its equals may trace it, and a crash may leave its memory behind",
        changes=(
            Change(
                file="src/clawmates/base/hardening.py",
                old="(PR_SET_DUMPABLE, 0)",
                new="(PR_SET_DUMPABLE, 1)",
            ),
            *UNENFORCED,
        ),
        claim=Claim.ISOLATION,
    ),
)
