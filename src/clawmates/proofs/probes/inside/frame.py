"""How a probe is declared, run in a child of its own, and what it says afterwards."""

from __future__ import annotations

import errno
import json
import os
import select
import signal
import sys
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

from clawmates.proofs.probes.inside.kernel import die_with_the_parent

SECONDS = 8.0
"""A probe that is not over by then is ended; that counts neither as denied nor as done."""
MOST_DETAIL = 100
REFUSALS = frozenset({errno.EPERM, errno.EACCES, errno.ENOSYS, errno.EROFS})
"""How a kernel says that one may not, or that there is no such call for this process."""

DENIED, DONE, UNCLEAR = "denied", "done", "unclear"


class Control:
    """The weak controls, by what is taken away from a sealed container."""

    UNFILTERED = "unfiltered"
    HOST_NETWORK = "host-network"
    OUTSIDE = "outside"
    LIMITLESS = "limitless"
    NEIGHBOUR = "neighbour"
    ROOT = "root"


@dataclass(frozen=True)
class Marks:
    """What the proof has put outside for a probe to find; every text is made up, and none is a secret."""

    digest: str
    """SHA-256 of the text that stands in everything that can be read."""
    word: str
    """An argument of the witness, a process on the host."""
    witness: int
    """Its process id there."""
    target: int
    """Process id of the container's own first process, as seen inside."""
    hostname: str
    loopback: int
    """A port on the host's 127.0.0.1."""
    abstract: str
    """An abstract unix socket of the host."""
    vault: tuple[str, int]
    """The vault's own address and port."""
    sockets: Mapping[str, str]
    """``node``, ``gateway``: the platform's own sockets on the host."""
    neighbour: str
    """The socket of another bot's door, or empty when there is no other bot."""
    file: str
    """A file on the host."""
    shared_file: str
    """A file in the host's /dev/shm."""
    segment: int
    queue: int
    semaphore: int
    """System V ids on the host; -1 where the host has none."""
    posix_queue: str
    disk: tuple[int, int]
    """Major and minor of one of the host's disks; 0 0 when there is none."""
    metadata: str
    resolver: str
    internet: str
    """Addresses that only the network of a control has."""


class StoppedError(Exception):
    """The attempt was stopped in a way that no errno tells; the text says how."""


class UnclearError(Exception):
    """There is nothing to try this on here, or what came back is neither a refusal nor what was looked for."""


@dataclass(frozen=True)
class Probe:
    """One attempt, with the control in which it must succeed."""

    name: str
    tried: str
    control: str
    refusals: frozenset[int]
    attempt: Callable[[Marks], str]
    """Returns what was gained; raises ``OSError`` or :class:`StoppedError` when it was denied."""


PROBES: dict[str, Probe] = {}


def probe(control: str, *more: int) -> Callable[[Callable[[Marks], str]], Callable[[Marks], str]]:
    """Declares a probe; ``more`` are errnos that also mean *denied* to it."""

    def declare(attempt: Callable[[Marks], str]) -> Callable[[Marks], str]:
        name = attempt.__name__.replace("_", "-")
        tried = " ".join((attempt.__doc__ or "").split())
        PROBES[name] = Probe(name, tried, control, REFUSALS | set(more), attempt)
        return attempt

    return declare


def confirm(data: bytes, marks: Marks) -> str:
    """That what was read is what the proof has written. Raises :class:`UnclearError`."""
    if sha256(data).hexdigest() != marks.digest:
        raise UnclearError
    return "read what was written outside"


def answer(one: Probe, marks: Marks) -> tuple[str, str]:
    """Runs one attempt here and now: (outcome, detail)."""
    try:
        return DONE, one.attempt(marks)
    except StoppedError as stopped:
        return DENIED, str(stopped)
    except UnclearError as unclear:
        return UNCLEAR, str(unclear) or "something else than was looked for"
    except OSError as error:
        name = errno.errorcode.get(error.errno or 0, "no errno")
        return (DENIED if error.errno in one.refusals else UNCLEAR), name
    except BaseException as error:  # noqa: BLE001 - a probe may fail in any way; only its kind is told
        return UNCLEAR, type(error).__name__


def in_child(one: Probe, marks: Marks) -> tuple[str, str]:
    """Runs one attempt in a child, so that what it changes of itself goes with it."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        die_with_the_parent()
        os.close(reading)
        os.write(writing, json.dumps(answer(one, marks)).encode())
        os._exit(0)
    os.close(writing)
    ready, _, _ = select.select([reading], [], [], SECONDS)
    said = os.read(reading, 4096) if ready else b""
    os.close(reading)
    if not said:
        os.kill(child, signal.SIGKILL)
    _, status = os.waitpid(child, 0)
    if said:
        outcome, detail = json.loads(said)
        return outcome, detail[:MOST_DETAIL]
    return UNCLEAR, f"ended by signal {os.WTERMSIG(status)}" if ready else "not over in time"


def main(parcel: Mapping[str, Any], names: Iterable[str]) -> None:
    """Runs probes one after the other and prints ``[name, outcome, detail]`` lines."""
    given: dict[str, Any] = {
        name: tuple(one) if isinstance(one, list) else one for name, one in parcel["marks"].items()
    }
    marks = Marks(**given)
    for name in names:
        outcome, detail = in_child(PROBES[name], marks)
        sys.stdout.write(json.dumps([name, outcome, detail]) + "\n")
        sys.stdout.flush()
