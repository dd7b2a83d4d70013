"""Attempts to break out: how one is judged, and what would make it count for nothing or against the claim."""

from __future__ import annotations

import errno
import os
import signal
import socket
from dataclasses import replace
from pathlib import Path

import pytest

from clawmates.node.engines.base import BOOT_TARGET, DOOR_TARGET, ContainerSpec, Mount
from clawmates.node.engines.podman import run_arguments
from clawmates.proofs.fake import all_denied
from clawmates.proofs.probes import document
from clawmates.proofs.probes.attempt import Attempts
from clawmates.proofs.probes.controls import WEAKENINGS, arguments
from clawmates.proofs.probes.entry import MODULES, PROBES, Seen, read
from clawmates.proofs.probes.inside import frame
from clawmates.proofs.probes.inside.frame import DENIED, DONE, UNCLEAR, Control, Marks, Probe
from clawmates.proofs.probes.lacking import MAY_SHOW_NOTHING
from clawmates.proofs.probes.marks import Known, disk_below, marks
from clawmates.proofs.probes.verdict import LEAST, Standing, against, counted, passed_over, unlisted, verdicts
from clawmates.wire.status import Finding

ROOT = Path(__file__).resolve().parents[3]
SOME = "trace-the-mate"
NAMED_IN_THE_TASK = {
    "processes-of-the-host",
    "mount-something",
    "remount-the-root",
    "abstract-socket-of-the-host",
    "shared-memory-folder",
    "shared-memory-of-system-v",
    "queues-of-posix",
    "trace-the-mate",
    "raw-socket",
    "packet-socket",
    "door-of-another-bot",
    "metadata-of-the-cloud",
    "question-to-a-resolver",
    "fork-bomb",
    "memory-hog",
    "inherited-descriptors",
    "become-another-user",
    "nested-user-namespace",
    "add-a-key",
    "find-a-keyring",
    "load-a-bpf-map",
    "watch-by-counters",
    "disk-of-the-host",
    "release-agent",
    "link-race-in-boot",
    "link-race-in-the-door",
    "ring-of-io-uring",
    "faults-in-user-space",
    "load-a-module",
    "reboot-the-machine",
    "set-the-clock",
    "switch-on-swap",
    "change-the-root",
    "pivot-the-root",
    "open-by-handle",
    "memory-of-the-mate-by-call",
    "loopback-of-the-host",
    "socket-of-node",
    "socket-of-the-gateway",
    "settings-below-sys",
    "read-the-log-of-the-kernel",
    "core-pattern",
}


ALLOWED_TO_SHOW_NOTHING = {
    "load-a-module",
    "memory-of-the-machine",
    "core-of-the-kernel",
    "sysrq-trigger",
    "calls-of-32-bit-programs",
    "disk-of-the-host",
    "all-processors",
}
"""The second copy: a probe joins the list only by changing both."""


def attempts(*, here: Seen | None, control: Seen | None) -> Attempts:
    """All is well but one probe."""
    well = all_denied()
    sealed = {name: seen for name, seen in well.sealed.items() if name != SOME} | ({SOME: here} if here else {})
    others = {name: seen for name, seen in well.controls.items() if name != SOME}
    return replace(well, sealed=sealed, controls=others | ({SOME: control} if control else {}))


DENIED_HERE, DONE_HERE, UNCLEAR_HERE = (Seen(outcome=one, detail="x") for one in (DENIED, DONE, UNCLEAR))


@pytest.mark.parametrize(
    ("here", "control", "standing"),
    [
        (DENIED_HERE, DONE_HERE, Standing.COUNTS),
        (DENIED_HERE, DENIED_HERE, Standing.SHOWS_NOTHING),
        (DENIED_HERE, UNCLEAR_HERE, Standing.SHOWS_NOTHING),
        (DENIED_HERE, None, Standing.SHOWS_NOTHING),
        (UNCLEAR_HERE, UNCLEAR_HERE, Standing.SHOWS_NOTHING),
        (None, None, Standing.SHOWS_NOTHING),
        (UNCLEAR_HERE, DONE_HERE, Standing.BROKEN),
        (None, DONE_HERE, Standing.BROKEN),
        (DONE_HERE, DONE_HERE, Standing.BROKEN),
        (DONE_HERE, DENIED_HERE, Standing.BROKEN),
        (DONE_HERE, None, Standing.BROKEN),
    ],
)
def test_a_probe_counts_only_when_denied_here_and_done_there(
    here: Seen | None, control: Seen | None, standing: Standing
) -> None:
    found = verdicts(attempts(here=here, control=control))
    assert {one.probe: one.standing for one in found}[SOME] is standing
    assert counted(found) == len(PROBES) - (standing is not Standing.COUNTS)


def test_what_speaks_against_the_claim_is_said_and_what_shows_nothing_is_said_too() -> None:
    broken = attempts(here=DONE_HERE, control=DONE_HERE)
    assert against("anna", broken, verdicts(broken)) == [
        f"bot anna: {SOME} was done: x; in the weak control done: x",
    ]
    idle = attempts(here=DENIED_HERE, control=DENIED_HERE)
    assert against("anna", idle, verdicts(idle)) == []
    (said,) = passed_over(idle, verdicts(idle))
    assert said.startswith(f"{SOME}: does not count, for it does not succeed in the weak control either (denied: x; ")
    assert said.endswith("no reason for it is listed)")
    assert unlisted(idle, verdicts(idle)) == (SOME,)
    absent = replace(attempts(here=DENIED_HERE, control=None), absent={Control.ROOT: "it did not start"})
    assert "(it did not start)" in passed_over(absent, verdicts(absent))[0]
    assert unlisted(absent, verdicts(absent)) == ()


def test_the_list_of_what_may_show_nothing_does_not_grow() -> None:
    assert set(MAY_SHOW_NOTHING) <= ALLOWED_TO_SHOW_NOTHING < set(PROBES)
    assert all(len(reason) > 20 for reason in MAY_SHOW_NOTHING.values())


def test_a_process_behind_other_walls_than_the_mate_speaks_against_it() -> None:
    weaker = replace(all_denied(), walls=(Finding(name="seccomp", wanted="2", found="0", ok=False),))
    (said,) = against("anna", weaker, verdicts(weaker))
    assert said.endswith("seccomp is 0, not 2")


def test_enough_is_tried_and_every_attempt_is_explained() -> None:
    assert len(PROBES) >= 2 * LEAST
    assert set(PROBES) >= NAMED_IN_THE_TASK
    for one in PROBES.values():
        assert one.tried.endswith("."), one.name
        assert one.control in WEAKENINGS, one.name


def test_the_document_is_made_from_the_probes() -> None:
    assert (ROOT / "docs" / "probes.md").read_text() == document.markdown()


def test_what_is_sent_inside_needs_nothing_of_ours_but_itself() -> None:
    sent = {one.__name__ for one in MODULES}
    for one in MODULES:
        source = Path(str(one.__file__)).read_text()
        ours = {line.split()[1] for line in source.splitlines() if line.startswith("from clawmates.")}
        assert ours <= sent, one.__name__


# How one attempt is run


def probe(attempt: object, *more: int) -> Probe:
    return Probe("x", "Try.", Control.ROOT, frame.REFUSALS | set(more), attempt)  # type: ignore[arg-type]


def nowhere() -> Marks:
    return Marks(**dict.fromkeys(Marks.__dataclass_fields__, ""))  # type: ignore[arg-type]


def failing(error: BaseException) -> object:
    def attempt(_marks: Marks) -> str:
        raise error

    return attempt


@pytest.mark.parametrize(
    ("error", "answer"),
    [
        (OSError(errno.EPERM, "x"), (DENIED, "EPERM")),
        (OSError(errno.ENOSYS, "x"), (DENIED, "ENOSYS")),
        (OSError(errno.EINVAL, "x"), (UNCLEAR, "EINVAL")),
        (OSError("x"), (UNCLEAR, "no errno")),
        (frame.StoppedError("after 3"), (DENIED, "after 3")),
        (frame.UnclearError(), (UNCLEAR, "something else than was looked for")),
        (ValueError("secret"), (UNCLEAR, "ValueError")),
        (SystemExit(0), (UNCLEAR, "SystemExit")),
    ],
)
def test_only_a_clear_refusal_is_a_denial(error: BaseException, answer: tuple[str, str]) -> None:
    assert frame.answer(probe(failing(error)), nowhere()) == answer


def test_a_probe_may_know_refusals_of_its_own() -> None:
    refused = OSError(errno.ENETUNREACH, "x")
    assert frame.answer(probe(failing(refused), errno.ENETUNREACH), nowhere()) == (DENIED, "ENETUNREACH")
    assert frame.answer(probe(failing(refused)), nowhere())[0] == UNCLEAR


def test_an_attempt_changes_only_a_child_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    before = Path.cwd()

    def attempt(_marks: Marks) -> str:
        os.chdir("/")
        return "moved"

    assert frame.in_child(probe(attempt), nowhere()) == (DONE, "moved")
    assert Path.cwd() == before
    killed = frame.in_child(probe(lambda _: os.kill(os.getpid(), signal.SIGKILL)), nowhere())
    assert killed == (UNCLEAR, "ended by signal 9")
    monkeypatch.setattr(frame, "SECONDS", 0.01)
    assert frame.in_child(probe(lambda _: signal.pause()), nowhere()) == (UNCLEAR, "not over in time")


def test_reading_something_else_than_was_written_outside_is_no_success() -> None:
    marked = replace(nowhere(), digest="0" * 64)
    assert frame.answer(probe(lambda given: frame.confirm(b"", given)), marked)[0] == UNCLEAR


def test_answers_that_were_cut_off_are_none() -> None:
    said = b'["a", "done", "x"]\n["b", "denied"]\nnonsense\n["c", "den'
    assert read(said) == {"a": Seen(outcome="done", detail="x")}


# The weak controls


def spec() -> ContainerSpec:
    return ContainerSpec(
        name="mate",
        image="sha256:0",
        uid_first=1_000_000_000,
        uid_count=1024,
        user=1000,
        hostname="mate",
        mounts=(Mount(source=Path("/d"), target=DOOR_TARGET), Mount(source=Path("/b"), target=BOOT_TARGET)),
        memory_bytes=128 << 20,
        scratch_bytes=16 << 20,
        pids=32,
        cpus=1.0,
        open_files=1024,
        processes=64,
    )


PLACES = {"run": "/run/x", "outside": "7", "file": "/var/tmp/x"}


@pytest.mark.parametrize("control", [name for name in WEAKENINGS if name != Control.NEIGHBOUR])
def test_a_control_lacks_something_that_a_sealed_container_has(control: str) -> None:
    seccomp = Path("/s")
    sealed, weaker = set(run_arguments(spec(), seccomp)), set(arguments(control, PLACES)(spec(), seccomp))
    assert sealed - weaker
    assert "--image-volume=ignore" in weaker


def test_only_the_filter_is_missing_where_only_the_filter_is_meant() -> None:
    seccomp = Path("/s")
    weaker = arguments(Control.UNFILTERED, PLACES)(spec(), seccomp)
    assert set(run_arguments(spec(), seccomp)) ^ set(weaker) == {
        "--security-opt=seccomp=/s",
        "--security-opt=seccomp=unconfined",
    }


def test_a_weakening_that_weakens_nothing_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    for change in ({"drop": ("--no-such",)}, {"swap": (("no such", "x"),)}):
        weak = replace(WEAKENINGS[Control.UNFILTERED], **change)
        monkeypatch.setattr("clawmates.proofs.probes.controls.WEAKENINGS", {Control.UNFILTERED: weak})
        with pytest.raises(ValueError, match="nothing to"):
            arguments(Control.UNFILTERED, PLACES)(spec(), Path("/s"))


# What is put on the host


def test_marks_are_there_while_they_are_needed_and_gone_afterwards(tmp_path: Path) -> None:
    known = Known(vault=("127.0.0.1", 1), sockets={}, neighbour="", folder=tmp_path)
    with marks(known, os.urandom, witness=1, word="word") as here:
        assert frame.confirm(Path(here.file).read_bytes(), here)
        assert frame.confirm(Path(here.shared_file).read_bytes(), here)
        socket.create_connection(("127.0.0.1", here.loopback)).close()
        with socket.socket(socket.AF_UNIX) as there:
            there.connect("\0" + here.abstract)
        assert f" {here.segment} " in Path("/proc/sysvipc/shm").read_text()
        assert f" {here.queue} " in Path("/proc/sysvipc/msg").read_text()
        assert f" {here.semaphore} " in Path("/proc/sysvipc/sem").read_text()
    assert not Path(here.file).exists()
    assert not Path(here.shared_file).exists()
    assert f" {here.segment} " not in Path("/proc/sysvipc/shm").read_text()
    assert f" {here.queue} " not in Path("/proc/sysvipc/msg").read_text()
    assert f" {here.semaphore} " not in Path("/proc/sysvipc/sem").read_text()
    with socket.socket(socket.AF_UNIX) as there, pytest.raises(ConnectionRefusedError):
        there.connect("\0" + here.abstract)


def test_no_disk_is_named_that_not_even_the_host_can_read(tmp_path: Path) -> None:
    assert disk_below(Path("/dev/shm"), tmp_path) == (0, 0)
    (tmp_path / "nonesuch").mkdir()
    (tmp_path / "nonesuch" / "dev").write_text("999:1\n")
    (tmp_path / "nonesuch" / "size").write_text("1\n")
    assert disk_below(Path("/dev/shm"), tmp_path) == (0, 0)
